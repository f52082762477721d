"""Beanies, caps, hats and scarves: what is worn on the head and round the neck."""

from math import cos, pi, sin

import numpy as np

from indexer.sample.body import Drawing, Fold, dyes, main_rgb, seam, trim_rgb
from indexer.sample.canvas import Mark, Patch, Stroke, fill
from indexer.sample.geometry import (
    Affine,
    Corner,
    Points,
    box,
    ellipse,
    flip,
    limb,
    mirrored,
    path,
    smooth,
)
from indexer.sample.item import Item
from indexer.sample.palette import darker, lighter
from indexer.sample.patterns import Pattern
from indexer.sample.scene import Wearer

BROW = -1.07
CROWN_FRAME = Affine(1.6, 0, 0, 0, 1.6, 1.55)
RIB = Pattern("knit", 0.0, 0, 1)


def draw_headwear(item: Item, _: Wearer) -> Drawing:
    """A beanie, a cap or a hat."""
    return {"beanie": beanie, "cap": cap, "fedora": hat, "bowler": hat, "bucket": bucket}[
        item.cut.neckline
    ](item)


def crown(item: Item, outline: Points) -> Patch:
    """The main piece; patterns are a little finer on it than on a garment."""
    return Patch(outline, dyes(item), item.pattern, CROWN_FRAME, relief=0.8, shadow=0.1)


def beanie(item: Item) -> Drawing:
    """A knitted cap with a turned-up cuff."""
    top = -1.25 - 0.12 * item.cut.length
    dome = mirrored([(0, top, 0.1), (0.12, top + 0.04, 0.2), (0.2, BROW, 0), (0, BROW + 0.02, 0)])
    high = 0.075 + 0.04 * (1 - item.cut.length)
    cuff = path(
        [
            (-0.207, BROW - high, 0.04),
            (0.207, BROW - high, 0.04),
            (0.207, BROW + 0.02, 0.05),
            (-0.207, BROW + 0.02, 0.04),
        ]
    )
    colour = trim_rgb(item) if item.cut.trim else darker(main_rgb(item), 0.15)
    front: list[Mark] = []
    if item.cut.closure == "pompom":
        front += pompom(0, top - 0.02, 0.075, trim_rgb(item))
    front += [
        crown(item, dome),
        Patch(cuff, (colour,) * 3, RIB, CROWN_FRAME, relief=0.6, shadow=0.35),
    ]
    if item.cut.pocket == "label":
        y = BROW - high / 2
        front.append(fill(box(0.05, y - 0.02, 0.12, y + 0.03), item.colours[2].rgb, relief=0.2))
    return Drawing([], front, [])


def pompom(x: float, y: float, radius: float, rgb: tuple[int, int, int]) -> list[Mark]:
    """A tuft of wool."""
    angles = [2 * pi * index / 26 for index in range(26)]
    rim = [
        (
            x + radius * (1 + 0.09 * (-1) ** i) * cos(a),
            y + radius * (1 + 0.09 * (-1) ** i) * sin(a),
            0.3,
        )
        for i, a in enumerate(angles)
    ]
    marks: list[Mark] = [fill(path(rim, steps=3), rgb, relief=0.9)]
    for a in angles[::2]:
        line = smooth(
            [
                (x + radius * 0.3 * cos(a), y + radius * 0.3 * sin(a)),
                (x + radius * 0.8 * cos(a + 0.3), y + radius * 0.8 * sin(a + 0.3)),
            ]
        )
        marks.append(Stroke(line, darker(rgb, 0.3), 0.007, 0.5))
    return marks


