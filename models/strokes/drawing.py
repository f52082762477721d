"""Pictures of drawings."""

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from models.strokes.formats import Points, to_lines

SMOOTH = 3  # drawn so much larger and then reduced: Pillow's lines have hard edges
INK = (25, 25, 35)
STARTED = (200, 60, 40)  # what was given, where a drawing was completed


def draw_sketch(
    points: Points, side: int = 128, *, margin: float = 0.08, width: float = 1.6, given: int = 0
) -> Image.Image:
    """A drawing in the middle of a white square, as large as fits.

    Args:
        points: (N, 3); none is a white square.
        side: Of the square in pixels.
        margin: White rim as a share of the side.
        width: Of the lines in pixels.
        given: So many first points are drawn in red.
    """
    large = side * SMOOTH
    sheet = Image.new("RGB", (large, large), "white")
    lines = to_lines(points)
    if lines:
        everything = np.concatenate(lines)
        low, high = everything.min(0), everything.max(0)
        room = large * (1 - 2 * margin)
        scale = room / max(float((high - low).max()), 1e-6)
        shift = large / 2 - scale * (low + high) / 2
        pen = ImageDraw.Draw(sheet)
        _draw(pen, lines, scale, shift, width * SMOOTH, INK)
        if given:
            _draw(pen, to_lines(points[:given]), scale, shift, width * SMOOTH, STARTED)
    return sheet.resize((side, side), Image.Resampling.BOX)


def draw_sheet(
    sketches: Sequence[Points],
    *,
    side: int = 128,
    columns: int | None = None,
    gap: int = 4,
    given: int = 0,
) -> Image.Image:
    """Drawings side by side, in rows; without ``columns`` nearly square."""
    across = columns or math.ceil(math.sqrt(max(1, len(sketches))))
    down = max(1, -(-len(sketches) // across))
    size = (across * (side + gap) + gap, down * (side + gap) + gap)
    sheet = Image.new("RGB", size, (225, 225, 230))
    for number, sketch in enumerate(sketches):
        row, column = divmod(number, across)
        place = (gap + column * (side + gap), gap + row * (side + gap))
        sheet.paste(draw_sketch(sketch, side, given=given), place)
    return sheet


def _draw(
    pen: ImageDraw.ImageDraw,
    lines: Sequence[Points],
    scale: float,
    shift: Points,
    width: float,
    colour: tuple[int, int, int],
) -> None:
    for line in lines:
        places = [(float(x), float(y)) for x, y in line * scale + shift]
        if len(places) > 1:
            pen.line(places, colour, max(1, round(width)), joint="curve")
        for x, y in (places[0], places[-1]):  # round ends; a single point is a dot
            half = width / 2
            pen.ellipse((x - half, y - half, x + half, y + half), fill=colour)
