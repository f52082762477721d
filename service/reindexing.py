"""Bringing the store up to date with the catalogue, as a job of the server.

The indexer stores what it has done as it goes, so whatever ends a run, the next one goes on from
there. A small file beside the store says that a run is under way: a server that finds one at its
start, and nobody at work, tells of a run that was interrupted. Of several servers over one store
one indexes at a time; a lock says whether one does, and the file which job it is.
"""

import json
import logging
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path, PurePath
from typing import Literal

from indexer.catalogues import open_catalogue
from indexer.demands import Demands
from indexer.engines.choice import EngineChoice
from indexer.errors import IndexerError, StoreBusyError
from indexer.locks import exclusive
from indexer.masking import mask
from indexer.protocols import Embedder
from indexer.report import IndexReport, Progress
from indexer.runtime import Runtime, load_embedder
from indexer.weights_at_hand import has_fingerprint
from indexer.workers import Workers, ray_workers
from models.training.weights import WeightsError, find_weights, list_weights, write_atomically
from service.errors import (
    CannotReindexError,
    InvalidRequestError,
    ReindexFailedError,
    ReindexInterruptedError,
    ReindexRunningError,
    UnknownWeightsError,
)
from service.job import Job, StoppedError
from service.jobs import Jobs
from service.schemas_jobs import ReindexResponse

logger = logging.getLogger(__name__)

KIND, LANE = "reindex", "index"
MARKER, LOCK = "reindex.json", "reindex.lock"
BATCH = 32
TOLD = 100  # ids of photos left out; all of them stand in the run's report


@dataclass(frozen=True, slots=True)
class Reindexed:
    """A run that has ended by itself."""

    report: IndexReport

    @property
    def nbytes(self) -> int:
        """Memory that the report takes, roughly."""
        return 1000 + 200 * len(self.report.failures)

    def tell(self) -> ReindexResponse:
        """The report as it goes over the wire, without paths of this machine."""
        report = self.report
        return ReindexResponse(
            message=report.message,
            run=report.run,
            generation=report.generation,
            published=report.published,
            entries=report.entries,
            embedded=report.embedded,
            unchanged=report.unchanged + report.described + report.reused,
            pruned=report.pruned,
            items=report.items,
            left_out=len(report.failures),
            failures=[failure.id for failure in report.failures[:TOLD]],
            recall_at_10=report.recall_at_10,
            recall_asked=report.recall_asked,
            memory_asked=report.memory_asked,
            seconds=report.seconds,
        )


