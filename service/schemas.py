"""What goes over the wire: one schema per thing."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from service.cropping import CropOptions

PhotoUrl = Annotated[
    str,
    Field(
        min_length=1,
        max_length=2048,
        description="Of a JPEG, PNG or WebP on the public web, over http or https; the server "
        "fetches it, where its settings allow that.",
    ),
]
URL_EXAMPLE = "https://shop.example/photos/canvas-low.jpg"
ItemId = Annotated[str, Field(min_length=1, max_length=1024, description="The shop's own id.")]
Attributes = dict[str, str | int | float | bool | None]
Png = Annotated[
    str, Field(json_schema_extra={"contentEncoding": "base64", "contentMediaType": "image/png"})
]

ITEM_EXAMPLE: dict[str, Any] = {
    "id": "shoes/canvas-low-17",
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "attributes": {"category": "shoes", "price": 39.9},
    "image": "/v1/items/shoes/canvas-low-17/image",
}
HIT_EXAMPLE: dict[str, Any] = {**ITEM_EXAMPLE, "score": 0.93, "collapsed": []}
GENERATION_ID = "20261123T183300Z-4f2a"
FINGERPRINT = "pixelvae-5d41402abc4b2a76"
GENERATION_EXAMPLE: dict[str, Any] = {
    "id": GENERATION_ID,
    "current": True,
    "serving": True,
    "created": "2026-11-23T18:33:00+00:00",
    "items": 3553,
    "dim": 64,
    "fingerprint": FINGERPRINT,
    "index": "Flat",
    "recall_at_10": 1.0,
    "build_seconds": 0.8,
}
# One white pixel.
PNG_EXAMPLE = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTj2FAAAAABJRU5ErkJggg=="
)
TIMINGS_EXAMPLE: dict[str, Any] = {
    "receive": 0.4,
    "decode": 1.9,
    "queue": 0.2,
    "embed": 3.1,
    "search": 0.6,
    "fetch": 0.3,
    "total": 6.7,
}


class ItemResponse(BaseModel):
    """An item of the catalogue."""

    model_config = ConfigDict(json_schema_extra={"examples": [ITEM_EXAMPLE]})

    id: ItemId
    sha256: Annotated[str, Field(description="Hash of the photo that was indexed.")]
    attributes: Annotated[Attributes, Field(description="Further columns of the manifest.")]
    image: Annotated[str, Field(description="Path of the photo on this server.")]


class Hit(ItemResponse):
    """An item that was found."""

    model_config = ConfigDict(json_schema_extra={"examples": [HIT_EXAMPLE]})

    score: Annotated[
        float, Field(ge=-1, le=1, description="The cosine of the two vectors; higher is closer.")
    ]
    collapsed: Annotated[
        list[ItemId], Field(description="Ids of the items that `collapse` folded into this one.")
    ] = []


class Timings(BaseModel):
    """Milliseconds by step; a step that was not taken is 0."""

    model_config = ConfigDict(json_schema_extra={"examples": [TIMINGS_EXAMPLE]})

    receive: Annotated[float, Field(description="Reading the body, or a photo from its URL.")] = 0.0
    decode: Annotated[float, Field(description="From the file's bytes to pixels.")] = 0.0
    queue: Annotated[float, Field(description="Waiting for a free thread or a batch.")] = 0.0
    embed: Annotated[float, Field(description="From pixels to the vector.")] = 0.0
    search: Annotated[float, Field(description="Finding the nearest vectors.")] = 0.0
    fetch: Annotated[float, Field(description="Reading the items from the store.")] = 0.0
    total: Annotated[float, Field(description="From the first to the last step.")] = 0.0


class SearchResponse(BaseModel):
    """What was found, best first; equal scores are ordered by id."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "items": [HIT_EXAMPLE],
                    "total": 3553,
                    "generation": GENERATION_ID,
                    "timings_ms": TIMINGS_EXAMPLE,
                }
            ]
        }
    )

    items: list[Hit]
    total: Annotated[
        int,
        Field(
            description="How many items pass the filter, whatever their score; with those that are "
            "excluded. A page of fewer items than `limit` is the last."
        ),
    ]
    generation: Annotated[str, Field(description="Id of the generation that answered.")]
    timings_ms: Timings


class EmbedResponse(BaseModel):
    """The vector of an image."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "vector": [0.125, -0.125, -0.125, 0.125] * 16,
                    "dim": 64,
                    "fingerprint": FINGERPRINT,
                    "timings_ms": {**TIMINGS_EXAMPLE, "search": 0.0, "fetch": 0.0, "total": 5.8},
                }
            ]
        }
    )

    vector: Annotated[list[float], Field(description="`dim` numbers, of unit length.")]
    dim: int
    fingerprint: Annotated[
        str, Field(description="Vectors can be compared if, and only if, these are equal.")
    ]
    timings_ms: Timings


class DrawnOptions(BaseModel):
    """What to show of a vector. Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid")

    draws: Annotated[
        int, Field(ge=1, le=16, description="Pictures to draw from the photo's vector.")
    ] = 4
    nearest: Annotated[
        int, Field(ge=0, le=20, description="Items to show; 0 asks nothing of the index.")
    ] = 5
    seed: Annotated[
        int, Field(ge=0, lt=2**63, description="Of the draws: the same seed, the same pictures.")
    ] = 0


