"""What answers at one moment: an opened generation, and what changed since it was built.

A view is never changed. A change in the store makes a new one, so a search that has begun goes on
with what it began with.
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from indexer.engines.candidates import is_exact, is_graph, is_unrounded
from indexer.engines.faiss_index import load_index, search_index
from indexer.engines.recall import fetch_width
from indexer.engines.stored import VECTORS, InDatabase, Stored, Truth
from indexer.errors import GenerationCorruptError, GenerationError
from indexer.generations import GENERATIONS, INDEX, verify
from indexer.manifest import Manifest
from indexer.protocols import Vectors
from indexer.reading import Rows, find_embedder, read_change, read_changes


@dataclass(frozen=True, slots=True)
class OpenIndex:
    """A generation's index and vectors, memory-mapped.

    Attributes:
        index: FAISS's.
        manifest: What the generation says of itself.
        stored: Its vectors and ids; None if it is from before they were kept beside the index.
    """

    index: Any
    manifest: Manifest
    stored: Stored | None

    @property
    def exact(self) -> bool:
        """Whether it holds the vectors unrounded, so that probing all lists is exact."""
        return is_exact(self.manifest.index)

    @property
    def unrounded(self) -> bool:
        """Whether its scores are those of the vectors themselves."""
        return is_unrounded(self.manifest.index)

    def width(self, limit: int) -> int:
        """How many candidates it has to give for ``limit`` answers."""
        return fetch_width(limit, self.manifest.breadth, unrounded=self.unrounded)

    @property
    def graph(self) -> bool:
        """Whether it is a graph, and not lists."""
        return is_graph(self.manifest.index)

    @property
    def most_effort(self) -> int:
        """The effort beyond which more finds no more."""
        return self.manifest.count if self.graph else self.manifest.nlist


def open_index(store: Path, generation: str) -> OpenIndex:
    """Check a generation's files and map its index.

    The hash is checked first because FAISS trusts what it reads: a damaged file can end the
    process instead of raising.

    Raises:
        UnknownGenerationError: There is no generation of this id.
        GenerationCorruptError: Truncated, altered or foreign.
    """
    manifest = verify(store, generation, trust=True)
    index = load_index(store / GENERATIONS / generation / INDEX)
    if (index.ntotal, index.d) != (manifest.count, manifest.dim):
        raise GenerationCorruptError(
            f"The index of generation '{generation}' holds {index.ntotal} vectors of {index.d} "
            f"numbers; its manifest says {manifest.count} of {manifest.dim}. Build a new one with "
            "'niteru index'."
        )
    if VECTORS not in manifest.files:
        return OpenIndex(index, manifest, None)
    path = store / GENERATIONS / generation / VECTORS
    return OpenIndex(index, manifest, Stored.open(path, manifest.count, manifest.dim))


@dataclass(frozen=True, slots=True)
class Codes:
    """An index of some rows alone, and what came and went since it was made.

    Attributes:
        index: FAISS's.
        row_bytes: Of it, for each row.
        beside: (A,) rows that were touched since and belong to them, ascending; it may hold some.
        breadth: Candidates that it has to give, as a multiple of what codes of 8 bits need.
        behind: How many rows came or went since it was made.
    """

    index: Any
    row_bytes: int
    beside: Rows
    breadth: int = 1
    behind: int = 0

    @property
    def nbytes(self) -> int:
        """Bytes of it."""
        return int(self.index.ntotal) * self.row_bytes + self.beside.nbytes


@dataclass(frozen=True, slots=True)
class RowSet:
    """Some row numbers, in all forms they are asked in.

    Attributes:
        rows: (P,) ascending.
        bits: One for each row number, as ``selector`` reads them.
        selector: The rows, as FAISS wants to be told.
        codes: An index of these rows alone, if that finds more of them, or finds them sooner.
        more: How many times the usual effort the index needs to find enough of them.
    """

    rows: Rows
    bits: npt.NDArray[np.uint8]
    selector: Any
    codes: Codes | None = None
    more: int = 1

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def nbytes(self) -> int:
        """Bytes of all these forms."""
        return self.rows.nbytes + self.bits.nbytes + (self.codes.nbytes if self.codes else 0)

    def holds(self, rows: Rows) -> npt.NDArray[np.bool_]:
        """(N,) which of some rows, none below 0, are among them."""
        places = np.minimum(rows >> 3, len(self.bits) - 1)  # the last byte is empty
        found: npt.NDArray[np.bool_] = (self.bits[places] >> (rows & 7) & 1).astype(bool)
        return found


def row_set(rows: Rows) -> RowSet:
    """The set of some rows (P,), ascending."""
    size = int(rows[-1]) + 1 if len(rows) else 0
    flags = np.zeros(size + -size % 8 + 8, np.uint8)
    flags[rows] = 1
    bits = np.packbits(flags, bitorder="little")
    # FAISS's Python side takes an array here; its stubs describe the C++ side.
    return RowSet(rows, bits, faiss.IDSelectorBitmap(bits))  # type: ignore[call-arg, arg-type]


@dataclass(frozen=True, slots=True)
class View:
    """An index with the changes that lie beside it.

    Attributes:
        opened: The generation.
        truth: The vectors and ids of what it holds.
        embedder: The embedder's number in the store.
        change: The store's change number this view is of.
        last_row: The highest row number seen.
        removed: Rows of the index that are no item's vector any more.
        selector: All but those, as FAISS wants to be told; None if there are none.
        added: (A,) rows that came since, ascending.
        ids: (A,) ids of their items.
        vectors: (A, dim) their vectors.
    """

    opened: OpenIndex
    truth: Truth
    embedder: int
    change: int
    last_row: int
    removed: RowSet
    selector: Any
    added: Rows
    ids: npt.NDArray[np.object_]
    vectors: Vectors

    def __len__(self) -> int:
        return self.opened.manifest.count - len(self.removed) + len(self.added)

    def search(
        self, queries: Vectors, width: int, effort: int, passing: RowSet | None = None
    ) -> list[tuple[Vectors, Rows]]:
        """Candidates from the index and from beside it: scores and rows (B, width) of each."""
        # What passes is there: rows that were removed need not be told apart then.
        selector = self.selector if passing is None else passing.selector
        index = search_index(self.opened.index, queries, width, effort=effort, selector=selector)
        if not len(self.added):
            return [index]
        added, vectors = self.added, self.vectors
        if passing is not None:
            kept = passing.holds(added)
            added, vectors = added[kept], vectors[kept]
        return [index, top_rows(queries @ vectors.T, added, width)]

    def living(self, rows: Rows, passing: RowSet | None) -> npt.NDArray[np.bool_]:
        """(N,) which of some candidates may be answered. It is not left to FAISS alone."""
        there = rows >= 0
        if passing is not None:
            return there & passing.holds(rows)
        return there & ~self.removed.holds(rows) if len(self.removed) else there

    def read(self, connection: sqlite3.Connection, rows: Rows) -> Vectors:
        """The vectors (N, dim) of some living rows (N,)."""
        if not len(self.added):
            return self.truth.vectors(connection, rows)
        beside = rows > self.opened.manifest.last_row
        vectors = np.empty((len(rows), self.vectors.shape[1]), np.float32)
        vectors[beside] = self.vectors[np.searchsorted(self.added, rows[beside])]
        vectors[~beside] = self.truth.vectors(connection, rows[~beside])
        return vectors

    def names(self, connection: sqlite3.Connection, rows: Rows) -> list[str]:
        """The ids of the items with some living rows (N,)."""
        if not len(self.added):
            return self.truth.ids(connection, rows)
        beside = rows > self.opened.manifest.last_row
        ids = np.empty(len(rows), object)
        ids[beside] = self.ids[np.searchsorted(self.added, rows[beside])]
        ids[~beside] = self.truth.ids(connection, rows[~beside])
        return list(ids)

    def stream(
        self, connection: sqlite3.Connection, passing: RowSet | None
    ) -> Iterator[tuple[Rows, Vectors]]:
        """All living rows that pass, in blocks: (N,) and their vectors (N, dim)."""
        last = self.opened.manifest.last_row
        if passing is None:
            for rows, vectors in self.truth.stream(connection):
                kept = self.living(rows, None) & (rows <= last)  # the database goes on
                yield (rows, vectors) if kept.all() else (rows[kept], vectors[kept])
            yield self.added, self.vectors
            return
        old = int(np.searchsorted(passing.rows, last, side="right"))
        yield from self.truth.stream(connection, passing.rows[:old])
        new = passing.rows[old:]
        yield new, self.vectors[np.searchsorted(self.added, new)]


def top_rows(scores: Vectors, rows: Rows, width: int) -> tuple[Vectors, Rows]:
    """The ``width`` best of each line of scores (B, N), best first, with their row numbers."""
    width = min(width, len(rows))
    if not width:
        empty = np.empty((len(scores), 0))
        return empty.astype(np.float32), empty.astype(np.int64)
    best = np.argpartition(-scores, width - 1, axis=1)[:, :width]
    chosen = np.take_along_axis(scores, best, axis=1)
    order = np.argsort(-chosen, axis=1, kind="stable")
    return np.take_along_axis(chosen, order, axis=1), rows[np.take_along_axis(best, order, axis=1)]


def first_view(connection: sqlite3.Connection, opened: OpenIndex) -> View:
    """The view of a generation in a snapshot of the store."""
    manifest = opened.manifest
    found = find_embedder(connection, manifest.fingerprint)
    if found is None:
        raise vectors_gone(manifest)
    if read_change(connection) < manifest.change:
        raise GenerationCorruptError(
            f"Generation '{manifest.id}' was built at change {manifest.change} of items.sqlite, "
            f"which is at change {read_change(connection)}: an older copy was put back. Build a "
            "generation that fits it with 'niteru index'."
        )
    nothing = np.empty(0, np.int64)
    blank = View(
        opened=opened,
        truth=opened.stored or InDatabase(found[0], manifest.dim),
        embedder=found[0],
        change=manifest.change,
        last_row=manifest.last_row,
        removed=row_set(nothing),
        selector=None,
        added=nothing,
        ids=np.empty(0, object),
        vectors=np.empty((0, manifest.dim), np.float32),
    )
    return catch_up(connection, blank)


def catch_up(connection: sqlite3.Connection, view: View) -> View:
    """The view after all that changed in the store since ``view``."""
    change = read_change(connection)
    if change == view.change:
        return view
    manifest = view.opened.manifest
    found = find_embedder(connection, manifest.fingerprint)
    if found is None or found[0] != view.embedder:
        raise vectors_gone(manifest)
    news = read_changes(
        connection, view.embedder, manifest.dim, change=view.change, row=view.last_row
    )
    keep = ~np.isin(view.added, news.removed)
    removed, selector = view.removed, view.selector
    gone = news.removed[news.removed <= manifest.last_row]
    if len(gone):
        removed = row_set(np.union1d(removed.rows, gone))
        selector = faiss.IDSelectorNot(removed.selector)
    return replace(
        view,
        change=change,
        last_row=max(view.last_row, int(news.rows[-1]) if len(news.rows) else 0),
        removed=removed,
        selector=selector,
        added=np.concatenate([view.added[keep], news.rows]),
        ids=np.concatenate([view.ids[keep], np.array(news.ids, object)]),
        vectors=np.concatenate([view.vectors[keep], news.vectors]),
    )


def vectors_gone(manifest: Manifest) -> GenerationError:
    """The error when garbage collection has taken the vectors of a generation still in use."""
    return GenerationError(
        f"The vectors of the embedder '{manifest.fingerprint}' were garbage-collected with its "
        "last generation. Restart with the weights of the current generation, or index the "
        "catalogue again with these."
    )
