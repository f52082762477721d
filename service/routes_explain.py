"""``POST /v1/explain``, ``GET /v1/items/{id}/explain``: what a vector kept, drawn or as data."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from indexer.protocols import Item, Pixels
from service.cropping import CropOptions, crop_of
from service.errors import PhotoMissingError, UnsupportedFormatError, UnusableImageError
from service.explanation import Explanation, Neighbour, draw_explanation, encode, to_png
from service.links import EXPLAIN, asks_for
from service.negotiation import JSON, PNG, quality
from service.queries import read_photo_or_url
from service.routes_items import find, get_item, missing, read_photo
from service.routes_search import BINARY, IMAGE_BODIES, hits
from service.schemas import DrawnOptions, ExplainOptions, ExplainResponse, ExplainUrlQuery
from service.schemas_search import SearchOptions
from service.searcher import Answer, Match, Stopwatch
from service.state import Shared, State
from service.strict import StrictRoute

router = APIRouter(tags=["search"], route_class=StrictRoute)

EXPLAIN_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": {"$ref": "#/components/schemas/ExplainForm"}},
            "application/json": {"schema": {"$ref": "#/components/schemas/ExplainUrlQuery"}},
            **IMAGE_BODIES,
        },
    }
}
EXPLAINED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The photo, what its vector says, and the nearest items: one picture, "
        "or their data for `Accept: application/json`.",
        "content": {PNG: BINARY},
    }
}


@router.post(
    "/explain",
    summary="Show what the embedding kept of a photo",
    openapi_extra=EXPLAIN_BODY,
    response_model=ExplainResponse,
    responses=EXPLAINED,
)
async def explain(
    request: Request, state: Shared, options: Annotated[ExplainOptions, Query()]
) -> Response:
    """Draw again what the vector of a photo says, and show the items nearest to it.

    What all drawings share, the vector says; where they differ, it leaves that open. Send the photo
    as for a search, or JSON with its `url`, where the server's settings allow that. The answer is a
    picture unless the header `Accept` prefers JSON.
    """
    with state.admission, state.explainer.admission:
        query = await read_photo_or_url(request, options, ExplainUrlQuery, state.fetch)
        crop = crop_of(query.options)
        pixels = await state.run(lambda: state.searcher.decode(query.data, crop))
        answer = await nearest(state, query.data, query.options.nearest, query.options)
        return await explained(request, state, pixels, answer, query.options)


# Before the item's own route, which would take "/explain" for a part of the id.
@router.get(
    "/items/{item_id:path}/explain",
    summary="Show what the embedding kept of an item",
    response_model=ExplainResponse,
    responses=EXPLAINED,
)
async def explain_item(
    request: Request, item_id: str, state: Shared, options: Annotated[DrawnOptions, Query()]
) -> Response:
    """Draw again what the latent vector of an item's photo says, and show the items nearest to it.

    The item itself is none of these. The answer is a picture unless the header `Accept` prefers
    JSON.
    """
    if not asks_for(EXPLAIN, request):
        told = await get_item(request, f"{item_id}/{EXPLAIN}", state)
        return Response(told.model_dump_json(), media_type=JSON)
    with state.admission, state.explainer.admission:
        item = await find(state, item_id)
        pixels = await state.run(lambda: pixels_of(state, item))
        answer = None
        if options.nearest:
            wanted = SearchOptions(limit=min(options.nearest, state.settings.max_limit))
            answer = await state.search_item(item_id, wanted, Stopwatch())
        return await explained(request, state, pixels, answer, options)


def pixels_of(state: State, item: Item) -> Pixels:
    """An item's photo as the encoder takes it: (H, W, C) uint8.

    Raises:
        PhotoMissingError: It is gone, or damaged.
    """
    data = read_photo(item).data
    try:
        return state.searcher.decode(data)
    except (UnsupportedFormatError, UnusableImageError) as error:
        raise PhotoMissingError(missing(item, f"its photo is damaged: {error.detail}")) from error


async def explained(
    request: Request, state: State, pixels: Pixels, answer: Answer | None, options: DrawnOptions
) -> Response:
    """What the vector of a photo kept, beside the items that were found, as the client wants it."""
    explanation = await state.explainer.explain(pixels, draws=options.draws, seed=options.seed)
    if prefers_json(request.headers.get("accept", "")):
        told = await state.run(lambda: explain_response(request, explanation, answer))
        return Response(told.model_dump_json(), media_type=JSON)
    matches = answer.matches if answer else ()
    return Response(await state.run(lambda: sheet(explanation, matches)), media_type=PNG)


async def nearest(state: State, data: bytes, count: int, part: CropOptions) -> Answer | None:
    """The items nearest to a part of a photo, no more than a search may ask for; None for none."""
    limit = min(count, state.settings.max_limit)
    if limit == 0:
        return None
    options = SearchOptions(limit=limit, crop=part.crop, crop_unit=part.crop_unit)
    return await state.search_image(data, options, Stopwatch())


def sheet(explanation: Explanation, matches: Sequence[Match]) -> bytes:
    """One picture of it all, as a PNG."""
    neighbours = [Neighbour(match.item.id, match.score, match.item.uri) for match in matches]
    return to_png(draw_explanation(explanation, neighbours))


def explain_response(
    request: Request, explanation: Explanation, answer: Answer | None
) -> ExplainResponse:
    """An explanation as data."""
    outline = explanation.outline
    return ExplainResponse(
        rate=explanation.rate,
        photo=encode(explanation.photo),
        outline=None if outline is None else encode(outline),
        draws=[encode(draw) for draw in explanation.draws],
        items=hits(request, answer) if answer else [],
        generation=answer.generation if answer else None,
        fingerprint=explanation.fingerprint,
        seed=explanation.seed,
    )


def prefers_json(accept: str) -> bool:
    """Whether a header likes JSON better than a picture (RFC 9110, 12.5.1)."""
    return quality(accept, JSON) > quality(accept, PNG)
