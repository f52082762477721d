"""What goes over the wire about jobs and indexing."""

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic.config import JsonDict

from indexer.demands import MOST_BYTES, parse_memory
from service.schemas import GENERATION_ID, Problem

# As indexer.demands reads it, for the description.
AMOUNT = r"^([aA][nN][yY]|[0-9]+(\.[0-9]+)? ?[kKmMgGtT]?[bB]?)$"

JOB_EXAMPLE: dict[str, Any] = {
    "id": "2f1d0c6a5b9e4c1f8a7d3e2b1c0f9e8d",
    "kind": "samples",
    "subject": "pixelvae",
    "state": "running",
    "done": 8,
    "total": 16,
    "stage": "draw",
    "created": "2026-11-25T18:33:00+00:00",
    "started": "2026-11-25T18:33:01+00:00",
    "finished": None,
    "problem": None,
    "url": "/v1/jobs/2f1d0c6a5b9e4c1f8a7d3e2b1c0f9e8d",
    "events": "/v1/jobs/2f1d0c6a5b9e4c1f8a7d3e2b1c0f9e8d/events",
    "result": None,
}


class JobResponse(BaseModel):
    """Work that takes longer than a request may."""

    model_config = ConfigDict(json_schema_extra={"examples": [JOB_EXAMPLE]})

    id: str
    kind: Annotated[str, Field(description="What is done, such as `samples`.")]
    subject: Annotated[str, Field(description="With what: a model, or the catalogue, by name.")]
    state: Literal["waiting", "running", "cancelling", "done", "failed", "cancelled"]
    done: Annotated[int, Field(description="How far it is, of `total`.")]
    total: Annotated[int, Field(description="0 as long as nobody knows.")]
    stage: Annotated[str, Field(description="What is being done.")]
    created: Annotated[str, Field(description="ISO 8601, UTC.")]
    started: str | None
    finished: str | None
    problem: Annotated[Problem | None, Field(description="Why it failed, if it has.")]
    url: Annotated[str, Field(description="Path of the job.")]
    events: Annotated[str, Field(description="Path of its server-sent events.")]
    result: Annotated[str | None, Field(description="Path of what it has made, once it is done.")]


def as_memory(given: object, read: ValidatorFunctionWrapHandler) -> int | str | None:
    """A text as the number of bytes that it means, or ``any``.

    Raises:
        ValueError: It is neither a number of bytes nor such a text.
    """
    try:
        amount: int | str | None = read(given)
    except ValidationError:
        raise ValueError("expected a whole number of bytes from 1, or 2GB, say, or any") from None
    return parse_memory(amount) if isinstance(amount, str) else amount


class ReindexOptions(BaseModel):
    """How to index. Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"prune": True}]})

    prune: Annotated[bool, Field(description="Delete items that the catalogue has no more.")] = (
        False
    )
    weights: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=200,
            description="Name of other weights to index with, below `weights/`. The old index is "
            "served until the new one is published, and then the server goes over to both.",
        ),
    ] = None
    recall: Annotated[
        float | None,
        Field(
            ge=0.5,
            le=1.0,
            description="Of ten true neighbours, the share that the index has to find. Remembered; "
            "without it as it was asked before, at first .95.",
        ),
    ] = None
    memory: Annotated[
        Annotated[int, Field(ge=1, lt=MOST_BYTES)] | Annotated[str, Field(pattern=AMOUNT)] | None,
        WrapValidator(as_memory),
        Field(
            description="The most that an index of faiss may take: bytes, or such as `2GB`; `any` "
            "for any number. Remembered; without it as it was asked before.",
            examples=["2GB"],
        ),
    ] = None


class ReindexResponse(BaseModel):
    """What indexing has done."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "message": f"Published generation {GENERATION_ID} with 3,553 items "
                    "(12 embedded, 3,541 unchanged).",
                    "run": GENERATION_ID,
                    "generation": GENERATION_ID,
                    "published": True,
                    "entries": 3553,
                    "embedded": 12,
                    "unchanged": 3541,
                    "pruned": 0,
                    "items": 3553,
                    "left_out": 0,
                    "failures": [],
                    "recall_at_10": 0.98,
                    "recall_asked": 0.95,
                    "memory_asked": None,
                    "seconds": 4.2,
                }
            ]
        }
    )

    message: str
    run: Annotated[str, Field(description="Its report stands in the store, below `reports/`.")]
    generation: Annotated[str | None, Field(description="The one that answers now.")]
    published: Annotated[bool, Field(description="Whether this run made it.")]
    entries: Annotated[int, Field(description="Of the catalogue.")]
    embedded: int
    unchanged: Annotated[int, Field(description="Whose photo did not have to be embedded.")]
    pruned: int
    items: Annotated[int, Field(description="That can be found.")]
    left_out: Annotated[int, Field(description="Photos that could not be used.")]
    failures: Annotated[list[str], Field(description="The ids of the first hundred of these.")]
    recall_at_10: Annotated[
        float | None, Field(description="Measured for the index that answers now.")
    ]
    recall_asked: Annotated[float, Field(description="What an index has to reach at least.")]
    memory_asked: Annotated[
        int | None, Field(description="Bytes that it may take; null is any number.")
    ]
    seconds: float


