"""Buttons, zips, belts and pockets of garments with a torso."""

from collections.abc import Callable

import numpy as np

from indexer.sample.body import dyes, main_rgb, seam, trim_rgb
from indexer.sample.canvas import Mark, Patch, Stroke, fill
from indexer.sample.geometry import Point, Points, box, ellipse, flip, path, smooth
from indexer.sample.item import Item
from indexer.sample.palette import RGB, contour, contrast, darker, lighter
from indexer.sample.patterns import Pattern

Marks = list[Mark]
METAL: RGB = (186, 188, 194)


def draw_closure(item: Item, top: float, hem: float, waist: float) -> Marks:
    """What closes the front between the neck and the hem."""
    match item.cut.closure:
        case "buttons" | "henley":
            return placket(item, top, top + 0.19 if item.cut.closure == "henley" else hem)
        case "zip" | "halfzip":
            return zipper(item, top, top + 0.2 if item.cut.closure == "halfzip" else hem)
        case "belt":
            return belt(item, waist)
        case "one" | "two" | "double":
            return blazer_front(item, hem)
        case _:
            return []


def button(item: Item, x: float, y: float, radius: float = 0.015) -> Marks:
    """A sewn button that can be seen on the cloth."""
    cloth, accent = main_rgb(item), item.colours[2].rgb
    pale = lighter(cloth, 0.75) if contrast(cloth, (250, 250, 250)) > 200 else darker(cloth, 0.7)
    colour = accent if item.cut.trim else pale
    return [
        Patch(ellipse(x, y, radius, radius), (colour,) * 3, relief=0, rim=0.7),
        Stroke(smooth([(x - 0.004, y), (x + 0.004, y)], steps=1), darker(colour, 0.6), 0.006, 0.8),
    ]


def placket(item: Item, top: float, bottom: float) -> Marks:
    """A buttoned band down the middle."""
    band = box(-0.028, top - 0.02, 0.028, bottom + 0.01)
    own = item.cut.trim or item.pattern.kind == "blocks"
    colours: tuple[RGB, RGB, RGB] = (trim_rgb(item),) * 3 if own else dyes(item)
    pattern = None if own or item.pattern.kind == "motif" else item.pattern
    marks: Marks = [Patch(band, colours, pattern, relief=0.15, rim=0.4, shadow=0.15)]
    count = max(2, round((bottom - top) / 0.125))
    for index in range(count):
        y = top + (bottom - top) * (index + 0.5) / count
        marks += button(item, 0.0, y)
    return marks


def zipper(item: Item, top: float, bottom: float) -> Marks:
    """A zip with its teeth and its pull."""
    tape = contour(trim_rgb(item), 0.55)
    line = smooth([(0, top), (0, bottom)], steps=40)
    return [
        Stroke(line, tape, 0.03),
        Stroke(line, METAL, 0.012, 0.9, dash=1),
        fill(box(-0.014, top + 0.02, 0.014, top + 0.065), METAL, relief=0.2, rim=0.6),
    ]


def belt(item: Item, waist: float) -> Marks:
    """A belt with a buckle."""
    colour = trim_rgb(item) if item.cut.trim else darker(main_rgb(item), 0.55)
    strap = box(-waist - 0.012, -0.04, waist + 0.012, 0.025)
    buckle = box(-0.05, -0.05, 0.05, 0.036)
    return [
        fill(strap, colour, relief=0.4),
        Stroke(_closed(buckle), METAL, 0.016),
        seam([(0, -0.3), (0, -0.05)], main_rgb(item), opacity=0.3),
    ]


def _closed(points: Points) -> Points:
    return np.concatenate([points, points[:1]])


def blazer_front(item: Item, hem: float) -> Marks:
    """The overlapping edge below the lapels and one, two or four buttons."""
    name = item.cut.closure
    colour = main_rgb(item)
    edge: list[Point] = [(0.0, -0.15), (0.03, 0.1), (0.035, hem - 0.06), (0.0, hem + 0.02)]
    marks: Marks = [seam(edge, colour, opacity=0.7)]
    places = {
        "one": [(0.0, -0.1)],
        "two": [(0.0, -0.11), (0.0, 0.02)],
        "double": [(x, y) for y in (-0.11, 0.03) for x in (-0.075, 0.075)],
    }[name]
    for x, y in places:
        marks += button(item, x, y, 0.019)
    return marks