def cap(item: Item) -> Drawing:
    """A baseball cap, its visor to one side."""
    top = -1.25 - 0.05 * item.cut.length
    dome = path(
        [
            (-0.2, BROW, 0.0),
            (-0.19, -1.16, 0.18),
            (0.0, top, 0.22),
            (0.195, -1.14, 0.05),
            (0.2, BROW, 0.06),
        ]
    )
    brim = 0.2 + 0.06 * item.cut.fit
    visor = path(
        [
            (0.02, BROW - 0.03, 0.06),
            (0.2, BROW - 0.035, 0.03),
            (0.2 + brim, BROW + 0.05, 0.3),
            (0.17 + brim, BROW + 0.075, 0.02),
            (0.03, BROW + 0.025, 0.2),
        ]
    )
    marks: list[Mark] = [crown(item, dome)]
    if item.cut.pocket == "mesh":
        back = path(
            [(-0.2, BROW, 0.0), (-0.19, -1.16, 0.15), (-0.07, top + 0.035, 0.05), (-0.06, BROW, 0)]
        )
        marks.append(
            Patch(
                back,
                (lighter(trim_rgb(item), 0.2),) * 3,
                Pattern("checks", 0.0, 0, 0),
                relief=0.4,
                shadow=0,
            )
        )
    marks += [
        seam([(0, top + 0.01), (x, -1.18), (x * 1.2, BROW)], main_rgb(item), opacity=0.6)
        for x in (-0.09, 0.09)
    ]
    colour = trim_rgb(item) if item.cut.trim else darker(main_rgb(item), 0.12)
    marks.append(fill(visor, colour, relief=0.6))
    marks.append(
        seam([(0.05, BROW), (0.2, BROW + 0.015), (0.14 + brim, BROW + 0.05)], colour, dash=1)
    )
    marks.append(fill(ellipse(0, top, 0.02, 0.013), colour, relief=0.3))
    if item.pattern.kind == "plain":
        marks.append(fill(ellipse(0.09, -1.15, 0.035, 0.035), item.colours[1].rgb, relief=0))
    return turned(Drawing([], marks, []), left=item.cut.closure == "left")


def turned(drawing: Drawing, *, left: bool) -> Drawing:
    """The drawing, or its mirror image."""
    if not left:
        return drawing
    marks: list[Mark] = []
    for mark in drawing.front:
        if isinstance(mark, Patch):
            marks.append(
                Patch(
                    flip(mark.outline),
                    mark.colours,
                    mark.pattern,
                    mark.frame,
                    mark.relief,
                    mark.rim,
                    mark.shadow,
                    mark.folds,
                )
            )
        else:
            marks.append(
                Stroke(flip(mark.points), mark.colour, mark.width, mark.opacity, mark.dash)
            )
    return Drawing([], marks, [])


def hat(item: Item) -> Drawing:
    """A fedora or a bowler: brim, crown, band."""
    brim = 0.27 + 0.11 * item.cut.fit
    top = -1.27 - 0.06 * item.cut.length
    under = ellipse(0, BROW + 0.005, brim, 0.05 + 0.025 * item.cut.fit)
    if item.cut.neckline == "bowler":
        half: list[Corner] = [
            (0, top, 0.12),
            (0.13, top + 0.04, 0.18),
            (0.19, BROW - 0.005, 0),
            (0, BROW + 0.03, 0),
        ]
    else:
        half = [
            (0, top + 0.035, 0.0),
            (0.07, top, 0.2),
            (0.15, top + 0.03, 0.03),
            (0.19, BROW - 0.005, 0),
            (0, BROW + 0.03, 0),
        ]
    front: list[Mark] = [
        Patch(under, dyes(item), item.pattern, CROWN_FRAME, relief=0.6),
        crown(item, mirrored(half)),
    ]
    if item.cut.neckline == "fedora":
        front.append(seam([(0, top + 0.04), (-0.015, top + 0.12)], main_rgb(item), opacity=0.5))
    if item.cut.pocket != "none":
        front += hat_band(item)
    return Drawing([], front, [])


def hat_band(item: Item) -> list[Mark]:
    """A ribbon, and for a bow its loops."""
    colour = item.colours[1].rgb
    band = path(
        [
            (-0.186, BROW - 0.07, -0.06),
            (0.186, BROW - 0.07, 0),
            (0.191, BROW - 0.01, 0.1),
            (-0.191, BROW - 0.01, 0),
        ]
    )
    marks: list[Mark] = [fill(band, colour, relief=0.4)]
    if item.cut.pocket == "bow":
        loop = path(
            [(0.12, BROW - 0.035, 0.2), (0.185, BROW - 0.085, 0.1), (0.19, BROW + 0.01, 0.2)]
        )
        other = path([(0.12, BROW - 0.035, 0.2), (0.06, BROW + 0.0, 0.1), (0.06, BROW - 0.08, 0.2)])
        marks += [
            fill(loop, colour),
            fill(other, colour),
            fill(ellipse(0.12, BROW - 0.035, 0.016, 0.022), darker(colour, 0.2)),
        ]
    return marks


