"""``POST /v1/search``, ``POST /v1/search/batch`` and ``POST /v1/embed``."""

import asyncio
from collections.abc import Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi import Query as InQuery
from fastapi.responses import Response
from pydantic_core import to_json

from service.cropping import CropOptions, crop_of, refuse_crop
from service.direct import MEDIA_TYPE, DirectRoute
from service.errors import (
    InvalidRequestError,
    OverloadedError,
    UnknownItemError,
    UnsupportedFormatError,
    UnusableImageError,
    UploadTooLargeError,
    UrlFailedError,
    UrlRefusedError,
)
from service.forms import read_files
from service.links import image_below
from service.queries import (
    FETCHED_AT_ONCE,
    AskedExamples,
    Examples,
    Query,
    fetched,
    read_photo_or_url,
    read_query,
)
from service.routes_items import describe
from service.schemas import EmbedResponse, EmbedUrlQuery, Hit, SearchResponse, Timings
from service.schemas_search import (
    MANY,
    BatchAnswer,
    BatchSearchOptions,
    BatchSearchResponse,
    ItemQuery,
    SearchOptions,
    UrlQuery,
)
from service.searcher import Answer, Stopwatch
from service.state import Shared, State
from service.uploads import IMAGE_FIELD, ImageQuery, not_empty

router = APIRouter(tags=["search"], route_class=DirectRoute)

# What may be wrong with one search of many; the others are answered all the same.
REFUSALS = (
    UnknownItemError,
    UnsupportedFormatError,
    UnusableImageError,
    InvalidRequestError,
    UrlRefusedError,
    UrlFailedError,
    UploadTooLargeError,
    OverloadedError,
)

STEPS = tuple(Timings.model_fields)
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
                        {"$ref": "#/components/schemas/UrlQuery"},
                        {"$ref": "#/components/schemas/ExamplesQuery"},
                    ]
                }
            },
            **IMAGE_BODIES,
        },
    }
}
BATCH_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": {"$ref": "#/components/schemas/BatchSearchForm"}},
            "application/json": {"schema": {"$ref": "#/components/schemas/BatchSearchOptions"}},
        },
    }
}
EMBED_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": {"$ref": "#/components/schemas/ImageForm"}},
            "application/json": {"schema": {"$ref": "#/components/schemas/EmbedUrlQuery"}},
            **IMAGE_BODIES,
        },
    }
}


@router.post(
    "/search",
    summary="Find similar items",
    response_model=SearchResponse,
    openapi_extra=SEARCH_BODY,
)
async def search(
    request: Request, state: Shared, options: Annotated[SearchOptions, InQuery()]
) -> Response:
    """Find the items that look most like a photo, or like an item of the catalogue.

    Send a photo (JPEG, PNG or WebP) as the file field `image` of a form, or as the bare body; or
    send JSON with an `item_id`, or with the `url` of a photo where the server's settings allow
    that. Options stand in the query string, the form or the JSON. With `crop` only a part of the
    photo counts.

    This one, but like that: `positives` and `negatives`, item ids in JSON; in a form, files or ids,
    each field as often as needed; and photos at `positive_urls` and `negative_urls`. Searched is
    with twice the mean of the positives' vectors less the mean of the negatives'. None of the items
    named is answered. Of several photos each has a `crop` of its own, in a form the repeated field.
    """
    watch = Stopwatch()
    with state.admission, watch.step("total"):
        with watch.step("receive"):
            query = await with_photos(state, await read_query(request, options))
        if isinstance(query, ItemQuery):
            answer = await state.search_item(query.item_id, query, watch)
        elif isinstance(query, Examples):
            answer = await state.search_examples(query, watch)
        else:
            answer = await state.search_image(query.data, query.options, watch)
    state.metrics.note_steps(watch.timings)
    return search_response(request, answer, watch)


async def with_photos(
    state: State, query: Query
) -> ImageQuery[SearchOptions] | ItemQuery | Examples:
    """A query with the photos that it names by URLs; what is wrong is told before any is fetched.

    Raises:
        UrlRefusedError, UrlFailedError, UploadTooLargeError: See ``service.fetching``.
    """
    if isinstance(query, UrlQuery):
        state.selection(query)
        crop_of(query)
        return ImageQuery(await state.fetch(query.url), query)
    if isinstance(query, AskedExamples):
        state.selection(query.options)
        return await fetched(query, state.fetch)
    return query


