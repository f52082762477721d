"""What goes over the wire about the catalogue as a whole: its attributes, its map."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from indexer.filters import Filter, parse_filter
from indexer.protocols import Scalar
from service.schemas import GENERATION_ID
from service.schemas_search import as_text, readable_filter

VALUES_EXAMPLE: list[dict[str, Any]] = [
    {"value": "shoes", "items": 412},
    {"value": "bags", "items": 305},
]
FACET_EXAMPLE: dict[str, Any] = {
    "key": "category",
    "items": 3553,
    "distinct": 12,
    "values": VALUES_EXAMPLE,
}
PLACE_EXAMPLE: dict[str, Any] = {
    "id": "shoes/canvas-low-17",
    "x": 0.31,
    "y": 0.72,
    "image": "/v1/items/shoes/canvas-low-17/image",
}


class FacetOptions(BaseModel):
    """Of which items. Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid")

    most: Annotated[
        int, Field(ge=1, le=200, description="Values of each attribute, the most frequent.")
    ] = 20
    filter: (
        Annotated[
            str,
            BeforeValidator(as_text),
            AfterValidator(readable_filter),
            Field(description="Only of items that pass it; as in a search."),
        ]
        | None
    ) = None

    @property
    def where(self) -> Filter | None:
        """The filter as a tree."""
        return None if self.filter is None else parse_filter(self.filter)


class FacetValue(BaseModel):
    """A value of an attribute, and how many items have it."""

    model_config = ConfigDict(json_schema_extra={"examples": [VALUES_EXAMPLE[0]]})

    value: Scalar
    items: int


class FacetResponse(BaseModel):
    """What an attribute of the items holds."""

    model_config = ConfigDict(json_schema_extra={"examples": [FACET_EXAMPLE]})

    key: str
    items: Annotated[int, Field(description="That have it.")]
    distinct: Annotated[int, Field(description="Different values.")]
    values: Annotated[list[FacetValue], Field(description="The most frequent of them.")]


class FacetsResponse(BaseModel):
    """What the attributes of the items hold, by name."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"total": 3553, "attributes": [FACET_EXAMPLE]}]}
    )

    total: Annotated[int, Field(description="Items that pass the filter.")]
    attributes: list[FacetResponse]


class PlaceResponse(BaseModel):
    """An item on the map."""

    model_config = ConfigDict(json_schema_extra={"examples": [PLACE_EXAMPLE]})

    id: str
    x: Annotated[float, Field(description="From 0 to 1, to the right.")]
    y: Annotated[float, Field(description="From 0 to 1, downwards.")]
    image: Annotated[str, Field(description="Path of its photo.")]


class MapResponse(BaseModel):
    """Items in the plane, those that look alike beside each other; a sample of a large catalogue.

    A picture to wander in: only who is near whom means something.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"generation": GENERATION_ID, "places": [PLACE_EXAMPLE]}]}
    )

    generation: str
    places: list[PlaceResponse]
