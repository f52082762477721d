"""``POST /v1/models/{name}/...``: what is asked of a model. Slow calls are answered with a job."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, NoReturn, TypedDict

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from indexer.protocols import Pixels
from service.errors import InvalidRequestError
from service.forms import read_files, read_options
from service.job import Result
from service.known import Known, known_by_mask, known_rows
from service.rendering import pixels_as_svg
from service.routes_jobs import answer
from service.routes_search import BINARY, IMAGE_BODIES
from service.schemas_jobs import JobResponse
from service.schemas_models import (
    ArithmeticOptions,
    CompletionOptions,
    DrawingResponse,
    DrawOptions,
    FrameOptions,
    InterpolationOptions,
    LikelihoodOptions,
    LikelihoodsResponse,
    ModelOptions,
    ReconstructionOptions,
    SampleOptions,
)
from service.sheets import Drawing
from service.state import Shared, State
from service.strict import StrictRoute

if TYPE_CHECKING:  # they import torch
    from service.brush import Brush
    from service.model_cards import ModelCard, WeightsCard

router = APIRouter(tags=["models"], route_class=StrictRoute)

DRAWN: dict[int | str, dict[str, Any]] = {
    200: {
        "model": DrawingResponse,
        "description": "One picture of all, a PNG each in an archive, or data: see `format`.",
        "content": {"image/png": BINARY, "application/zip": BINARY},
    },
    202: {"model": JobResponse, "description": "It takes longer; the job says when it is ready."},
}


def body(schema: str | None = None, *, form: str | None = None) -> dict[str, Any]:
    """The description of a request body: JSON, or a form with files and what a file may be."""
    ref = "#/components/schemas/{}"
    content: dict[str, Any] = {}
    if form is not None:
        content["multipart/form-data"] = {"schema": {"$ref": ref.format(form)}}
    if schema is not None:
        content["application/json"] = {"schema": {"$ref": ref.format(schema)}}
    else:
        content |= IMAGE_BODIES
    return {"requestBody": {"required": form is not None, "content": content}}


class Chance(TypedDict):
    """What decides over draws."""

    seed: int
    temperature: float
    mean: bool
    label: int | None


Options = ModelOptions | LikelihoodOptions


class Chosen(NamedTuple):
    """A model and the weights of it that are meant."""

    card: "ModelCard"
    weights: "WeightsCard"


async def choose(
    state: State, name: str, options: Options, *wanted: str, modality: str | None = "pixels"
) -> Chosen:
    """The model and weights of a request; refuses a model that cannot do what is wanted."""
    usual = {"temperature": 1.0, "label": None}  # what asks for nothing
    needed = (*wanted, *(n for n, value in usual.items() if getattr(options, n, value) != value))

    def find() -> Chosen:
        card = state.studio.card(name)
        state.studio.require(card, *needed, modality=modality)
        if card.modality == "pixels" and getattr(options, "format", None) == "svg":
            raise pixels_as_svg()
        return Chosen(card, state.studio.choose(card, options.weights))

    return await state.run(find)


def check_count(state: State, field: str, count: int) -> None:
    """Refuse more pictures than the settings allow."""
    most = state.settings.max_pictures
    if count > most:
        raise InvalidRequestError(
            f"{field}: {count} pictures were asked for; at most {most} are drawn at once.",
            extensions={
                "limit": most,
                "errors": [{"field": field, "message": f"expected 1 to {most}"}],
            },
        )


def check_size(state: State, size: int | None) -> None:
    """Refuse larger pictures than the settings allow."""
    most = state.settings.max_side
    if size is not None and size > most:
        raise InvalidRequestError(
            f"size: pictures of {size} pixels a side were asked for; at most {most} are drawn.",
            extensions={
                "limit": most,
                "errors": [{"field": "size", "message": f"expected 1 to {most}"}],
            },
        )


@router.post(
    "/models/{name}/samples",
    summary="Draw new pictures",
    openapi_extra=body("SampleOptions"),
    response_class=Response,
    responses=DRAWN,
)
async def samples(
    request: Request, name: str, state: Shared, options: Annotated[SampleOptions, Query()]
) -> Response:
    """Draw what nobody has seen: pictures, or, by a model of strokes, drawings of a pen.

    Options stand in the query string or in a JSON body.
    """
    with state.admission:
        given = await read_options(request, options)
        check_count(state, "n", given.n)
        check_size(state, given.size)
        chosen = await choose(state, name, given, "sample", modality=None)
        if given.size is not None and given.size != chosen.weights.draws:
            state.studio.require(chosen.card, "size")

    def make(brush: "Brush") -> Result:
        if chosen.card.modality == "strokes":
            from service.sketching import sketch_samples

            return sketch_samples(brush, given.n)
        from service.drawing import draw_samples

        return draw_samples(brush, given.n, given.size)

    job = state.studio.submit("samples", *chosen, make, **chance(given))
    return await answer(request, state, job, given.format)


@router.post(
    "/models/{name}/frames",
    summary="Show how pictures come about",
    openapi_extra=body("FrameOptions", form="FrameForm"),
    response_class=Response,
    responses=DRAWN,
)
async def frames(
    request: Request, name: str, state: Shared, options: Annotated[FrameOptions, Query()]
) -> Response:
    """Show step by step how a model paints `n` new pictures, or photos again: a row for each."""
    with state.admission:
        sent = await read_files(
            request, options, {"image": state.settings.max_pictures}, or_json=True
        )
        given = sent.options
        check_count(state, "n", given.n)
        chosen = await choose(state, name, given, "frames")
        photos = await read_photos(state, chosen, sent.files.get("image", ()), least=0)

    def make(brush: "Brush") -> Drawing:
        from service.drawing import draw_frames

        return draw_frames(brush, photos, given.n, given.frames)

    job = state.studio.submit("frames", *chosen, make, **chance(given))
    return await answer(request, state, job, given.format)


@router.post(
    "/models/{name}/completions",
    summary="Draw the rest of a photo",
    openapi_extra=body(form="CompletionForm"),
    response_class=Response,
    responses=DRAWN,
)
async def completions(
    request: Request, name: str, state: Shared, options: Annotated[CompletionOptions, Query()]
) -> Response:
    """Draw what is not known of a photo, given what is: the first rows, or where a mask is white.

    Models that draw row by row, left to right, take what comes after all that is known only.
    """
    with state.admission:
        sent = await read_files(request, options, {"image": 1, "mask": 1})
        given = sent.options
        check_count(state, "n", given.n)
        (photo,) = sent.files.get("image") or (missing("image"),)
        masks = sent.files.get("mask", ())
        if (given.rows is None) == (not masks):
            raise InvalidRequestError(
                "What is known is said by 'rows' or by a file 'mask', by one of the two; found "
                f"{'both' if masks else 'neither'}."
            )
        chosen = await choose(state, name, given, "complete")

        def read() -> tuple[Pixels, Known]:
            pixels = read_photo(state, chosen, photo)
            if given.rows is not None:
                return pixels, known_rows(given.rows, pixels.shape[0])
            return pixels, known_by_mask(state.studio.read_mask(chosen.weights, masks[0], photo))

        pixels, known = await state.run(read)

    def make(brush: "Brush") -> Drawing:
        from service.drawing import draw_completions

        return draw_completions(brush, pixels, known, given.n)

    job = state.studio.submit("completions", *chosen, make, **chance(given))
    return await answer(request, state, job, given.format)


@router.post(
    "/models/{name}/reconstructions",
    summary="Draw photos again",
    openapi_extra=body(form="ReconstructionForm"),
    response_class=Response,
    responses=DRAWN,
)
async def reconstructions(
    request: Request, name: str, state: Shared, options: Annotated[ReconstructionOptions, Query()]
) -> Response:
    """Draw each photo again from its latent vector alone; on the sheet, below the photo."""
    with state.admission:
        sent = await read_files(request, options, {"image": state.settings.max_pictures})
        given = sent.options
        chosen = await choose(state, name, given, "reconstruct")
        photos = await read_photos(state, chosen, sent.files.get("image", ()))

    def make(brush: "Brush") -> Drawing:
        from service.drawing import draw_reconstructions

        return draw_reconstructions(brush, photos)

    job = state.studio.submit("reconstructions", *chosen, make, **chance(given))
    return await answer(request, state, job, given.format)


@router.post(
    "/models/{name}/interpolations",
    summary="Draw what lies between two photos",
    openapi_extra=body("InterpolationOptions", form="InterpolationForm"),
    response_class=Response,
    responses=DRAWN,
)
async def interpolations(
    request: Request, name: str, state: Shared, options: Annotated[InterpolationOptions, Query()]
) -> Response:
    """Draw what lies between two photos, sent as two files `image`, or between two seeds.

    The way is an arc where the model's prior is normal. All steps are drawn with the same chance.
    """
    with state.admission:
        sent = await read_files(request, options, {"image": 2}, or_json=True)
        given = sent.options
        check_count(state, "steps", given.steps)
        chosen = await choose(state, name, given, "interpolate")
        images = sent.files.get("image", ())
        if (len(images), given.seeds is None) not in ((2, True), (0, False)):
            raise InvalidRequestError(
                "A way has two ends: send two files 'image', or two 'seeds'; found "
                f"{len(images)} files and {len(given.seeds or ())} seeds."
            )
        ends = given.seeds or await read_photos(state, chosen, images)

    def make(brush: "Brush") -> Drawing:
        from service.drawing import draw_interpolation

        return draw_interpolation(brush, ends, given.steps)

    job = state.studio.submit("interpolations", *chosen, make, **chance(given))
    return await answer(request, state, job, given.format)


@router.post(
    "/models/{name}/arithmetic",
    summary="Draw a - b + c",
    openapi_extra=body("ArithmeticOptions", form="ArithmeticForm"),
    response_class=Response,
    responses=DRAWN,
)
async def arithmetic(
    request: Request, name: str, state: Shared, options: Annotated[ArithmeticOptions, Query()]
) -> Response:
    """Add and take away latent vectors, and draw the sum.

    Files or seeds `plus` and `minus`: with two and one it is a - b + c. One more is added than
    taken away, as the sum is a place among pictures only then.
    """
    with state.admission:
        most = state.settings.max_pictures
        sent = await read_files(request, options, {"plus": most, "minus": most}, or_json=True)
        given = sent.options
        check_count(state, "n", given.n)
        chosen = await choose(state, name, given, "arithmetic")
        added = await read_photos(state, chosen, sent.files.get("plus", ()), least=0)
        taken = await read_photos(state, chosen, sent.files.get("minus", ()), least=0)
        plus: list[Pixels | int] = [*given.plus, *added]
        minus: list[Pixels | int] = [*given.minus, *taken]
        if len(plus) != len(minus) + 1 or len(plus) > most:
            raise InvalidRequestError(
                f"One more is added than taken away, and at most {most} are added; found "
                f"{len(plus)} 'plus' and {len(minus)} 'minus'. For a - b + c, send a and c as "
                "'plus' and b as 'minus'.",
                extensions={"limit": most},
            )

    def make(brush: "Brush") -> Drawing:
        from service.drawing import draw_arithmetic

        return draw_arithmetic(brush, plus, minus, given.n)

    job = state.studio.submit("arithmetic", *chosen, make, **chance(given))
    return await answer(request, state, job, given.format)


@router.post(
    "/models/{name}/likelihoods",
    summary="How probable are photos?",
    openapi_extra=body(form="LikelihoodForm"),
    response_class=Response,
    responses={200: {"model": LikelihoodsResponse}, 202: DRAWN[202]},
)
async def likelihoods(
    request: Request, name: str, state: Shared, options: Annotated[LikelihoodOptions, Query()]
) -> Response:
    """Score photos in bits for each value, and say whether they belong to the catalogue.

    That is judged against photos that `niteru evaluate nll --record` has measured, and by the bits
    beyond those of PNG, because a simple picture is probable to every model.
    """
    with state.admission:
        sent = await read_files(request, options, {"image": state.settings.max_pictures})
        given = sent.options
        chosen = await choose(state, name, given, "likelihood")
        photos = await read_photos(state, chosen, sent.files.get("image", ()))

    def make(brush: "Brush") -> Result:
        from service.likelihoods import score_photos

        return score_photos(brush, photos, given.samples)

    job = state.studio.submit("likelihoods", *chosen, make, seed=given.seed)
    return await answer(request, state, job, None)


def chance(options: ReconstructionOptions | DrawOptions) -> Chance:
    """What decides over draws."""
    mean = options.mean if isinstance(options, ReconstructionOptions) else False
    label = getattr(options, "label", None)
    return {"seed": options.seed, "temperature": options.temperature, "mean": mean, "label": label}


async def read_photos(
    state: State, chosen: Chosen, files: Sequence[bytes], *, least: int = 1
) -> list[Pixels]:
    """Photos (H, W, C) uint8 as the model sees them."""
    if len(files) < least:
        missing("image")
    return await state.run(lambda: [read_photo(state, chosen, data) for data in files])


def read_photo(state: State, chosen: Chosen, data: bytes) -> Pixels:
    """A photo (H, W, C) uint8 as the model sees it."""
    return state.studio.read(chosen.weights, data)


def missing(field: str) -> NoReturn:
    """Refuse a form without the file that it is about."""
    raise InvalidRequestError(
        f"The form has no file '{field}'. Send one, as `curl -F {field}=@photo.jpg` does.",
        extensions={"errors": [{"field": field, "message": "expected a file"}]},
    )
