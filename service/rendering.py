"""What a job has made, as it goes over the wire: a picture, an archive or data."""

from typing import Protocol, runtime_checkable

from fastapi.responses import Response
from pydantic import BaseModel

from service.explanation import encode, to_png
from service.jobs import Result
from service.negotiation import JSON, PNG, ZIP, best_of
from service.schemas_models import DrawingResponse, Format
from service.sheets import Drawing, archive, grid

MEDIA_TYPES: dict[Format, str] = {"grid": PNG, "json": JSON, "zip": ZIP}


@runtime_checkable
class Told(Protocol):
    """A result that is data and nothing else."""

    def tell(self) -> BaseModel:
        """The data."""
        ...


def render(result: Result, wanted: Format | None, accept: str) -> Response:
    """A result in the format that is wanted, or that the header ``Accept`` likes best.

    What is no picture is always answered as data.
    """
    if isinstance(result, Told):
        return Response(result.tell().model_dump_json(), media_type=JSON)
    assert isinstance(result, Drawing), f"Nobody has said how to answer a {type(result).__name__}."
    media_type = MEDIA_TYPES[wanted] if wanted else best_of(accept, (PNG, JSON, ZIP))
    if media_type == JSON:
        return Response(describe(result).model_dump_json(), media_type=JSON)
    if media_type == ZIP:
        return Response(archive(result.pictures), media_type=ZIP)
    return Response(to_png(grid(result.shown, columns=result.columns)), media_type=PNG)


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
