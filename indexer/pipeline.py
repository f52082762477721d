"""Indexing a catalogue: read, embed what changed, store, build, verify, publish.

Workers read and embed; one writer, the caller's thread, stores. Whatever was stored is kept when
the run is stopped, killed or fails, and the next run goes on from there. Nothing that answers
queries changes before the last step.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from indexer.catalogues.memory import MemoryCatalogue
from indexer.clock import Clock, utc_now
from indexer.database import ReaderPool, storage_errors
from indexer.demands import ASKED, Demands, read_asked, read_asked_elsewhere
from indexer.engines.candidates import ROW_NUMBER
from indexer.engines.policy import IndexPolicy
from indexer.errors import NothingToIndexError
from indexer.filesystem import FileSystem, LocalFileSystem
from indexer.generations import Generation, next_id
from indexer.intake import Batch, Intake
from indexer.protocols import Catalogue, Embedder, Entry, Vectors
from indexer.publishing import Generations, LocalGenerations, read_last
from indexer.reading import count_vectors, find_embedder, find_own_without
from indexer.report import Failure, IndexReport, Progress, Stage
from indexer.store import StoreWriter, open_writer
from indexer.views import embed_views
from indexer.weights_at_hand import fact_of
from indexer.workers import ThreadWorkers, Workers

REPORTS = "reports"
# A transaction costs a wait for the disk, so it takes many records; but a crash loses what is not
# committed, so it does not wait longer than this for them.
COMMIT_RECORDS = 256
COMMIT_SECONDS = 1.0
MOMENT = 2.0  # seconds to wait for somebody who writes a few items


def index_catalogue(
    catalogue: Catalogue,
    store: Path,
    embedder: Embedder,
    *,
    workers: int | Workers,
    batch: int,
    prune: bool = False,
    progress: Callable[[Progress], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
    policy: IndexPolicy | None = None,
    demands: Demands | None = None,
    weights: Path | None = None,
    keep: int = 3,
    clock: Clock = utc_now,
    files: FileSystem | None = None,
    generations: Generations | None = None,
) -> IndexReport:
    """Bring a store up to date with a catalogue and publish a generation of it.

    Args:
        catalogue: What to index.
        store: The store's folder; made if it is not there.
        embedder: Makes the vectors; used by several threads at once.
        workers: Where photos are read and embedded: so many threads, or ``ray_embedding``'s.
        batch: Photos that are embedded together.
        prune: Delete items that the catalogue has no more.
        progress: Called after each commit and at each stage, in the caller's thread.
        should_stop: Asked between batches; True ends the run early with all it has done stored.
        policy: Which index to build; None is the usual one, for the demands.
        demands: What is asked of the index beside what was asked of the one that answers.
        weights: The folder of the embedder's weights, which the store remembers.
        keep: How many generations to leave for rollback; the current one stays in any case.
        clock: The time, with its zone.
        files: The steps on the disk.
        generations: Where to publish; None is in folders of the store.

    Raises:
        CatalogueError: The catalogue cannot be read.
        NothingToIndexError: It is empty, or no photo in it can be used.
        StoreBusyError: Another process is indexing into this store.
        StoreFullError: No space is left; what was stored before is kept.
        WorkersError: The workers ended early; what was stored before is kept.
    """
    if batch < 1 or keep < 1:
        raise ValueError(f"batch and keep must be at least 1; found {batch} and {keep}.")
    workers = ThreadWorkers(workers) if isinstance(workers, int) else workers
    total = count_entries(catalogue, progress)
    files = files or LocalFileSystem()
    generations = generations or LocalGenerations(store, clock, files)
    with open_writer(store, wait=MOMENT) as writer, closing(ReaderPool(writer.store)) as pool:
        run = Run(
            catalogue=catalogue, writer=writer, pool=pool, embedder=embedder, total=total,
            progress=progress, should_stop=should_stop, clock=clock, files=files,
            policy=policy or policy_for(demands or Demands(), generations, pool, embedder.dim),
            generations=generations, weights=weights,
        )  # fmt: skip
        return run.execute(workers=workers, batch=batch, prune=prune, keep=keep)


def policy_for(
    demands: Demands, generations: Generations, pool: ReaderPool, dim: int
) -> IndexPolicy:
    """The usual policy, for what is asked now and was asked of the index that answers.

    The first index on another engine has to reach what the last one of the store had to. Where
    even a small catalogue's vectors, of ``dim`` numbers, do not fit into the asked memory, an index
    is chosen for it as for a large one.
    """
    before = read_asked(generations)
    if read_last(generations) is None:
        with pool.read() as connection:
            before = read_asked_elsewhere(connection)
    asked = demands.after(before)
    if not isinstance(generations, LocalGenerations):  # which has settings of its own for memory
        asked = asked.model_copy(update={"memory": None})
    usual = IndexPolicy(recall=asked.recall, memory=asked.memory)
    if asked.memory is None:
        return usual
    fitting = asked.memory // (4 * dim + ROW_NUMBER)
    return replace(usual, flat_limit=min(usual.flat_limit, fitting))


def count_entries(catalogue: Catalogue, progress: Callable[[Progress], None]) -> int:
    """Read the whole catalogue once, so that what is wrong with it shows before any work is done.

    One that knows its length was read through when it was opened.

    Raises:
        CatalogueError: It cannot be read.
        NothingToIndexError: It is empty.
    """
    total = 0
    if isinstance(catalogue, Sized):
        total = len(catalogue)
    else:
        for total, _ in enumerate(catalogue, 1):
            if total % 10_000 == 0:
                progress(Progress("count", total, total, 0))
    if not total:
        raise NothingToIndexError(
            f"The catalogue '{catalogue.name}' is empty: no photo was found (.jpg, .jpeg, .png "
            "or .webp in a folder, or rows of a manifest). Check the path. Shards in several "
            "folders are named by a pattern, such as 'shards/*/*.tar'."
        )
    return total


@dataclass
class Run:
    """One run of ``index_catalogue`` and what it has done so far."""

    catalogue: Catalogue
    writer: StoreWriter
    pool: ReaderPool
    embedder: Embedder
    total: int
    progress: Callable[[Progress], None]
    should_stop: Callable[[], bool]
    policy: IndexPolicy
    clock: Clock
    files: FileSystem
    generations: Generations
    weights: Path | None
    done: Batch = field(default_factory=Batch)
    waiting: list[Batch] = field(default_factory=list)
    committed: float = field(default_factory=time.monotonic)
    stopped: bool = False

    def execute(self, *, workers: Workers, batch: int, prune: bool, keep: int) -> IndexReport:
        """All stages."""
        started = time.monotonic()
        run = new_run(self.writer.store, self.generations)
        self.writer.remember("source", self.catalogue.name)
        if self.weights is not None:
            place = fact_of(self.embedder.fingerprint)
            self.writer.remember(place, str(self.weights.absolute()))
        self._take_in(workers, batch)
        self._asked_to_stop()
        pruned, made, collected = 0, None, []
        if not self.stopped:
            self._require_usable()
            if prune:
                self._tell("prune")
                pruned = self.writer.delete_others(entry.id for entry in self.catalogue)
            made = self._publish(run)
            if made is not None:
                collected = self.generations.remove_old(self.writer, keep=keep)
        report = self._report(
            run, made, pruned=pruned, collected=collected, seconds=time.monotonic() - started
        )
        write_report(self.writer.store, report, self.files)
        return report

    def _take_in(self, workers: Workers, batch: int) -> None:
        """Embed what the catalogue has, and what came without one if the weights are new to it."""
        self._take_from(self.catalogue, workers, batch)
        with self.pool.read() as connection:
            own = find_own_without(connection, self.embedder.fingerprint)
        if own and not self.stopped:
            self.total += len(own)
            self._take_from(MemoryCatalogue(own), workers, batch)

    def _take_from(self, catalogue: Catalogue, workers: Workers, batch: int) -> None:
        """Let the workers read, decode and embed; store in this thread."""
        intake = Intake(catalogue, self.embedder, self.pool, self.clock)
        chunks = chunked(catalogue, batch)
        with closing(workers.take(intake, chunks, self._asked_to_stop)) as batches:
            for made in batches:
                self._settle(made)
        self._commit()

    def _asked_to_stop(self) -> bool:
        self.stopped = self.stopped or self.should_stop()
        return self.stopped

    def _settle(self, made: Batch) -> None:
        """Store a batch, now or with the next ones."""
        self.waiting.append(made)
        records = sum(len(batch.records) for batch in self.waiting)
        late = time.monotonic() - self.committed >= COMMIT_SECONDS
        if late or not records or records >= COMMIT_RECORDS:
            self._commit()

    def _commit(self) -> None:
        """Store what is waiting; only then does it count as done."""
        records = [record for batch in self.waiting for record in batch.records]
        if records:
            self.writer.upsert(records, fingerprint=self.embedder.fingerprint)
        for batch in self.waiting:
            self.done.failures.extend(batch.failures)
            self.done.embedded += batch.embedded
            self.done.reused += batch.reused
            self.done.described += batch.described
            self.done.unchanged += batch.unchanged
        self.waiting.clear()
        self.committed = time.monotonic()
        self._tell("embed")

    def _tell(self, stage: Stage) -> None:
        failed = len(self.done.failures)
        self.progress(Progress(stage, self.done.entries, self.total, failed))

    def _require_usable(self) -> None:
        """Refuse to publish for a catalogue that gave nothing: its photos may be unmounted."""
        if self.done.entries > len(self.done.failures):
            return
        examples = "; ".join(
            f"{f.uri}: {f.reason.removesuffix('.')}" for f in self.done.failures[:3]
        )
        raise NothingToIndexError(
            f"None of the {self.total:,} photos of '{self.catalogue.name}' can be used, so nothing "
            f"was published. The first: {examples}. Are the photos where the catalogue says?"
        )

    def _publish(self, run: str) -> Generation | None:
        """Build and publish, unless the current generation is just what is asked for already."""
        fingerprint = self.embedder.fingerprint
        as_asked = read_asked(self.generations) == self.policy.asked
        if as_asked and self.generations.covers(self.pool, fingerprint):
            return None
        self._tell("build")
        made = self.generations.publish(
            self.writer, self.pool, fingerprint=fingerprint, policy=self.policy, views=self._view,
            generation_id=run,
        )  # fmt: skip
        self.writer.mark_published(fingerprint)
        self.writer.remember(ASKED, self.policy.asked.model_dump_json())
        self._tell("publish")
        return made

    def _view(self, uris: Sequence[str]) -> list[Vectors | None]:
        """Altered views of photos of the catalogue, to measure the index with."""
        return embed_views(
            uris, read=lambda uri: self.catalogue.read(Entry("", uri)), embedder=self.embedder,
            seed=self.policy.seed,
        )  # fmt: skip

    def _report(
        self,
        run: str,
        made: Generation | None,
        *,
        pruned: int,
        collected: Sequence[str],
        seconds: float,
    ) -> IndexReport:
        with self.pool.read() as connection:
            found = find_embedder(connection, self.embedder.fingerprint)
            items = count_vectors(connection, found[0]) if found else 0
        manifest = made.manifest if made else self.generations.read_sound()
        return IndexReport(
            run=run,
            generation=manifest.id if manifest else None,
            published=made is not None,
            stopped=self.stopped,
            fingerprint=self.embedder.fingerprint,
            source=self.catalogue.name,
            entries=self.total,
            embedded=self.done.embedded,
            reused=self.done.reused,
            described=self.done.described,
            unchanged=self.done.unchanged,
            pruned=pruned,
            failures=tuple(sorted(self.done.failures, key=by_id)),
            items=items,
            recall_at_10=manifest.recall_at_10 if manifest else None,
            recall_asked=self.policy.recall,
            memory_asked=self.policy.memory,
            seconds=round(seconds, 3),
            collected=tuple(collected),
        )


def by_id(failure: Failure) -> str:
    """The order of failures in a report."""
    return failure.id


def chunked(entries: Iterable[Entry], size: int) -> Iterator[list[Entry]]:
    """Lists of up to ``size`` entries."""
    iterator = iter(entries)
    while chunk := list(islice(iterator, size)):
        yield chunk


def new_run(store: Path, generations: Generations) -> str:
    """An id for a run, and for the generation it may publish."""
    run = generations.new_id()
    while report_path(store, run).exists():
        run = next_id(run)
    return run


def report_path(store: Path, run: str) -> Path:
    """Where the report of a run is."""
    return store / REPORTS / f"{run}.json"


def write_report(store: Path, report: IndexReport, files: FileSystem) -> None:
    """Keep a report beside the store."""
    path = report_path(store, report.run)
    with storage_errors(store):
        files.make_directory(path.parent)
        files.write(path, report.to_json().encode())
