"""A drawing as rows of offsets, in the 3-element and the 5-element format (Ha and Eck, 2017).

The pen starts at the origin, on the paper. A row of the 3-element format is (dx, dy, lifted): how
far the pen moved, and whether it leaves the paper after that. A row of the 5-element format is
(dx, dy, down, lifted, ended): one of the three states is 1, and rows (0, 0, 0, 0, 1) fill what is
left of an array after the last point.

Lines are what the eye sees: one array of absolute points for each time the pen was on the paper.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float32]  # (N, 3), or (N, 5), or the (N, 2) points of a line
DOWN, LIFTED, ENDED = 2, 3, 4  # columns of the 5-element format

LARGEST = 1_000_000  # coordinate that is read


class StrokeError(ValueError):
    """Strokes that cannot be used; the message says what was found and what is expected."""


def check_three(points: npt.ArrayLike, name: str = "the sketch") -> Points:
    """A drawing in the 3-element format as (N, 3) float32.

    Raises:
        StrokeError: Not of that shape, empty, not finite, or with a third column that is no 0 or 1.
    """
    found = np.asarray(points)
    if found.dtype == np.object_ or found.ndim != 2 or found.shape[1] != 3 or not len(found):
        raise StrokeError(
            f"{name} has the shape {found.shape}; expected rows (dx, dy, lifted), at least one."
        )
    if not (np.abs(found) <= LARGEST).all():  # nor is NaN
        raise StrokeError(f"{name} has offsets that are no finite numbers up to {LARGEST:,}.")
    rows = found.astype(np.float32)
    other = rows[~np.isin(rows[:, 2], (0, 1)), 2]
    if len(other):
        raise StrokeError(
            f"{name} has {other[0]:g} in its third column; expected 0 (the pen stays down) or 1 "
            "(it is lifted after this point)."
        )
    return rows


def to_five(points: Points, length: int | None = None) -> Points:
    """(N, 3) -> (length, 5), filled up with ended rows.

    Args:
        points: A drawing.
        length: Rows of the result; without it N + 1, so that the drawing ends.

    Raises:
        StrokeError: The drawing has more points than that.
    """
    N = len(points)
    rows = N + 1 if length is None else length
    if rows < N:
        raise StrokeError(f"A sketch of {N} points does not fit into {rows} rows; simplify it.")
    five = np.zeros((rows, 5), np.float32)
    five[:N, :2] = points[:, :2]
    five[:N, DOWN] = 1 - points[:, 2]
    five[:N, LIFTED] = points[:, 2]
    five[N:, ENDED] = 1
    return five


def to_three(five: Points) -> Points:
    """(T, 5) -> (N, 3): the rows before the first that has ended. The last point lifts the pen."""
    ended = np.flatnonzero(five[:, ENDED])
    N = int(ended[0]) if len(ended) else len(five)
    points = np.concatenate([five[:N, :2], five[:N, LIFTED : LIFTED + 1]], axis=1)
    points = points.astype(np.float32)
    if N:
        points[-1, 2] = 1
    return points


def to_lines(points: Points) -> list[Points]:
    """The lines that the pen drew, as arrays (K, 2) of absolute points.

    The first begins at the origin, which a first row (0, 0, 0) says a second time.
    """
    if not len(points):
        return []
    places = np.concatenate([np.zeros((1, 2)), np.cumsum(points[:, :2].astype(np.float64), axis=0)])
    lifted = np.concatenate([[False], points[:, 2] > 0.5])
    if not points[0, :2].any():
        places, lifted = places[1:], lifted[1:]
    ends = np.flatnonzero(lifted) + 1
    parts = np.split(places, ends[ends < len(places)])
    return [part.astype(np.float32) for part in parts]


def from_lines(lines: Iterable[Sequence[Sequence[float]] | Points]) -> Points:
    """Lines of absolute points as (N, 3); the drawing is moved so that it starts at the origin.

    The first row is (0, 0, 0): the point where the pen starts.

    Raises:
        StrokeError: There is no line, or one is no list of points (x, y).
    """
    arrays = [np.asarray(line, np.float64) for line in lines]
    arrays = [line for line in arrays if len(line)]
    if not arrays:
        raise StrokeError("There is no line in this drawing; expected at least one with a point.")
    if any(line.ndim != 2 or line.shape[1] != 2 for line in arrays):
        raise StrokeError("A line is a list of points (x, y); found something else.")
    places = np.concatenate(arrays)
    if not (np.abs(places) <= LARGEST).all():  # nor is NaN
        raise StrokeError(f"A point of the drawing is no finite number up to {LARGEST:,}.")
    offsets = np.diff(places, axis=0, prepend=places[:1])
    lifted = np.zeros((len(places), 1))
    lifted[np.cumsum([len(line) for line in arrays]) - 1] = 1
    return np.concatenate([offsets, lifted], axis=1).astype(np.float32)
