"""``POST /v1/models/{name}/sketches/...``: what is asked of a model of strokes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel

from models.strokes import Points
from models.training.weights import read_stroke_preprocessing
from service.errors import InvalidRequestError
from service.forms import read_files
from service.job import Result
from service.routes_generate import Chosen, body, check_count, choose
from service.routes_jobs import answer
from service.routes_search import BINARY
from service.schemas_jobs import JobResponse
from service.schemas_sketches import (
    SketchArithmeticOptions,
    SketchArithmeticQuery,
    SketchCompletionOptions,
    SketchCompletionQuery,
    SketchesResponse,
    SketchField,
    SketchInterpolationOptions,
    SketchInterpolationQuery,
    SketchOptions,
    SketchReconstructionOptions,
    SketchReconstructionQuery,
)
from service.state import Shared, State
from service.strict import StrictRoute
from service.stroke_files import read_sent
from service.uploads import Model

if TYPE_CHECKING:  # it imports torch
    from service.brush import Brush

router = APIRouter(tags=["models"], route_class=StrictRoute)

DRAWN: dict[int | str, dict[str, Any]] = {
    200: {
        "model": SketchesResponse,
        "description": "A sheet as SVG or PNG, an SVG each in an archive, or points: see `format`.",
        "content": {
            "image/svg+xml": {"schema": {"type": "string"}},
            "image/png": BINARY,
            "application/zip": BINARY,
        },
    },
    202: {"model": JobResponse, "description": "It takes longer; the job says when it is ready."},
}


@router.post(
    "/models/{name}/sketches/completions",
    summary="Go on with a started sketch",
    openapi_extra=body("SketchCompletionQuery", form="SketchCompletionForm"),
    response_class=Response,
    responses=DRAWN,
)
async def complete_sketch(
    request: Request, name: str, state: Shared, options: Annotated[SketchCompletionOptions, Query()]
) -> Response:
    """Go on with a started drawing in several ways; what was sent stays as it is."""
    with state.admission:
        sent = await read_files(
            request, with_body(options, SketchCompletionQuery), {"sketch": 1}, or_json=True
        )
        given = sent.options
        check_count(state, "n", given.n)
        chosen = await choose(state, name, given, "complete", modality="strokes")
        sketches = [given.sketch] if given.sketch is not None else []
        (started,) = await read_all(state, chosen, given, "sketch", sketches, sent.files, most=1)

    def make(brush: "Brush") -> Result:
        from service.sketching import Sketcher, drawn_by

        made = Sketcher(brush.weights).complete(started, given.n, **chance(brush))
        return drawn_by(brush, made, sent=[started], given=len(started))

    return await draw(request, state, chosen, "sketch-completions", given, make)


@router.post(
    "/models/{name}/sketches/reconstructions",
    summary="Draw sketches again",
    openapi_extra=body("SketchReconstructionQuery", form="SketchReconstructionForm"),
    response_class=Response,
    responses=DRAWN,
)
async def reconstruct_sketches(
    request: Request,
    name: str,
    state: Shared,
    options: Annotated[SketchReconstructionOptions, Query()],
) -> Response:
    """Draw each drawing again from its latent vector alone."""
    with state.admission:
        most = state.settings.max_pictures
        sent = await read_files(
            request, with_body(options, SketchReconstructionQuery), {"sketches": most}, or_json=True
        )
        given = sent.options
        chosen = await choose(state, name, given, "reconstruct", modality="strokes")
        sketches = await read_all(
            state, chosen, given, "sketches", given.sketches, sent.files, most=most
        )

    def make(brush: "Brush") -> Result:
        from service.sketching import Sketcher, drawn_by

        made = Sketcher(brush.weights).reconstruct(sketches, **chance(brush))
        return drawn_by(brush, made, sent=sketches)

    return await draw(request, state, chosen, "sketch-reconstructions", given, make)


@router.post(
    "/models/{name}/sketches/interpolations",
    summary="Draw what lies between two sketches",
    openapi_extra=body("SketchInterpolationQuery", form="SketchInterpolationForm"),
    response_class=Response,
    responses=DRAWN,
)
async def interpolate_sketches(
    request: Request,
    name: str,
    state: Shared,
    options: Annotated[SketchInterpolationOptions, Query()],
) -> Response:
    """Draw the way from one drawing to another, along the arc between their vectors."""
    with state.admission:
        sent = await read_files(
            request, with_body(options, SketchInterpolationQuery), {"sketches": 2}, or_json=True
        )
        given = sent.options
        check_count(state, "steps", given.steps)
        chosen = await choose(state, name, given, "interpolate", modality="strokes")
        first, last = await read_all(
            state, chosen, given, "sketches", given.sketches, sent.files, least=2, most=2
        )

    def make(brush: "Brush") -> Result:
        from service.sketching import Sketcher, drawn_by

        made = Sketcher(brush.weights).interpolate(first, last, given.steps, **chance(brush))
        return drawn_by(brush, made, sent=[first, last], columns=given.steps)

    return await draw(request, state, chosen, "sketch-interpolations", given, make)


@router.post(
    "/models/{name}/sketches/arithmetic",
    summary="Draw a - b + c of sketches",
    openapi_extra=body("SketchArithmeticQuery", form="SketchArithmeticForm"),
    response_class=Response,
    responses=DRAWN,
)
async def add_sketches(
    request: Request, name: str, state: Shared, options: Annotated[SketchArithmeticOptions, Query()]
) -> Response:
    """Add and take away the vectors of drawings, and draw the sum: with two and one, a - b + c."""
    with state.admission:
        most = state.settings.max_pictures
        sent = await read_files(
            request,
            with_body(options, SketchArithmeticQuery),
            {"plus": most, "minus": most},
            or_json=True,
        )
        given = sent.options
        check_count(state, "n", given.n)
        chosen = await choose(state, name, given, "arithmetic", modality="strokes")
        plus, minus = [
            await read_all(state, chosen, given, field, named, sent.files, least=0, most=most)
            for field, named in (("plus", given.plus), ("minus", given.minus))
        ]
        if len(plus) != len(minus) + 1:
            raise InvalidRequestError(
                f"One more is added than taken away; found {len(plus)} 'plus' and {len(minus)} "
                "'minus'. For a - b + c, send a and c as 'plus' and b as 'minus'."
            )

    def make(brush: "Brush") -> Result:
        from service.sketching import Sketcher, drawn_by

        terms = [(1, points) for points in plus] + [(-1, points) for points in minus]
        made = Sketcher(brush.weights).combine(terms, given.n, **chance(brush))
        return drawn_by(brush, made, sent=[*plus, *minus])

    return await draw(request, state, chosen, "sketch-arithmetic", given, make)


def with_body(options: BaseModel, kind: type[Model]) -> Model:
    """Options of the query string as those of a body, which has drawings beside them."""
    return kind.model_validate(options.model_dump(exclude_unset=True))


def chance(brush: "Brush") -> dict[str, Any]:
    """What decides over draws."""
    return {"seed": brush.seed, "temperature": brush.temperature}


async def read_all(
    state: State,
    chosen: Chosen,
    options: SketchOptions,
    field: str,
    named: Sequence[SketchField],
    files: Any,
    *,
    least: int = 1,
    most: int,
) -> list[Points]:
    """The drawings of a field, those that were sent as files after the others: (N, 3) each."""
    sent = [*named, *files.get(field, ())]
    if not least <= len(sent) <= most:
        expected = str(least) if least == most else f"{least} to {most}"
        raise InvalidRequestError(
            f"{field}: {len(sent)} drawings were sent; expected {expected}. Send JSON with strokes "
            f"or SVG, or files, as `curl -F {field}=@drawing.svg` does.",
            extensions={
                "limit": most,
                "errors": [{"field": field, "message": f"expected {expected}"}],
            },
        )

    def read() -> list[Points]:
        expects = read_stroke_preprocessing(chosen.weights.folder)
        return [
            read_sent(one, expects, field=field, fit=options.fit, epsilon=options.simplify)
            for one in sent
        ]

    return await state.run(read)


async def draw(
    request: Request,
    state: State,
    chosen: Chosen,
    kind: str,
    options: SketchOptions,
    make: Any,
) -> Response:
    """Let it be drawn, and answer with that or with the job."""
    temperature = getattr(options, "temperature", 1.0)
    job = state.studio.submit(kind, *chosen, make, seed=options.seed, temperature=temperature)
    return await answer(request, state, job, options.format)
