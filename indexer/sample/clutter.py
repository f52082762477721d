"""Cluttered places behind an item: a room, shelves, a strewn table, boxes, foliage, a street."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from indexer.sample.geometry import Points, ellipse, limb, path
from indexer.sample.palette import COLOURS, RGB, darker, lighter, mix, vary
from indexer.sample.patterns import Field

THINGS = tuple(COLOURS)
Painter = Callable[[int, Field, np.random.Generator], Field]


@dataclass(frozen=True, slots=True)
class Sketch:
    """A picture in the making, drawn twice too large; coordinates are 0..1 both ways."""

    image: Image.Image
    draw: ImageDraw.ImageDraw
    side: int

    def polygon(self, points: Points, colour: RGB) -> None:
        """Fill an outline."""
        self.draw.polygon((points * self.side).ravel().tolist(), fill=colour)

    def box(self, left: float, top: float, right: float, bottom: float, colour: RGB) -> None:
        """Fill a rectangle."""
        low, high = sorted((left, right)), sorted((top, bottom))
        self.draw.rectangle(
            [low[0] * self.side, high[0] * self.side, low[1] * self.side, high[1] * self.side],
            fill=colour,
        )

    def line(self, points: Points, colour: RGB, width: float) -> None:
        """Draw a line."""
        self.draw.line(
            (points * self.side).ravel().tolist(),
            fill=colour,
            width=max(1, round(width * self.side)),
        )

    def finish(self, size: int, blur: float) -> Field:
        """The picture reduced to ``size``, out of focus by ``blur`` (part of the frame)."""
        small = self.image.reduce(2).filter(ImageFilter.GaussianBlur(blur * size))
        return np.asarray(small, np.float32).reshape(size, size, 3)


def start(size: int, colour: RGB) -> Sketch:
    """An empty sketch."""
    image = Image.new("RGB", (2 * size, 2 * size), colour)
    return Sketch(image, ImageDraw.Draw(image), 2 * size)


def rgbs(dyes: Field) -> list[RGB]:
    """The three dyes as colours."""
    return [(int(dye[0]), int(dye[1]), int(dye[2])) for dye in dyes]


def any_colour(rng: np.random.Generator) -> RGB:
    """A colour of some thing."""
    colour = vary(rng, COLOURS[str(rng.choice(THINGS))], 16)
    return mix(colour, (128, 126, 122), 0.15)


def paint_room(size: int, dyes: Field, rng: np.random.Generator) -> Field:
    """A wall, a floor, and furniture along it."""
    wall, floor, thing = rgbs(dyes)
    sketch = start(size, lighter(wall, 0.3))
    line = float(rng.uniform(0.62, 0.82))
    floor = (168, 126, 86) if rng.random() < 0.5 else darker(floor, 0.25)
    sketch.box(0, line, 1, 1, floor)
    for x in np.linspace(-1, 2, 13):
        board = np.array([[0.5 + (x - 0.5) * 0.5, line], [x, 1.0]], np.float32)
        sketch.line(board, darker(floor, 0.3), 0.004)
    sketch.box(0, line - 0.025, 1, line, lighter(wall, 0.75))
    pieces = [window, picture_frame, door, sofa, cupboard, plant, lamp, chair]
    for index in rng.choice(len(pieces), int(rng.integers(3, 6)), replace=False):
        x = float(rng.uniform(0.02, 0.2) if rng.random() < 0.5 else rng.uniform(0.7, 0.95))
        pieces[int(index)](sketch, x, line, thing if rng.random() < 0.4 else any_colour(rng), rng)
    return sketch.finish(size, float(rng.uniform(0.0, 0.008)))


def window(sketch: Sketch, x: float, line: float, _: RGB, rng: np.random.Generator) -> None:
    """A window with a cross."""
    top, wide = line - 0.62, 0.18
    sky: RGB = (190, 220, 240) if rng.random() < 0.7 else (60, 70, 100)
    sketch.box(x - wide, top, x + wide, top + 0.38, (240, 238, 232))
    sketch.box(x - wide + 0.02, top + 0.02, x + wide - 0.02, top + 0.36, sky)
    sketch.box(x - 0.008, top, x + 0.008, top + 0.38, (240, 238, 232))
    sketch.box(x - wide, top + 0.18, x + wide, top + 0.195, (240, 238, 232))


def picture_frame(
    sketch: Sketch, x: float, line: float, colour: RGB, rng: np.random.Generator
) -> None:
    """A picture on the wall."""
    y = line - float(rng.uniform(0.4, 0.55))
    sketch.box(x - 0.12, y - 0.1, x + 0.12, y + 0.1, (50, 40, 34))
    sketch.box(x - 0.105, y - 0.085, x + 0.105, y + 0.085, (242, 238, 228))
    sketch.polygon(ellipse(x, y, 0.06, 0.05), colour)
    sketch.polygon(ellipse(x + 0.03, y + 0.02, 0.04, 0.04), any_colour(rng))


def door(sketch: Sketch, x: float, line: float, colour: RGB, _: np.random.Generator) -> None:
    """A door with panels."""
    sketch.box(x - 0.15, line - 0.72, x + 0.15, line, lighter(colour, 0.5))
    for top, bottom in ((0.66, 0.4), (0.34, 0.06)):
        sketch.box(x - 0.1, line - top, x + 0.1, line - bottom, lighter(colour, 0.35))
    sketch.polygon(ellipse(x + 0.12, line - 0.34, 0.014, 0.014), (200, 180, 120))


def sofa(sketch: Sketch, x: float, line: float, colour: RGB, _: np.random.Generator) -> None:
    """A sofa cut off by the frame's edge."""
    base = line + 0.12
    sketch.polygon(
        path(
            [
                (x - 0.34, base - 0.34, 0.05),
                (x + 0.34, base - 0.34, 0.02),
                (x + 0.36, base, 0),
                (x - 0.36, base, 0),
            ]
        ),
        colour,
    )
    sketch.box(x - 0.36, base - 0.17, x + 0.36, base, darker(colour, 0.12))
    for side in (-1, 1):
        sketch.polygon(ellipse(x + side * 0.35, base - 0.15, 0.06, 0.09), darker(colour, 0.22))
        sketch.box(
            x + side * 0.35 - 0.05,
            base - 0.15,
            x + side * 0.35 + 0.05,
            base + 0.01,
            darker(colour, 0.22),
        )
    sketch.polygon(ellipse(x + 0.1, base - 0.2, 0.1, 0.08, angle=0.5), lighter(colour, 0.4))


