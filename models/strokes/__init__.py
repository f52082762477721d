"""Drawings as what a pen did: formats, files, simplification, augmentation, pictures of them."""

from models.strokes.archive import StrokeSet, is_stroke_archive, read_archive
from models.strokes.drawing import draw_sheet, draw_sketch
from models.strokes.formats import Points, StrokeError, from_lines, to_five, to_lines, to_three
from models.strokes.json_strokes import read_json, read_sketch, write_json
from models.strokes.preprocessing import StrokePreprocessing
from models.strokes.simplify import simplify
from models.strokes.svg import read_svg, write_svg

__all__ = [
    "Points", "StrokeError", "StrokePreprocessing", "StrokeSet", "draw_sheet", "draw_sketch",
    "from_lines", "is_stroke_archive", "read_archive", "read_json", "read_sketch", "read_svg",
    "simplify", "to_five", "to_lines", "to_three", "write_json", "write_svg",
]  # fmt: skip
