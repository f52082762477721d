"""What a job has made, as it goes over the wire: a picture, strokes, an archive or data."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from fastapi.responses import Response
from pydantic import BaseModel

from models.strokes import Points
from service.errors import InvalidRequestError
from service.explanation import encode, to_png
from service.job import Result
from service.negotiation import JSON, PNG, SVG, ZIP, best_of
from service.schemas_models import DrawingResponse, Format
from service.schemas_sketches import SketchesResponse, StrokesResponse
from service.sheets import Drawing, archive, grid
from service.stroke_sheets import Form, StrokeDrawing, stroke_archive, write_sheet

MEDIA_TYPES: dict[Format, str] = {"grid": PNG, "json": JSON, "zip": ZIP, "svg": SVG}


@runtime_checkable
class Told(Protocol):
    """A result that is data and nothing else."""

    def tell(self) -> BaseModel:
        """The data."""
        ...


def render(result: Result, wanted: Format | None, accept: str) -> Response:
    """A result in the format that is wanted, or that the header ``Accept`` likes best.

    What is no picture is always answered as data.

    Raises:
        InvalidRequestError: Pixels are wanted as SVG.
    """
    if isinstance(result, Told):
        return Response(result.tell().model_dump_json(), media_type=JSON)
    if isinstance(result, StrokeDrawing):
        return render_strokes(result, wanted, accept)
    assert isinstance(result, Drawing), f"Nobody has said how to answer a {type(result).__name__}."
    if wanted == "svg":
        raise pixels_as_svg()
    media_type = MEDIA_TYPES[wanted] if wanted else best_of(accept, (PNG, JSON, ZIP))
    if media_type == JSON:
        return Response(describe(result).model_dump_json(), media_type=JSON)
    if media_type == ZIP:
        return Response(archive(result.pictures), media_type=ZIP)
    return Response(to_png(grid(result.shown, columns=result.columns)), media_type=PNG)


def pixels_as_svg() -> InvalidRequestError:
    """The error for a format that only strokes have."""
    return InvalidRequestError(
        "format: these are pictures of pixels, not strokes; expected grid, json or zip.",
        extensions={"errors": [{"field": "format", "message": "expected grid, json or zip"}]},
    )


def render_strokes(result: StrokeDrawing, wanted: Format | None, accept: str) -> Response:
    """Drawings of a pen in the format that is wanted, or that ``Accept`` likes best."""
    media_type = MEDIA_TYPES[wanted] if wanted else best_of(accept, (SVG, JSON, PNG, ZIP))
    if media_type == JSON:
        return Response(describe_strokes(result).model_dump_json(), media_type=JSON)
    if media_type == ZIP:
        return Response(stroke_archive(result.sketches), media_type=ZIP)
    form: Form = "svg" if media_type == SVG else "png"
    sheet = write_sheet(result.sketches, form, given=result.given, columns=result.columns)
    return Response(sheet, media_type=media_type)


def describe_strokes(drawing: StrokeDrawing) -> SketchesResponse:
    """Drawings of a pen as data."""

    def rows(sketches: Sequence[Points]) -> list[StrokesResponse]:
        return [
            StrokesResponse(strokes=[(float(x), float(y), int(p)) for x, y, p in points])
            for points in sketches
        ]

    return SketchesResponse(
        model=drawing.model,
        weights=drawing.weights,
        fingerprint=drawing.fingerprint,
        seed=drawing.seed,
        temperature=drawing.temperature,
        sketches=rows(drawing.sketches),
        sent=rows(drawing.sent),
        given=drawing.given,
    )


def describe(drawing: Drawing) -> DrawingResponse:
    """A drawing as data."""
    return DrawingResponse(
        model=drawing.model,
        weights=drawing.weights,
        fingerprint=drawing.fingerprint,
        seed=drawing.seed,
        temperature=drawing.temperature,
        pictures=[encode(picture) for picture in drawing.pictures],
        photos=[encode(photo) for photo in drawing.photos],
    )
