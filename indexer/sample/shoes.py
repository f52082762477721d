"""Sneakers, boots and pumps: a pair from the side, in units of half a shoe's length."""

from dataclasses import replace

import numpy as np

from indexer.sample.body import Drawing, dyes, main_rgb, seam, trim_rgb
from indexer.sample.canvas import Mark, Patch, Stroke, fill
from indexer.sample.geometry import Affine, Corner, Point, Points, box, ellipse, limb, path, smooth
from indexer.sample.item import Item
from indexer.sample.palette import RGB, contour, contrast, darker, lighter
from indexer.sample.scene import Wearer

GROUND = 0.25
FAR: Point = (0.16, -0.17)
"""Where the far shoe of the pair stands from the near one."""


def draw_shoe(item: Item, _: Wearer) -> Drawing:
    """The pair: the far shoe belongs to the back, the near one to the front."""
    near = {"sneaker": sneaker, "boot": boot, "pump": pump}[item.kind](item)
    far = [moved(mark, FAR) for mark in near]
    return Drawing(far, near, [])


def moved(mark: Mark, by: Point) -> Mark:
    """The mark somewhere else, its pattern with it."""
    step = np.asarray(by, np.float32)
    if isinstance(mark, Stroke):
        return replace(mark, points=mark.points + step)
    frame = Affine(1, 0, -by[0], 0, 1, -by[1]).then(mark.frame)
    return replace(mark, outline=mark.outline + step, frame=frame)


def upper(item: Item, outline: Points) -> Patch:
    """The main piece of a shoe; patterns start at its middle."""
    return Patch(outline, dyes(item), item.pattern, Affine(0.8, 0, 0, 0, 0.8, -0.15), relief=0.7)


def stands_out(item: Item) -> RGB:
    """The second colour, which shows on the upper."""
    return item.colours[1].rgb


def sneaker(item: Item) -> list[Mark]:
    """Low, high, running or slip-on."""
    style, cut = item.cut.neckline, item.cut
    sole = 0.07 + 0.05 * cut.fit
    ground = GROUND - sole
    collar = {"low": -0.14, "high": -0.36, "runner": -0.16, "slipon": -0.08}[style]
    corners: list[Corner] = [
        (-0.47, collar + 0.02, 0.03),
        (-0.4, collar - 0.03, -0.12),
        (-0.2, collar + 0.03, -0.03),
        (-0.1, collar + 0.02 if style != "slipon" else -0.05, -0.06),
        (0.16, -0.02, 0.03),
        (0.36, 0.02, 0.1),
        (0.49, 0.1, 0.12),
        (0.51, ground + 0.01, 0),
        (-0.48, ground + 0.01, 0.06),
    ]
    base = (240, 238, 232) if contrast(main_rgb(item), (240, 238, 232)) > 70 else (60, 60, 64)
    rubber: RGB = trim_rgb(item) if item.cut.trim else base
    rocker = 0.05 if style == "runner" else 0.0
    bottom = path(
        [
            (-0.5, ground, 0),
            (0.51, ground, 0.15),
            (0.5 + rocker / 2, GROUND - rocker, 0.1),
            (0.3, GROUND, 0),
            (-0.47, GROUND, 0.15),
        ]
    )
    marks: list[Mark] = [upper(item, path(corners)), fill(bottom, rubber, relief=0.4)]
    marks.append(
        seam([(-0.49, ground + sole * 0.55), (0.5, ground + sole * 0.5)], rubber, opacity=0.4)
    )
    toe = path([(0.33, 0.012, 0.06), (0.49, 0.1, 0.12), (0.51, ground, 0), (0.29, ground, 0.15)])
    if style in ("low", "high"):
        marks.append(
            fill(toe, rubber if style == "high" else darker(main_rgb(item), 0.15), relief=0.6)
        )
    heel = path(
        [
            (-0.475, collar + 0.06, 0.05),
            (-0.38, collar + 0.06, 0),
            (-0.36, ground, 0),
            (-0.487, ground, 0),
        ]
    )
    marks.append(fill(heel, stands_out(item), relief=0.4))
    return marks + shoe_fastening(item, collar) + emblem(item)


