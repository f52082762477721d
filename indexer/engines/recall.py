"""Measuring an index as it will be used: with queries that are like photos, not like itself.

The catalogue's own vectors as queries would say nothing: each finds itself, which a coarse index
does best. A photo of the same item by somebody else lies near its vector, not on it, so held-out
queries are sampled vectors moved by noise to a stated cosine.
"""

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from indexer.protocols import Vectors
from indexer.reading import Rows, find_rows, stream_vectors

K = 10
# Above the rounding of a float32 inner product: an equal neighbour is as good as the listed one.
TOLERANCE = 1e-5

Lookup = Callable[[Vectors, int], tuple[Vectors, Rows]]


def fetch_width(limit: int) -> int:
    """How many candidates to take from an index for ``limit`` answers: the rest is re-ranking."""
    return 2 * limit + 16


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Queries and the score of the last of each one's ten true neighbours.

    Attributes:
        queries: (Q, dim) float32 of unit length.
        thresholds: (Q,) cosine of the tenth neighbour (of the last, if there are fewer).
        neighbours: Ten, or how many vectors there are if fewer.
    """

    queries: Vectors
    thresholds: npt.NDArray[np.float64]
    neighbours: int


def photo_like(vectors: Vectors, cosine: float, generator: np.random.Generator) -> Vectors:
    """Move unit vectors (N, dim) by random noise until their cosine to themselves is ``cosine``."""
    noise = generator.standard_normal(vectors.shape)
    noise -= (noise * vectors).sum(axis=1, keepdims=True) * vectors
    length = np.linalg.norm(noise, axis=1, keepdims=True)
    noise = np.divide(noise, length, out=np.zeros_like(noise), where=length > 0)  # dim 1: no room
    moved = cosine * vectors + np.sqrt(1 - cosine * cosine) * noise
    unit: Vectors = (moved / np.linalg.norm(moved, axis=1, keepdims=True)).astype(np.float32)
    return unit


def hold_out(
    connection: sqlite3.Connection, embedder: int, queries: Vectors, count: int
) -> HeldOut:
    """Find the true neighbours of queries (Q, dim) by looking at every vector."""
    neighbours = min(K, count)
    best = np.full((len(queries), neighbours), -np.inf)
    for _, vectors in stream_vectors(connection, embedder, queries.shape[1]):
        scores = np.concatenate([best, (queries @ vectors.T).astype(np.float64)], axis=1)
        best = -np.partition(-scores, neighbours - 1, axis=1)[:, :neighbours]
    return HeldOut(queries, best.min(axis=1), neighbours)


def measure(
    connection: sqlite3.Connection, held_out: HeldOut, lookup: Lookup
) -> tuple[float, float]:
    """Recall@10 of an index and the time of one query.

    Args:
        connection: For the true vectors of what the index proposes.
        held_out: Queries with their true neighbours.
        lookup: (queries (Q, dim), width) -> scores and row numbers (Q, width), -1 pads.

    Returns:
        The part of the true neighbours that are among the candidates, and microseconds a query.
    """
    width = fetch_width(K)
    started = time.perf_counter()
    rows = np.concatenate([lookup(query[None], width)[1] for query in held_out.queries])
    microseconds = (time.perf_counter() - started) / len(rows) * 1e6
    dim = held_out.queries.shape[1]
    found = find_rows(connection, dim, (int(row) for row in np.unique(rows) if row >= 0))
    hits = 0
    for query, threshold, proposed in zip(held_out.queries, held_out.thresholds, rows, strict=True):
        vectors = [found[int(row)].vector for row in proposed if int(row) in found]
        near = sum(float(vector @ query) >= threshold - TOLERANCE for vector in vectors)
        hits += min(near, held_out.neighbours)
    return hits / (len(rows) * held_out.neighbours), microseconds
