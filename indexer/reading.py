"""What can be asked of ``items.sqlite``: each function is one question over a connection."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from indexer.manifest import Manifest
from indexer.own_places import OWN
from indexer.protocols import Entry, Item, Scalar, Vectors

Rows = npt.NDArray[np.int64]
STORED = np.dtype("<f4")


class Known(NamedTuple):
    """What the store knows of an item before it is looked at again."""

    uri: str
    sha256: str
    size: int | None
    mtime_ns: int | None
    attributes: str
    vector_sha256: str | None


class Found(NamedTuple):
    """A live vector and the item it belongs to."""

    id: str
    vector: Vectors


class Changes(NamedTuple):
    """What became of one embedder's vectors after a change number."""

    removed: Rows
    rows: Rows
    ids: list[str]
    vectors: Vectors


def dump_attributes(attributes: Mapping[str, Scalar]) -> str:
    """Attributes as canonical JSON, so that equal ones are equal text."""
    return json.dumps(
        dict(attributes),
        ensure_ascii=False,
        sort_keys=True,
        allow_nan=False,
        separators=(",", ":"),
    )


def dump_vector(vector: Vectors) -> bytes:
    """(dim,) float32 as stored."""
    return vector.astype(STORED, copy=False).tobytes()


def load_vectors(blobs: Sequence[bytes], dim: int) -> Vectors:
    """Stored vectors as (N, dim) float32."""
    joined = np.frombuffer(b"".join(blobs), STORED)
    return joined.reshape(len(blobs), dim).astype(np.float32)


def read_change(connection: sqlite3.Connection) -> int:
    """The change number of the last transaction."""
    (value,) = connection.execute("SELECT value FROM facts WHERE name = 'change'").fetchone()
    return int(value)


def read_fact(connection: sqlite3.Connection, name: str) -> str | None:
    """A remembered fact, for instance ``source``, the catalogue last indexed."""
    found = connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
    return None if found is None else str(found[0])


def find_embedder(connection: sqlite3.Connection, fingerprint: str) -> tuple[int, int] | None:
    """The number and the dim of an embedder that has vectors here."""
    found = connection.execute(
        "SELECT embedder, dim FROM embedders WHERE fingerprint = ?", (fingerprint,)
    ).fetchone()
    return None if found is None else (int(found[0]), int(found[1]))


def find_own_without(connection: sqlite3.Connection, fingerprint: str) -> list[Entry]:
    """The items whose photo the store keeps itself and that have no vector of an embedder."""
    found = find_embedder(connection, fingerprint)
    rows = connection.execute(
        "SELECT i.id, place(i.uri), i.attributes FROM items i WHERE i.deleted = 0 "
        "AND substr(i.uri, 1, ?) = ? AND NOT EXISTS (SELECT 1 FROM vectors v "
        "WHERE v.item = i.item AND v.embedder = ? AND v.removed IS NULL) ORDER BY i.id",
        (len(OWN), OWN, found[0] if found else None),
    )
    return [Entry(item_id, uri, json.loads(attributes)) for item_id, uri, attributes in rows]


def find_names(connection: sqlite3.Connection, *, change: int) -> set[str]:
    """The names of the attributes of items that were touched after a change number."""
    found = connection.execute(
        "SELECT DISTINCT a.key FROM items i JOIN json_each(i.attributes) a "
        "WHERE i.deleted = 0 AND i.change > ? AND a.type <> 'null'",
        (change,),
    )
    return {name for (name,) in found}


def count_items(connection: sqlite3.Connection) -> int:
    """How many items there are, deleted ones not counted."""
    (count,) = connection.execute("SELECT count(*) FROM items WHERE deleted = 0").fetchone()
    return int(count)


def count_vectors(connection: sqlite3.Connection, embedder: int) -> int:
    """How many items can be found with this embedder."""
    (count,) = connection.execute(
        "SELECT count(*) FROM vectors WHERE embedder = ? AND removed IS NULL", (embedder,)
    ).fetchone()
    return int(count)


def count_rows(connection: sqlite3.Connection, embedder: int) -> tuple[int, int]:
    """How many rows of vectors an embedder has: living ones, and removed ones."""
    (removed,) = connection.execute(
        "SELECT count(*) FROM vectors WHERE embedder = ? AND removed IS NOT NULL", (embedder,)
    ).fetchone()
    return count_vectors(connection, embedder), int(removed)


def read_unused(connection: sqlite3.Connection) -> int:
    """Bytes within the database's file that nothing uses."""
    (pages,) = connection.execute("PRAGMA freelist_count").fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    return int(pages) * int(size)


def count_indexed(connection: sqlite3.Connection, embedder: int, manifest: Manifest) -> int:
    """How many of the vectors that a generation indexes are known, those that went since too."""
    (count,) = connection.execute(
        "SELECT count(*) FROM vectors NOT INDEXED "
        "WHERE row <= ? AND embedder = ? AND (removed IS NULL OR removed > ?)",
        (manifest.last_row, embedder, manifest.change),
    ).fetchone()
    return int(count)


