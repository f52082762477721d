"""Outlines as arrays of points, and the affine maps that carry them from an item to the pixels.

Everything is drawn in body units: x to the right, y down, the origin at a person's waist, the
shoulders 0.66 wide. An outline is (N, 2) float32, clockwise as seen on the screen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float32]
Point = tuple[float, float]
Corner = tuple[float, float, float]


def path(corners: Sequence[Corner], *, steps: int = 7) -> Points:
    """A closed outline through corners joined by curves.

    Args:
        corners: (x, y, bulge) in clockwise order; ``bulge`` bends the edge that leaves the corner
            outwards (positive) or inwards by that fraction of its length.
        steps: Points for each edge.

    Returns:
        (len(corners) * steps, 2) points.
    """
    table = np.asarray(corners, np.float32)
    start, bulge = table[:, :2], table[:, 2:]
    end = np.roll(start, -1, axis=0)
    edge = end - start
    outward = np.stack([edge[:, 1], -edge[:, 0]], axis=1)
    control = (start + end) / 2 + bulge * outward
    t = (np.arange(steps, dtype=np.float32) / steps)[None, :, None]
    curve = (1 - t) ** 2 * start[:, None] + 2 * t * (1 - t) * control[:, None] + t**2 * end[:, None]
    points: Points = curve.reshape(-1, 2).astype(np.float32)
    return points


def mirrored(half: Sequence[Corner]) -> Points:
    """A closed outline that is symmetric about x = 0.

    Args:
        half: Corners of the right half from the top middle to the bottom middle, both at x = 0.
    """
    left = [
        (-x, y, bulge) for (x, y, _), (_, _, bulge) in zip(half[:0:-1], half[-2::-1], strict=True)
    ]
    return path([*half[:-1], *left])


def flip(points: Points) -> Points:
    """The mirror image about x = 0, still clockwise."""
    turned: Points = (points * np.array([-1, 1], np.float32))[::-1]
    return turned


def limb(joints: Sequence[Point], widths: Sequence[float], *, steps: int = 6) -> Points:
    """The outline of an arm, a leg, a strap: a line through joints, each with a half width."""
    nodes = np.asarray(joints, np.float32)
    line = smooth(joints, steps=steps)
    at = np.linspace(0, len(nodes) - 1, len(line))
    half = np.interp(at, np.arange(len(nodes)), widths).astype(np.float32)[:, None]
    along = np.gradient(line, axis=0)
    along = along / np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-6)
    across = np.stack([along[:, 1], -along[:, 0]], axis=1)
    outline: Points = np.concatenate([line + half * across, (line - half * across)[::-1]])
    return outline.astype(np.float32)


def smooth(joints: Sequence[Point], *, steps: int = 6) -> Points:
    """An open Catmull-Rom curve through the joints."""
    nodes = np.asarray(joints, np.float32)
    padded = np.concatenate([2 * nodes[:1] - nodes[1:2], nodes, 2 * nodes[-1:] - nodes[-2:-1]])
    a, b, c, d = padded[:-3, None], padded[1:-2, None], padded[2:-1, None], padded[3:, None]
    t = (np.arange(steps, dtype=np.float32) / steps)[None, :, None]
    curve = b + t / 2 * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    points: Points = np.concatenate([curve.reshape(-1, 2), nodes[-1:]]).astype(np.float32)
    return points


def ellipse(x: float, y: float, rx: float, ry: float, *, angle: float = 0.0) -> Points:
    """An ellipse about (x, y), turned by ``angle`` radians."""
    t = np.linspace(0, 2 * np.pi, 40, endpoint=False, dtype=np.float32)
    across, down = rx * np.cos(t), ry * np.sin(t)
    points: Points = np.stack(
        [
            x + across * np.cos(angle) - down * np.sin(angle),
            y + across * np.sin(angle) + down * np.cos(angle),
        ],
        axis=1,
    ).astype(np.float32)
    return points


def box(left: float, top: float, right: float, bottom: float, *, bulge: float = 0.0) -> Points:
    """A rectangle whose sides may bulge."""
    return path(
        [(left, top, bulge), (right, top, bulge), (right, bottom, bulge), (left, bottom, bulge)]
    )


def toward(start: Point, end: Point, part: float) -> Point:
    """The point at ``part`` (0 to 1) of the way from start to end."""
    return start[0] + (end[0] - start[0]) * part, start[1] + (end[1] - start[1]) * part


def bounds(outlines: Sequence[Points]) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of all points."""
    points = np.concatenate(list(outlines))
    left, top = points.min(axis=0)
    right, bottom = points.max(axis=0)
    return float(left), float(top), float(right), float(bottom)


@dataclass(frozen=True, slots=True)
class Affine:
    """The map (x, y) -> (a x + b y + c, d x + e y + f)."""

    a: float
    b: float
    c: float
    d: float
    e: float
    f: float

    def apply(self, points: Points) -> Points:
        """(N, 2) -> (N, 2)."""
        matrix = np.array([[self.a, self.d], [self.b, self.e]], np.float32)
        moved: Points = points @ matrix + np.array([self.c, self.f], np.float32)
        return moved

    def then(self, after: "Affine") -> "Affine":
        """First this map, then ``after``."""
        return Affine(
            after.a * self.a + after.b * self.d,
            after.a * self.b + after.b * self.e,
            after.a * self.c + after.b * self.f + after.c,
            after.d * self.a + after.e * self.d,
            after.d * self.b + after.e * self.e,
            after.d * self.c + after.e * self.f + after.f,
        )

    def inverse(self) -> "Affine":
        """The map back; the scale must not be zero."""
        area = self.a * self.e - self.b * self.d
        a, b, d, e = self.e / area, -self.b / area, -self.d / area, self.a / area
        return Affine(a, b, -(a * self.c + b * self.f), d, e, -(d * self.c + e * self.f))

    @property
    def scale(self) -> float:
        """Length of a unit after the map."""
        return sqrt(abs(self.a * self.e - self.b * self.d))


def similarity(centre: Point, target: Point, scale: float, angle: float) -> Affine:
    """Turn by ``angle`` radians and scale about ``centre``, then put the centre on ``target``."""
    cos, sin = scale * float(np.cos(angle)), scale * float(np.sin(angle))
    return Affine(
        cos,
        -sin,
        target[0] - cos * centre[0] + sin * centre[1],
        sin,
        cos,
        target[1] - sin * centre[0] - cos * centre[1],
    )


IDENTITY = Affine(1, 0, 0, 0, 1, 0)
