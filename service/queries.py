"""Reading what to search for: a photo, an item, or several of both as examples for and against."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from fastapi import Request

from models.images import Crop
from service.combining import Example, Photo
from service.cropping import CropOptions, crop_of, crops_of
from service.errors import InvalidRequestError
from service.forms import files_of, others_of
from service.schemas_search import EXAMPLES, ExamplesQuery, ItemQuery, SearchOptions, UrlQuery
from service.uploads import (
    BODIES,
    FORM,
    IMAGE_FIELD,
    JSON,
    ImageQuery,
    content_type,
    merge,
    parse_json,
    parsed_form,
    read_bare,
    read_fields,
    read_photo,
    validate,
)

POSITIVES, NEGATIVES = "positives", "negatives"
# Where those for and those against stand: files and ids, photos at URLs.
FOR, AGAINST = (POSITIVES, "positive_urls"), (NEGATIVES, "negative_urls")
# Members of JSON that say what to search with: those of one of these.
NAMED = (("item_id",), ("url",), (*FOR, *AGAINST))
FIELDS = {IMAGE_FIELD: 1, POSITIVES: EXAMPLES, NEGATIVES: EXAMPLES}
# Photos that a request fetches and has in memory at once; the others wait, and leave other requests
# some of the fetches that the server makes at once.
FETCHED_AT_ONCE = 4
Cropped = TypeVar("Cropped", bound=CropOptions)


@dataclass(frozen=True, slots=True)
class PhotoAt:
    """A photo that is to be fetched, and the part of it that counts; None is all of it."""

    url: str
    crop: Crop | None = None


@dataclass(frozen=True, slots=True)
class AskedExamples:
    """What the items should look like, and what not, as a request says it.

    Attributes:
        positives: One or more.
        negatives: None or more.
        options: How to search.
    """

    positives: tuple[Example | PhotoAt, ...]
    negatives: tuple[Example | PhotoAt, ...]
    options: ExamplesQuery


@dataclass(frozen=True, slots=True)
class Examples:
    """The same when all photos are at hand."""

    positives: tuple[Example, ...]
    negatives: tuple[Example, ...]
    options: ExamplesQuery


Query = ImageQuery[SearchOptions] | ItemQuery | UrlQuery | AskedExamples


async def read_query(request: Request, options: SearchOptions) -> Query:
    """Read what to search for.

    Args:
        request: Its body has not been read yet.
        options: Those of the query string.

    Raises:
        UnsupportedFormatError: A Content-Type that is none of the accepted ones.
        MalformedBodyError, InvalidRequestError, UnusableImageError: See ``service.errors``.
    """
    kind = content_type(request)
    if kind == JSON:
        return read_named(await request.body(), options)
    if kind != FORM:
        expected = f"{BODIES}, or {JSON} with an 'item_id', with a 'url' or with '{POSITIVES}'"
        return ImageQuery(await read_bare(request, expected), options)
    async with parsed_form(request, max_files=sum(FIELDS.values()) + 1) as form:
        if not {*FOR, *AGAINST} & set(form):
            data, given = read_fields(form)
            return ImageQuery(data, validate(SearchOptions, merge(options, given)))
        image, positives, negatives = (files_of(form, *field) for field in FIELDS.items())
        given = others_of(form, ExamplesQuery, FIELDS)
    asked = validate(ExamplesQuery, merge(options, given))
    return examples((*image, *positives), negatives, asked)


async def read_photo_or_url(
    request: Request,
    options: Cropped,
    named: type[Cropped],
    fetch: Callable[[str], Awaitable[bytes]],
) -> ImageQuery[Cropped]:
    """Read a photo, or fetch the one that JSON names by its URL.

    Args:
        request: Its body has not been read yet.
        options: Those of the query string.
        named: The same with a ``url``.
        fetch: Reads the photo at a URL; wrong options are told before.

    Raises:
        UnsupportedFormatError: A Content-Type that is none of the accepted ones.
        MalformedBodyError, InvalidRequestError, UnusableImageError: See ``service.errors``.
        UrlRefusedError, UrlFailedError, UploadTooLargeError: See ``service.fetching``.
    """
    if content_type(request) != JSON:
        return await read_photo(request, options, expected=f"{BODIES}, or {JSON} with a 'url'")
    asked = validate(named, merge(options, parse_json(named, await request.body())))
    crop_of(asked)
    url: str = asked.model_dump()["url"]
    return ImageQuery(await fetch(url), asked)


def read_named(body: bytes, options: SearchOptions) -> ItemQuery | UrlQuery | AskedExamples:
    """Read JSON, which names what to search with: an item, a photo's URL, or several examples.

    Raises:
        InvalidRequestError: It names nothing, or more than one of these; or see ``parse_json``.
    """
    named = members(body)
    found = [names for names in NAMED if set(names) & (named or set())]
    nothing = named is not None and named <= set(SearchOptions.model_fields)
    named = named or set()
    if len(found) > 1 or nothing:
        told = " and ".join(sorted(named & {name for names in found for name in names}))
        raise InvalidRequestError(
            f"There is {told or 'nothing'} to search with; expected one of 'item_id', 'url', or "
            f"'{POSITIVES}' with what goes with these.",
            extensions={"errors": [{"field": "item_id", "message": "expected one to search with"}]},
        )
    if "url" in named:
        return validate(UrlQuery, merge(options, parse_json(UrlQuery, body)))
    if not {*FOR, *AGAINST} & named:
        return validate(ItemQuery, merge(options, parse_json(ItemQuery, body)))
    asked = validate(ExamplesQuery, merge(options, parse_json(ExamplesQuery, body)))
    return examples((), (), asked)


def examples(
    positives: tuple[bytes, ...], negatives: tuple[bytes, ...], asked: ExamplesQuery
) -> AskedExamples:
    """Examples that are neither too few nor too many, each photo with the part that counts.

    Args:
        positives: The bytes of the files for.
        negatives: The bytes of the files against.
        asked: The items and URLs for and against, and how to search.

    Raises:
        InvalidRequestError: They are too few or too many, or the crops are not one for each photo.
    """
    liked: list[Photo | PhotoAt] = [*map(Photo, positives), *map(PhotoAt, asked.positive_urls)]
    disliked: list[Photo | PhotoAt] = [*map(Photo, negatives), *map(PhotoAt, asked.negative_urls)]
    for (name, urls), found, least in (
        (FOR, len(liked) + len(asked.positives), 1),
        (AGAINST, len(disliked) + len(asked.negatives), 0),
    ):
        if not least <= found <= EXAMPLES:
            raise InvalidRequestError(
                f"{name}: found {found} photos and items together, those of {urls} included; "
                f"expected {least} to {EXAMPLES}. What is only unlike something looks like nothing "
                "in particular.",
                extensions={
                    "limit": EXAMPLES,
                    "errors": [{"field": name, "message": f"expected {least} to {EXAMPLES}"}],
                },
            )
    crops = iter(crops_of(asked, len(liked) + len(disliked)))
    return AskedExamples(
        (*(replace(photo, crop=next(crops)) for photo in liked), *asked.positives),
        (*(replace(photo, crop=next(crops)) for photo in disliked), *asked.negatives),
        asked,
    )


async def fetched(asked: AskedExamples, fetch: Callable[[str], Awaitable[bytes]]) -> Examples:
    """The same with photos in place of their URLs; ``fetch`` reads the one at a URL.

    Raises:
        UrlRefusedError, UrlFailedError, UploadTooLargeError: See ``service.fetching``; of several
            the first.
    """
    few = asyncio.Semaphore(FETCHED_AT_ONCE)

    async def one(example: Example | PhotoAt) -> Example:
        if not isinstance(example, PhotoAt):
            return example
        async with few:
            return Photo(await fetch(example.url), example.crop)

    every = (*asked.positives, *asked.negatives)
    found: list[Example] = []
    for done in await asyncio.gather(*map(one, every), return_exceptions=True):
        if isinstance(done, BaseException):
            raise done
        found.append(done)
    liked = len(asked.positives)
    return Examples(tuple(found[:liked]), tuple(found[liked:]), asked.options)


def members(body: bytes) -> set[str] | None:
    """The names in a JSON object; None if it is no such thing, of which others tell."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return set(found) if isinstance(found, dict) else None