def bucket(item: Item) -> Drawing:
    """A soft hat with a sloping brim."""
    brim = 0.29 + 0.07 * item.cut.fit
    top = -1.26 - 0.04 * item.cut.length
    slope = mirrored(
        [
            (0, BROW - 0.08, 0),
            (0.185, BROW - 0.08, 0.02),
            (brim, BROW + 0.06, 0.1),
            (0, BROW + 0.085, 0),
        ]
    )
    dome = mirrored(
        [(0, top, 0.02), (0.14, top + 0.01, 0.15), (0.185, BROW - 0.07, 0), (0, BROW - 0.055, 0)]
    )
    front: list[Mark] = [
        crown(item, dome),
        Patch(slope, dyes(item), item.pattern, CROWN_FRAME, relief=0.6),
    ]
    for index in (1, 2, 3):
        y, x = BROW - 0.08 + 0.036 * index, 0.185 + (brim - 0.185) * index / 4
        front.append(seam([(-x, y), (0, y + 0.025), (x, y)], main_rgb(item), opacity=0.4))
    if item.cut.pocket != "none":
        front += hat_band(item)
    return Drawing([], front, [])


def draw_scarf(item: Item, wearer: Wearer) -> Drawing:
    """A scarf round the neck with two hanging ends."""
    cut = item.cut
    wide = 0.075 + 0.035 * cut.fit
    rng = np.random.default_rng(wearer.seed)
    end = -0.25 + 0.5 * cut.length
    ends = ((0.1, end), (-0.075, end - 0.12))
    front: list[Mark] = []
    for x, bottom in ends:
        sway = float(rng.uniform(-0.04, 0.04))
        front += tail(
            item,
            limb(
                [(x * 0.8, -0.62), (x + sway / 2, -0.35), (x + sway, bottom)],
                [wide * 0.8, wide, wide],
            ),
            (x + sway, bottom),
            wide,
        )
    if cut.neckline == "loop":
        ring = path(
            [(-0.19, -0.7, 0.3), (0.19, -0.7, 0.25), (0.16, -0.56, 0.22), (-0.16, -0.56, 0.25)]
        )
        turn = Affine(0, 1, 0.6, 1, 0, 0)
        front.append(Patch(ring, dyes(item), item.pattern, turn, relief=0.9, shadow=0.4))
        for y in (-0.68, -0.63):
            front.append(
                seam(
                    [(-0.17, y - 0.01), (0, y + 0.045), (0.17, y - 0.01)],
                    main_rgb(item),
                    opacity=0.35,
                )
            )
        back = path([(-0.16, -0.8, 0.1), (0.16, -0.8, 0.1), (0.19, -0.66, 0), (-0.19, -0.66, 0)])
    else:
        right = limb([(0.12, -0.8), (0.14, -0.68), (0.1, -0.55)], [0.045, wide * 0.8, wide * 0.8])
        front += [
            Patch(side, dyes(item), item.pattern, relief=0.8) for side in (flip(right), right)
        ]
        back = path(
            [(-0.15, -0.82, 0.08), (0.15, -0.82, 0.1), (0.13, -0.74, -0.1), (-0.13, -0.74, 0.1)]
        )
    folds: list[Fold] = []
    for x, bottom in ends:
        for _ in range(3):
            dx = float(rng.uniform(-0.7, 0.7)) * wide
            folds.append(
                (smooth([(x + dx, -0.6), (x + dx, bottom)]), float(rng.uniform(-0.8, 0.8)))
            )
    rear = Patch(back, (darker(main_rgb(item), 0.3),) * 3, relief=0.5)
    return Drawing([rear], front, folds)


def tail(item: Item, outline: Points, end: tuple[float, float], wide: float) -> list[Mark]:
    """A hanging end, with fringes or pompoms."""
    marks: list[Mark] = []
    if item.cut.closure == "fringe":
        colour = trim_rgb(item)
        for index in range(9):
            x = end[0] + wide * (index / 4 - 1) * 0.93
            marks.append(
                Stroke(smooth([(x, end[1] - 0.01), (x * 1.01, end[1] + 0.075)]), colour, 0.011)
            )
    marks.append(Patch(outline, dyes(item), item.pattern, relief=0.6, shadow=0.35, folds=0.7))
    if item.cut.closure == "pompom":
        for part in (-0.7, 0.7):
            marks += pompom(end[0] + part * wide, end[1] + 0.03, 0.04, item.colours[1].rgb)
    return marks
