"""Garments without a torso: skirts, trousers, jeans and shorts."""

import numpy as np

from indexer.sample.body import Drawing, Fold, dyes, leg_joints, main_rgb, on_side, seam, trim_rgb
from indexer.sample.canvas import Mark, Patch, Stroke
from indexer.sample.geometry import (
    Corner,
    Point,
    Points,
    box,
    ellipse,
    flip,
    limb,
    mirrored,
    path,
    smooth,
    toward,
)
from indexer.sample.item import Item
from indexer.sample.palette import contour, darker, lighter
from indexer.sample.patterns import Pattern
from indexer.sample.scene import Wearer

WAIST = -0.06
STITCH = (206, 160, 90)


def draw_skirt(item: Item, wearer: Wearer) -> Drawing:
    """A skirt from waistband to hem."""
    cut = item.cut
    hem = 0.24 + 0.8 * cut.length
    hip = 0.3 + 0.03 * cut.fit
    wide = hip + (hem - 0.2) * (0.04 + 0.5 * cut.flare) + 0.03 * cut.fit
    half: list[Corner] = [
        (0, WAIST, 0),
        (0.225, WAIST, 0.04),
        (hip, 0.16, 0.03),
        (wide, hem, 0.07),
        (0, hem + 0.035, 0),
    ]
    outline = mirrored(half)
    front: list[Mark] = [
        Patch(outline, dyes(item), item.pattern, relief=0.55, shadow=0.1, folds=0.8)
    ]
    front += skirt_details(item, hip, wide, hem)
    front.append(waistband(item, 0.225))
    rng = np.random.default_rng(wearer.seed)
    folds: list[Fold] = []
    for _ in range(int(4 + 8 * cut.flare)):
        x, top = float(rng.uniform(-1, 1)), float(rng.uniform(0.0, 0.2))
        line = [(x * 0.22, top), (x * hip, (top + hem) / 2), (x * wide, hem)]
        folds.append((smooth(line), float(rng.choice([-1, 1]) * rng.uniform(0.4, 0.9))))
    return Drawing([], front, folds)


def skirt_details(item: Item, hip: float, wide: float, hem: float) -> list[Mark]:
    """Pleats, tiers, a wrap's edge, and what closes it."""
    colour = main_rgb(item)
    marks: list[Mark] = []
    match item.cut.neckline:
        case "pleated":
            for x in np.linspace(-0.85, 0.85, 11):
                line: list[Point] = [
                    (0.225 * float(x), WAIST),
                    (hip * float(x), 0.16),
                    (wide * float(x), hem),
                ]
                marks.append(Stroke(smooth(line), contour(colour, 0.7), 0.009, 0.55))
        case "tiered":
            for part in (0.4, 0.72):
                y, x = WAIST + (hem - WAIST) * part, hip + (wide - hip) * part * 0.9
                marks.append(seam([(-x, y), (0, y + 0.03), (x, y)], colour, opacity=0.75))
                marks.append(
                    seam([(-x, y + 0.015), (0, y + 0.045), (x, y + 0.015)], colour, opacity=0.35)
                )
        case "wrap":
            marks.append(
                seam([(0.12, WAIST), (0.06, 0.2), (-0.06, hem + 0.02)], colour, opacity=0.9)
            )
            knot = path(
                [
                    (0.1, WAIST, 0.2),
                    (0.18, WAIST + 0.02, 0.2),
                    (0.15, WAIST + 0.16, 0),
                    (0.11, WAIST + 0.14, 0),
                ]
            )
            marks.append(Patch(knot, (trim_rgb(item),) * 3, relief=0.5))
    if item.cut.closure == "buttons":
        for y in np.arange(WAIST + 0.1, hem - 0.03, 0.1):
            rgb = lighter(colour, 0.7) if sum(colour) < 380 else darker(colour, 0.6)
            marks.append(Patch(ellipse(0, float(y), 0.016, 0.016), (rgb,) * 3, relief=0, rim=0.7))
    if item.cut.closure == "zip":
        marks.append(Stroke(smooth([(0.02, WAIST), (0.02, 0.16)]), (190, 190, 196), 0.013, 0.9))
    if item.cut.pocket == "slant":
        marks += slants(item)
    return marks


