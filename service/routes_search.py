"""``POST /v1/search`` and ``POST /v1/embed``."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from service.links import image_link
from service.queries import Examples, read_query
from service.schemas import EmbedResponse, Hit, SearchResponse, Timings
from service.schemas_search import ItemQuery, SearchOptions
from service.searcher import Answer, Stopwatch
from service.state import Shared
from service.uploads import read_image

router = APIRouter(tags=["search"])

BINARY = {"schema": {"type": "string", "format": "binary"}}
IMAGE_BODIES: dict[str, Any] = {
    "image/jpeg": BINARY,
    "image/png": BINARY,
    "image/webp": BINARY,
    "application/octet-stream": BINARY,
}
SEARCH_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": {"$ref": "#/components/schemas/SearchForm"}},
            "application/json": {
                "schema": {
                    "anyOf": [
                        {"$ref": "#/components/schemas/ItemQuery"},
                        {"$ref": "#/components/schemas/ExamplesQuery"},
                    ]
                }
            },
            **IMAGE_BODIES,
        },
    }
}
EMBED_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": {"$ref": "#/components/schemas/ImageForm"}},
            **IMAGE_BODIES,
        },
    }
}


@router.post("/search", summary="Find similar items", openapi_extra=SEARCH_BODY)
async def search(
    request: Request, state: Shared, options: Annotated[SearchOptions, Query()]
) -> SearchResponse:
    """Find the items that look most like a photo, or like an item of the catalogue.

    Send a photo (JPEG, PNG or WebP) as the file field `image` of a form, or as the bare body; or
    send JSON with an `item_id`. Options stand in the query string, the form or the JSON.

    This one, but like that: `positives` and `negatives`, item ids in JSON; in a form, files or ids,
    each field as often as needed. Searched is with twice the mean of the positives' vectors less
    the mean of the negatives'. None of the items named is answered.
    """
    watch = Stopwatch()
    with state.admission, watch.step("total"):
        with watch.step("receive"):
            query = await read_query(request, options)
        if isinstance(query, ItemQuery):
            answer = await state.search_item(query.item_id, query, watch)
        elif isinstance(query, Examples):
            answer = await state.search_examples(query, watch)
        else:
            answer = await state.search_image(query.data, query.options, watch)
    return search_response(request, answer, watch)


@router.post("/embed", summary="Embed an image", openapi_extra=EMBED_BODY)
async def embed(request: Request, state: Shared) -> EmbedResponse:
    """Answer the vector that a search with this photo would look for."""
    watch = Stopwatch()
    with state.admission, watch.step("total"):
        with watch.step("receive"):
            data = await read_image(request)
        vector = await state.embed(data, watch)
    return EmbedResponse(
        vector=vector.tolist(),
        dim=len(vector),
        fingerprint=state.searcher.embedder.fingerprint,
        timings_ms=timings(watch),
    )


def search_response(request: Request, answer: Answer, watch: Stopwatch) -> SearchResponse:
    """The answer as it goes over the wire."""
    return SearchResponse(
        items=hits(request, answer),
        total=answer.total,
        generation=answer.generation,
        timings_ms=timings(watch),
    )


def hits(request: Request, answer: Answer) -> list[Hit]:
    """The items found as they go over the wire."""
    return [
        Hit(
            id=match.item.id,
            score=match.score,
            collapsed=list(match.collapsed),
            sha256=match.item.sha256,
            attributes=dict(match.item.attributes),
            image=image_link(request, match.item.id),
        )
        for match in answer.matches
    ]


def timings(watch: Stopwatch) -> Timings:
    """Milliseconds by step, to the microsecond."""
    return Timings(**{step: round(value, 3) for step, value in watch.timings.items()})
