"""Collecting what no generation needs, as a job of the server."""

import logging
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import indexer.errors
from indexer.engines.choice import EngineChoice
from indexer.garbage import Garbage, OfEmbedder, collect, find_garbage
from service.errors import CollectingFailedError, StoreBusyError
from service.job import Job, StoppedError
from service.jobs import Jobs
from service.reindexing import LANE
from service.schemas_jobs import CollectOptions, CollectResponse, OldGeneration, UnneededVectors

logger = logging.getLogger(__name__)

KIND = "collect"


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collection has removed, or would."""

    garbage: Garbage
    dry_run: bool

    @property
    def nbytes(self) -> int:
        """Memory that it takes, roughly."""
        return 1000 + 200 * len(self.garbage.files)

    def tell(self) -> CollectResponse:
        """It as it goes over the wire, without paths of this machine."""
        found = self.garbage
        return CollectResponse(
            dry_run=self.dry_run,
            generations=[OldGeneration(id=old.id, bytes=old.bytes) for old in found.generations],
            held=list(found.held),
            vectors=[describe(one) for one in found.vectors],
            unfinished=[describe(one) for one in found.unfinished],
            vectors_stay=found.vectors_stay,
            files=len(found.files),
            bytes=found.bytes,
            freed=found.freed,
        )


def describe(one: OfEmbedder) -> UnneededVectors:
    """The vectors of an embedder as they go over the wire."""
    return UnneededVectors(fingerprint=one.fingerprint, vectors=one.vectors, bytes=one.bytes)


def submit(store: Path, choice: EngineChoice, jobs: Jobs, options: CollectOptions) -> Job:
    """Start a collection, in the lane of the runs of the indexer: one waits for the other."""

    def work(job: Job) -> Collected:
        try:
            found = run(store, choice, job, options)
        except indexer.errors.StoreBusyError as error:
            raise StoreBusyError(
                "Another process is writing to the store, for instance an indexing. Nothing was "
                "removed; ask again when it has ended."
            ) from error
        except indexer.errors.IndexerError as error:
            logger.warning("Job %s: %s", job.id, error)  # it names paths of this machine
            raise CollectingFailedError(
                f"The store cannot be used ({type(error).__name__}). What is served is as it was. "
                "The server's log says more, under the id of this job."
            ) from error
        if found.stopped:
            raise StoppedError
        return Collected(found, options.dry_run)

    return jobs.submit(KIND, store.name, work, lane=LANE)


def run(store: Path, choice: EngineChoice, job: Job, options: CollectOptions) -> Garbage:
    """Collect, telling the job how far it is; or tell what would be collected."""
    with closing(choice.generations(store)) as generations:
        if options.dry_run:
            return find_garbage(
                store, generations, keep=options.keep, unfinished=options.unfinished
            )
        return collect(
            store,
            generations,
            keep=options.keep,
            unfinished=options.unfinished,
            progress=lambda done, total: job.note(done, total, "collect"),
            should_stop=lambda: job.stopping,
        )
