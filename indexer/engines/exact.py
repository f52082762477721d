"""Brute force in memory: compares a query with every vector there is.

It is the peer that other engines are compared with, and an engine for a handful of items that
need no files. Nothing is kept on disk.
"""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from indexer.engines.facets import count_facets
from indexer.engines.scores import cosines
from indexer.errors import FingerprintMismatchError, QueryError
from indexer.filters import Filter
from indexer.mapping import choose_rows, lay_out
from indexer.protocols import Facet, Hit, Item, Place, Vectors

UNIT_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What can be found: items in the order of their ids, and a vector (dim,) for each.

    Attributes:
        vectors: (N, dim) float32 of unit length.
        rows: Where in ``items`` an id is.
    """

    generation: str
    fingerprint: str
    items: tuple[Item, ...]
    vectors: Vectors
    rows: dict[str, int]


def snapshot(
    pairs: Iterable[tuple[Item, Vectors]], *, dim: int, fingerprint: str, generation: str
) -> Snapshot:
    """Order items by id; of two with one id the later one counts."""
    latest = {item.id: (item, vector) for item, vector in pairs}
    ids = sorted(latest)
    vectors = np.zeros((len(ids), dim), np.float32)
    for row, item_id in enumerate(ids):
        vectors[row] = check_vectors(latest[item_id][1][np.newaxis], dim)[0]
    items = tuple(latest[item_id][0] for item_id in ids)
    return Snapshot(generation, fingerprint, items, vectors, {i: row for row, i in enumerate(ids)})


def passing(serving: Snapshot, where: Filter | None) -> npt.NDArray[np.bool_]:
    """(N,) whether each item passes a filter."""
    if where is None:
        return np.ones(len(serving.items), bool)
    return np.array([where.holds(item.attributes) for item in serving.items], bool)


class ExactEngine:
    """An ``Engine`` over the given items.

    Args:
        items: Each with its vector (dim,) of unit length.
        dim: Length of the vectors.
        fingerprint: Of the embedder that made them.
        generation: What to call this set of items.

    Reading needs no lock: each call works on the one snapshot it took, and a change puts a new
    snapshot in its place.
    """

    def __init__(
        self,
        items: Iterable[tuple[Item, Vectors]] = (),
        *,
        dim: int,
        fingerprint: str,
        generation: str = "memory",
    ) -> None:
        self.dim = dim
        self._serving = snapshot(items, dim=dim, fingerprint=fingerprint, generation=generation)
        self._published: Snapshot | None = None
        self._writing = threading.Lock()

    @property
    def fingerprint(self) -> str:
        """Of the embedder that made the vectors."""
        return self._serving.fingerprint

    @property
    def generation(self) -> str:
        """The name of the set of items that answers."""
        return self._serving.generation

    def __len__(self) -> int:
        """How many items can be found."""
        return len(self._serving.items)

    @property
    def pending(self) -> int:
        """None: there is no index that they could be missing from."""
        return 0

    def search(
        self,
        queries: Vectors,
        limit: int,
        *,
        exact: bool = False,  # noqa: ARG002 - it always is
        exclude: Sequence[str] = (),
        where: Filter | None = None,
    ) -> list[list[Hit]]:
        """The nearest items of each row of ``queries`` (B, dim); ties are ordered by id.

        Raises:
            QueryError: Not (B, dim) finite rows of unit length, or a limit below 1.
        """
        if limit < 1:
            raise QueryError(f"The limit is {limit}; ask for at least 1 item.")
        serving = self._serving
        kept = passing(serving, where)
        kept[[serving.rows[item_id] for item_id in exclude if item_id in serving.rows]] = False
        return [
            self._best(serving, cosines(serving.vectors, query), kept, limit)
            for query in check_vectors(queries, self.dim)
        ]

    @staticmethod
    def _best(
        serving: Snapshot,
        scores: npt.NDArray[np.float64],
        kept: npt.NDArray[np.bool_],
        limit: int,
    ) -> list[Hit]:
        candidates = np.flatnonzero(kept)
        # Rows are in the order of ids and the sort is stable, so equal scores stay in that order.
        order = candidates[np.argsort(-scores[candidates], kind="stable")][:limit]
        return [Hit(serving.items[row].id, float(scores[row])) for row in order]

    def count(self, where: Filter | None = None) -> int:
        """How many items pass a filter."""
        return int(passing(self._serving, where).sum())

    def facets(self, where: Filter | None = None, *, most: int = 20) -> dict[str, Facet]:
        """What the attributes of the items that pass a filter hold; see ``Engine.facets``."""
        serving = self._serving
        rows = np.flatnonzero(passing(serving, where))
        return count_facets((serving.items[row].attributes for row in rows), most)

    def attributes(
        self,
        *,
        sought: str | None = None,  # noqa: ARG002 - all are read
    ) -> frozenset[str]:
        """The names of the attributes that items have; read anew by each call."""
        items = self._serving.items
        return frozenset(k for item in items for k, v in item.attributes.items() if v is not None)

    def layout(self) -> list[Place]:
        """Where the items stand on a map; made anew by each call."""
        serving = self._serving
        chosen = choose_rows(len(serving.items))
        places = lay_out(serving.vectors[chosen]).tolist() if len(chosen) else []
        return [
            Place(serving.items[row].id, x, y) for row, (x, y) in zip(chosen, places, strict=True)
        ]

    def get(self, ids: Sequence[str]) -> list[Item | None]:
        """The items with these ids, None where there is none."""
        serving = self._serving
        return [serving.items[serving.rows[i]] if i in serving.rows else None for i in ids]

    def vectors(self, ids: Sequence[str]) -> list[Vectors | None]:
        """The vectors (dim,) of these items, None where there is none."""
        serving = self._serving
        return [serving.vectors[serving.rows[i]].copy() if i in serving.rows else None for i in ids]

    def upsert(self, items: Iterable[tuple[Item, Vectors]]) -> None:
        """Add items or replace those with the same ids; visible at once."""
        with self._writing:
            serving = self._serving
            pairs = [*zip(serving.items, serving.vectors, strict=True), *items]
            self._serving = self._with(serving, pairs)

    def delete(self, ids: Iterable[str]) -> None:
        """Remove items; an id that is not there is not an error."""
        gone = frozenset(ids)
        with self._writing:
            serving = self._serving
            pairs = zip(serving.items, serving.vectors, strict=True)
            self._serving = self._with(serving, [pair for pair in pairs if pair[0].id not in gone])

    def _with(self, serving: Snapshot, pairs: Iterable[tuple[Item, Vectors]]) -> Snapshot:
        return snapshot(
            pairs, dim=self.dim, fingerprint=serving.fingerprint, generation=serving.generation
        )

    def publish(
        self, items: Iterable[tuple[Item, Vectors]], *, generation: str, fingerprint: str
    ) -> None:
        """Lay out a whole new set of items; ``refresh`` takes it up."""
        with self._writing:
            self._published = snapshot(
                items, dim=self.dim, fingerprint=fingerprint, generation=generation
            )

    def refresh(self) -> bool:
        """Take up what was published since; True if there was something.

        Raises:
            FingerprintMismatchError: It was made by another embedder. The items being served stay,
                and every further call says so until something that fits is published.
        """
        with self._writing:
            published = self._published
            if published is None:
                return False
            if published.fingerprint != self._serving.fingerprint:
                raise FingerprintMismatchError(
                    found=published.fingerprint,
                    expected=self._serving.fingerprint,
                    where=f"The generation '{published.generation}'",
                )
            self._serving, self._published = published, None
            return True

    def close(self) -> None:
        """Let go of the items."""
        with self._writing:
            self._serving = self._with(self._serving, ())


def check_vectors(vectors: Vectors, dim: int) -> Vectors:
    """Return (B, dim) finite rows of unit length as they are; refuse anything else."""
    if vectors.ndim != 2 or vectors.shape[1] != dim:
        raise QueryError(f"Expected vectors of shape (B, {dim}), found {vectors.shape}.")
    lengths = np.linalg.norm(vectors, axis=1)  # (B,); not finite where a row is not
    # Written so that NaN, which no comparison holds for, is refused too.
    if not np.all(np.abs(lengths - 1) <= UNIT_TOLERANCE):
        worst = float(lengths[np.argmax(np.abs(lengths - 1))])
        raise QueryError(f"Expected vectors of unit length, found one of length {worst:g}.")
    return vectors
