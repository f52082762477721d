"""What the calls of the client answer: frozen, and named as the API names it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Scalar = str | int | float | bool | None
Attributes = Mapping[str, Scalar]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """An item of the catalogue.

    Attributes:
        id: The shop's own id.
        sha256: Hash of the photo that was indexed.
        attributes: What the shop says of it.
        image: Path of the photo on the server; ``item_image`` reads it.
    """

    id: str
    sha256: str
    attributes: Attributes
    image: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit(Item):
    """An item that was found.

    Attributes:
        score: The cosine of the two vectors; higher is closer.
        collapsed: Ids of the items that were folded into this one.
    """

    score: float
    collapsed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Milliseconds by step; a step that was not taken is 0."""

    receive: float = 0.0
    decode: float = 0.0
    queue: float = 0.0
    embed: float = 0.0
    search: float = 0.0
    fetch: float = 0.0
    total: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """What was found, best first.

    Attributes:
        items: The items.
        total: How many pass the filter, whatever their score.
        generation: Id of the generation that answered.
        timings_ms: How long the server took.
    """

    items: tuple[Hit, ...]
    total: int
    generation: str
    timings_ms: Timings


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchAnswer:
    """What one search of a batch found, or what is wrong with it.

    Attributes:
        query: The photo's place among those sent, from 0; or the item's id.
        status: 200, or what a single search would have been answered with.
        detail: What is wrong, if something is.
        items: What was found, best first.
        total: As of a single search.
        generation: As of a single search.
    """

    query: str
    status: int
    detail: str | None = None
    items: tuple[Hit, ...] = ()
    total: int | None = None
    generation: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSearchResult:
    """The answers, photos first, each kind in the order of the request."""

    answers: tuple[BatchAnswer, ...]
    timings_ms: Timings


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedding:
    """The vector of a photo.

    Attributes:
        vector: ``dim`` numbers, of unit length.
        dim: How many.
        fingerprint: Vectors can be compared if, and only if, these are equal.
        timings_ms: How long the server took.
    """

    vector: tuple[float, ...]
    dim: int
    fingerprint: str
    timings_ms: Timings


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What the vector of a photo kept; pictures are PNG files.

    Attributes:
        rate: Nats that the vector holds of this photo, None if nobody counts them.
        photo: The photo as the encoder sees it.
        outline: The mean picture, None if the model has none.
        draws: Drawn from the vector alone.
        items: The nearest items.
        generation: Id of the generation that answered, if one was asked.
        fingerprint: Of the weights.
        seed: Of the draws.
    """

    rate: float | None
    photo: bytes
    outline: bytes | None
    draws: tuple[bytes, ...]
    items: tuple[Hit, ...]
    generation: str | None
    fingerprint: str
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemStatus:
    """What became of one item of a batch.

    Attributes:
        id: The item's.
        status: 201 put, 200 replaced or changed, 204 deleted; else an error's.
        detail: What is wrong, if something is.
    """

    id: str
    status: int
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo:
    """An item's photo as it is on the server's disk now."""

    data: bytes
    media_type: str
    etag: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """A published index. What its manifest says is None if the manifest is damaged."""

    id: str
    current: bool
    serving: bool
    created: str | None
    items: int | None
    dim: int | None
    fingerprint: str | None
    index: str | None
    recall_at_10: float | None
    build_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Generations:
    """The published indexes, newest first.

    Attributes:
        generations: All of them.
        refused: Why the server does not serve the current one, if so.
    """

    generations: tuple[Generation, ...]
    refused: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """Whether the server answers searches: ``status`` is ``ready`` or ``degraded``."""

    status: str
    generation: str
    items: int
    fingerprint: str
    refused: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcome:
    """What this is, and the paths at which to go on."""

    name: str
    what: str
    docs: str
    openapi: str
    search: str
    ready: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FacetValue:
    """A value of an attribute, and how many items have it."""

    value: Scalar
    items: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Facet:
    """What an attribute of the items holds.

    Attributes:
        key: Its name.
        items: How many have it.
        distinct: Different values.
        values: The most frequent of them.
    """

    key: str
    items: int
    distinct: int
    values: tuple[FacetValue, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facets:
    """What the attributes of the items hold.

    Attributes:
        total: Items that pass the filter.
        attributes: By name.
    """

    total: int
    attributes: tuple[Facet, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An item on the map: ``x`` from 0 to 1 to the right, ``y`` from 0 to 1 downwards."""

    id: str
    x: float
    y: float
    image: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueMap:
    """Items in the plane, those that look alike beside each other; a sample of many."""

    generation: str
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexReport:
    """What indexing has done.

    Attributes:
        recall_at_10: Measured for the index that answers.
        recall_asked: What it has to reach at least.
        memory_asked: Bytes that it may take; None is any number.
    """

    message: str
    run: str
    generation: str | None
    published: bool
    entries: int
    embedded: int
    unchanged: int
    pruned: int
    items: int
    left_out: int
    failures: tuple[str, ...]
    seconds: float
    recall_at_10: float | None = None
    recall_asked: float | None = None
    memory_asked: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobProblem:
    """Why a job failed."""

    type: str
    title: str
    status: int
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Work that takes longer than a request may.

    Attributes:
        id: By which to ask for it.
        kind: What is done, such as ``samples`` or ``reindex``.
        subject: With what: a model, or the catalogue, by name.
        state: ``waiting``, ``running``, ``cancelling``, ``done``, ``failed`` or ``cancelled``.
        done: How far it is, of ``total``, which is 0 as long as nobody knows.
        total: See ``done``.
        stage: What is being done.
        created: When, as ISO 8601 in UTC.
        started: The same, None before.
        finished: The same, None before.
        problem: Why it failed, if it has.
    """

    id: str
    kind: str
    subject: str
    state: str
    done: int
    total: int
    stage: str
    created: str
    started: str | None
    finished: str | None
    problem: JobProblem | None

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in ("done", "failed", "cancelled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a job is: ``done`` of ``total``, which is 0 as long as nobody knows."""

    done: int
    total: int
    stage: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What happened to a job.

    Attributes:
        number: From 1, in the order in which it happened.
        kind: ``state``, ``progress``, ``partial``, ``picture`` or ``end``; others may follow.
        data: The event's own data.
        progress: How far the job is, of a ``progress``.
        pictures: PNG files by their place, of a ``picture`` or a ``partial`` (as far as drawn).
        job: How the job ended, of the ``end``.
    """

    number: int
    kind: str
    data: Mapping[str, Any]
    progress: Progress | None = None
    pictures: Mapping[int, bytes] = field(default_factory=dict)
    job: Job | None = None
