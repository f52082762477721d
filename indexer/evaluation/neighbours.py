"""Exact nearest neighbours by cosine, in blocks, under a rule for ties any machine can keep."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from indexer.protocols import Vectors

Codes = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

# Scores that agree to six decimals are a tie: the order in which a product is summed depends on
# the machine and on the place in the block, and float32 keeps about seven digits.
DECIMALS = 1e6
# (block, gallery) scores and their int64 keys: 16 M entries are about 0.3 GB at a time.
BLOCK_ENTRIES = 1 << 24
LEFT_OUT = np.iinfo(np.int64).max


class Match(NamedTuple):
    """A property of both sets as numbers: where they are equal and not -1, both sets agree.

    Attributes:
        queries: (Q,) codes, -1 if unknown.
        gallery: (G,) codes, -1 if unknown.
    """

    queries: Codes
    gallery: Codes

    def equal(self, start: int, stop: int) -> Mask:
        """Which photos of the gallery agree with queries ``start:stop``: (stop - start, G)."""
        rows = self.queries[start:stop, None]
        equal: Mask = (rows == self.gallery[None]) & (rows >= 0)
        return equal


def encode(queries: npt.NDArray[np.str_], gallery: npt.NDArray[np.str_]) -> Match:
    """Number the values of both sets alike; an empty string is unknown."""
    values, codes = np.unique(np.concatenate([queries, gallery]), return_inverse=True)
    numbers = codes.astype(np.int64)
    numbers[(values == "")[codes]] = -1
    return Match(numbers[: len(queries)], numbers[len(queries) :])


def blocks(queries: int, gallery: int) -> Iterator[tuple[int, int]]:
    """Ranges of queries that keep a (block, gallery) array within bounds."""
    step = max(1, BLOCK_ENTRIES // max(1, gallery))
    for start in range(0, queries, step):
        yield start, min(start + step, queries)


def nearest(
    queries: Vectors, gallery: Vectors, count: int, *, leave_out: Sequence[Match] = ()
) -> Codes:
    """The rows of the gallery nearest to each query.

    Args:
        queries: (Q, D) of unit length.
        gallery: (G, D) of unit length.
        count: How many neighbours.
        leave_out: A photo that agrees with the query in one of these is no answer to it.

    Returns:
        (Q, count) rows, best first, equal scores by the lower row; -1 where no more are left.
    """
    Q, G = len(queries), len(gallery)
    found = np.full((Q, count), -1, dtype=np.int64)
    kept = min(count, G)
    rows = np.arange(G, dtype=np.int64)
    for start, stop in blocks(Q, G):
        scores = queries[start:stop] @ gallery.T  # (b, G)
        # One integer orders by score, then by row, so every key is different from the others.
        keys = np.rint(scores * -DECIMALS).astype(np.int64) * G + rows  # (b, G)
        for match in leave_out:
            keys[match.equal(start, stop)] = LEFT_OUT
        best = np.argpartition(keys, kept - 1, axis=1)[:, :kept]  # (b, kept)
        best_keys = np.take_along_axis(keys, best, axis=1)
        order = np.argsort(best_keys, axis=1)
        ranked = np.take_along_axis(best, order, axis=1)
        left_out = np.take_along_axis(best_keys, order, axis=1) == LEFT_OUT
        found[start:stop, :kept] = np.where(left_out, -1, ranked)
    return found


def unit_rows(vectors: Vectors) -> Vectors:
    """Rows of unit length, so that a product is a cosine; a row of zeros stays one."""
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))[:, None]  # (N, 1)
    scaled: Vectors = vectors / np.maximum(lengths, np.float32(1e-12))
    return scaled
