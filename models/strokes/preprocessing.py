"""What a stroke model expects of a drawing: the scale of its offsets, and how many points."""

from dataclasses import dataclass

import numpy as np

from models.strokes.formats import Points, StrokeError, to_lines


@dataclass(frozen=True, slots=True)
class StrokePreprocessing:
    """Divide offsets by one number, so that the training drawings' have a deviation of 1.

    Both axes share the number: proportions say what a drawing shows.

    Attributes:
        scale: Standard deviation of all dx and dy of the train split.
        max_points: N_max, the most points of a drawing.
        extent: The larger side of a typical drawing of the train split, as it was drawn.
    """

    scale: float
    max_points: int
    extent: float

    def __post_init__(self) -> None:
        """A scale divides, so it is positive."""
        if not (self.scale > 0 and self.extent > 0 and self.max_points > 0):
            raise StrokeError(
                f"scale is {self.scale}, extent {self.extent} and max_points {self.max_points}; "
                "all have to be positive."
            )

    def apply(self, points: Points) -> Points:
        """(N, 3) as drawn -> (N, 3) as the model sees it.

        Raises:
            StrokeError: More than ``max_points`` points.
        """
        if len(points) > self.max_points:
            raise StrokeError(
                f"The sketch has {len(points)} points; these weights take up to {self.max_points}. "
                "Simplify it, or draw it with fewer points."
            )
        return self._scaled(points, 1 / self.scale)

    def undo(self, points: Points) -> Points:
        """(N, 3) as the model draws it -> (N, 3) at the size of the training drawings."""
        return self._scaled(points, self.scale)

    def relative_size(self, points: Points) -> float:
        """How large a drawing is beside a typical one of the train split; 0 is a dot."""
        return extent_of(points) / self.extent

    def fit(self, points: Points) -> Points:
        """(N, 3) as drawn -> the same at the size of a typical training drawing; a dot stays."""
        size = self.relative_size(points)
        return self._scaled(points, 1 / size) if size > 0 else points

    @staticmethod
    def _scaled(points: Points, factor: float) -> Points:
        scaled: Points = (points * np.array([factor, factor, 1])).astype(np.float32)
        return scaled


def extent_of(points: Points) -> float:
    """The larger side of a drawing (N, 3)."""
    places = np.concatenate(to_lines(points)) if len(points) else np.zeros((1, 2))
    return float(np.ptp(places, axis=0).max())


def offset_deviation(points: Points) -> float:
    """The standard deviation of all dx and dy together: (P, 3) -> number.

    Raises:
        StrokeError: Nothing moves.
    """
    deviation = float(points[:, :2].astype(np.float64).std())
    if not deviation > 0:
        raise StrokeError("No point of these sketches is anywhere but at the origin.")
    return deviation