class ExplainOptions(DrawnOptions, CropOptions):
    """How to explain; in the query or the form. Unknown keys are errors."""


class ExplainUrlQuery(ExplainOptions):
    """Explain a photo that the server fetches, where its settings allow that."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"url": URL_EXAMPLE, "draws": 2}]}
    )

    url: PhotoUrl


class EmbedUrlQuery(CropOptions):
    """Embed a photo that the server fetches, where its settings allow that."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"url": URL_EXAMPLE}]}
    )

    url: PhotoUrl


class ExplainResponse(BaseModel):
    """What the vector of a photo kept. Pictures are PNG files, in Base64, as small as they are."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "rate": 61.3,
                    "photo": PNG_EXAMPLE,
                    "outline": PNG_EXAMPLE,
                    "draws": [PNG_EXAMPLE],
                    "items": [HIT_EXAMPLE],
                    "generation": GENERATION_ID,
                    "fingerprint": FINGERPRINT,
                    "seed": 0,
                }
            ]
        }
    )

    rate: Annotated[
        float | None,
        Field(description="Nats that the vector holds of this photo; null if nobody counts them."),
    ]
    photo: Annotated[Png, Field(description="The photo as the encoder sees it.")]
    outline: Annotated[
        Png | None, Field(description="The mean picture; null if the model has none.")
    ]
    draws: Annotated[
        list[Png],
        Field(description="Drawn by chance; none of a model that decodes without chance."),
    ]
    items: Annotated[list[Hit], Field(description="The nearest items, best first.")]
    generation: Annotated[
        str | None, Field(description="Id of the generation that answered, if one was asked.")
    ]
    fingerprint: Annotated[str, Field(description="Of the weights.")]
    seed: int


class GenerationResponse(BaseModel):
    """A published index. What its manifest says is null if the manifest is damaged."""

    model_config = ConfigDict(json_schema_extra={"examples": [GENERATION_EXAMPLE]})

    id: str
    current: Annotated[bool, Field(description="Whether the store points at it.")]
    serving: Annotated[bool, Field(description="Whether this server answers from it.")]
    created: Annotated[str | None, Field(description="When it was published, ISO 8601, UTC.")]
    items: Annotated[int | None, Field(description="How many it holds.")]
    dim: Annotated[int | None, Field(description="Numbers in a vector.")]
    fingerprint: Annotated[str | None, Field(description="Of the weights that made its vectors.")]
    index: Annotated[str | None, Field(description="The kind of index, as FAISS writes it.")]
    recall_at_10: Annotated[
        float | None, Field(description="Share of the true 10 nearest that it finds, measured.")
    ]
    build_seconds: Annotated[float | None, Field(description="How long it took to make.")]


class GenerationsResponse(BaseModel):
    """The published generations, newest first."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"generations": [GENERATION_EXAMPLE], "refused": None}]}
    )

    generations: list[GenerationResponse]
    refused: Annotated[
        str | None, Field(description="Why this server does not serve the current one, if so.")
    ] = None


class Alive(BaseModel):
    """The process answers."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "ok"}]})

    status: str = "ok"


class Ready(BaseModel):
    """The weights and the index answer."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "status": "ready",
                    "generation": GENERATION_ID,
                    "items": 3553,
                    "fingerprint": FINGERPRINT,
                    "refused": None,
                }
            ]
        }
    )

    status: Annotated[
        str,
        Field(description="`ready`; `degraded` if a newer generation was published and refused."),
    ]
    generation: str
    items: int
    fingerprint: str
    refused: Annotated[
        str | None, Field(description="Why the newest generation is not served, if so.")
    ] = None


class Welcome(BaseModel):
    """What this is and where to go on."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "niteru",
                    "what": "Finds the items of a catalogue that look like a photo.",
                    "docs": "/docs",
                    "openapi": "/openapi.json",
                    "search": "/v1/search",
                    "ready": "/readyz",
                }
            ]
        }
    )

    name: str = "niteru"
    what: str = "Finds the items of a catalogue that look like a photo."
    docs: str = "/docs"
    openapi: str = "/openapi.json"
    search: str = "/v1/search"
    ready: str = "/readyz"


class ProblemField(BaseModel):
    """One thing that is wrong with a request."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "field": "limit",
                    "message": "Input should be greater than or equal to 1; found '0'.",
                }
            ]
        }
    )

    field: Annotated[str, Field(description="Where: `limit`, or `query.limit`.")]
    message: str


class Problem(BaseModel):
    """An error (RFC 9457). Further members depend on the type."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:niteru:problem:unusable-image",
                    "title": "The image cannot be used",
                    "status": 422,
                    "detail": "The JPEG is damaged or cut off: image file is truncated. "
                    "Send it again.",
                    "instance": "/v1/search",
                    "request_id": "2f1d0c6a5b9e4c1f8a7d3e2b1c0f9e8d",
                    "reason": "corrupt",
                }
            ]
        },
    )

    type: Annotated[str, Field(description="A URN per kind of error; they are in the README.")]
    title: str
    status: int
    detail: Annotated[str, Field(description="What was found, what was expected, what to do.")]
    instance: Annotated[str, Field(description="The path that was asked for.")]
    request_id: Annotated[str | None, Field(description="Also in the header X-Request-Id.")]
    errors: list[ProblemField] = []
