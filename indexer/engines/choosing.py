"""Which index to build, by measuring: the fastest that finds enough.

A kind is tried with rising effort until it reaches the asked recall@10 on held-out, photo-like
queries. The time of a search counts the ranking of its candidates. Of those that reach the recall
and fit into the asked memory, the fastest is taken, or the smallest that is about as fast.

Kinds with lists are measured over all items: a sample has fewer neighbours near each query, which
lists suffer from and a graph does not, so that it would tell nothing of them. They share the
centres of their lists, whose k-means is most of the work. A graph is tried on a sample first, and
built of everything only if it promises to be faster than the best lists.
"""

import math
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
    find_centres,
    list_count,
    new_graph,
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
# So many times as long takes no longer: timing a search twice differs by as much.
AS_FAST = 1.1


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


@dataclass(frozen=True, slots=True)
class Candidate:
    """A filled index with the effort that reached the asked recall, and what a search costs."""

    index: Any
    factory: str
    nlist: int
    nprobe: int
    breadth: int = 1
    microseconds: float = 0.0
    bytes_per_item: int = 0


def choose(
    source: Source, training: Vectors, held_out: HeldOut, policy: IndexPolicy, curve: list[Trial]
) -> Candidate | None:
    """The fastest candidate that reaches the recall; None is ``Flat``.

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
    kinds = [
        kind for kind in KINDS if fits(kind, source, policy) and kind.training <= len(training)
    ]
    sample = training[: policy.sample]
    lists = list_count(source.count, len(training))
    centres = np.empty((0, source.dim), np.float32)
    best: Candidate | None = None
    for kind in sorted(kinds, key=lambda kind: kind.coding is None):
        if kind.coding is None:
            most = best.microseconds if best else math.inf
            if not promises(kind, source, sample, held_out.queries, policy, curve, most):
                continue
        elif not len(centres):
            centres = find_centres(source.dim, lists, training, policy.seed)
        empty = new_index(kind, source.dim, centres, training)
        found = build_candidate(kind, empty, source, held_out, policy, curve)
        best = better(best, found)
    if policy.memory is not None and flat > policy.memory:
        if best is None:
            raise nothing_fits(source, policy, flat)
        return best
    if best is None or not policy.flat_limit:
        return best
    quick = time_flat(source, sample, held_out.queries, curve) <= best.microseconds
    return None if quick else best


def better(best: Candidate | None, found: Candidate | None) -> Candidate | None:
    """The faster of two, or the smaller if both are about as fast."""
    if best is None or found is None:
        return best or found
    slack = AS_FAST if found.bytes_per_item < best.bytes_per_item else 1 / AS_FAST
    return found if found.microseconds < slack * best.microseconds else best


def nothing_fits(source: Source, policy: IndexPolicy, flat: int) -> GenerationError:
    """The error where no index that reaches the recall is small enough."""
    smallest = min(KINDS, key=lambda kind: kind.bytes_per_item(source.dim))
    return GenerationError(
        f"No index of {source.count:,} items with recall@10 {policy.recall:g} fits into "
        f"{policy.memory:,} bytes: {FLAT} takes {flat:,}, and {smallest.name} "
        f"{smallest.bytes_per_item(source.dim) * source.count:,}. Allow more memory, or ask "
        "for a lower recall."
    )


def fits(kind: Kind, source: Source, policy: IndexPolicy) -> bool:
    """Whether an index of this kind stays within the asked memory."""
    needed = kind.bytes_per_item(source.dim) * source.count
    return policy.memory is None or needed <= policy.memory


def promises(
    kind: Kind,
    source: Source,
    sample: Vectors,
    queries: Vectors,
    policy: IndexPolicy,
    curve: list[Trial],
    most: float,
) -> bool:
    """Whether a graph of a sample (S, dim) lets expect the recall in under ``most`` microseconds.

    It takes about ten times as long to build as lists, and is not built without that.
    """
    held_out = true_neighbours(queries, [sample], len(sample))
    index = new_graph(source.dim)
    index.add_with_ids(sample, np.arange(len(sample)))
    ranking = ranking_time(source, kind)

    def enough(trial: Trial) -> bool:
        return policy.reached_by(trial.recall_at_10, len(queries))

    trials = raise_effort(on_sample(index, kind, sample, held_out, ranking), kind, 0, enough)
    curve += trials
    return enough(trials[-1]) and expected_time(trials[-1], ranking, source.count) < most


def expected_time(trial: Trial, ranking: float, count: int) -> float:
    """Microseconds of a search in a graph of ``count`` items, from one in that of a sample.

    The way through it grows with the logarithm of the number of items. That is for looking for
    candidates; ranking them takes no longer.
    """
    assert trial.items is not None
    looking = max(0.0, trial.microseconds - ranking)
    return looking * math.log(max(2, count)) / math.log(max(2, trial.items)) + ranking


def time_flat(source: Source, sample: Vectors, queries: Vectors, curve: list[Trial]) -> float:
    """Microseconds to compare a query with everything, from comparing it with a sample (S, dim)."""
    index: Any = faiss.IndexFlatIP(source.dim)
    index.add(sample)
    some = queries[:20]
    started = time.perf_counter()
    for query in some:
        index.search(query[None], fetch_width(K, unrounded=True))
    microseconds = (time.perf_counter() - started) / len(some) * 1e6
    curve.append(
        Trial(
            index=FLAT, nprobe=0, recall_at_10=1, microseconds=microseconds, items=len(sample),
            bytes_per_item=4 * source.dim + ROW_NUMBER,
        )
    )  # fmt: skip
    return microseconds * source.count / len(sample)


def ranking_time(source: Source, kind: Kind) -> float:
    """Microseconds to read and compare the true vectors of as many candidates as a kind needs."""
    stream, needed = source.stream(), kind.width(K)
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

    def attempt(effort: int) -> Trial:
        width = kind.width(K)
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
            index=kind.factory(0, sample.shape[1]),
            nprobe=effort,
            recall_at_10=float(hits) / (len(rows) * held_out.neighbours),
            microseconds=seconds / len(rows) * 1e6 + ranking,
            items=len(sample),
            bytes_per_item=kind.bytes_per_item(sample.shape[1]),
        )

    return attempt


def raise_effort(
    attempt: Callable[[int], Trial], kind: Kind, lists: int, enough: Callable[[Trial], bool]
) -> list[Trial]:
    """Double the effort until it is enough, or there is no more; the last is the best."""
    effort, most = kind.least, kind.most or lists
    trials = [attempt(effort)]
    while not enough(trials[-1]) and effort < most:
        effort = min(2 * effort, most)
        trials.append(attempt(effort))
    return trials


def bisect(
    attempt: Callable[[int], Trial], trials: list[Trial], enough: Callable[[Trial], bool]
) -> Trial:
    """The trial of the least effort that is enough: doubling may have gone twice as far."""
    reached, below = trials[-1], trials[-2] if len(trials) > 1 else trials[-1]
    for _ in range(BISECTIONS):
        middle = (below.nprobe + reached.nprobe) // 2
        if middle in (below.nprobe, reached.nprobe):
            break
        trial = attempt(middle)
        if enough(trial):
            reached = trial
        else:
            below = trial
    return reached


def build_candidate(
    kind: Kind,
    index: Any,
    source: Source,
    held_out: HeldOut,
    policy: IndexPolicy,
    curve: list[Trial],
) -> Candidate | None:
    """An index of all items with the least effort that reaches the recall, None if none does.

    Args:
        kind: Of what kind it is.
        index: The index, trained and empty; it is filled.
        source: All vectors.
        held_out: Queries with their true neighbours among them.
        policy: What is asked.
        curve: Takes all that was tried.
    """
    for rows, vectors in source.stream():
        index.add_with_ids(vectors, rows)
    lists = getattr(index, "nlist", 0)

    def attempt(effort: int) -> Trial:
        recall, microseconds = measure(
            source.read,
            held_out,
            lambda queries, width: search_index(index, queries, width, effort=effort),
            width=kind.width(K),
        )
        trial = Trial(
            index=kind.factory(lists, source.dim), nprobe=effort, recall_at_10=recall,
            microseconds=microseconds, items=source.count,
            bytes_per_item=kind.bytes_per_item(source.dim),
        )  # fmt: skip
        curve.append(trial)
        return trial

    def enough(trial: Trial) -> bool:
        return policy.reached_by(trial.recall_at_10, len(held_out.queries))

    trials = raise_effort(attempt, kind, lists, enough)
    if not enough(trials[-1]):
        return None
    reached = bisect(attempt, trials, enough)
    return Candidate(
        index,
        reached.index,
        lists,
        reached.nprobe,
        kind.breadth,
        reached.microseconds,
        kind.bytes_per_item(source.dim),
    )


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