@router.post("/search/batch", summary="Many searches at once", openapi_extra=BATCH_BODY)
async def search_batch(
    request: Request, state: Shared, options: Annotated[BatchSearchOptions, InQuery()]
) -> BatchSearchResponse:
    """Search by several photos, items, or both: a bad one fails no other.

    Photos are files `image` of a form, or stand at `urls`, where the server's settings allow that;
    items are `item_ids`; both of these in the form, the query or JSON. The other options hold for
    all of them; a `crop` is that of each photo, and goes with no items.
    """
    watch = Stopwatch()
    with state.admission, watch.step("total"):
        with watch.step("receive"):
            asked = await read_files(
                request, options, {IMAGE_FIELD: MANY}, or_json=True, allow_empty=True
            )
        photos = asked.files.get(IMAGE_FIELD, ())
        names, urls = asked.options.item_ids, asked.options.urls
        check_batch(state, len(photos), asked.options)
        few = asyncio.Semaphore(FETCHED_AT_ONCE)

        async def at_url(url: str) -> Answer:
            async with few:
                data = await state.fetch(url)
                return await state.search_image(data, asked.options, watch, alone=False)

        async def one(name: str, found: Coroutine[Any, Any, Answer]) -> BatchAnswer:
            try:
                answer = await found
            except REFUSALS as error:
                return BatchAnswer(query=name, status=error.status, detail=error.detail)
            return BatchAnswer(
                query=name,
                status=200,
                items=hits(request, answer),
                total=answer.total,
                generation=answer.generation,
            )

        async def of_photo(data: bytes) -> Answer:
            return await state.search_image(not_empty(data), asked.options, watch, alone=False)

        by_photo = (one(str(number), of_photo(data)) for number, data in enumerate(photos))
        by_url = (one(url, at_url(url)) for url in urls)
        by_item = (one(name, state.search_item(name, asked.options, watch)) for name in names)
        answers = await asyncio.gather(*by_photo, *by_url, *by_item)
    state.metrics.note_steps(watch.timings)
    return BatchSearchResponse(answers=list(answers), timings_ms=timings(watch))


def check_batch(state: State, photos: int, options: BatchSearchOptions) -> None:
    """Refuse a batch whose size or options are wrong, which is wrong for all of it."""
    urls, names = len(options.urls), len(options.item_ids)
    if not 1 <= photos + urls + names <= MANY:
        raise InvalidRequestError(
            f"There are {photos} photos, {urls} URLs and {names} items to search with; expected "
            f"1 to {MANY} together, as files '{IMAGE_FIELD}', 'urls' and 'item_ids'.",
            extensions={"errors": [{"field": IMAGE_FIELD, "message": f"expected 1 to {MANY}"}]},
        )
    state.selection(options)
    crop_of(options)
    if names:
        refuse_crop(options, "Items are searched with as they were indexed, whole.")
    if urls:
        state.fetches()


@router.post("/embed", summary="Embed an image", openapi_extra=EMBED_BODY)
async def embed(
    request: Request, state: Shared, options: Annotated[CropOptions, InQuery()]
) -> EmbedResponse:
    """Answer the vector that a search with this photo, or with a part of it, would look for.

    Send the photo as for a search, or JSON with its `url`, where the server's settings allow that.
    """
    watch = Stopwatch()
    with state.admission, watch.step("total"):
        with watch.step("receive"):
            query = await read_photo_or_url(request, options, EmbedUrlQuery, state.fetch)
        vector = await state.embed(query.data, watch, crop_of(query.options))
    state.metrics.note_steps(watch.timings)
    return EmbedResponse(
        vector=vector.tolist(),
        dim=len(vector),
        fingerprint=state.searcher.embedder.fingerprint,
        timings_ms=timings(watch),
    )


def search_response(request: Request, answer: Answer, watch: Stopwatch) -> Response:
    """The answer as it goes over the wire: a ``SearchResponse``, written without being built."""
    prefix = request.scope.get("root_path", "")
    told = {
        "items": [
            {
                "id": match.item.id,
                "sha256": match.item.sha256,
                "attributes": match.item.attributes,
                "image": image_below(prefix, match.item.id),
                "score": match.score,
                "collapsed": match.collapsed,
            }
            for match in answer.matches
        ],
        "total": answer.total,
        "generation": answer.generation,
        "timings_ms": {step: round(watch.timings.get(step, 0.0), 3) for step in STEPS},
    }
    return Response(to_json(told, inf_nan_mode="null"), media_type=MEDIA_TYPE)


def hits(request: Request, answer: Answer) -> list[Hit]:
    """The items found as they go over the wire."""
    return [
        Hit(
            **describe(request, match.item).model_dump(),
            score=match.score,
            collapsed=list(match.collapsed),
        )
        for match in answer.matches
    ]


def timings(watch: Stopwatch) -> Timings:
    """Milliseconds by step, to the microsecond."""
    return Timings(**{step: round(value, 3) for step, value in watch.timings.items()})
