"""Garments with a torso: from the tank top to the coat, and the upper half of dresses."""

from dataclasses import dataclass
from math import cos, sin

import numpy as np

from indexer.sample.body import (
    Drawing,
    Fold,
    arm_joints,
    dyes,
    main_rgb,
    on_side,
    sides,
    trim_rgb,
)
from indexer.sample.canvas import Mark, Patch
from indexer.sample.collars import draw_collar, neckline_of
from indexer.sample.fastenings import draw_closure, draw_pockets
from indexer.sample.geometry import Affine, Corner, Point, Points, mirrored, path, smooth, toward
from indexer.sample.item import Item
from indexer.sample.palette import RGB, darker
from indexer.sample.patterns import Pattern
from indexer.sample.scene import Wearer

HEMS = {"coat": (0.45, 1.0), "dress": (0.42, 1.25), "tanktop": (0.08, 0.36)}
BANDED = ("hoodie", "sweater", "jacket", "cardigan")
RIB = Pattern("knit", 0.0, 0, 1)


@dataclass(frozen=True, slots=True)
class Torso:
    """Measures of a torso in body units (half widths; y is down)."""

    neck: Point
    depth: float
    depth_bulge: float
    shoulder: Point
    armpit: Point
    waist: float
    hem: Point

    def outline(self) -> Points:
        """The whole front, (N, 2)."""
        sleeveless = self.shoulder[0] < 0.27
        half: list[Corner] = [
            (0, self.depth, self.depth_bulge),
            (*self.neck, -0.02),
            (*self.shoulder, -0.14 if sleeveless else -0.03),
            (*self.armpit, -0.03),
            (self.waist, 0.0, 0.03 if self.hem[0] < 0.4 else -0.06),
            (*self.hem, 0.04),
            (0, self.hem[1] + 0.02, 0),
        ]
        return mirrored(half)


def measure(item: Item) -> Torso:
    """The torso of an item's cut."""
    cut = item.cut
    ease = 0.1 * cut.fit - 0.01
    low, high = HEMS.get(item.kind, (0.1, 0.42))
    hem = low + (high - low) * cut.length
    neck, depth, bulge = neckline_of(cut.neckline)
    below = max(0.0, hem) * (0.12 + 0.42 * cut.flare)
    waisted = item.kind in ("dress", "blazer") or cut.closure == "belt"
    shoulder = (0.318 + 0.05 * cut.fit, -0.62 + 0.02 * cut.fit)
    if cut.sleeve == 0:
        shoulder = (neck[0] + (0.02 if cut.neckline == "strap" else 0.085), -0.66)
    return Torso(
        neck=neck,
        depth=depth,
        depth_bulge=bulge,
        shoulder=shoulder,
        armpit=(0.26 + ease, -0.34),
        waist=(0.205 if waisted else 0.235) + ease,
        hem=(0.255 + ease + below, hem),
    )


def draw_top(item: Item, wearer: Wearer) -> Drawing:
    """All of a garment with a torso."""
    torso = measure(item)
    inside = darker(main_rgb(item), 0.5)
    width = torso.neck[0]
    hole = path([(-width, -0.715, -0.12), (width, -0.715, 0), (0, torso.depth + 0.03, 0)])
    back: list[Mark] = [Patch(hole, (inside,) * 3, relief=0.2, shadow=0)]
    front: list[Mark] = [body_patch(item, torso)]
    front += draw_pockets(item, torso.hem)
    if item.cut.sleeve:
        for side, angles in sides(wearer):
            front += sleeve(item, torso, side, angles)
    if item.kind in BANDED:
        front.append(hem_band(item, torso))
    front += draw_closure(item, torso.depth, torso.hem[1], torso.waist)
    collar_back, collar_front = draw_collar(item, torso.neck, torso.depth)
    folds = torso_folds(torso, np.random.default_rng(wearer.seed))
    return Drawing(collar_back + back, front + collar_front, folds)


def body_patch(item: Item, torso: Torso) -> Patch:
    """The front of the torso."""
    return Patch(torso.outline(), dyes(item), item.pattern, relief=0.55, shadow=0.2, folds=0.55)


def sleeve(item: Item, torso: Torso, side: int, angles: tuple[float, float]) -> list[Mark]:
    """One sleeve and its cuff."""
    if item.cut.sleeve < 0.5:  # a short sleeve stands off from the body
        angles = (max(angles[0], 0.42), angles[1])
    joints = arm_joints(angles)
    loose = 0.02 + 0.035 * item.cut.fit
    outline, cuff = sleeve_outline(torso, joints, item.cut.sleeve, loose)
    turn = side * -angles[0]
    frame = turned_frame((side * joints[0][0], joints[0][1] + 0.25), turn)
    raglan = item.pattern.kind == "blocks" or (
        item.cut.trim and item.kind in ("tshirt", "longsleeve")
    )
    colours = (trim_rgb(item),) * 3 if raglan else dyes(item)
    # A printed motif sits on the chest only; its sleeves are plain.
    pattern = None if raglan or item.pattern.kind == "motif" else item.pattern
    marks: list[Mark] = [
        Patch(on_side(outline, side), colours, pattern, frame, relief=0.6, shadow=0.35, folds=0.45)
    ]
    if item.cut.trim or item.kind in BANDED or item.kind == "shirt":
        rib = RIB if item.kind in BANDED else None
        marks.append(
            Patch(on_side(cuff, side), (trim_rgb(item),) * 3, rib, frame, relief=0.4, shadow=0.15)
        )
    return marks


