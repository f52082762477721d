"""What is asked of an index, and what it is built from."""

import math
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from indexer.engines.stored import Stored
from indexer.manifest import RECALL, Asked
from indexer.protocols import Vectors
from indexer.reading import Rows, stream_vectors


@dataclass(frozen=True, slots=True)
class IndexPolicy:
    """What to build when.

    Attributes:
        flat_limit: Up to so many vectors an exact scan is fast enough; above it is compared with
            the others. 0 leaves it out as long as any other reaches the recall.
        recall: The recall@10 a larger index has to reach, 0 to 1.
        memory: Bytes the index may take; None is any number.
        queries: How many held-out queries to measure with.
        cosine: How near a held-out query made of noise is to the vector it was made from, 0 to 1,
            where no photo can be read that would tell.
        training: At most so many vectors train the lists.
        sample: At most so many vectors a graph is tried on before it is built.
        seed: Of the sampling and of k-means.
    """

    flat_limit: int = 50_000
    recall: float = RECALL
    memory: int | None = None
    queries: int = 500
    cosine: float = 0.8
    training: int = 200_000
    sample: int = 50_000
    seed: int = 0

    def reached_by(self, recall: float, queries: int) -> bool:
        """Whether a recall that so many queries were measured at is what is asked, or more.

        By more than its standard error, which is largest where a query finds all or nothing: other
        queries would miss it half of the time otherwise.
        """
        error = math.sqrt(max(0.0, recall * (1 - recall)) / queries)
        return recall - error >= self.recall

    @property
    def asked(self) -> Asked:
        """What an index made by it remembers."""
        return Asked(recall=self.recall, memory=self.memory)


@dataclass(frozen=True, slots=True)
class Source:
    """The vectors an index is built from: one embedder's, within one snapshot.

    Attributes:
        connection: The snapshot.
        embedder: The embedder's number.
        dim: Numbers in a vector.
        count: How many vectors.
        stored: The file they were copied to, which is read many times as fast.
    """

    connection: sqlite3.Connection
    embedder: int
    dim: int
    count: int
    stored: Stored | None = None

    def stream(self) -> Iterator[tuple[Rows, Vectors]]:
        """All of them, in blocks: row numbers (N,) and vectors (N, dim)."""
        if self.stored is not None:
            return self.stored.stream()
        return stream_vectors(self.connection, self.embedder, self.dim)

    def read(self, rows: Rows) -> Vectors:
        """The vectors (N, dim) of some rows (N,), from the file."""
        assert self.stored is not None, "an index is built with the file beside it"
        return self.stored.vectors(None, rows)
