"""Putting, changing and taking away items."""

import json
import math
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
)

from service.schemas import ITEM_EXAMPLE, Attributes, ItemId
from service.schemas_search import as_text

MOST_ATTRIBUTES = 100
LONGEST = 4096  # characters of a name or of a text
BATCH = 64  # items with a photo in one request
DELETED = 1000  # ids in one request
ATTRIBUTES_EXAMPLE = '{"category": "shoes", "price": 39.9}'
_ATTRIBUTES: TypeAdapter[Attributes] = TypeAdapter(Attributes)


def parse_attributes(text: str) -> Attributes:
    """What a shop says of an item, from JSON.

    Raises:
        ValueError: No object of texts, numbers, booleans and nulls; or too much of it.
    """
    try:
        found = _ATTRIBUTES.validate_python(json.loads(text), strict=True)
        json.dumps(found, ensure_ascii=False).encode()  # half of a surrogate pair is no text
    except (ValueError, RecursionError, ValidationError) as error:
        raise ValueError(
            "expected a JSON object whose values are texts, numbers, true, false or null, as "
            f"{ATTRIBUTES_EXAMPLE}"
        ) from error
    if any(isinstance(value, float) and not math.isfinite(value) for value in found.values()):
        raise ValueError("a number is not finite")
    if any(isinstance(value, int) and abs(value) >= 2**63 for value in found.values()):
        raise ValueError("a whole number has more than 63 bits")
    if len(found) > MOST_ATTRIBUTES:
        raise ValueError(f"{len(found)} attributes; at most {MOST_ATTRIBUTES} are kept of an item")
    texts = [*found, *(value for value in found.values() if isinstance(value, str))]
    if any(len(text) > LONGEST for text in texts):
        raise ValueError(f"a name or a text has more than {LONGEST:,} characters")
    return found


def readable_attributes(text: str) -> str:
    """The text itself, if it holds attributes."""
    parse_attributes(text)
    return text


AttributesText = Annotated[
    str,
    BeforeValidator(as_text),
    AfterValidator(readable_attributes),
    Field(
        description="What the shop says of the item: a JSON object of texts, numbers, booleans and "
        "nulls. In a JSON body the object itself may stand here.",
        examples=[ATTRIBUTES_EXAMPLE],
    ),
]


class ItemOptions(BaseModel):
    """What is said of an item; in the query, the form or the JSON. Unknown keys are errors."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"attributes": ATTRIBUTES_EXAMPLE}]}
    )

    attributes: AttributesText = "{}"

    @property
    def told(self) -> Attributes:
        """The attributes as data."""
        return parse_attributes(self.attributes)


class BatchItem(ItemOptions):
    """An item of a batch."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"id": ITEM_EXAMPLE["id"], "attributes": ATTRIBUTES_EXAMPLE, "image": "photo-1"}
            ]
        },
    )

    id: ItemId
    image: Annotated[
        str | None,
        Field(
            max_length=256,
            description="The form's file field with its photo; without one the item keeps its "
            "photo and only its attributes are replaced.",
        ),
    ] = None


class SentBatch(BaseModel):
    """A batch as it is sent: whether its items can be read is told of each by itself."""

    model_config = ConfigDict(extra="forbid")

    items: Annotated[list[Any], Field(max_length=BATCH)] = []
    delete: Annotated[list[ItemId], Field(max_length=DELETED)] = []


class BatchOptions(SentBatch):
    """Items to put or change, and ids to delete. Unknown keys are errors."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "items": [{"id": ITEM_EXAMPLE["id"], "attributes": {"price": 29.9}}],
                    "delete": ["shoes/boot-3"],
                }
            ]
        },
    )

    items: Annotated[list[BatchItem], Field(max_length=BATCH)] = []


STATUS_EXAMPLE: dict[str, Any] = {"id": ITEM_EXAMPLE["id"], "status": 200, "detail": None}


class ItemStatus(BaseModel):
    """What became of one item."""

    model_config = ConfigDict(json_schema_extra={"examples": [STATUS_EXAMPLE]})

    id: ItemId
    status: Annotated[
        int, Field(description="201 put, 200 replaced or changed, 204 deleted; else an error's.")
    ]
    detail: Annotated[str | None, Field(description="What is wrong, if something is.")] = None


class BatchResponse(BaseModel):
    """What became of each item, in the order of the request, deletions last."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "items": [
                        STATUS_EXAMPLE,
                        {"id": "shoes/boot-3", "status": 204, "detail": None},
                        {
                            "id": "shoes/boot-4",
                            "status": 404,
                            "detail": "There is no item 'shoes/boot-4' in the generation being "
                            "served.",
                        },
                    ]
                }
            ]
        }
    )

    items: list[ItemStatus]