def count_changed(connection: sqlite3.Connection, *, after: int) -> int:
    """How many items were put, changed or deleted after a change number."""
    found = connection.execute("SELECT count(*) FROM items WHERE change > ?", (after,)).fetchone()
    return int(found[0])


def find_known(
    connection: sqlite3.Connection, embedder: int | None, ids: Sequence[str]
) -> dict[str, Known]:
    """What is known of those of ``ids`` that are items (deleted ones are not)."""
    rows = connection.execute(
        "SELECT i.id, place(i.uri), i.sha256, i.size, i.mtime_ns, i.attributes, v.sha256 "
        "FROM items i LEFT JOIN vectors v "
        "ON v.item = i.item AND v.embedder = ? AND v.removed IS NULL "
        "WHERE i.deleted = 0 AND i.id IN (SELECT value FROM json_each(?))",
        (embedder, json.dumps(ids)),
    )
    return {row[0]: Known(*row[1:]) for row in rows}


def find_photos(
    connection: sqlite3.Connection, embedder: int, dim: int, hashes: Sequence[str]
) -> dict[str, Vectors]:
    """Vectors (dim,) that this embedder made of photos with these hashes, whatever the item."""
    rows = connection.execute(
        "SELECT sha256, vector FROM vectors WHERE embedder = ? AND removed IS NULL "
        "AND sha256 IN (SELECT value FROM json_each(?)) GROUP BY sha256",
        (embedder, json.dumps(hashes)),
    )
    return {sha256: load_vectors([blob], dim)[0] for sha256, blob in rows}


def find_hashes(connection: sqlite3.Connection, embedder: int) -> Iterator[str]:
    """The hashes of all photos that this embedder has a vector of; of equal ones several times."""
    rows = connection.execute(
        "SELECT sha256 FROM vectors WHERE embedder = ? AND removed IS NULL", (embedder,)
    )
    return (sha256 for (sha256,) in rows)


def find_items(connection: sqlite3.Connection, ids: Sequence[str]) -> list[Item | None]:
    """The items with these ids, None where there is none (any more)."""
    rows = connection.execute(
        "SELECT id, place(uri), sha256, attributes FROM items "
        "WHERE deleted = 0 AND id IN (SELECT value FROM json_each(?))",
        (json.dumps(ids),),
    )
    items = {row[0]: Item(row[0], row[1], row[2], json.loads(row[3])) for row in rows}
    return [items.get(item_id) for item_id in ids]


def find_vectors_by_id(
    connection: sqlite3.Connection, embedder: int, dim: int, ids: Sequence[str]
) -> list[Vectors | None]:
    """The vectors (dim,) of the items with these ids, None where there is none."""
    rows = connection.execute(
        # CROSS JOIN: SQLite's word for "in this order"; left to itself it walks all vectors.
        "SELECT i.id, v.vector FROM items i CROSS JOIN vectors v "
        "ON v.item = i.item AND v.embedder = ? AND v.removed IS NULL "
        "WHERE i.deleted = 0 AND i.id IN (SELECT value FROM json_each(?))",
        (embedder, json.dumps(ids)),
    )
    vectors = {item_id: load_vectors([blob], dim)[0] for item_id, blob in rows}
    return [vectors.get(item_id) for item_id in ids]


def find_rows_by_id(connection: sqlite3.Connection, embedder: int, ids: Sequence[str]) -> Rows:
    """Row numbers (N,) of the live vectors of the items with these ids, where there are any."""
    found = connection.execute(
        "SELECT v.row FROM items i CROSS JOIN vectors v INDEXED BY vectors_of_items "
        "ON v.item = i.item AND v.embedder = ? AND v.removed IS NULL "
        "WHERE i.deleted = 0 AND i.id IN (SELECT value FROM json_each(?))",
        (embedder, json.dumps(ids)),
    )
    return np.fromiter((row for (row,) in found), np.int64)


def read_row_numbers(connection: sqlite3.Connection, embedder: int) -> Rows:
    """Row numbers (N,), ascending, of an embedder's live vectors."""
    found = connection.execute(
        "SELECT row FROM vectors WHERE embedder = ? AND removed IS NULL ORDER BY row", (embedder,)
    )
    return np.fromiter((row for (row,) in found), np.int64)


def stream_items(
    connection: sqlite3.Connection, embedder: int, dim: int, *, after: int, block: int = 1000
) -> Iterator[list[tuple[Item, Vectors | None]]]:
    """Items that were put, changed or deleted after a change number, in blocks.

    Yields:
        Up to ``block`` items with their vectors (dim,); None where there is none (any more).
    """
    cursor = connection.execute(
        "SELECT i.id, place(i.uri), i.sha256, i.attributes, v.vector FROM items i "
        "LEFT JOIN vectors v ON v.item = i.item AND v.embedder = ? AND v.removed IS NULL "
        "WHERE i.change > ?",
        (embedder, after),
    )
    while found := cursor.fetchmany(block):
        yield [
            (
                Item(name, uri, sha256, json.loads(attributes)),
                None if blob is None else load_vectors([blob], dim)[0],
            )
            for name, uri, sha256, attributes, blob in found
        ]


