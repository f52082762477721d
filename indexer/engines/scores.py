"""What every engine does with queries and with true vectors, so that all answer alike."""

import numpy as np
import numpy.typing as npt

from indexer.errors import QueryError
from indexer.protocols import Vectors
from indexer.store import LENGTH_TOLERANCE

# Cosines nearer to 1 than this differ from it by what vectors in float32 are rounded by, squared:
# photos that an eye can tell apart are a thousand times as far from each other.
SAME = 1e-11


def cosines(vectors: Vectors, query: Vectors) -> npt.NDArray[np.float64]:
    """Cosines (N,) of unit vectors (N, dim) and (dim,), each the same whatever else is in N.

    A matrix product would round differently with the number of rows, and equal photos would not
    get equal scores: each row is a product of its own here. Unit length holds in float32 only, by
    which a copy would score .9999999: the lengths are divided by, and a copy scores 1.
    """
    rows, asked = vectors.astype(np.float64), query.astype(np.float64)
    lengths = np.sqrt(np.vecdot(rows, rows) * np.vecdot(asked, asked))
    found: npt.NDArray[np.float64] = np.vecdot(rows, asked) / lengths
    found[found > 1 - SAME] = 1.0
    return np.maximum(found, -1.0, out=found)


def check_queries(queries: Vectors, dim: int) -> Vectors:
    """Refuse queries that would give scores which are no cosines."""
    if queries.ndim != 2 or queries.shape[1] != dim or queries.dtype != np.float32:
        raise QueryError(
            f"Expected float32 queries of shape (B, {dim}), found {queries.dtype} {queries.shape}. "
            "They have to come from the embedder the index was made with."
        )
    lengths = np.sqrt(np.vecdot(queries, queries))
    if not (np.abs(lengths - 1) <= LENGTH_TOLERANCE).all():  # so written, NaN is refused as well
        raise QueryError(
            f"Queries must be of unit length; found lengths from {lengths.min():.6g} to "
            f"{lengths.max():.6g}. Divide each by its length."
        )
    return np.ascontiguousarray(queries)
