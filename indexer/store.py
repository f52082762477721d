"""The truth of a store: items, vectors and deletions in ``items.sqlite``, one writer at a time.

A call that returns has committed: what it wrote survives a crash, and the next search sees it.
"""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from indexer.database import INCREMENTAL, connect, storage_errors, transaction
from indexer.errors import EmbedderError, FingerprintMismatchError
from indexer.locks import WRITER, exclusive
from indexer.own_places import OWN, PHOTOS, own_place
from indexer.protocols import Item, Vectors
from indexer.reading import (
    dump_attributes,
    dump_vector,
    find_embedder,
    read_change,
    read_fact,
    read_unused,
)

# How far from 1 the length of a vector may be: float32 rounding stays well below it.
LENGTH_TOLERANCE = 1e-3
AT_ONCE = 20_000  # rows that are looked at in one transaction while vectors are dropped
PIECE = 2048  # pages that are given back in one transaction
WORTH = 0.1  # of what a database uses: so much unused makes writing it anew worth while


@dataclass(frozen=True, slots=True)
class Record:
    """An item to store.

    Attributes:
        item: The item; its ``sha256`` is that of the photo ``vector`` was made from.
        vector: (dim,) float32 of unit length; None keeps the vector the item has.
        size: Bytes of the photo's file, None if it is no file.
        mtime_ns: Its time of modification; None makes the next run read the photo again.
    """

    item: Item
    vector: Vectors | None
    size: int | None = None
    mtime_ns: int | None = None