def find_uris(connection: sqlite3.Connection, rows: Sequence[int]) -> dict[int, str]:
    """Where the photos behind these live row numbers are."""
    found = connection.execute(
        "SELECT v.row, place(i.uri) FROM vectors v JOIN items i ON i.item = v.item "
        "WHERE v.row IN (SELECT value FROM json_each(?))",
        (json.dumps(list(rows)),),
    )
    return {int(row): str(uri) for row, uri in found}


def find_rows(connection: sqlite3.Connection, dim: int, rows: Iterable[int]) -> dict[int, Found]:
    """The live vectors with these row numbers; those removed meanwhile are left out."""
    found = connection.execute(
        "SELECT v.row, i.id, v.vector FROM vectors v JOIN items i ON i.item = v.item "
        "WHERE v.removed IS NULL AND v.row IN (SELECT value FROM json_each(?))",
        (json.dumps(list(rows)),),
    )
    listed = found.fetchall()
    # Together: one by one, their conversion was a quarter of a search.
    vectors = load_vectors([blob for _, _, blob in listed], dim)
    return {
        row: Found(name, vector) for (row, name, _), vector in zip(listed, vectors, strict=True)
    }


def stream_vectors(
    connection: sqlite3.Connection, embedder: int, dim: int, *, after: int = 0, block: int = 4096
) -> Iterator[tuple[Rows, Vectors]]:
    """All live vectors of an embedder with a row number above ``after``, in blocks, ascending.

    Yields:
        Row numbers (N,) and vectors (N, dim), N at most ``block``.
    """
    cursor = connection.execute(
        "SELECT row, vector FROM vectors NOT INDEXED "
        "WHERE row > ? AND embedder = ? AND removed IS NULL ORDER BY row",
        (after, embedder),
    )
    while found := cursor.fetchmany(block):
        rows = np.fromiter((row for row, _ in found), np.int64, len(found))
        yield rows, load_vectors([blob for _, blob in found], dim)


def stream_named(
    connection: sqlite3.Connection, embedder: int, dim: int, *, after: int = 0, block: int = 4096
) -> Iterator[tuple[Rows, list[str], Vectors]]:
    """As ``stream_vectors``, with the ids of the items the vectors belong to."""
    cursor = connection.execute(
        "SELECT v.row, i.id, v.vector FROM vectors v NOT INDEXED CROSS JOIN items i "
        "ON i.item = v.item "
        "WHERE v.row > ? AND v.embedder = ? AND v.removed IS NULL ORDER BY v.row",
        (after, embedder),
    )
    while found := cursor.fetchmany(block):
        rows = np.fromiter((row for row, _, _ in found), np.int64, len(found))
        names = [name for _, name, _ in found]
        yield rows, names, load_vectors([blob for _, _, blob in found], dim)


def stream_rows(
    connection: sqlite3.Connection, dim: int, rows: Rows, *, block: int = 4096
) -> Iterator[tuple[Rows, Vectors]]:
    """The live vectors with these row numbers, in blocks, as ``stream_vectors`` gives all."""
    for start in range(0, len(rows), block):
        found = connection.execute(
            "SELECT row, vector FROM vectors WHERE removed IS NULL "
            "AND row IN (SELECT value FROM json_each(?)) ORDER BY row",
            (json.dumps(rows[start : start + block].tolist()),),
        ).fetchall()
        numbers = np.array([row for row, _ in found], np.int64)
        yield numbers, load_vectors([blob for _, blob in found], dim)


def read_changes(
    connection: sqlite3.Connection, embedder: int, dim: int, *, change: int, row: int
) -> Changes:
    """The rows removed after change number ``change`` and those added after row ``row``."""
    removed = connection.execute(
        "SELECT row FROM vectors WHERE embedder = ? AND removed > ? ORDER BY row",
        (embedder, change),
    ).fetchall()
    blocks = list(stream_named(connection, embedder, dim, after=row))
    return Changes(
        np.array([number for (number,) in removed], np.int64),
        np.concatenate([np.empty(0, np.int64), *(rows for rows, _, _ in blocks)]),
        [name for _, names, _ in blocks for name in names],
        np.concatenate([np.empty((0, dim), np.float32), *(vectors for _, _, vectors in blocks)]),
    )


def has_changed(connection: sqlite3.Connection, embedder: int, *, change: int, row: int) -> bool:
    """Whether a vector went after change number ``change`` or came after row ``row``."""
    (changed,) = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM vectors WHERE embedder = ? AND removed > ?) "
        "OR EXISTS (SELECT 1 FROM vectors NOT INDEXED "
        "WHERE row > ? AND embedder = ? AND removed IS NULL)",
        (embedder, change, row, embedder),
    ).fetchone()
    return bool(changed)
