"""What an indexing run says while it works and when it has ended."""

import json
from dataclasses import asdict, dataclass
from typing import Literal

Stage = Literal["count", "embed", "prune", "build", "publish"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is.

    Attributes:
        stage: What it is doing.
        done: Entries settled: stored (a crash cannot lose them any more), unchanged or failed.
        total: Entries in the catalogue.
        failed: Photos that could not be used so far.
    """

    stage: Stage
    done: int
    total: int
    failed: int


@dataclass(frozen=True, slots=True)
class Failure:
    """A photo that was left out, and why."""

    id: str
    uri: str
    reason: str


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What a run did.

    Attributes:
        run: Id of the run; its report is ``reports/<run>.json``.
        generation: The generation that answers now, None if there is none yet.
        published: Whether this run made it.
        stopped: Whether the run was asked to stop before its end.
        fingerprint: The embedder's.
        source: Name of the catalogue.
        entries: Entries in the catalogue.
        embedded: Photos the embedder looked at.
        reused: Items that took over the vector of an equal photo.
        described: Items of which only the attributes or the path changed.
        unchanged: Items that were as the store knew them.
        pruned: Items deleted because the catalogue has them no more.
        failures: Photos left out; an item that was indexed earlier keeps its earlier vector.
        items: Items that can be found with this embedder.
        recall_at_10: Measured for the generation that answers, None if there is none.
        recall_asked: What it has to reach at least.
        memory_asked: Bytes that an index may take; None is any number.
        seconds: Time the run took.
        collected: Old generations removed.
    """

    run: str
    generation: str | None
    published: bool
    stopped: bool
    fingerprint: str
    source: str
    entries: int
    embedded: int
    reused: int
    described: int
    unchanged: int
    pruned: int
    failures: tuple[Failure, ...]
    items: int
    recall_at_10: float | None
    recall_asked: float
    memory_asked: int | None
    seconds: float
    collected: tuple[str, ...] = ()

    @property
    def message(self) -> str:
        """The outcome in a sentence."""
        settled = self.embedded + self.reused + self.described + self.unchanged + len(self.failures)
        if self.stopped:
            return (
                f"Stopped after {settled:,} of {self.entries:,} entries. What was embedded is "
                "kept, nothing was published: run the same command again to go on."
            )
        left_out = f", {len(self.failures):,} left out" if self.failures else ""
        if not self.published:
            new = f", {self.embedded:,} embedded now" if self.embedded else ""
            return (
                f"Nothing to publish: generation {self.generation} covers all {self.items:,} "
                f"items already{new}{left_out}."
            )
        return (
            f"Published generation {self.generation} with {self.items:,} items "
            f"({self.embedded:,} embedded, {self.unchanged:,} unchanged{left_out})."
        )

    def to_json(self) -> str:
        """The report as JSON."""
        return json.dumps({"message": self.message, **asdict(self)}, indent=2) + "\n"
