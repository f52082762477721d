"""How to search, once or many times: options of a query string, a form or a JSON body."""

import json
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from indexer.errors import QueryError
from indexer.filters import Filter, parse_filter
from service.cropping import CropOptions, CropsOptions
from service.schemas import (
    GENERATION_ID,
    HIT_EXAMPLE,
    ITEM_EXAMPLE,
    TIMINGS_EXAMPLE,
    URL_EXAMPLE,
    Hit,
    ItemId,
    PhotoUrl,
    Timings,
)
from service.selection import MOST

MANY = 64  # searches in one request
EXAMPLES = 16  # for, and as many against
FURTHEST = MOST - 1000  # offset: a page has at most as many items as the settings allow

FILTER_EXAMPLE = (
    '{"must": [{"key": "category", "match": "shoes"}, {"key": "price", "range": {"lt": 50}}]}'
)


def as_text(given: object) -> object:
    """A filter that came as an object, as the text that a query string would hold."""
    return json.dumps(given) if isinstance(given, dict) else given


def readable_filter(text: str) -> str:
    """The text itself, if it is a filter.

    Raises:
        ValueError: It is none; says what was expected.
    """
    try:
        parse_filter(text)
    except QueryError as error:
        raise ValueError(str(error)) from error
    return text


class Wanted(BaseModel):
    """What to answer, whatever is searched with. Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid")

    limit: Annotated[int, Field(ge=1, description="How many items to answer.")] | None = None
    offset: Annotated[
        int,
        Field(ge=0, le=MOST - 1000, description="Leave out so many of the best: the next page."),
    ] = 0
    score_threshold: (
        Annotated[float, Field(ge=-1, le=1, description="Only items of at least this score.")]
        | None
    ) = None
    group_by: (
        Annotated[
            str,
            Field(
                min_length=1,
                max_length=256,
                description="An attribute: of each of its values at most `group_size` items are "
                "answered. An item without it is a group of its own; an attribute that no item has "
                "is refused.",
            ),
        ]
        | None
    ) = None
    group_size: Annotated[int, Field(ge=1, le=100, description="Items of one group.")] = 1
    collapse: (
        Annotated[
            float,
            Field(
                gt=0,
                le=1,
                description="Fold items whose vector has at least this cosine with that of a "
                "better answer into it, as its `collapsed`: .98 for near-copies.",
            ),
        ]
        | None
    ) = None
    exclude: Annotated[
        list[ItemId],
        Field(max_length=1000, description="Ids that are not to be answered; may be repeated."),
    ] = []
    exact: Annotated[
        bool, Field(description="Compare with every item: slower, and misses none.")
    ] = False
    filter: (
        Annotated[
            str,
            BeforeValidator(as_text),
            AfterValidator(readable_filter),
            Field(
                description="Conditions on the items' attributes, as JSON: `must`, `should` and "
                '`must_not`, each a list of `{"key": NAME}` with one of `match`, `any`, `range` '
                "(`gt`, `gte`, `lt`, `lte`), `exists` and `prefix`, or of such trees. In a JSON "
                "body the object itself may stand here. `total` counts what passes.",
                examples=[FILTER_EXAMPLE],
            ),
        ]
        | None
    ) = None

    @property
    def where(self) -> Filter | None:
        """The conditions as a tree."""
        return None if self.filter is None else parse_filter(self.filter)


class SearchOptions(Wanted, CropOptions):
    """How to search; in the query, the form or the JSON body. Unknown keys are errors."""


class ItemQuery(SearchOptions):
    """Search by an item that is in the index; the item itself is left out of the answer."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"item_id": ITEM_EXAMPLE["id"], "limit": 5}]},
    )

    item_id: ItemId


class UrlQuery(SearchOptions):
    """Search by a photo that the server fetches, where its settings allow that."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"url": URL_EXAMPLE, "limit": 5}]},
    )

    url: PhotoUrl


class ExamplesQuery(Wanted, CropsOptions):
    """Search by what the items should look like, and what not; none of these is answered."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "positives": [ITEM_EXAMPLE["id"], "shoes/boot-3"],
                    "negatives": ["shoes/canvas-high-2"],
                    "limit": 5,
                }
            ]
        },
    )

    positives: Annotated[list[ItemId], Field(description="Like these: ids; may be repeated.")] = []
    negatives: Annotated[list[ItemId], Field(description="But not like these: ids.")] = []
    positive_urls: Annotated[
        list[PhotoUrl],
        Field(
            max_length=EXAMPLES,
            description="Like the photos at these URLs, which the server fetches, where its "
            "settings allow that; may be repeated.",
        ),
    ] = []
    negative_urls: Annotated[
        list[PhotoUrl],
        Field(max_length=EXAMPLES, description="But not like the photos at these URLs."),
    ] = []


class BatchSearchOptions(SearchOptions):
    """Many searches with the same options."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"item_ids": [ITEM_EXAMPLE["id"], "shoes/boot-3"]}]},
    )

    item_ids: Annotated[
        list[ItemId],
        Field(max_length=MANY, description="Search by these items too; may be repeated."),
    ] = []
    urls: Annotated[
        list[PhotoUrl],
        Field(
            max_length=MANY,
            description="Search by the photos at these URLs too, which the server fetches, where "
            "its settings allow that; may be repeated.",
        ),
    ] = []


ANSWER_EXAMPLE: dict[str, Any] = {
    "query": "0",
    "status": 200,
    "detail": None,
    "items": [HIT_EXAMPLE],
    "total": 3553,
    "generation": GENERATION_ID,
}
REFUSED_EXAMPLE: dict[str, Any] = {
    "query": "1",
    "status": 422,
    "detail": "The JPEG is damaged or cut off: image file is truncated. Send it again.",
    "items": [],
    "total": None,
    "generation": None,
}


class BatchAnswer(BaseModel):
    """What one search of a batch found, or what is wrong with it."""

    model_config = ConfigDict(json_schema_extra={"examples": [ANSWER_EXAMPLE]})

    query: Annotated[
        str,
        Field(
            description="The photo's place among those sent, from 0; or its URL; or the item's id."
        ),
    ]
    status: Annotated[int, Field(description="200, or what a single search would have answered.")]
    detail: Annotated[str | None, Field(description="What is wrong, if something is.")] = None
    items: Annotated[list[Hit], Field(description="As of a single search.")] = []
    total: Annotated[int | None, Field(description="As of a single search.")] = None
    generation: Annotated[str | None, Field(description="As of a single search.")] = None


class BatchSearchResponse(BaseModel):
    """The answers: photos, those at URLs, items; each kind in the order of the request."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "answers": [ANSWER_EXAMPLE, REFUSED_EXAMPLE],
                    "timings_ms": TIMINGS_EXAMPLE,
                }
            ]
        }
    )

    answers: list[BatchAnswer]
    timings_ms: Timings