class StoreWriter:
    """The one writer of a store; made by ``open_writer``."""

    def __init__(self, store: Path, connection: sqlite3.Connection) -> None:
        self.store = store
        self.connection = connection

    @contextmanager
    def _change(self) -> Iterator[int]:
        """A transaction with its own change number."""
        with storage_errors(self.store), transaction(self.connection):
            change = read_change(self.connection) + 1
            self.connection.execute(
                "UPDATE facts SET value = ? WHERE name = 'change'", (str(change),)
            )
            yield change

    def upsert(self, records: Sequence[Record], *, fingerprint: str) -> int:
        """Add items or replace those of the same id, all of them or none.

        Args:
            records: What to store; vectors are those of the embedder ``fingerprint``.
            fingerprint: The embedder's; vectors of other embedders are left alone.

        Returns:
            The change number of this transaction.

        Raises:
            EmbedderError: A vector is not finite, of unit length and of the embedder's dim.
            StoreFullError: No space is left; nothing of this call was stored.
        """
        for record in records:
            check_vector(record.vector, record.item.id)
        with self._change() as change:
            for record in records:
                item = self._put_item(record, change)
                if record.vector is not None:
                    embedder = self._embedder(fingerprint, len(record.vector))
                    self._put_vector(record, item, embedder, change)
        return change

    def _put_item(self, record: Record, change: int) -> int:
        item = record.item
        (number,) = self.connection.execute(
            "INSERT INTO items (id, uri, sha256, size, mtime_ns, attributes, change) "
            "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
            "uri = excluded.uri, sha256 = excluded.sha256, size = excluded.size, "
            "mtime_ns = excluded.mtime_ns, attributes = excluded.attributes, deleted = 0, "
            "change = excluded.change RETURNING item",
            (
                item.id,
                own_place(self.store, item.uri),
                item.sha256,
                record.size,
                record.mtime_ns,
                dump_attributes(item.attributes),
                change,
            ),
        ).fetchone()
        return int(number)

    def _put_vector(self, record: Record, item: int, embedder: int, change: int) -> None:
        assert record.vector is not None
        self.connection.execute(
            "UPDATE vectors SET removed = ?, vector = NULL "
            "WHERE item = ? AND embedder = ? AND removed IS NULL",
            (change, item, embedder),
        )
        self.connection.execute(
            "INSERT INTO vectors (item, embedder, sha256, vector) VALUES (?, ?, ?, ?)",
            (item, embedder, record.item.sha256, dump_vector(record.vector)),
        )

    def _embedder(self, fingerprint: str, dim: int) -> int:
        """The number of an embedder, new or known."""
        found = find_embedder(self.connection, fingerprint)
        if found is None:
            cursor = self.connection.execute(
                "INSERT INTO embedders (fingerprint, dim) VALUES (?, ?)", (fingerprint, dim)
            )
            return int(cursor.lastrowid or 0)
        embedder, expected = found
        if dim != expected:
            raise EmbedderError(
                f"The embedder '{fingerprint}' gave a vector of {dim} numbers; the store "
                f"'{self.store}' has vectors of {expected} under the same fingerprint. "
                "Give other weights another fingerprint."
            )
        return embedder

    def delete(self, ids: Iterable[str]) -> int:
        """Delete items with all their vectors; unknown ids are ignored.

        Returns:
            How many items there were to delete.
        """
        count = 0
        with self._change() as change:
            for item_id in dict.fromkeys(ids):
                found = self.connection.execute(
                    "UPDATE items SET deleted = 1, change = ? WHERE id = ? AND deleted = 0 "
                    "RETURNING item",
                    (change, item_id),
                ).fetchone()
                if found is not None:
                    count += 1
                    self._remove_vectors(int(found[0]), change)
        return count

    def _remove_vectors(self, item: int, change: int) -> None:
        self.connection.execute(
            "UPDATE vectors SET removed = ?, vector = NULL WHERE item = ? AND removed IS NULL",
            (change, item),
        )

    def delete_others(self, ids: Iterable[str]) -> int:
        """Delete every item of a catalogue whose id is not among ``ids``; returns how many.

        Items whose photo the store keeps itself came without a catalogue, so none can miss them.
        """
        with storage_errors(self.store):
            self.connection.execute("CREATE TEMP TABLE kept (id TEXT PRIMARY KEY) WITHOUT ROWID")
            try:
                with transaction(self.connection):
                    self.connection.executemany(
                        "INSERT OR IGNORE INTO kept VALUES (?)", ((item_id,) for item_id in ids)
                    )
                vanished = self.connection.execute(
                    "SELECT id FROM items WHERE deleted = 0 AND id NOT IN (SELECT id FROM kept) "
                    "AND substr(uri, 1, ?) <> ?",
                    (len(OWN), OWN),
                ).fetchall()
            finally:
                self.connection.execute("DROP TABLE kept")
        return self.delete(item_id for (item_id,) in vanished) if vanished else 0

    def remember(self, name: str, value: str) -> None:
        """Keep a fact beside the items, for instance the catalogue's name as ``source``."""
        with storage_errors(self.store), transaction(self.connection):
            self.connection.execute(
                "INSERT INTO facts VALUES (?, ?) "
                "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                (name, value),
            )

    def move_own(self) -> None:
        """Write the places of the store's own photos without its path, once for an older store."""
        with storage_errors(self.store):
            if read_fact(self.connection, "own") == OWN:
                return
        old = str(self.store / PHOTOS)
        with storage_errors(self.store), transaction(self.connection):
            self.connection.execute(
                "UPDATE items SET uri = ? || substr(uri, ?) WHERE substr(uri, 1, ?) = ?",
                (f"{OWN}{PHOTOS}", len(old) + 1, len(old) + 1, f"{old}{os.sep}"),
            )
        self.remember("own", OWN)

    def index_changes(self) -> None:
        """Let what changed after a change number be found without looking at every item."""
        with storage_errors(self.store):
            self.connection.execute("CREATE INDEX IF NOT EXISTS items_by_change ON items (change)")

    def mark_published(self, fingerprint: str) -> None:
        """Note that a generation of this embedder exists, so its vectors may be dropped one day."""
        with storage_errors(self.store):
            lacking = self.connection.execute(
                "SELECT 1 FROM embedders WHERE fingerprint = ? AND published = 0", (fingerprint,)
            ).fetchone()
        if lacking is None:
            return  # nothing is written, for there may be no room: it is about to be made
        with storage_errors(self.store), transaction(self.connection):
            self.connection.execute(
                "UPDATE embedders SET published = 1 WHERE fingerprint = ?", (fingerprint,)
            )

    def drop_embedder(
        self,
        fingerprint: str,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Drop the vectors of an embedder, some rows at a time, and last the embedder.

        Whatever ends it half-way, what is left looks like an indexing that was interrupted.

        Args:
            fingerprint: The embedder's; an unknown one is none to drop.
            progress: Told how many rows have been looked at, of how many.
            should_stop: Asked between transactions.

        Returns:
            Whether it came to its end.
        """
        with storage_errors(self.store):
            found = find_embedder(self.connection, fingerprint)
            (last,) = self.connection.execute("SELECT max(row) FROM vectors").fetchone()
        if found is None:
            return True
        for first in range(0, last or 0, AT_ONCE):
            if should_stop():
                return False
            with self._change():
                self.connection.execute(
                    "DELETE FROM vectors NOT INDEXED WHERE row > ? AND row <= ? AND embedder = ?",
                    (first, first + AT_ONCE, found[0]),
                )
            progress(min(first + AT_ONCE, last), last)
        with self._change():
            self.connection.execute("DELETE FROM embedders WHERE embedder = ?", (found[0],))
        return True

    def give_back(self, should_stop: Callable[[], bool] = lambda: False) -> None:
        """Give the pages that nothing uses back to the file system.

        In pieces, which need next to no room and let readers go on. A store from before it could
        be done so is written anew first, if there is much to gain and room for two more copies.
        """
        with storage_errors(self.store):
            (mode,) = self.connection.execute("PRAGMA auto_vacuum").fetchone()
            if mode != INCREMENTAL and not self._can_write_anew():
                return
            if mode != INCREMENTAL:
                self.connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
                self.connection.execute("VACUUM")
            while read_unused(self.connection) and not should_stop():
                self.connection.execute(f"PRAGMA incremental_vacuum({PIECE})").fetchall()
            self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _can_write_anew(self) -> bool:
        (pages,) = self.connection.execute("PRAGMA page_count").fetchone()
        (page,) = self.connection.execute("PRAGMA page_size").fetchone()
        unused = read_unused(self.connection)
        used = pages * page - unused
        room = shutil.disk_usage(self.store).free
        return bool(unused > WORTH * used and room > 3 * used)


def check_vector(vector: Vectors | None, item_id: str) -> None:
    """Refuse what would poison an index: a wrong type or shape, NaN, a length other than 1."""
    if vector is None:
        return
    if vector.dtype != np.float32 or vector.ndim != 1 or not len(vector):
        raise EmbedderError(
            f"The vector of '{item_id}' is {vector.dtype} of shape {vector.shape}; "
            "expected float32 of shape (dim,)."
        )
    length = float(np.linalg.norm(vector))
    if not abs(length - 1.0) <= LENGTH_TOLERANCE:  # so written, NaN is refused as well
        raise EmbedderError(
            f"The vector of '{item_id}' has length {length:.6g}; expected 1. "
            "Divide it by its length."
        )


@contextmanager
def open_writer(store: Path, *, wait: float = 0.0) -> Iterator[StoreWriter]:
    """Open a store for writing, making it if there is none.

    Args:
        store: Its folder.
        wait: Seconds to wait for another writer.

    Raises:
        StoreBusyError: Somebody else is writing; names the process.
        StoreVersionError: A newer store, or another program's file.
        StoreCorruptError: The database is damaged.
    """
    store = store.absolute()
    with storage_errors(store):
        store.mkdir(parents=True, exist_ok=True)
    with exclusive(store, WRITER, wait=wait), closing(connect(store, create=True)) as connection:
        writer = StoreWriter(store, connection)
        writer.move_own()
        yield writer


@contextmanager
def change_store(store: Path, *, wait: float = 0.0) -> Iterator[StoreWriter]:
    """Open a store that is there for writing.

    Args:
        store: Its folder.
        wait: Seconds to wait for another writer.

    Raises:
        NoStoreError: There is no store at this path.
        StoreBusyError, StoreVersionError, StoreCorruptError: See ``open_writer``.
    """
    connect(store).close()
    with open_writer(store, wait=wait) as writer:
        yield writer


def upsert(store: Path, records: Sequence[Record], *, fingerprint: str) -> int:
    """Add or replace items of a store that has this embedder's vectors; returns the change number.

    Raises:
        NoStoreError: There is no store at this path.
        FingerprintMismatchError: The store has vectors, but none of this embedder.
    """
    with change_store(store) as writer:
        known = [f for (f,) in writer.connection.execute("SELECT fingerprint FROM embedders")]
        if known and fingerprint not in known:
            raise FingerprintMismatchError(
                found=", ".join(known), expected=fingerprint, where=f"The store '{store}'"
            )
        return writer.upsert(records, fingerprint=fingerprint)


def delete(store: Path, ids: Iterable[str]) -> int:
    """Delete items of a store for all embedders; returns how many there were.

    Raises:
        NoStoreError: There is no store at this path.
    """
    with change_store(store) as writer:
        return writer.delete(ids)
