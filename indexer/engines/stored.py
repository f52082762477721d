"""The true vectors of a generation and the ids they belong to, in one memory-mapped file.

``vectors.bin``, little-endian, of N vectors::

    rows     (N,) int64, ascending: row numbers of items.sqlite
    starts   (N + 1,) int64: where each id starts among the ids, and where the last one ends
    vectors  (N, dim) float32
    ids      UTF-8, one after the other

A row of ``items.sqlite`` never changes and its number is never used again, so a copy cannot become
wrong. Rows go, which a view knows of. Reading candidates from the
database was nearly all of a search (docs/scale.md).
"""

import mmap
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, Self

import numpy as np

from indexer.errors import GenerationCorruptError, GenerationError
from indexer.protocols import Vectors
from indexer.reading import (
    STORED,
    Rows,
    find_rows,
    stream_named,
    stream_rows,
    stream_vectors,
)

VECTORS = "vectors.bin"
NUMBER = np.dtype("<i8")
BLOCK = 4096


class Truth(Protocol):
    """The vectors and ids behind the row numbers of an index, all of them live in the snapshot."""

    def vectors(self, connection: sqlite3.Connection, rows: Rows) -> Vectors:
        """Vectors (N, dim) of some rows (N,)."""
        ...

    def ids(self, connection: sqlite3.Connection, rows: Rows) -> list[str]:
        """Ids of the items with these rows (N,)."""
        ...

    def stream(
        self, connection: sqlite3.Connection, rows: Rows | None = None
    ) -> Iterator[tuple[Rows, Vectors]]:
        """Some rows, ascending, or all that were indexed, in blocks: (N,) and (N, dim)."""
        ...


class Stored:
    """Vectors and ids in the file of a generation; made by ``open``."""

    def __init__(self, data: mmap.mmap, count: int, dim: int) -> None:
        self._data = data
        self.rows: Rows = np.frombuffer(data, NUMBER, count)
        # Nothing was removed between the first and the last: places follow without a search.
        self._gapless = int(self.rows[-1] - self.rows[0]) + 1 == count
        self._starts = np.frombuffer(data, NUMBER, count + 1, 8 * count)
        self._first = 8 * (2 * count + 1)
        flat = np.frombuffer(data, STORED, count * dim, self._first)
        self._vectors: Vectors = flat.reshape(count, dim)
        self._text = self._first + flat.nbytes

    @classmethod
    def open(cls, path: Path, count: int, dim: int) -> Self:
        """Map a file of ``count`` vectors of ``dim`` numbers.

        Raises:
            GenerationCorruptError: It holds something else.
        """
        least = 8 * (2 * count + 1) + STORED.itemsize * count * dim
        with path.open("rb") as file:
            size = path.stat().st_size
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size >= least else None
        if data is not None:
            data.madvise(mmap.MADV_RANDOM)  # or each candidate would bring its neighbours along
            found = cls(data, count, dim)
            if found._text + int(found._starts[-1]) == size:
                return found
        raise GenerationCorruptError(
            f"'{path}' does not hold {count} vectors of {dim} numbers with their ids. Build a new "
            "generation with 'niteru index'."
        )

    def _places(self, rows: Rows) -> Rows:
        """Where some rows (N,) lie."""
        return rows - self.rows[0] if self._gapless else np.searchsorted(self.rows, rows)

    def vectors(self, _: sqlite3.Connection | None, rows: Rows) -> Vectors:
        """Vectors (N, dim) of some rows (N,)."""
        return self._vectors[self._places(rows)]

    def ids(self, _: sqlite3.Connection | None, rows: Rows) -> list[str]:
        """Ids of the items with these rows (N,)."""
        places = self._places(rows)
        starts = (self._starts[places] + self._text).tolist()
        ends = (self._starts[places + 1] + self._text).tolist()
        return [self._data[start:end].decode() for start, end in zip(starts, ends, strict=True)]

    def stream(
        self, connection: sqlite3.Connection | None = None, rows: Rows | None = None
    ) -> Iterator[tuple[Rows, Vectors]]:
        """Some rows, ascending, or all, in blocks: (N,) and (N, dim)."""
        count = len(self.rows if rows is None else rows)
        for start in range(0, count, BLOCK):
            if rows is not None:
                some = rows[start : start + BLOCK]
                yield some, self.vectors(connection, some)
                continue
            vectors = self._vectors[start : start + BLOCK]
            place = self._first + start * self._vectors.strides[0]
            page = place - place % mmap.PAGESIZE
            self._data.madvise(mmap.MADV_WILLNEED, page, place + vectors.nbytes - page)
            yield self.rows[start : start + BLOCK], vectors


class InDatabase:
    """The same from ``items.sqlite``: of a generation from before there was such a file."""

    def __init__(self, embedder: int, dim: int) -> None:
        self.embedder, self.dim = embedder, dim

    def vectors(self, connection: sqlite3.Connection, rows: Rows) -> Vectors:
        """Vectors (N, dim) of some rows (N,)."""
        found = find_rows(connection, self.dim, rows.tolist())
        return np.stack([found[row].vector for row in rows.tolist()])

    def ids(self, connection: sqlite3.Connection, rows: Rows) -> list[str]:
        """Ids of the items with these rows (N,)."""
        found = find_rows(connection, self.dim, rows.tolist())
        return [found[row].id for row in rows.tolist()]

    def stream(
        self, connection: sqlite3.Connection, rows: Rows | None = None
    ) -> Iterator[tuple[Rows, Vectors]]:
        """Some rows, ascending, or all, in blocks: (N,) and (N, dim)."""
        if rows is None:
            return stream_vectors(connection, self.embedder, self.dim)
        return stream_rows(connection, self.dim, rows)


def write_stored(
    connection: sqlite3.Connection, path: Path, *, embedder: int, dim: int, count: int
) -> Stored:
    """Write all live vectors of an embedder with their ids, and open what was written.

    Raises:
        GenerationError: There are not ``count`` of them.
        OSError: They could not be written; ENOSPC if no space is left.
    """
    seen, text = 0, 0  # the first start is a hole of the file, which reads as 0
    starts_at, vectors_at = 8 * count, 8 * (2 * count + 1)
    ids_at = vectors_at + STORED.itemsize * dim * count
    with path.open("wb") as file:
        for rows, names, vectors in stream_named(connection, embedder, dim, block=BLOCK):
            encoded = [name.encode() for name in names]
            ends = text + np.cumsum([len(name) for name in encoded], dtype=NUMBER)
            for place, part in (
                (8 * seen, rows.astype(NUMBER, copy=False)),
                (starts_at + 8 * (seen + 1), ends),
                (vectors_at + STORED.itemsize * dim * seen, vectors.astype(STORED, copy=False)),
            ):
                file.seek(place)
                file.write(part.data)
            file.seek(ids_at + text)
            file.write(b"".join(encoded))
            seen, text = seen + len(rows), int(ends[-1])
    if seen != count:
        raise GenerationError(
            f"'{path.name}' was to take {count} vectors, and {seen} were read from the store."
        )
    return Stored.open(path, count, dim)
