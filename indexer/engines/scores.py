"""What every engine does with queries and with true vectors, so that all answer alike."""

import numpy as np
import numpy.typing as npt

from indexer.errors import QueryError
from indexer.protocols import Vectors
from indexer.store import LENGTH_TOLERANCE


def cosines(vectors: Vectors, query: Vectors) -> npt.NDArray[np.float64]:
    """Inner products of unit vectors (N, dim) and (dim,), each the same whatever else is in N.

    A matrix product would round differently with the number of rows, and equal photos would not
    get equal scores: each row is a product of its own here.
    """
    products: npt.NDArray[np.float64] = np.vecdot(
        vectors.astype(np.float64), query.astype(np.float64)
    )
    return np.clip(products, -1.0, 1.0, out=products)


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