def cupboard(sketch: Sketch, x: float, line: float, colour: RGB, rng: np.random.Generator) -> None:
    """A chest of drawers with something on it."""
    top = line - float(rng.uniform(0.2, 0.34))
    sketch.box(x - 0.2, top, x + 0.2, line + 0.06, colour)
    sketch.box(x - 0.215, top - 0.02, x + 0.215, top, darker(colour, 0.25))
    for index in range(3):
        y = top + 0.02 + index * 0.1
        sketch.box(x - 0.18, y, x + 0.18, y + 0.085, lighter(colour, 0.2))
        sketch.polygon(ellipse(x, y + 0.04, 0.012, 0.012), darker(colour, 0.6))
    sketch.polygon(ellipse(x - 0.08, top - 0.06, 0.035, 0.05), any_colour(rng))
    sketch.box(x + 0.04, top - 0.09, x + 0.13, top - 0.02, any_colour(rng))


def plant(sketch: Sketch, x: float, line: float, colour: RGB, rng: np.random.Generator) -> None:
    """A potted plant."""
    base = line + 0.1
    sketch.polygon(
        path(
            [
                (x - 0.07, base - 0.13, 0),
                (x + 0.07, base - 0.13, 0),
                (x + 0.05, base, 0),
                (x - 0.05, base, 0),
            ]
        ),
        colour,
    )
    leaf_at(sketch, (x, base - 0.13), int(rng.integers(7, 13)), 0.28, rng)


def leaf_at(
    sketch: Sketch, foot: tuple[float, float], count: int, reach: float, rng: np.random.Generator
) -> None:
    """A tuft of leaves that grow from a foot."""
    greens = ((58, 112, 62), (84, 142, 76), (40, 88, 60), (120, 160, 90))
    for turn in rng.uniform(-1.2, 1.2, count):
        length = reach * float(rng.uniform(0.6, 1.1))
        tip = foot[0] + length * float(np.sin(turn)), foot[1] - length * float(np.cos(turn))
        middle = (foot[0] + tip[0]) / 2, (foot[1] + tip[1]) / 2 - 0.03
        leaf = limb([foot, middle, tip], [0.004, float(rng.uniform(0.018, 0.035)), 0.001])
        sketch.polygon(leaf, greens[int(rng.integers(4))])