class Reindexer:
    """Starts runs of the indexer and tells of those that were interrupted.

    Args:
        catalogue: What to index; None if the server was told of none.
        store: Where to.
        embedder: By what: the one that embeds the queries.
        workers: Threads that read and embed, or ``ray`` for the machines of a Ray cluster.
        jobs: Where the work is done.
        choice: The engine that is published to.
        photos_from: URLs that a manifest may lead to beside its own place.
        runtime: What embeds with other weights.
        weights: The embedder's, by folder or by name; None if nobody knows.

    Raises:
        ImportError: Ray is asked for and not installed.
    """

    def __init__(
        self,
        catalogue: str | None,
        store: Path,
        embedder: Embedder,
        *,
        workers: int | Literal["ray"],
        jobs: Jobs,
        choice: EngineChoice,
        photos_from: Sequence[str] = (),
        runtime: Runtime = "auto",
        weights: str | None = None,
    ) -> None:
        self.catalogue, self.store, self.embedder = catalogue, store, embedder
        self.workers, self.jobs, self.choice = workers, jobs, choice
        self.photos_from, self.runtime = photos_from, runtime
        self.weights = weights
        if workers == "ray" and find_spec("ray") is None:
            raise ImportError(
                "NITERU_REINDEX_WORKERS is ray, which needs another package. Install it on every "
                "node with: pip install '.[ray]', or set a number of threads."
            )

    def submit(
        self, *, prune: bool, weights: str | None = None, demands: Demands | None = None
    ) -> Job:
        """Start a run; it goes on where an earlier one stopped.

        Args:
            prune: Delete items that the catalogue has no more.
            weights: By what other than the embedder: a name below ``weights/``.
            demands: What is asked of the index from now on.

        Raises:
            CannotReindexError: The server was told of no catalogue.
            InvalidRequestError: Memory is asked for, of an engine that has none of its own.
            UnknownWeightsError: There are no weights of that name.
            ReindexRunningError: A run is under way, in this server or another over the store.
        """
        if self.catalogue is None:
            raise CannotReindexError(
                "This server was told of no catalogue. Start it with the environment variable "
                "NITERU_CATALOGUE, a folder of photos, a manifest or shards, or run where the "
                "catalogue is: niteru index CATALOGUE --store STORE."
            )
        if demands is not None and demands.memory is not None and self.choice.engine != "faiss":
            raise InvalidRequestError(
                f"memory: this server's index lies in {self.choice.engine}, which has its own "
                "settings for that; it can be asked of an index of faiss only.",
                extensions={"errors": [{"field": "memory", "message": "not with this engine"}]},
            )
        folder = None if weights is None else find_named(weights)
        for job in self.jobs.newest():
            if job.kind == KIND and not job.ended:
                raise ReindexRunningError(
                    "The catalogue is being indexed already. Follow that job, or cancel it first.",
                    extensions={"job": f"/v1/jobs/{job.id}"},
                )
        if (self.store / MARKER).exists():
            try:
                with exclusive(self.store, LOCK):
                    pass  # it is of a server that has ended
            except StoreBusyError as error:
                raise self._elsewhere() from error
        catalogue = self.catalogue
        return self.jobs.submit(
            KIND,
            name_of(catalogue),
            lambda job: self._run(job, catalogue, folder, prune=prune, demands=demands),
            lane=LANE,
        )

    def recall(self) -> None:
        """Remember a run that ended with its server as a job that failed."""
        path = self.store / MARKER
        try:
            path.read_bytes()  # mostly there is none, and then no lock is made either
            with exclusive(self.store, LOCK):
                told = json.loads(path.read_bytes())
                path.unlink()
            job_id, subject = str(told["job"]), str(told["catalogue"])
        except FileNotFoundError:
            return
        except StoreBusyError:  # another server's run, which is none of the interrupted
            return
        except (OSError, ValueError, KeyError, TypeError) as error:
            logger.warning("What was noted of a run of the indexer cannot be read: %s", error)
            return
        logger.warning("Indexing '%s' was interrupted: its server ended. POST /v1/reindex goes on.",
                       subject)  # fmt: skip
        job = Job(KIND, subject, lane=LANE, clock=self.jobs.clock, job_id=job_id)
        interrupted = ReindexInterruptedError(
            "The server ended while this ran. What was embedded until then is kept and nothing "
            "was published. POST /v1/reindex goes on where it was."
        )
        job.end("failed", error=interrupted)
        self.jobs.remember(job)

    def _run(
        self,
        job: Job,
        catalogue: str,
        folder: Path | None,
        *,
        prune: bool,
        demands: Demands | None,
    ) -> Reindexed:
        """Index, unless another server over the store does."""
        self.store.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            try:
                stack.enter_context(exclusive(self.store, LOCK, wait=1.0))
            except StoreBusyError as error:
                raise self._elsewhere() from error
            return self._index(job, catalogue, folder, prune=prune, demands=demands)

    def _elsewhere(self) -> ReindexRunningError:
        """That another server indexes, and which job of it that is."""
        try:
            job = {"job": f"/v1/jobs/{json.loads((self.store / MARKER).read_bytes())['job']}"}
        except (OSError, ValueError, KeyError, TypeError):  # it begins or ends just now
            job = {}
        return ReindexRunningError(
            "Another server over this store is indexing already. Follow its job there, or cancel "
            "it first.",
            extensions=job,
        )

    def _index(
        self,
        job: Job,
        catalogue: str,
        folder: Path | None,
        *,
        prune: bool,
        demands: Demands | None,
    ) -> Reindexed:
        """Index, telling the job how far it is."""
        # Here, because FAISS comes with it, and a server may have another engine.
        from indexer.pipeline import index_catalogue  # noqa: PLC0415

        def note(progress: Progress) -> None:
            job.note(progress.done, progress.total, progress.stage)

        marker = self.store / MARKER
        report: IndexReport | None = None
        try:
            facts = {"job": job.id, "catalogue": name_of(catalogue)}
            write_atomically(marker, json.dumps(facts).encode())
            embedder = self.embedder
            if folder is not None:
                embedder = load_embedder(folder, runtime=self.runtime)
            elif self.weights is not None and has_fingerprint(self.weights, embedder.fingerprint):
                folder = find_weights(self.weights)
            with closing(self.choice.generations(self.store)) as generations:
                report = index_catalogue(
                    open_catalogue(catalogue, photos_from=self.photos_from),
                    self.store,
                    embedder,
                    workers=self._workers(folder),
                    batch=BATCH,
                    prune=prune,
                    demands=demands,
                    weights=folder,
                    progress=note,
                    should_stop=lambda: job.stopping,
                    generations=generations,
                )
        except IndexerError as error:
            # It names paths of this machine, which are for the log.
            logger.warning("Job %s: %s", job.id, error)
            raise ReindexFailedError(failure(error)) from error
        except (WeightsError, ImportError) as error:
            logger.warning("Job %s: %s", job.id, error)
            raise ReindexFailedError(
                "The weights cannot embed photos here. What was indexed before is still served. "
                "The server's log says more, under the id of this job."
            ) from error
        finally:
            # A run that is stopped because the server ends is one to be told of.
            if not self.jobs.closed or (report is not None and not report.stopped):
                with suppress(OSError):
                    marker.unlink()
        if report.stopped:
            raise StoppedError
        return Reindexed(report)

    def _workers(self, folder: Path | None) -> int | Workers:
        """Where photos are read and embedded, by weights that lie in a folder.

        Raises:
            WeightsError: Ray is to load weights of which nobody knows where they are.
        """
        if self.workers != "ray":
            return self.workers
        if folder is None:
            raise WeightsError("Ray's nodes need the weights' folder, and it is not known here.")
        return ray_workers(folder, self.runtime, batch=BATCH)


def name_of(catalogue: str) -> str:
    """The last part of a catalogue's path or URL: what may be told to clients."""
    return PurePath(mask(catalogue)).name


def find_named(name: str) -> Path:
    """The folder of weights by their name below ``weights/``, which is never a path.

    Raises:
        UnknownWeightsError: There are none.
    """
    there = list_weights()
    if name not in there:
        raise UnknownWeightsError(
            f"There are no weights '{name[:100]}' below weights/ where the server runs. There are: "
            f"{', '.join(there) or 'none'}.",
            extensions={"weights": list(there)},
        )
    return there[name]


def failure(error: IndexerError) -> str:
    """What kept a run from its end, without paths."""
    if isinstance(error, StoreBusyError):
        return "Another process is indexing into the store. Try again when it has ended."
    return (
        f"The catalogue or the store cannot be used ({type(error).__name__}). What was indexed "
        "before is still served. The server's log says more, under the id of this job."
    )