def slants(item: Item) -> list[Mark]:
    """Slanted pockets below the waistband."""
    right = seam(
        [(0.13, WAIST + 0.06), (0.2, WAIST + 0.12), (0.262, WAIST + 0.19)],
        main_rgb(item),
        opacity=0.8,
    )
    return [right, Stroke(flip(right.points), right.colour, right.width, right.opacity)]


def waistband(item: Item, wide: float) -> Patch:
    """The band at the waist."""
    colour = trim_rgb(item) if item.cut.trim else darker(main_rgb(item), 0.12)
    pattern = Pattern("knit", 0.0, 0, 1) if item.cut.neckline == "elastic" else None
    band = path(
        [
            (-wide, WAIST - 0.03, -0.02),
            (wide, WAIST - 0.03, 0),
            (wide + 0.006, WAIST + 0.045, 0.02),
            (-wide - 0.006, WAIST + 0.045, 0),
        ]
    )
    return Patch(band, (colour,) * 3, pattern, relief=0.35, rim=0.5, shadow=0.2)


def draw_trousers(item: Item, wearer: Wearer) -> Drawing:
    """Trousers, jeans or shorts, each leg along a leg of the wearer."""
    cut = item.cut
    reach = 0.2 + 0.8 * cut.length  # of the way from hip to ankle
    front: list[Mark] = []
    plain = item.pattern.kind == "blocks"
    for side in (-1, 1):
        outline, cuff = leg_outline(item, wearer.stance, reach)
        front.append(
            Patch(
                on_side(outline, side), dyes(item), item.pattern, relief=0.55, shadow=0.2, folds=0.6
            )
        )
        if cut.trim or (cut.neckline == "elastic" and cut.length > 0.4):
            colour = trim_rgb(item) if cut.trim else darker(main_rgb(item), 0.15)
            front.append(Patch(on_side(cuff, side), (colour,) * 3, relief=0.35, shadow=0.15))
    seat = path(
        [
            (-0.228, WAIST, 0),
            (0.228, WAIST, 0.04),
            (0.29, 0.14, 0.02),
            (0.25, 0.3, 0),
            (0.0, 0.375, 0),
            (-0.25, 0.3, 0.02),
            (-0.29, 0.14, 0.04),
        ]
    )
    front.append(Patch(seat, dyes(item), item.pattern, relief=0.25, rim=0, shadow=0, folds=0.5))
    front += trouser_details(item, wearer.stance, plain=plain)
    front.append(waistband(item, 0.23))
    front += belt_loops(item)
    return Drawing([], front, leg_folds(wearer, reach))


def leg_outline(item: Item, stance: float, reach: float) -> tuple[Points, Points]:
    """The right trouser leg and its cuff."""
    hip, knee, ankle = leg_joints(stance)
    cut = item.cut
    joints, widths = (
        [(hip[0] - 0.005, WAIST + 0.05), (hip[0], 0.24)],
        [0.09, 0.145 + 0.015 * cut.fit],
    )
    knee_wide = 0.088 + 0.05 * cut.fit
    hem_wide = 0.066 + 0.06 * cut.fit + 0.08 * cut.flare
    if reach > 0.55:
        end = toward(knee, ankle, (reach - 0.5) * 2)
        joints += [knee, end]
        # A cropped leg has flared as far as it reaches, no further.
        widths += [knee_wide, knee_wide + (hem_wide - knee_wide) * (reach - 0.5) * 2]
    else:
        end = toward(hip, knee, reach * 2)
        joints += [end]
        widths += [0.135 + 0.035 * cut.fit + 0.04 * cut.flare]
    outline = limb(joints, widths, steps=8)
    start = toward(end, joints[-2], 0.05 if reach > 0.55 else 0.13)
    wide = widths[-1] + 0.005
    cuff = path(
        [
            (start[0] - wide, start[1], 0),
            (start[0] + wide, start[1], 0),
            (end[0] + wide, end[1] + 0.004, 0.04),
            (end[0] - wide, end[1] + 0.004, 0),
        ]
    )
    return outline, cuff


