"""Photos read and embedded on the machines of a Ray cluster, by Ray Data.

This process keeps the truth: it alone sees the store, lists the catalogue, and makes records of
what comes back. What goes out are blocks of entries, what comes back are hashes and vectors, so a
node that is lost costs only the time of its blocks: Ray has them looked at again, elsewhere.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import ray
import ray.data
from ray.data import ActorPoolStrategy, DataContext, Dataset
from ray.data.exceptions import ExecutionTimeoutError, SystemException
from ray.exceptions import RayError

from indexer.errors import EmbedderError, IndexerError, WorkersError
from indexer.intake import RECENT, Batch, Intake
from indexer.looking import Unread, look
from indexer.protocols import Embedder, Entry, Vectors
from indexer.ray_blocks import (
    read_error,
    read_seen,
    read_unread,
    write_error,
    write_seen,
    write_unread,
)
from indexer.ray_cluster import connected_later, processors
from indexer.reading import find_embedder, find_hashes
from indexer.workers import Chunks, in_threads

# Threads that compare entries with the store; they wait for the photos' file system.
LISTERS = 8
GO_ON = "What came back until then is stored: run the same command again to go on."
ERRORS = {"node_error": WorkersError, "embedder_error": EmbedderError}


@dataclass(frozen=True, slots=True)
class RayWorkers:
    """Actors of a Ray cluster, as many as it has processors, each with its own embedder.

    The nodes need niteru itself, the weights and the photos, at the same paths as here.

    Attributes:
        load: Gives an embedder on a node; sent there, so it must be picklable.
        address: The cluster's; None takes that of ``RAY_ADDRESS``, or the one that this machine
            belongs to, or starts one of this machine alone.
        batch: Photos that a node embeds together.
        block: Photos that a node is given at once: what its loss costs.
    """

    load: Callable[[], Embedder]
    address: str | None = None
    batch: int = 32
    block: int = 128

    def take(
        self, intake: Intake, chunks: Chunks, should_stop: Callable[[], bool]
    ) -> Generator[Batch]:
        """See ``indexer.workers.Workers``; what has not come back when it is asked to stop is lost.

        The whole catalogue is compared with the store before the first photo is read. If no photo
        has to be read, no cluster is asked.

        Raises:
            EmbedderError: The embedder does not give (B, dim) float32.
            WorkersError: The cluster cannot be reached, a node cannot embed, or the work ended
                early.
        """
        with connected_later(self.address) as connect:
            shipped = Shipped()
            waiting: list[Unread] = []
            for batch, unread in in_threads(intake.compare, chunks, LISTERS, should_stop):
                if batch.entries:
                    yield batch
                waiting += unread
                while len(waiting) >= self.block:
                    connect()
                    shipped.put(waiting[: self.block])
                    del waiting[: self.block]
            if should_stop():
                return
            if waiting:
                connect()
                shipped.put(waiting)
            if shipped.blocks:
                yield from self._embed(intake, shipped, should_stop)

    def _embed(
        self, intake: Intake, shipped: "Shipped", should_stop: Callable[[], bool]
    ) -> Generator[Batch]:
        """Have the blocks looked at, and make records of what comes back."""
        arrived = np.zeros(shipped.count, np.bool_)
        with in_our_words():
            looked = self._plan(intake, shipped)
            for table in looked.iter_batches(batch_size=None, batch_format="pyarrow"):
                for name, kind in ERRORS.items():
                    if message := read_error(table, name):
                        raise kind(message)
                # Ray hands out every block once. That is checked, because an item that came twice
                # or never would not show otherwise.
                numbers = table["number"].to_numpy()
                new = ~arrived[numbers]
                arrived[numbers] = True
                batch = Batch()
                intake.settle(*read_seen(table.filter(pa.array(new)), intake.embedder.dim), batch)
                yield batch
                if should_stop():
                    return
        missing = int(np.count_nonzero(~arrived))
        if missing:
            raise WorkersError(
                f"Ray ended its work without {missing:,} of {shipped.count:,} photos. {GO_ON}"
            )

    def _plan(self, intake: Intake, shipped: "Shipped") -> Dataset:
        """What Ray Data is to do, in its words."""
        known = ray.put(known_prefixes(intake))
        # A list, because a bare reference would be fetched by whoever starts the actor.
        settings = {
            "load": self.load, "read": intake.catalogue.read, "known": [known],
            "fingerprint": intake.embedder.fingerprint,
        }  # fmt: skip
        context = DataContext.get_current()
        bars, context.enable_progress_bars = context.enable_progress_bars, False
        try:
            return ray.data.from_arrow_refs(shipped.blocks).map_batches(
                Looker, fn_constructor_kwargs=settings,
                batch_size=self.batch, batch_format="pyarrow",
                compute=ActorPoolStrategy(min_size=1, initial_size=processors()), num_cpus=1,
            )  # fmt: skip
        finally:
            context.enable_progress_bars = bars


@dataclass
class Shipped:
    """Blocks that lie in Ray's object store, which writes to the disk what does not fit.

    Attributes:
        blocks: References to them.
        count: Photos in them.
    """

    blocks: "list[ray.ObjectRef[pa.Table]]" = field(default_factory=list)
    count: int = 0

    def put(self, photos: Sequence[Unread]) -> None:
        """Put a block there."""
        self.blocks.append(ray.put(write_unread(photos, self.count)))
        self.count += len(photos)


class Looker:
    """What runs on a node: an embedder, loaded once, that looks at chunks of photos.

    Args:
        load: Gives the embedder.
        read: Gives the bytes of an entry's photo.
        known: A reference to what ``known_prefixes`` gave.
        fingerprint: Of the weights that the embedder has to have.
    """

    def __init__(
        self,
        load: Callable[[], Embedder],
        read: Callable[[Entry], bytes],
        known: "list[ray.ObjectRef[Any]]",
        fingerprint: str,
    ) -> None:
        self.read = read
        self.known: npt.NDArray[np.uint64] = ray.get(known[0])
        self.recent: dict[str, Vectors] = {}
        # What is wrong is told in the answer: from here, an exception would arrive as the text of
        # Ray's own, or be taken for the death of the node.
        self.wrong: str | None = None
        try:
            self.embedder = load()
            if self.embedder.fingerprint != fingerprint:
                self.wrong = (
                    f"its weights are '{self.embedder.fingerprint}', here they are '{fingerprint}'"
                )
        except (IndexerError, ValueError, OSError, ImportError) as error:
            self.wrong = str(error)

    def __call__(self, sent: pa.Table) -> pa.Table:
        """Columns of ``SENT`` -> those and the columns of ``SEEN``."""
        if self.wrong is not None:
            node = ray.util.get_node_ip_address()
            return write_error(sent, "node_error", f"The node {node} cannot embed: {self.wrong}")
        try:
            seen = look(
                read_unread(sent), self.read, self.embedder, self.recent.get, self._is_known
            )
        except EmbedderError as error:
            return write_error(sent, "embedder_error", str(error))
        for told in seen:
            if told.vector is not None:
                self.recent[told.sha256] = told.vector
        while len(self.recent) > RECENT:
            del self.recent[next(iter(self.recent))]
        return write_seen(sent, seen)

    def _is_known(self, sha256: str) -> bool:
        prefix = prefix_of(sha256)
        place = int(np.searchsorted(self.known, prefix))
        return place < len(self.known) and self.known[place] == prefix


def known_prefixes(intake: Intake) -> npt.NDArray[np.uint64]:
    """The first 8 bytes of the hashes of all photos that the store has a vector of, ascending.

    Enough to leave a photo out; one that is taken for a known one by chance, is not found in the
    store when its record is made, and is looked at then.
    """
    with intake.pool.read() as connection:
        found = find_embedder(connection, intake.embedder.fingerprint)
        hashes = find_hashes(connection, found[0]) if found else iter(())
        return np.sort(np.fromiter((prefix_of(sha256) for sha256 in hashes), np.uint64))


def prefix_of(sha256: str) -> np.uint64:
    """The first 8 bytes of a hash as a number."""
    return np.uint64(int(sha256[:16], 16))


@contextmanager
def in_our_words() -> Iterator[None]:
    """Say Ray's errors as ours."""
    try:
        yield
    except (RayError, ExecutionTimeoutError, SystemException) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        # Tracebacks of nodes say last what happened, everything else says it first.
        reason = lines[-1] if isinstance(error, RayError) else lines[0]
        raise WorkersError(f"Ray ended its work early: {reason} {GO_ON}") from error