def shoe_fastening(item: Item, collar: float) -> list[Mark]:
    """Laces, straps, or a slip-on's elastic."""
    if item.cut.neckline == "slipon":
        return [
            fill(
                path([(-0.16, -0.09, 0), (-0.08, -0.06, 0), (-0.1, 0.06, 0), (-0.2, 0.04, 0)]),
                darker(main_rgb(item), 0.5),
                relief=0.2,
            )
        ]
    top: Point = (-0.12, collar + 0.05)
    marks: list[Mark] = []
    if item.cut.closure == "strap":
        for part in (0.25, 0.65):
            x, y = top[0] + (0.14 - top[0]) * part, top[1] + (0.0 - top[1]) * part
            marks.append(
                fill(
                    limb(
                        [(x + 0.06, y - 0.0), (x - 0.03, y + 0.06), (x - 0.11, y + 0.14)],
                        [0.035] * 3,
                    ),
                    trim_rgb(item),
                    relief=0.4,
                )
            )
        return marks
    tongue = path(
        [
            (top[0] + 0.0, top[1] - 0.08, 0.1),
            (top[0] + 0.1, top[1] - 0.03, 0),
            (top[0] + 0.06, top[1] + 0.06, 0),
        ]
    )
    marks.append(fill(tongue, darker(main_rgb(item), 0.2)))
    lace = (
        (248, 246, 240) if contrast(main_rgb(item), (248, 246, 240)) > 130 else item.colours[2].rgb
    )
    count = 6 if item.cut.neckline == "high" else 4
    for index in range(count):
        part = index / (count - 1)
        x, y = top[0] + (0.17 - top[0]) * part, top[1] + (0.0 - top[1]) * part
        marks.append(
            Stroke(
                smooth([(x + 0.045, y - 0.015), (x - 0.02, y + 0.035), (x - 0.045, y + 0.06)]),
                lace,
                0.024,
            )
        )
    return marks


def emblem(item: Item) -> list[Mark]:
    """The maker's mark on the side."""
    colour = stands_out(item)
    match item.cut.pocket:
        case "stripe":
            lines = [[(x, -0.02), (x - 0.09, 0.15)] for x in (-0.05, 0.03, 0.11)]
            return [Stroke(smooth(line), colour, 0.034) for line in lines]
        case "swoosh":
            shape = path(
                [(-0.28, 0.08, -0.2), (-0.16, 0.14, -0.18), (0.16, 0.0, 0.15), (-0.15, 0.16, 0.2)]
            )
            return [fill(shape, colour, relief=0.1)]
        case "dot":
            return [fill(ellipse(-0.12, 0.07, 0.06, 0.06), colour, relief=0.1)]
        case _:
            return []


def boot(item: Item) -> list[Mark]:
    """Ankle, combat, Chelsea or wellington."""
    cut = item.cut
    shafts = {"ankle": 0.42, "combat": 0.6, "chelsea": 0.46, "wellington": 0.95}
    tall = shafts[cut.neckline] + 0.15 * cut.length
    top, heel = GROUND - tall - 0.12, 0.05 + 0.08 * cut.fit
    corners: list[Corner] = [
        (-0.44, top, 0.0),
        (-0.06, top + 0.01, 0),
        (-0.08, -0.16, -0.1),
        (0.12, 0.0, -0.05),
        (0.4, 0.06, 0.22),
        (0.49, GROUND - 0.04, 0),
        (0.12, GROUND - 0.045, -0.06),
        (-0.12, GROUND - heel, 0),
        (-0.46, GROUND - heel, 0.03),
        (-0.43, -0.1, -0.03),
    ]
    dark = darker(trim_rgb(item), 0.6) if not item.cut.trim else item.colours[1].rgb
    sole = path(
        [
            (-0.47, GROUND - heel - 0.01, 0),
            (-0.14, GROUND - heel - 0.01, 0),
            (0.12, GROUND - 0.06, 0),
            (0.5, GROUND - 0.06, 0.1),
            (0.5, GROUND, 0),
            (0.1, GROUND, 0),
            (-0.15, GROUND - 0.02, 0),
            (-0.17, GROUND, 0),
            (-0.46, GROUND, 0),
        ],
        steps=3,
    )
    marks: list[Mark] = [upper(item, path(corners)), fill(sole, dark, relief=0.3)]
    return marks + boot_shaft(item, top, dark) + boot_fastening(item, top)


def boot_shaft(item: Item, top: float, dark: RGB) -> list[Mark]:
    """What the shaft of each style has: elastic and tab, seam, rim."""
    match item.cut.neckline:
        case "chelsea":
            elastic = path(
                [
                    (-0.32, top + 0.02, 0),
                    (-0.16, top + 0.02, 0.05),
                    (-0.2, -0.02, 0.2),
                    (-0.29, -0.02, 0.05),
                ]
            )
            tab = box(-0.45, top - 0.06, -0.41, top + 0.05)
            return [
                fill(elastic, contour(main_rgb(item), 0.6), relief=0.3),
                fill(tab, dark, relief=0.2),
            ]
        case "combat":
            line = [(-0.4, 0.02), (-0.1, 0.02), (0.05, GROUND - 0.06)]
            return [seam(line, main_rgb(item), opacity=0.7)]
        case "wellington":
            rim = box(-0.45, top - 0.01, -0.05, top + 0.05)
            return [fill(rim, stands_out(item), relief=0.4)]
        case _:
            return []


