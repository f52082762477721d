"""Drawings of a pen that a model has made: a sheet for eyes, files, points. Needs no torch."""

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from models.strokes import Points, StrokeError, draw_sheet, write_json, write_svg
from service.sheets import EPOCH

Form = Literal["svg", "json", "png"]
FORMS: tuple[Form, ...] = ("svg", "json", "png")


@dataclass(frozen=True, slots=True)
class StrokeDrawing:
    """Drawings that a stroke model has made.

    Attributes:
        model: Its name.
        weights: The name of the weights.
        fingerprint: Of the weights.
        seed: Of the draws.
        temperature: Of the pen.
        sketches: (N, 3) each.
        sent: What was sent, at the size and with the points that the model saw: (N, 3) each.
        given: So many first points of each drawing were sent, not drawn.
        columns: Of the sheet, None for nearly a square.
    """

    model: str
    weights: str
    fingerprint: str
    seed: int
    temperature: float
    sketches: tuple[Points, ...]
    sent: tuple[Points, ...] = ()
    given: int = 0
    columns: int | None = None

    @property
    def nbytes(self) -> int:
        """Memory that the points take."""
        return sum(points.nbytes for points in (*self.sketches, *self.sent))


def form_of(path: Path) -> Form:
    """What to write to a file, by its ending.

    Raises:
        StrokeError: None of svg, json, png.
    """
    ending = path.suffix.lower().removeprefix(".")
    if ending not in FORMS:
        raise StrokeError(f"Sketches are written as .svg, .json or .png; found '{path.name}'.")
    return ending


def write_sheet(
    sketches: Sequence[Points], form: Form, *, given: int = 0, columns: int | None = None,
    **facts: Any,
) -> bytes:  # fmt: skip
    """Drawings as the bytes of a file.

    Args:
        sketches: (N, 3) each.
        form: SVG and PNG are sheets of all; JSON has every point.
        given: In PNG, so many first points are red.
        columns: Of a sheet; without it nearly square.
        facts: What JSON also says.
    """
    if form == "json":
        return (write_json(sketches, **facts) + "\n").encode()
    if form == "svg":
        return write_svg(sketches, columns=columns).encode()
    file = io.BytesIO()
    draw_sheet(sketches, given=given, columns=columns).save(file, "PNG")
    return file.getvalue()


def stroke_archive(sketches: Sequence[Points]) -> bytes:
    """Drawings as the bytes of a ZIP file: 000.svg, 001.svg and so on, each at its own size."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as whole:
        for number, points in enumerate(sketches):
            whole.writestr(zipfile.ZipInfo(f"{number:03}.svg", EPOCH), write_svg([points]))
    return file.getvalue()