class CollectOptions(BaseModel):
    """What to collect. Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"dry_run": True}]})

    keep: Annotated[
        int,
        Field(ge=1, le=1000, description="Newest indexes to leave for going back to."),
    ] = 3
    unfinished: Annotated[
        bool,
        Field(
            description="Also remove vectors of weights by which an indexing was begun and nothing "
            "published."
        ),
    ] = False
    dry_run: Annotated[bool, Field(description="Remove nothing, and tell what would go.")] = False


OLD_GENERATION: JsonDict = {"id": "20261124T183300Z-4f2a", "bytes": 2_841_000}
UNNEEDED_VECTORS: JsonDict = {
    "fingerprint": "pixelvae:0c6a5b9e",
    "vectors": 3553,
    "bytes": 1_584_638,
}


class OldGeneration(BaseModel):
    """An index that is not needed."""

    model_config = ConfigDict(json_schema_extra={"examples": [OLD_GENERATION]})

    id: str
    bytes: Annotated[int, Field(description="That it takes; 0 if it lies on a server.")]


class UnneededVectors(BaseModel):
    """The vectors of one embedder."""

    model_config = ConfigDict(json_schema_extra={"examples": [UNNEEDED_VECTORS]})

    fingerprint: Annotated[str, Field(description="The embedder's.")]
    vectors: int
    bytes: Annotated[int, Field(description="That they take, about.")]


class CollectResponse(BaseModel):
    """What a collection has removed, or would."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "dry_run": False,
                    "generations": [OLD_GENERATION],
                    "held": [],
                    "vectors": [UNNEEDED_VECTORS],
                    "unfinished": [],
                    "vectors_stay": "",
                    "files": 0,
                    "bytes": 4_425_638,
                    "freed": 4_452_352,
                }
            ]
        }
    )

    dry_run: Annotated[bool, Field(description="Whether nothing was removed.")]
    generations: Annotated[list[OldGeneration], Field(description="Old indexes.")]
    held: Annotated[
        list[str], Field(description="Old ones that stay, because a process answers from them.")
    ]
    vectors: Annotated[list[UnneededVectors], Field(description="That no index needs.")]
    unfinished: Annotated[
        list[UnneededVectors], Field(description="Of indexings that published nothing: they stay.")
    ]
    vectors_stay: Annotated[
        str, Field(description="Why vectors stay that nothing seems to need; empty if none does.")
    ]
    files: Annotated[int, Field(description="Left by crashes, and photos that no item names.")]
    bytes: Annotated[int, Field(description="Of all this, about.")]
    freed: Annotated[int, Field(description="That the disk has back; 0 of a dry run.")]


class JobsResponse(BaseModel):
    """The jobs that are remembered, newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"jobs": [JOB_EXAMPLE]}]})

    jobs: list[JobResponse]
