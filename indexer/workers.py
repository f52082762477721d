"""Where photos are read and embedded: a narrow seam, and the threads of this process behind it."""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from indexer.intake import Batch, Intake
from indexer.protocols import Entry
from indexer.runtime import Runtime, load_embedder

T = TypeVar("T")
Chunks = Iterable[Sequence[Entry]]


class Workers(Protocol):
    """What makes records of entries; storing them is the caller's."""

    def take(
        self, intake: Intake, chunks: Chunks, should_stop: Callable[[], bool]
    ) -> Generator[Batch]:
        """Make a batch of each chunk, in whatever order they get ready, and however cut.

        Every entry is in one batch, once. Closing the generator lets go of everything.

        Args:
            intake: Compares entries with the store.
            chunks: The entries; the photos of one are embedded together.
            should_stop: Asked now and then; True ends the batches early.

        Raises:
            EmbedderError: The embedder does not give (B, dim) float32.
            WorkersError: The workers ended early.
        """
        ...


@dataclass(frozen=True, slots=True)
class ThreadWorkers:
    """Threads of this process.

    Attributes:
        threads: How many; one for each core.
    """

    threads: int

    def __post_init__(self) -> None:
        """Refuse less than one thread."""
        if self.threads < 1:
            raise ValueError(f"workers must be at least 1; found {self.threads}.")

    def take(
        self, intake: Intake, chunks: Chunks, should_stop: Callable[[], bool]
    ) -> Generator[Batch]:
        """See ``Workers``; what was begun when it is asked to stop is ended."""
        yield from in_threads(intake.take, chunks, self.threads, should_stop)


def ray_workers(weights: Path, runtime: Runtime, *, batch: int) -> Workers:
    """The machines of a Ray cluster; each opens the weights at the path that they have here.

    Args:
        weights: Their folder.
        runtime: What embeds.
        batch: Photos that are embedded together.

    Raises:
        ImportError: Ray is not installed; says how to.
    """
    try:
        from indexer.ray_embedding import RayWorkers  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ImportError(
            f"Embedding on a Ray cluster needs another package: {error}. Install it on every "
            "node with: pip install '.[ray]', or have threads of this machine embed."
        ) from error
    return RayWorkers(partial(load_embedder, weights.absolute(), runtime=runtime), batch=batch)


def in_threads(
    work: Callable[[Sequence[Entry]], T],
    chunks: Chunks,
    threads: int,
    should_stop: Callable[[], bool],
) -> Generator[T]:
    """Do some work for each chunk, several at once; results come in the order they get ready.

    Of those that are ready at the same time, what was begun first comes first.
    """
    executor = ThreadPoolExecutor(threads, thread_name_prefix="intake")
    pending: list[Future[T]] = []

    def ready() -> Iterator[T]:
        nonlocal pending
        wait(pending, return_when=FIRST_COMPLETED)
        finished = [future for future in pending if future.done()]
        pending = [future for future in pending if future not in finished]
        return (future.result() for future in finished)

    try:
        for entries in chunks:
            if should_stop():
                pending = [future for future in pending if not future.cancel()]
                break
            pending.append(executor.submit(work, entries))
            # Bounded: a fast reader must not fill the memory before a slow embedder.
            if len(pending) >= 2 * threads:
                yield from ready()
        while pending:
            yield from ready()
    finally:
        executor.shutdown(cancel_futures=True)
