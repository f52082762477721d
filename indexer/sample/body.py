"""The skeleton that garments hang on and bodies are built from, and what a drawing consists of."""

from dataclasses import dataclass, field
from math import cos, sin

from indexer.sample.canvas import Mark, Patch, Stroke
from indexer.sample.geometry import Point, Points, flip, smooth
from indexer.sample.item import Item
from indexer.sample.palette import RGB, contour
from indexer.sample.scene import Wearer

SHOULDER: Point = (0.29, -0.575)
HIP: Point = (0.145, 0.2)
UPPER_ARM, LOWER_ARM = 0.38, 0.36
THIGH, SHIN = 0.62, 0.58

Fold = tuple[Points, float]


@dataclass(frozen=True, slots=True)
class Drawing:
    """An item as marks: what lies behind a wearer's body, what lies before it, and its folds."""

    back: list[Mark] = field(default_factory=list)
    front: list[Mark] = field(default_factory=list)
    folds: list[Fold] = field(default_factory=list)

    def outlines(self) -> list[Points]:
        """All outlines of patches, to find how large the item is."""
        return [mark.outline for mark in (*self.back, *self.front) if isinstance(mark, Patch)]


def arm_joints(angles: tuple[float, float]) -> tuple[Point, Point, Point]:
    """Shoulder, elbow and wrist of an arm on the right side (x > 0)."""
    upper, lower = angles
    elbow = SHOULDER[0] + UPPER_ARM * sin(upper), SHOULDER[1] + UPPER_ARM * cos(upper)
    wrist = elbow[0] + LOWER_ARM * sin(lower), elbow[1] + LOWER_ARM * cos(lower)
    return SHOULDER, elbow, wrist


def leg_joints(stance: float) -> tuple[Point, Point, Point]:
    """Hip, knee and ankle of a leg on the right side."""
    knee = HIP[0] + THIGH * sin(stance), HIP[1] + THIGH * cos(stance)
    return HIP, knee, (knee[0] + SHIN * sin(stance * 0.6), knee[1] + SHIN * cos(stance * 0.6))


def sides(wearer: Wearer) -> tuple[tuple[int, tuple[float, float]], ...]:
    """(1, angles of the right arm) and (-1, angles of the left arm)."""
    return (1, wearer.arms[0]), (-1, wearer.arms[1])


def on_side(points: Points, side: int) -> Points:
    """Points of the right side carried to the side: 1 right, -1 left."""
    return points if side > 0 else flip(points)


def main_rgb(item: Item) -> RGB:
    """The item's main colour."""
    return item.colours[0].rgb


def trim_rgb(item: Item) -> RGB:
    """The colour of collar, cuffs and bands: the second one if the item has a trim."""
    return item.colours[1].rgb if item.cut.trim else main_rgb(item)


def dyes(item: Item) -> tuple[RGB, RGB, RGB]:
    """The item's three colours."""
    first, second, third = item.colours
    return first.rgb, second.rgb, third.rgb


def seam(points: list[Point], colour: RGB, *, opacity: float = 0.45, dash: int = 0) -> Stroke:
    """A seam along a smooth line through points."""
    return Stroke(smooth(points, steps=10), contour(colour, 0.6), 0.007, opacity, dash)
