"""Measuring an index as it will be used: with queries that are like photos, not like itself.

The catalogue's own vectors as queries would say nothing: each finds itself, which a coarse index
does best. A photo of the same item by somebody else lies near its vector, not on it, so held-out
queries are altered views of catalogue photos, embedded anew, or else sampled vectors moved by noise
to the views' cosine.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from indexer.engines.scores import cosines
from indexer.protocols import Vectors
from indexer.reading import Rows

K = 10
# Above the rounding of a float32 inner product: an equal neighbour is as good as the listed one.
TOLERANCE = 1e-5
TIES = 4

Lookup = Callable[[Vectors, int], tuple[Vectors, Rows]]
Read = Callable[[Rows], Vectors]


def fetch_width(limit: int, breadth: int = 1, *, unrounded: bool = False) -> int:
    """How many candidates to take from an index for ``limit`` answers: the rest is re-ranking.

    Args:
        limit: Answers.
        breadth: How many times as many as codes of 8 bits need.
        unrounded: The index knows the true scores: only a tie can be behind the last answer.
    """
    return limit + TIES if unrounded else breadth * (2 * limit + 16)


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Queries and the score of the last of each one's true neighbours.

    Attributes:
        queries: (Q, dim) float32 of unit length.
        thresholds: (Q,) cosine of the last neighbour that counts.
        neighbours: How many count: ten, or how many vectors there are if fewer.
        views: How many of the queries are altered photos; the others are made by noise.
    """

    queries: Vectors
    thresholds: npt.NDArray[np.float64]
    neighbours: int
    views: int = 0

    def share_of(self, found: Sequence[Sequence[float] | npt.NDArray[np.floating]]) -> float:
        """The part of the true neighbours among what was found: true scores, for each query."""
        near = [
            min(int((np.asarray(scores) >= threshold - TOLERANCE).sum()), self.neighbours)
            for scores, threshold in zip(found, self.thresholds, strict=True)
        ]
        return sum(near) / (len(near) * self.neighbours)


def photo_like(vectors: Vectors, cosine: float, generator: np.random.Generator) -> Vectors:
    """Move unit vectors (N, dim) by random noise until their cosine to themselves is ``cosine``."""
    noise = generator.standard_normal(vectors.shape)
    noise -= (noise * vectors).sum(axis=1, keepdims=True) * vectors
    length = np.linalg.norm(noise, axis=1, keepdims=True)
    noise = np.divide(noise, length, out=np.zeros_like(noise), where=length > 0)  # dim 1: no room
    moved = cosine * vectors + np.sqrt(1 - cosine * cosine) * noise
    unit: Vectors = (moved / np.linalg.norm(moved, axis=1, keepdims=True)).astype(np.float32)
    return unit


def true_neighbours(
    queries: Vectors, blocks: Iterable[Vectors], count: int, *, views: int = 0
) -> HeldOut:
    """Find the true neighbours of queries (Q, dim) by looking at all of ``count`` vectors."""
    neighbours = min(K, count)
    best = np.full((len(queries), neighbours), -np.inf)
    for vectors in blocks:
        scores = np.concatenate([best, (queries @ vectors.T).astype(np.float64)], axis=1)
        best = -np.partition(-scores, neighbours - 1, axis=1)[:, :neighbours]
    return HeldOut(queries, best.min(axis=1), neighbours, views)


def measure(read: Read, held_out: HeldOut, lookup: Lookup, *, width: int) -> tuple[float, float]:
    """Recall@10 of an index and the time of one query, the ranking of its candidates with it.

    Args:
        read: Rows (N,) -> their true vectors (N, dim).
        held_out: Queries with their true neighbours.
        lookup: (queries (Q, dim), width) -> scores and row numbers (Q, width), -1 pads.
        width: How many candidates a query takes from the index.

    Returns:
        The part of the true neighbours that are among the candidates, and microseconds a query.
    """
    hits, seconds = 0, 0.0
    for query, threshold in zip(held_out.queries, held_out.thresholds, strict=True):
        started = time.perf_counter()
        rows = lookup(query[None], width)[1][0]
        scores = cosines(read(rows[rows >= 0]), query)
        seconds += time.perf_counter() - started
        hits += min(int((scores >= threshold - TOLERANCE).sum()), held_out.neighbours)
    count = len(held_out.queries)
    return hits / (count * held_out.neighbours), seconds / count * 1e6