def sleeve_outline(
    torso: Torso, joints: tuple[Point, Point, Point], length: float, loose: float
) -> tuple[Points, Points]:
    """The outlines of a right sleeve and of its cuff."""
    shoulder, elbow, wrist = joints
    long = length > 0.55
    end = (
        toward(elbow, wrist, (length - 0.5) * 1.9) if long else toward(shoulder, elbow, length * 2)
    )
    start = toward(end, elbow if long else shoulder, 0.14 if long else 0.2)
    wide = 0.056 + loose * 0.8 if long else 0.088 + loose * 1.3
    across_upper, across_lower = across(shoulder, elbow), across(elbow, wrist)
    direction = across_lower if long else across_upper
    outer, inner = offset(end, direction, wide), offset(end, direction, -wide)
    corners: list[Corner] = [(*torso.shoulder, 0.09)]
    if long:
        corners.append((*offset(elbow, across_upper, 0.07 + loose * 0.9), 0.02))
    corners += [(*outer, 0.03), (*inner, 0.0)]
    if long:
        corners.append((*offset(elbow, across_upper, -0.07 - loose * 0.9), 0.0))
    corners.append((*torso.armpit, 0.1))
    edge_outer, edge_inner = (
        offset(start, direction, wide + 0.004),
        offset(start, direction, -wide - 0.004),
    )
    cuff = path([(*edge_outer, 0), (*outer, 0.03), (*inner, 0), (*edge_inner, -0.03)])
    return path(corners), cuff


def across(start: Point, end: Point) -> Point:
    """Unit vector outwards (to the right) across a limb."""
    x, y = end[0] - start[0], end[1] - start[1]
    length = max(1e-6, (x * x + y * y) ** 0.5)
    return y / length, -x / length


def offset(point: Point, direction: Point, distance: float) -> Point:
    """The point moved by a distance."""
    return point[0] + direction[0] * distance, point[1] + direction[1] * distance


def turned_frame(origin: Point, turn: float) -> Affine:
    """From body units to a piece's own coordinates, turned by ``turn`` about its origin."""
    c, s = cos(-turn), sin(-turn)
    return Affine(c, -s, -c * origin[0] + s * origin[1], s, c, -s * origin[0] - c * origin[1])


def hem_band(item: Item, torso: Torso) -> Patch:
    """The ribbed band at the bottom."""
    x, y = torso.hem
    colours: tuple[RGB, RGB, RGB] = (trim_rgb(item),) * 3
    outline = path(
        [
            (-x - 0.002, y - 0.055, 0),
            (x + 0.002, y - 0.055, 0),
            (x - 0.012, y + 0.012, 0.02),
            (-x + 0.012, y + 0.012, 0),
        ]
    )
    return Patch(outline, colours, RIB, relief=0.3, rim=0.4, shadow=0.1)


def torso_folds(torso: Torso, rng: np.random.Generator) -> list[Fold]:
    """Folds from the armpits inwards, and hanging ones below the waist."""
    folds: list[Fold] = []
    for _ in range(7):
        side = float(rng.choice([-1, 1]))
        x, y = side * torso.armpit[0], float(rng.uniform(-0.4, torso.hem[1]))
        length, drop = float(rng.uniform(0.12, 0.3)), float(rng.uniform(0.02, 0.22))
        line = [(x, y), (x - side * length * 0.5, y + drop * 0.7), (x - side * length, y + drop)]
        folds.append((smooth(line), float(rng.choice([-1, 1]) * rng.uniform(0.3, 0.8))))
    for _ in range(int(2 + 6 * max(0.0, torso.hem[1]))):
        x = float(rng.uniform(-1, 1)) * torso.hem[0]
        top = float(rng.uniform(-0.05, 0.1))
        line = [(x * 0.75, top), (x * 0.9, (top + torso.hem[1]) / 2), (x, torso.hem[1])]
        folds.append((smooth(line), float(rng.choice([-1, 1]) * rng.uniform(0.3, 0.8))))
    for _ in range(4):  # at the elbows
        side, y = float(rng.choice([-1, 1])), float(rng.uniform(-0.35, -0.1))
        x = float(rng.uniform(0.3, 0.45))
        folds.append(
            (smooth([(side * x, y), (side * (x + 0.12), y + 0.05)]), float(rng.uniform(-0.8, 0.8)))
        )
    return folds
