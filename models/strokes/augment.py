"""The same drawing a little different: other sizes, and points left out (Ha and Eck, 2017)."""

from dataclasses import dataclass

import numpy as np

from models.strokes.formats import Points, StrokeError


@dataclass(frozen=True, slots=True)
class Augment:
    """What may change in a drawing, because it should not matter.

    Attributes:
        scale: Largest relative change of the width, and by itself of the height.
        drop: Probability that a point within a line is left out.
    """

    scale: float = 0.15
    drop: float = 0.1

    def __post_init__(self) -> None:
        """Both are shares."""
        if not (0 <= self.scale < 1 and 0 <= self.drop < 1):
            raise StrokeError(
                f"augment.scale is {self.scale} and augment.drop {self.drop}; both have to be at "
                "least 0 and below 1."
            )

    def apply(self, points: Points, random: np.random.Generator) -> Points:
        """(N, 3) -> (M, 3), M <= N."""
        changed = drop_points(points, self.drop, random)
        factors = 1 + self.scale * random.uniform(-1, 1, 2)
        scaled: Points = (changed * np.array([*factors, 1])).astype(np.float32)
        return scaled


def drop_points(points: Points, probability: float, random: np.random.Generator) -> Points:
    """Leave out points, each with that probability: (N, 3) -> (M, 3).

    Only points within a line go: its ends, and so every pen lift, stay where they are.
    """
    lifted = points[:, 2] > 0.5
    begins = np.concatenate([[True], lifted[:-1]])
    stays = begins | lifted | (random.random(len(points)) >= probability)
    stays[-1] = True
    places = np.cumsum(points[:, :2].astype(np.float64), axis=0)[stays]
    offsets = np.diff(places, axis=0, prepend=np.zeros((1, 2)))
    return np.concatenate([offsets, points[stays, 2:]], axis=1).astype(np.float32)