def boot_fastening(item: Item, top: float) -> list[Mark]:
    """Laces up the shin or a zip on the side."""
    if item.cut.neckline in ("chelsea", "wellington"):
        return []
    if item.cut.closure == "zip":
        return [
            Stroke(
                smooth([(-0.28, top + 0.01), (-0.28, 0.1)], steps=24), (196, 176, 120), 0.018, 1.0
            )
        ]
    if item.cut.closure == "none":
        return [
            fill(
                limb([(-0.45, top + 0.2), (-0.25, top + 0.22), (-0.07, top + 0.2)], [0.03] * 3),
                darker(main_rgb(item), 0.3),
            ),
            fill(ellipse(-0.2, top + 0.215, 0.035, 0.04), (206, 180, 110), relief=0.3),
        ]
    lace = item.colours[1].rgb
    marks: list[Mark] = []
    for y in np.linspace(top + 0.06, -0.06, 6):
        x = -0.09 + (0.09 if y > -0.1 else 0)
        marks.append(
            Stroke(
                smooth(
                    [(x + 0.02, float(y)), (x - 0.05, float(y) + 0.03), (x - 0.1, float(y) + 0.02)]
                ),
                lace,
                0.022,
            )
        )
    return marks


def pump(item: Item) -> list[Mark]:
    """A shoe with a heel, low or high."""
    cut = item.cut
    rise = 0.06 + 0.3 * cut.length
    toe = 0.53 if cut.neckline == "pointed" else 0.46
    back = GROUND - rise
    blunt = 0.05 if cut.neckline == "pointed" else 0.3
    corners: list[Corner] = [
        (-0.46, back - 0.22, -0.05),
        (-0.36, back - 0.2, -0.17),
        (0.1, GROUND - 0.13, -0.08),
        (0.26, GROUND - 0.16, blunt),
        (toe, GROUND - 0.03, 0),
        (0.2, GROUND - 0.015, -0.05),
        (-0.1, GROUND - 0.03 - rise * 0.45, -0.1),
        (-0.44, back, 0.1),
    ]
    thin = 0.03 + 0.06 * cut.fit
    heel = path(
        [
            (-0.46, back - 0.02, 0),
            (-0.46 + thin * 2 + 0.08, back - 0.01, -0.1),
            (-0.44 + thin, GROUND, 0),
            (-0.45 - thin * 0.2, GROUND, -0.03),
        ]
    )
    dark = darker(trim_rgb(item), 0.3)
    sole = path(
        [
            (-0.45, back + 0.0, 0),
            (-0.1, GROUND - 0.045 - rise * 0.45, 0.08),
            (0.2, GROUND - 0.025, 0),
            (toe, GROUND - 0.04, 0),
            (toe - 0.02, GROUND - 0.0, 0),
            (0.18, GROUND, 0.05),
            (-0.12, GROUND - rise * 0.42, -0.08),
            (-0.44, back + 0.03, 0),
        ]
    )
    marks: list[Mark] = [fill(heel, dark), upper(item, path(corners)), fill(sole, dark, relief=0.2)]
    return marks + pump_details(item, rise)


def pump_details(item: Item, rise: float) -> list[Mark]:
    """Straps, bow, buckle."""
    cut, back = item.cut, GROUND - rise
    marks: list[Mark] = []
    if cut.closure == "strap":
        over = [
            (-0.06, GROUND - 0.1 - rise * 0.4),
            (0.02, GROUND - 0.24 - rise * 0.2),
            (0.12, GROUND - 0.14),
        ]
        marks.append(Stroke(smooth(over), main_rgb(item), 0.035))
    if cut.closure == "anklestrap":
        round_ankle = [(-0.44, back - 0.2), (-0.3, back - 0.27), (-0.12, back - 0.25)]
        marks.append(Stroke(smooth(round_ankle), main_rgb(item), 0.04))
    if cut.pocket == "bow":
        for dx in (-0.09, 0.09):
            tips = [(0.2 + dx, GROUND - 0.22, 0.1), (0.2 + dx, GROUND - 0.11, 0.1)]
            loop = [(0.2, GROUND - 0.15, 0.1), *(tips if dx > 0 else tips[::-1])]
            marks.append(fill(path(loop), stands_out(item)))
    if cut.pocket == "buckle":
        buckle = box(0.15, GROUND - 0.17, 0.24, GROUND - 0.11)
        marks.append(fill(buckle, lighter((206, 180, 110), 0.2), relief=0.3))
    return marks
