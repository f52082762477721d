"""Fewer points for the same drawing (Ramer, 1972; Douglas and Peucker, 1973)."""

import numpy as np
import numpy.typing as npt

from models.strokes.formats import Points, StrokeError, from_lines, to_lines


def simplify(points: Points, epsilon: float) -> Points:
    """Leave out points that lie within ``epsilon`` of the line between those that are kept.

    (N, 3) -> (M, 3) with M <= N + 1; every line keeps its ends, its pen lifts and its place.

    Args:
        points: A drawing.
        epsilon: In units of the offsets; QuickDraw's is 2 on a side of 255.

    Raises:
        StrokeError: ``epsilon`` is negative.
    """
    if epsilon < 0:
        raise StrokeError(f"epsilon is {epsilon}; it is a distance, so 0 or more.")
    lines = to_lines(points)
    if not lines:
        return points
    return from_lines([line[keep(line, epsilon)] for line in lines])  # the first is the origin


def keep(line: Points, epsilon: float) -> npt.NDArray[np.bool_]:
    """Which points of a line (K, 2) stay: (K,). Without recursion: lines may be long."""
    places = line.astype(np.float64)
    kept = np.zeros(len(line), np.bool_)
    kept[[0, -1]] = True
    open_ = [(0, len(line) - 1)]
    while open_:
        first, last = open_.pop()
        if last - first < 2:
            continue
        far = _distances(places[first + 1 : last], places[first], places[last])
        worst = int(far.argmax())
        if far[worst] > epsilon:
            middle = first + 1 + worst
            kept[middle] = True
            open_ += [(first, middle), (middle, last)]
    return kept


def _distances(
    points: npt.NDArray[np.float64], start: npt.NDArray[np.float64], end: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """How far (K, 2) points are from the segment between two others: (K,)."""
    along = end - start
    square = float(along @ along)
    if square == 0:
        gaps = points - start
    else:
        share = ((points - start) @ along / square).clip(0, 1)
        gaps = points - start - share[:, None] * along
    far: npt.NDArray[np.float64] = np.linalg.norm(gaps, axis=1)
    return far
