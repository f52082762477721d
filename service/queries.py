"""Reading what to search for: a photo, an item, or several of both as examples for and against."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from fastapi import Request

from service.cropping import CropOptions, crop_of
from service.errors import InvalidRequestError
from service.forms import files_of, others_of
from service.schemas_search import ExamplesQuery, ItemQuery, SearchOptions, UrlQuery
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
EXAMPLES = 16  # of each kind
FIELDS = {IMAGE_FIELD: 1, POSITIVES: EXAMPLES, NEGATIVES: EXAMPLES}
Cropped = TypeVar("Cropped", bound=CropOptions)
Example = bytes | str  # the bytes of a photo's file, or the id of an item


@dataclass(frozen=True, slots=True)
class Examples:
    """What the items should look like, and what not.

    Attributes:
        positives: One or more.
        negatives: None or more.
        options: How to search.
    """

    positives: tuple[Example, ...]
    negatives: tuple[Example, ...]
    options: ExamplesQuery


Query = ImageQuery[SearchOptions] | ItemQuery | UrlQuery | Examples


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
        if not {POSITIVES, NEGATIVES} & set(form):
            data, given = read_fields(form)
            return ImageQuery(data, validate(SearchOptions, merge(options, given)))
        image, positives, negatives = (files_of(form, *field) for field in FIELDS.items())
        given = others_of(form, ExamplesQuery, FIELDS)
    asked = validate(ExamplesQuery, merge(options, given))
    return examples((*image, *positives, *asked.positives), (*negatives, *asked.negatives), asked)


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


def read_named(body: bytes, options: SearchOptions) -> ItemQuery | UrlQuery | Examples:
    """Read JSON, which names what to search with: an item, a photo's URL, or several examples."""
    named = members(body)
    if "url" in named:
        return validate(UrlQuery, merge(options, parse_json(UrlQuery, body)))
    if not {POSITIVES, NEGATIVES} & named:
        return validate(ItemQuery, merge(options, parse_json(ItemQuery, body)))
    asked = validate(ExamplesQuery, merge(options, parse_json(ExamplesQuery, body)))
    return examples(tuple(asked.positives), tuple(asked.negatives), asked)


def examples(
    positives: tuple[Example, ...], negatives: tuple[Example, ...], asked: ExamplesQuery
) -> Examples:
    """Examples that are neither too few nor too many."""
    for name, found, least in ((POSITIVES, positives, 1), (NEGATIVES, negatives, 0)):
        if not least <= len(found) <= EXAMPLES:
            raise InvalidRequestError(
                f"{name}: found {len(found)} photos and items together; expected {least} to "
                f"{EXAMPLES}. What is only unlike something looks like nothing in particular.",
                extensions={
                    "limit": EXAMPLES,
                    "errors": [{"field": name, "message": f"expected {least} to {EXAMPLES}"}],
                },
            )
    return Examples(positives, negatives, asked)


def members(body: bytes) -> set[str]:
    """The names in a JSON object; none if it is no such thing, of which others tell."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return set()
    return set(found) if isinstance(found, dict) else set()