def lamp(sketch: Sketch, x: float, line: float, colour: RGB, _: np.random.Generator) -> None:
    """A standing lamp."""
    sketch.box(x - 0.006, line - 0.5, x + 0.006, line + 0.05, (60, 56, 54))
    sketch.polygon(
        path(
            [
                (x - 0.06, line - 0.64, 0),
                (x + 0.06, line - 0.64, 0),
                (x + 0.11, line - 0.48, 0),
                (x - 0.11, line - 0.48, 0),
            ]
        ),
        lighter(colour, 0.55),
    )
    sketch.polygon(ellipse(x, line + 0.05, 0.07, 0.015), (60, 56, 54))


def chair(sketch: Sketch, x: float, line: float, colour: RGB, _: np.random.Generator) -> None:
    """A wooden chair."""
    seat = line - 0.08
    for dx in (-0.11, 0.1):
        sketch.box(x + dx, seat - 0.26, x + dx + 0.018, line + 0.12, darker(colour, 0.3))
    sketch.box(x - 0.11, seat - 0.26, x + 0.118, seat - 0.18, colour)
    sketch.box(x - 0.14, seat, x + 0.15, seat + 0.035, colour)


def paint_shelves(size: int, dyes: Field, rng: np.random.Generator) -> Field:
    """Boards full of books, boxes and folded clothes."""
    wall, wood, _ = rgbs(dyes)
    sketch = start(size, darker(wall, 0.3))
    wood = (190, 150, 106) if rng.random() < 0.5 else lighter(wood, 0.4)
    rows = int(rng.integers(3, 6))
    for row in range(rows):
        floor = (row + 1) / rows
        x = float(rng.uniform(-0.05, 0.03))
        while x < 1:
            wide = float(rng.uniform(0.02, 0.06) if rng.random() < 0.7 else rng.uniform(0.1, 0.2))
            tall = float(rng.uniform(0.4, 0.86)) / rows
            colour = any_colour(rng)
            sketch.box(x, floor - tall, x + wide * 0.95, floor, colour)
            sketch.box(
                x, floor - tall * 0.75, x + wide * 0.95, floor - tall * 0.65, lighter(colour, 0.5)
            )
            x += wide + (0.08 if rng.random() < 0.12 else 0.0)
        sketch.box(0, floor - 0.02, 1, floor + 0.012, wood)
        sketch.box(0, floor + 0.012, 1, floor + 0.02, darker(wood, 0.5))
    return sketch.finish(size, float(rng.uniform(0.0, 0.01)))


def paint_objects(size: int, dyes: Field, rng: np.random.Generator) -> Field:
    """A table from above, strewn with things."""
    table = rgbs(dyes)[0]
    sketch = start(size, lighter(table, 0.25))
    for _ in range(int(rng.integers(9, 18))):
        x, y, turn = (
            float(rng.uniform(0, 1)),
            float(rng.uniform(0, 1)),
            float(rng.uniform(0, np.pi)),
        )
        scatter_thing(sketch, x, y, turn, rng)
    return sketch.finish(size, 0.0)


def scatter_thing(
    sketch: Sketch, x: float, y: float, turn: float, rng: np.random.Generator
) -> None:
    """A book, a cup, a pen, a phone, a ball or a leaf, with its shadow."""
    colour = any_colour(rng)
    shape = int(rng.integers(6))
    long, wide = float(rng.uniform(0.08, 0.2)), float(rng.uniform(0.05, 0.12))
    if shape in (0, 3):  # book, phone
        wide = wide if shape == 0 else long * 0.5
        outline = turned_box(x, y, long, wide, turn)
        sketch.polygon(outline + np.float32(0.008), (40, 36, 36))
        sketch.polygon(outline, colour if shape == 0 else (36, 38, 44))
        sketch.polygon(turned_box(x, y, long * 0.85, wide * 0.82, turn), lighter(colour, 0.3))
    elif shape in (1, 4):  # cup, ball
        sketch.polygon(ellipse(x + 0.008, y + 0.01, wide, wide), (40, 36, 36))
        sketch.polygon(ellipse(x, y, wide, wide), colour)
        inner = (84, 52, 34) if shape == 1 else lighter(colour, 0.4)
        sketch.polygon(ellipse(x - 0.01, y - 0.01, wide * 0.75, wide * 0.75), inner)
    elif shape == 2:  # pen
        sketch.polygon(turned_box(x, y, long, 0.012, turn), colour)
    else:
        leaf_at(sketch, (x, y), 5, long * 1.3, rng)


