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
from collections.abc import Callable
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
    new_index,
    search_index,
)
from indexer.engines.estimating import promises, raise_effort, time_flat
from indexer.engines.policy import IndexPolicy, Source
from indexer.engines.recall import HeldOut, K, measure
from indexer.errors import GenerationError
from indexer.manifest import Trial
from indexer.protocols import Vectors

BISECTIONS = 3
# So many times as long takes no longer: timing a search twice differs by as much.
AS_FAST = 1.1


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


def build_flat(source: Source) -> Any:
    """An exact index of all vectors.

    IndexIDMap, not IndexIDMap2: the vectors themselves are read from the database, and the second
    would build a reverse map of all row numbers at every opening.
    """
    index = faiss.IndexIDMap(faiss.IndexFlatIP(source.dim))
    for rows, vectors in source.stream():
        index.add_with_ids(vectors, rows)
    return index