def draw_pockets(item: Item, hem: Point) -> Marks:
    """The pockets of a top."""
    draw = POCKETS.get(item.cut.pocket)
    return draw(item, hem) if draw else []


def chest(item: Item, _: Point) -> Marks:
    """A patch pocket on the left of the wearer's chest."""
    return [pocket(item, 0.09, -0.44, 0.11, 0.13)]


def chests(item: Item, _: Point) -> Marks:
    """Two buttoned pockets on the chest."""
    marks: Marks = []
    for x in (-0.2, 0.09):
        marks.append(pocket(item, x, -0.43, 0.11, 0.13))
        flap = path(
            [
                (x - 0.005, -0.435, 0),
                (x + 0.115, -0.435, 0),
                (x + 0.115, -0.395, 0),
                (x + 0.055, -0.375, 0),
                (x - 0.005, -0.395, 0),
            ]
        )
        marks.append(Patch(flap, dyes(item), _cloth(item), relief=0.2, shadow=0.2))
        marks += button(item, x + 0.055, -0.395, 0.01)
    return marks


def kangaroo(item: Item, hem: Point) -> Marks:
    """The wide pocket of a hoodie."""
    y = hem[1] - 0.06
    shape = path(
        [
            (-0.11, y - 0.2, 0),
            (0.11, y - 0.2, 0),
            (0.18, y - 0.07, 0),
            (0.18, y, 0),
            (-0.18, y, 0),
            (-0.18, y - 0.07, 0),
        ]
    )
    colours: tuple[RGB, RGB, RGB] = dyes(item)
    return [Patch(shape, colours, _cloth(item), relief=0.25, rim=0.55, shadow=0.2, folds=0.3)]


def patch_pockets(item: Item, hem: Point) -> Marks:
    """Two sewn-on pockets above the hem."""
    y = min(hem[1] - 0.22, 0.12)
    return [pocket(item, x, y, 0.13, 0.15) for x in (-0.2, 0.07)]


def flap_pockets(item: Item, hem: Point) -> Marks:
    """Two flaps at the hips and a slit on the chest."""
    y = min(hem[1] - 0.14, 0.08)
    marks: Marks = [
        Patch(
            box(x, y, x + 0.13, y + 0.045),
            dyes(item),
            _cloth(item),
            relief=0.15,
            rim=0.6,
            shadow=0.25,
        )
        for x in (-0.205, 0.075)
    ]
    return [*marks, seam([(0.13, -0.36), (0.21, -0.375)], main_rgb(item), opacity=0.7)]


def slant_pockets(item: Item, hem: Point) -> Marks:
    """Two slanted openings."""
    y = min(hem[1] - 0.2, 0.0)
    line: list[Point] = [(0.13, y), (0.19, y + 0.14)]
    right = Stroke(smooth(line), contour(main_rgb(item), 0.6), 0.016, 0.8)
    return [right, Stroke(flip(right.points), right.colour, right.width, right.opacity)]


def pocket(item: Item, x: float, y: float, width: float, height: float) -> Patch:
    """A patch pocket with a pointed bottom; (x, y) is its upper left corner."""
    shape = path(
        [
            (x, y, 0),
            (x + width, y, 0),
            (x + width, y + height * 0.85, 0),
            (x + width / 2, y + height, 0),
            (x, y + height * 0.85, 0),
        ]
    )
    own = item.cut.trim
    colours: tuple[RGB, RGB, RGB] = (trim_rgb(item),) * 3 if own else dyes(item)
    return Patch(shape, colours, None if own else _cloth(item), relief=0.15, rim=0.6, shadow=0.15)


def _cloth(item: Item) -> Pattern | None:
    return None if item.pattern.kind in ("motif", "blocks") else item.pattern


POCKETS: dict[str, Callable[[Item, Point], Marks]] = {
    "chest": chest,
    "chests": chests,
    "kangaroo": kangaroo,
    "patch": patch_pockets,
    "flap": flap_pockets,
    "slant": slant_pockets,
}