def turned_box(x: float, y: float, long: float, wide: float, turn: float) -> Points:
    """A rectangle about (x, y) with those half sides."""
    corners = np.array([[-long, -wide], [long, -wide], [long, wide], [-long, wide]], np.float32)
    c, s = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    turned: Points = corners @ np.array([[c, s], [-s, c]], np.float32) + np.array(
        [x, y], np.float32
    )
    return turned


def paint_street(size: int, dyes: Field, rng: np.random.Generator) -> Field:
    """Houses and lights, far out of focus."""
    sky, wall, _ = rgbs(dyes)
    night = rng.random() < 0.4
    sketch = start(size, darker(sky, 0.6) if night else lighter(sky, 0.6))
    x = -0.05
    while x < 1:
        wide, top = float(rng.uniform(0.1, 0.25)), float(rng.uniform(0.05, 0.45))
        house = darker(any_colour(rng), 0.4 if night else 0.1)
        sketch.box(x, top, x + wide, 0.8, house)
        for wx in np.arange(x + 0.025, x + wide - 0.03, 0.05):
            for wy in np.arange(top + 0.03, 0.75, 0.07):
                lit = rng.random() < 0.4
                sketch.box(
                    float(wx),
                    float(wy),
                    float(wx) + 0.025,
                    float(wy) + 0.035,
                    (250, 220, 150) if lit else darker(house, 0.4),
                )
        x += wide
    sketch.box(0, 0.8, 1, 1, darker(wall, 0.5))
    for _ in range(14):
        sketch.polygon(
            ellipse(float(rng.random()), float(rng.uniform(0.2, 0.95)), 0.02, 0.02),
            lighter(any_colour(rng), 0.4),
        )
    return sketch.finish(size, float(rng.uniform(0.008, 0.022)))


def paint_boxes(size: int, dyes: Field, rng: np.random.Generator) -> Field:
    """A stack of cartons."""
    wall = rgbs(dyes)[0]
    sketch = start(size, lighter(wall, 0.2))
    tones: Sequence[RGB] = ((196, 156, 108), (176, 134, 88), (210, 176, 130), (224, 220, 212))
    y = 1.0
    while y > 0.1:
        tall = float(rng.uniform(0.16, 0.3))
        x = float(rng.uniform(-0.1, 0.1))
        while x < 1:
            wide = float(rng.uniform(0.2, 0.42))
            tone = tones[int(rng.integers(4))] if rng.random() < 0.8 else any_colour(rng)
            if rng.random() < 0.85:
                sketch.box(x, y - tall, x + wide - 0.008, y, tone)
                sketch.box(x, y - tall, x + wide - 0.008, y - tall + 0.015, lighter(tone, 0.3))
                sketch.box(x + wide * 0.44, y - tall, x + wide * 0.56, y, lighter(tone, 0.25))
                sketch.box(x + wide - 0.02, y - tall, x + wide - 0.008, y, darker(tone, 0.3))
            x += wide
        y -= tall
    return sketch.finish(size, float(rng.uniform(0.0, 0.006)))


def paint_foliage(size: int, _dyes: Field, rng: np.random.Generator) -> Field:
    """Leaves all over, in a garden or a hedge."""
    sketch = start(size, (38, 66, 42))
    for _ in range(42):
        leaf_at(sketch, (float(rng.uniform(-0.1, 1.1)), float(rng.uniform(0, 1.25))), 4, 0.24, rng)
    for _ in range(int(rng.integers(0, 9))):
        x, y = float(rng.random()), float(rng.random())
        colour = lighter(any_colour(rng), 0.4)
        for turn in np.arange(5) * 2 * np.pi / 5:
            sketch.polygon(
                ellipse(
                    x + 0.02 * float(np.cos(turn)), y + 0.02 * float(np.sin(turn)), 0.016, 0.016
                ),
                colour,
            )
        sketch.polygon(ellipse(x, y, 0.012, 0.012), (250, 214, 90))
    return sketch.finish(size, float(rng.uniform(0.0, 0.008)))


CLUTTER: dict[str, Painter] = {
    "foliage": paint_foliage,
    "room": paint_room,
    "shelves": paint_shelves,
    "objects": paint_objects,
    "street": paint_street,
    "boxes": paint_boxes,
}
