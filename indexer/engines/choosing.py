"""Which index to build, by measuring: every kind is tried on a sample, the cheapest is built.

A kind is tried with rising effort until it reaches the asked recall@10 on held-out, photo-like
queries. The time of a search counts the ranking of its candidates, and is carried over from the
sample to all items (``expected_time``). Of those that reach the recall and fit into the asked
memory, the cheapest is built of all items and measured again; if it misses there, the next is.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np

from indexer.engines.candidates import (
    FLAT,
    KINDS,
    ROW_NUMBER,
    Kind,
    list_count,
    new_index,
    parameters,
)
from indexer.engines.recall import TOLERANCE, HeldOut, K, fetch_width, measure, true_neighbours
from indexer.engines.scores import cosines
from indexer.engines.stored import Stored
from indexer.errors import GenerationError
from indexer.manifest import RECALL, Asked, Trial
from indexer.protocols import Vectors
from indexer.reading import Rows, stream_vectors

BISECTIONS = 3


@dataclass(frozen=True, slots=True)
class IndexPolicy:
    """What to build when.

    Attributes:
        flat_limit: Up to so many vectors an exact scan is fast enough.
        recall: The recall@10 a larger index has to reach, 0 to 1.
        memory: Bytes the index may take; None is any number.
        queries: How many held-out queries to measure with.
        cosine: How near a held-out query made of noise is to the vector it was made from, 0 to 1,
            where no photo can be read that would tell.
        training: At most so many vectors train the lists.
        sample: At most so many vectors the kinds are tried on.
        seed: Of the sampling and of k-means.
    """

    flat_limit: int = 50_000
    recall: float = RECALL
    memory: int | None = None
    queries: int = 200
    cosine: float = 0.8
    training: int = 200_000
    sample: int = 50_000
    seed: int = 0

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


@dataclass(frozen=True, slots=True)
class Candidate:
    """A filled index with the effort that reached the asked recall."""

    index: Any
    factory: str
    nlist: int
    nprobe: int
    breadth: int = 1


def choose(
    source: Source, training: Vectors, held_out: HeldOut, policy: IndexPolicy, curve: list[Trial]
) -> Candidate | None:
    """The cheapest candidate that reaches the recall; None is ``Flat``.

    Args:
        source: All vectors.
        training: (T, dim), drawn from them at random.
        held_out: Photo-like queries with their true neighbours among all.
        policy: What is asked.
        curve: Takes all that was tried.

    Raises:
        GenerationError: No index that reaches the recall fits into the asked memory.
    """
    flat = (4 * source.dim + ROW_NUMBER) * source.count
    fitting = [kind for kind in KINDS if fits(kind, source, policy)]
    sample = training[: policy.sample]
    tried = try_on_sample(source, sample, held_out.queries, policy, fitting)
    curve += [trial for _, trials in tried for trial in trials]
    reached = [
        (expected_time(kind, trials[-1], ranking_time(source, kind), source.count), number, kind)
        for number, (kind, trials) in enumerate(tried)
        if trials[-1].recall_at_10 >= policy.recall
    ]
    for _, _, kind in sorted(reached):
        found = build_candidate(kind, source, training, held_out, policy, curve)
        if found is not None:
            return found
    if policy.memory is not None and flat > policy.memory:
        smallest = min(KINDS, key=lambda kind: kind.bytes_per_item(source.dim))
        raise GenerationError(
            f"No index of {source.count:,} items with recall@10 {policy.recall:g} fits into "
            f"{policy.memory:,} bytes: {FLAT} takes {flat:,}, and {smallest.name} "
            f"{smallest.bytes_per_item(source.dim) * source.count:,}. Allow more memory, or ask "
            "for a lower recall."
        )
    return None


def fits(kind: Kind, source: Source, policy: IndexPolicy) -> bool:
    """Whether an index of this kind stays within the asked memory."""
    needed = kind.bytes_per_item(source.dim) * source.count
    return policy.memory is None or needed <= policy.memory


def try_on_sample(
    source: Source,
    sample: Vectors,
    queries: Vectors,
    policy: IndexPolicy,
    kinds: list[Kind],
) -> list[tuple[Kind, list[Trial]]]:
    """Each kind with what was measured of it on a sample (S, dim), the best recall last."""
    held_out = true_neighbours(queries, [sample], len(sample))
    tried = []
    for kind in kinds:
        lists = list_count(len(sample), len(sample))
        index = new_index(kind, source.dim, lists, sample, policy.seed)
        index.add_with_ids(sample, np.arange(len(sample)))
        attempt = on_sample(index, kind, sample, held_out, ranking_time(source, kind))
        tried.append((kind, raise_effort(attempt, kind, lists, policy.recall)))
    return tried


def expected_time(kind: Kind, trial: Trial, ranking: float, count: int) -> float:
    """Microseconds of a search among ``count`` items, from one among a sample.

    Only looking for candidates takes longer among more items; ranking them does not.
    """
    assert trial.items is not None
    looking = max(0.0, trial.microseconds - ranking)
    return kind.growth(trial.items, count) * looking + ranking


def ranking_time(source: Source, kind: Kind) -> float:
    """Microseconds to read and compare the true vectors of as many candidates as a kind needs."""
    stream, needed = source.stream(), kind.breadth * fetch_width(K)
    rows, vectors = next(stream)
    rows = np.resize(rows, needed)
    started = time.perf_counter()
    for _ in range(20):
        cosines(source.read(rows), vectors[0])
    return (time.perf_counter() - started) / 20 * 1e6


def on_sample(
    index: Any, kind: Kind, sample: Vectors, held_out: HeldOut, ranking: float
) -> Callable[[int], Trial]:
    """Measures an index over a sample, whose ids are its rows, with some effort.

    ``ranking`` is the time to rank the candidates, microseconds a query.
    """
    lists = getattr(index, "nlist", 0)

    def attempt(effort: int) -> Trial:
        width = kind.breadth * fetch_width(K)
        started = time.perf_counter()
        rows = np.concatenate(
            [
                search_index(index, query[None], width, effort=effort)[1]
                for query in held_out.queries
            ]
        )
        seconds = time.perf_counter() - started
        true = np.einsum("qwd,qd->qw", sample[rows.clip(0)], held_out.queries)  # (Q, W)
        near = (true >= held_out.thresholds[:, None] - TOLERANCE) & (rows >= 0)
        hits = np.minimum(near.sum(axis=1), held_out.neighbours).sum()
        return Trial(
            index=kind.factory(lists),
            nprobe=effort,
            recall_at_10=float(hits) / (len(rows) * held_out.neighbours),
            microseconds=seconds / len(rows) * 1e6 + ranking,
            items=len(sample),
            bytes_per_item=kind.bytes_per_item(sample.shape[1]),
        )

    return attempt


def raise_effort(
    attempt: Callable[[int], Trial], kind: Kind, lists: int, recall: float
) -> list[Trial]:
    """Double the effort until the recall is reached, or there is no more; the last is the best."""
    effort, most = kind.least, kind.most or lists
    trials = [attempt(effort)]
    while trials[-1].recall_at_10 < recall and effort < most:
        effort = min(2 * effort, most)
        trials.append(attempt(effort))
    return trials


def build_candidate(
    kind: Kind,
    source: Source,
    training: Vectors,
    held_out: HeldOut,
    policy: IndexPolicy,
    curve: list[Trial],
) -> Candidate | None:
    """An index of all items with the least effort that reaches the recall, None if none does."""
    lists = list_count(source.count, len(training))
    index = new_index(kind, source.dim, lists, training, policy.seed)
    for rows, vectors in source.stream():
        index.add_with_ids(vectors, rows)

    def attempt(effort: int) -> Trial:
        recall, microseconds = measure(
            source.read,
            held_out,
            lambda queries, width: search_index(index, queries, width, effort=effort),
            breadth=kind.breadth,
        )
        trial = Trial(
            index=kind.factory(lists), nprobe=effort, recall_at_10=recall,
            microseconds=microseconds, items=source.count,
            bytes_per_item=kind.bytes_per_item(source.dim),
        )  # fmt: skip
        curve.append(trial)
        return trial

    trials = raise_effort(attempt, kind, lists, policy.recall)
    if trials[-1].recall_at_10 < policy.recall:
        return None
    high, low = trials[-1].nprobe, trials[-2].nprobe if len(trials) > 1 else trials[-1].nprobe
    for _ in range(BISECTIONS):  # doubling may have gone up to twice as far as needed
        middle = (low + high) // 2
        if middle in (low, high):
            break
        if attempt(middle).recall_at_10 >= policy.recall:
            high = middle
        else:
            low = middle
    return Candidate(index, kind.factory(lists), getattr(index, "nlist", 0), high, kind.breadth)


def search_index(
    index: Any, queries: Vectors, width: int, *, effort: int, selector: Any = None
) -> tuple[Vectors, Rows]:
    """Scores and row numbers (B, width), best first; -1 pads where there are no more."""
    scores, rows = index.search(queries, width, params=parameters(index, effort, selector))
    return scores, rows


def build_flat(source: Source) -> Any:
    """An exact index of all vectors.

    IndexIDMap, not IndexIDMap2: the vectors themselves are read from the database, and the second
    would build a reverse map of all row numbers at every opening.
    """
    index = faiss.IndexIDMap(faiss.IndexFlatIP(source.dim))
    for rows, vectors in source.stream():
        index.add_with_ids(vectors, rows)
    return index