def trouser_details(item: Item, stance: float, *, plain: bool) -> list[Mark]:
    """Fly, pockets, creases."""
    colour = main_rgb(item)
    cut = item.cut
    thread = STITCH if item.kind == "jeans" else contour(colour, 0.6)
    marks: list[Mark] = []
    if cut.neckline != "elastic":
        fly: list[Point] = [(0.045, WAIST + 0.04), (0.045, 0.16), (0.0, 0.24)]
        marks.append(Stroke(smooth(fly, steps=12), thread, 0.008, 0.8, dash=1))
    else:
        for x in (-0.03, 0.03):
            cord: list[Point] = [(x * 0.3, WAIST), (x, 0.08), (x * 1.4, 0.16)]
            marks.append(Stroke(smooth(cord), lighter(colour, 0.7), 0.012))
    marks.append(seam([(0, WAIST + 0.05), (0, 0.36)], colour, opacity=0.7))
    if cut.pocket == "slant":
        marks += slants(item)
    if cut.pocket == "cargo":
        pattern = None if plain else item.pattern
        y = 0.42 if cut.length > 0.1 else 0.26
        for side in (-1, 1):
            bag = on_side(box(0.17, y, 0.3, y + 0.17), side)
            flap = on_side(box(0.165, y - 0.01, 0.305, y + 0.045), side)
            marks += [
                Patch(shape, dyes(item), pattern, relief=0.25, rim=0.6, shadow=0.3)
                for shape in (bag, flap)
            ]
    if cut.neckline == "pleated" and cut.length > 0.4:
        _, knee, ankle = leg_joints(stance)
        crease = Stroke(
            smooth([(0.13, 0.02), knee, toward(knee, ankle, 0.9)]), lighter(colour, 0.35), 0.01, 0.5
        )
        marks += [crease, Stroke(flip(crease.points), crease.colour, crease.width, crease.opacity)]
    return marks


def belt_loops(item: Item) -> list[Mark]:
    """Loops and the button of a waistband, if it is not elastic."""
    if item.cut.neckline == "elastic":
        return []
    colour = darker(main_rgb(item), 0.3)
    marks: list[Mark] = [
        Patch(box(x - 0.01, WAIST - 0.035, x + 0.01, WAIST + 0.05), (colour,) * 3, relief=0.2)
        for x in (-0.15, 0.15)
    ]
    metal = (196, 160, 96) if item.kind == "jeans" else lighter(main_rgb(item), 0.5)
    marks.append(Patch(ellipse(0, WAIST + 0.008, 0.017, 0.017), (metal,) * 3, relief=0.3, rim=0.7))
    return marks


def leg_folds(wearer: Wearer, reach: float) -> list[Fold]:
    """Creases at crotch and knees, and bunching above the hem."""
    rng = np.random.default_rng(wearer.seed)
    folds: list[Fold] = []
    bottom = 0.2 + 1.2 * reach
    for _ in range(12):
        side, y = float(rng.choice([-1, 1])), float(rng.uniform(0.25, bottom))
        x = float(rng.uniform(0.05, 0.2))
        line = [
            (side * x, y),
            (side * (x + 0.06), y + 0.02),
            (side * (x + 0.12), y + float(rng.uniform(-0.04, 0.12))),
        ]
        folds.append((smooth(line), float(rng.choice([-1, 1]) * rng.uniform(0.3, 0.9))))
    for _ in range(4):
        side = float(rng.choice([-1, 1]))
        line = [
            (side * 0.01, 0.33),
            (side * 0.12, 0.3),
            (side * 0.24, float(rng.uniform(0.2, 0.3))),
        ]
        folds.append((smooth(line), float(rng.uniform(-0.7, 0.7))))
    return folds
