"""Necklines and collars."""

from indexer.sample.body import dyes, main_rgb, trim_rgb
from indexer.sample.canvas import Mark, Patch, Stroke
from indexer.sample.geometry import Point, Points, box, ellipse, flip, mirrored, path, smooth
from indexer.sample.item import Item
from indexer.sample.palette import RGB, contour, darker, lighter
from indexer.sample.patterns import Pattern

Marks = list[Mark]
RIB = Pattern("knit", 0.0, 0, 1)

# Neck point (half width, y), depth of the front, bulge of the line between them.
NECKLINES: dict[str, tuple[Point, float, float]] = {
    "crew": ((0.125, -0.705), -0.615, -0.26),
    "vneck": ((0.12, -0.705), -0.43, 0.0),
    "scoop": ((0.165, -0.69), -0.5, -0.28),
    "boat": ((0.215, -0.675), -0.635, -0.14),
    "turtle": ((0.11, -0.71), -0.66, -0.2),
    "collar": ((0.11, -0.71), -0.6, 0.0),
    "stand": ((0.11, -0.71), -0.64, -0.15),
    "hood": ((0.135, -0.705), -0.58, -0.2),
    "lapel": ((0.105, -0.71), -0.16, 0.03),
    "strap": ((0.17, -0.67), -0.45, -0.16),
}


def neckline_of(name: str) -> tuple[Point, float, float]:
    """Neck point, depth and bulge of a neckline."""
    return NECKLINES[name]


def draw_collar(item: Item, neck: Point, depth: float) -> tuple[Marks, Marks]:
    """What of a collar is behind the neck, and what before it."""
    name = item.cut.neckline
    if name in ("crew", "vneck", "scoop", "boat", "strap"):
        return [], edging(item, neck, depth)
    if name == "hood":
        return hood_back(item), hood_front(item)
    return [], {"turtle": turtle, "stand": stand, "collar": shirt_collar, "lapel": lapels}[name](
        item
    )


def edging(item: Item, neck: Point, depth: float) -> Marks:
    """The band around an open neckline."""
    _, _, bulge = NECKLINES[item.cut.neckline]
    colour = trim_rgb(item)
    x, y = neck
    half = path([(0, depth + 0.015, bulge), (x + 0.012, y, 0), (0, depth, 0)], steps=10)[:11]
    line = [(float(px), float(py)) for px, py in half]
    both = [(-px, py) for px, py in line[::-1]] + line[1:]
    edge: Points = smooth(both, steps=2)
    width = 0.022 if item.cut.neckline == "strap" else 0.036
    return [
        Stroke(edge, darker(colour, 0.45), width + 0.01),
        Stroke(edge, colour if item.cut.trim else darker(colour, 0.1), width),
    ]


def turtle(item: Item) -> Marks:
    """A tube around the neck."""
    outline = path(
        [(-0.105, -0.83, 0.03), (0.105, -0.83, 0), (0.125, -0.67, 0.16), (-0.125, -0.67, 0)]
    )
    colours: tuple[RGB, RGB, RGB] = (trim_rgb(item),) * 3
    fold = Stroke(
        smooth([(-0.11, -0.765), (0, -0.75), (0.11, -0.765)]), darker(colours[0], 0.6), 0.008, 0.5
    )
    return [Patch(outline, colours, RIB, relief=0.7, folds=0), fold]


def stand(item: Item) -> Marks:
    """A low upright collar."""
    colour = trim_rgb(item)
    right = path(
        [(0.004, -0.67, -0.05), (0.105, -0.755, 0.05), (0.13, -0.69, 0), (0.01, -0.585, -0.08)]
    )
    return [Patch(side, (colour,) * 3, relief=0.4) for side in (right, flip(right))]


def shirt_collar(item: Item) -> Marks:
    """Two points that fold down."""
    plain = item.cut.trim or item.pattern.kind in ("motif", "blocks")
    colours: tuple[RGB, RGB, RGB] = (trim_rgb(item),) * 3 if plain else dyes(item)
    right = path(
        [(0.004, -0.625, 0.0), (0.105, -0.775, 0.1), (0.15, -0.695, 0.0), (0.095, -0.53, 0.02)]
    )
    pattern = None if plain else item.pattern
    return [Patch(side, colours, pattern, relief=0.35, shadow=0.4) for side in (right, flip(right))]


def lapels(item: Item) -> Marks:
    """The turned-down front of a blazer or coat, with its notch."""
    wide = 0.03 + 0.03 * item.cut.fit
    right = path(
        [
            (0.0, -0.15, 0.03),
            (0.1, -0.73, 0.02),
            (0.155, -0.685, 0),
            (0.15 + wide, -0.57, 0),
            (0.115 + wide, -0.545, 0),
            (0.16 + wide, -0.5, -0.06),
        ]
    )
    notch = Stroke(
        smooth([(0.105, -0.66), (0.115 + wide, -0.545)]), contour(main_rgb(item), 0.7), 0.008, 0.6
    )
    marks: Marks = []
    for side in (flip(right), right):
        marks.append(Patch(side, dyes(item), item.pattern, relief=0.4, shadow=0.4))
    marks += [notch, Stroke(flip(notch.points), notch.colour, notch.width, notch.opacity)]
    return marks


def hood_back(item: Item) -> Marks:
    """The hood, lying behind the neck."""
    colour = main_rgb(item)
    outer = mirrored(
        [(0, -0.9, 0.0), (0.1, -0.9, 0.25), (0.235, -0.7, 0.12), (0.15, -0.57, 0), (0, -0.56, 0)]
    )
    inside = darker(trim_rgb(item), 0.3)
    return [
        Patch(outer, (colour,) * 3, relief=0.7, folds=0.4),
        Patch(ellipse(0, -0.735, 0.145, 0.115), (inside,) * 3, relief=0.4, shadow=0),
    ]


def hood_front(item: Item) -> Marks:
    """The hood's edges and its cords."""
    colour = main_rgb(item)
    right = path(
        [(0.0, -0.575, 0.0), (0.125, -0.76, 0.1), (0.215, -0.67, 0.12), (0.06, -0.535, 0.1)]
    )
    cord = trim_rgb(item) if item.cut.trim else lighter(colour, 0.6)
    marks: Marks = [Patch(side, (colour,) * 3, relief=0.6) for side in (flip(right), right)]
    for x in (-0.06, 0.06):
        marks.append(Stroke(smooth([(x, -0.575), (x * 1.2, -0.47), (x, -0.36)]), cord, 0.014))
        marks.append(
            Patch(box(x - 0.009, -0.37, x + 0.009, -0.33), (darker(cord, 0.3),) * 3, relief=0)
        )
    return marks
