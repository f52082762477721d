"""``items.sqlite``: its tables, its connections, and its errors in our words.

A vector's row number is never used again and its contents never change: an updated photo gets a
new row and the old one is marked removed. So an index over row numbers can be checked against the
database at any later time with two questions: which rows came since, which went since. Vectors
belong to an (item, embedder) pair, so indexing with other weights leaves those being served alone.

A change number grows by one with every transaction that changes what can be found.
"""

import errno
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from threading import Lock

from indexer.errors import (
    NoStoreError,
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreVersionError,
)
from indexer.own_places import find_own, read_place

DATABASE = "items.sqlite"
APPLICATION_ID = 0x4E495445  # "NITE"
SCHEMA_VERSION = 1
# Bytes of items.sqlite-shm, which SQLite makes when it opens a database: without room for them it
# tells of an error of reading and writing.
SHARED_MEMORY = 32 << 10
# FULL: a commit that was acknowledged survives a loss of power, not only of the process.
WRITER_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON")
BUSY_SECONDS = 10.0
INCREMENTAL = 2  # SQLite's number for a file that can be made smaller piece by piece

SCHEMA = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE items (
  item INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  uri TEXT NOT NULL,            -- as indexer.own_places reads it
  sha256 TEXT NOT NULL,
  size INTEGER,                 -- of the photo's file when it was read; NULL: read it again
  mtime_ns INTEGER,
  attributes TEXT NOT NULL,     -- JSON object
  deleted INTEGER NOT NULL DEFAULT 0,
  change INTEGER NOT NULL
);
CREATE TABLE embedders (
  embedder INTEGER PRIMARY KEY AUTOINCREMENT,
  fingerprint TEXT NOT NULL UNIQUE,
  dim INTEGER NOT NULL,
  published INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE vectors (
  row INTEGER PRIMARY KEY AUTOINCREMENT,
  item INTEGER NOT NULL REFERENCES items,
  embedder INTEGER NOT NULL REFERENCES embedders,
  sha256 TEXT NOT NULL,         -- of the photo it was made from
  removed INTEGER,              -- change number; NULL while it is the item's vector
  vector BLOB                   -- float32, little-endian; NULL once removed
);
CREATE UNIQUE INDEX vectors_of_items ON vectors (item, embedder) WHERE removed IS NULL;
CREATE INDEX vectors_of_photos ON vectors (embedder, sha256) WHERE removed IS NULL;
CREATE INDEX removed_vectors ON vectors (embedder, removed) WHERE removed IS NOT NULL;
INSERT INTO facts VALUES ('change', '0');
"""


@contextmanager
def storage_errors(store: Path) -> Iterator[None]:
    """Say SQLite's and the operating system's errors in the store's words."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise store_full(store) from error
        raise
    except sqlite3.DatabaseError as error:
        raise explain_database_error(store, error) from error


def store_full(store: Path) -> StoreFullError:
    """The error for a full disk."""
    return StoreFullError(
        f"No space is left for the store '{store}'. Everything stored so far is kept and the "
        "current generation is as it was: free some space and run the same command again."
    )


def explain_database_error(store: Path, error: sqlite3.DatabaseError) -> StoreError:
    """The store's error for one of SQLite's."""
    # Errors of the sqlite3 module itself carry no code; extended codes keep the kind in 8 bits.
    code: int = getattr(error, "sqlite_errorcode", 0) & 0xFF
    path = store / DATABASE
    full = code == sqlite3.SQLITE_IOERR and shutil.disk_usage(store).free < SHARED_MEMORY
    if code == sqlite3.SQLITE_FULL or full:
        return store_full(store)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreBusyError(store, None)
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StoreCorruptError(
            f"'{path}' is damaged or no SQLite database ({error}). Put it back from a backup, or "
            "move the store away and index the catalogue again."
        )
    if path.is_file() and not os.access(store, os.W_OK):
        return StoreError(
            f"'{path}' cannot be used: the folder cannot be written ({error}). SQLite writes "
            "beside its database even to read it (items.sqlite-shm): let this user write the "
            "store's folder, and mount it so."
        )
    return StoreError(
        f"'{path}' cannot be used: {error}. Check that the folder can be written and has space."
    )


def connect(store: Path, *, create: bool = False) -> sqlite3.Connection:
    """Open a store's database; with ``create`` make it if there is none.

    Raises:
        NoStoreError: There is none.
        StoreVersionError: It is newer than this program, or another program's.
        StoreCorruptError: It is damaged, or lost from a store that had items.
    """
    path = store / DATABASE
    if not path.is_file() and has_remains(store):
        raise lost_database(store)
    if not create and not path.is_file():
        raise NoStoreError(store)
    with storage_errors(store):
        connection = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.create_function("place", 1, partial(read_place, store), deterministic=True)
        try:
            prepare(connection, store, create=create)
        except BaseException:
            connection.close()
            raise
    return connection


def has_remains(store: Path) -> bool:
    """Whether there is what only a store with items leaves behind."""
    return any(find_own(store)) or any((store / "generations").glob("[0-9]*T[0-9]*Z-*"))


def lost_database(store: Path) -> StoreCorruptError:
    """The error for a store whose items are gone: to begin anew there would bury what is left."""
    return StoreCorruptError(
        f"'{store / DATABASE}' is missing or empty, and what lies beside it says that there were "
        f"items. Put it back from a backup; or, to begin anew, move '{store}' away and index the "
        "catalogue again."
    )


def prepare(connection: sqlite3.Connection, store: Path, *, create: bool) -> None:
    """Check the schema, with ``create`` make it, and set what a connection needs."""
    if check_version(connection, store / DATABASE) == 0:
        if has_remains(store):
            raise lost_database(store)
        if not create:
            raise NoStoreError(store)
        create_schema(connection, store)
    for pragma in WRITER_PRAGMAS if create else ("query_only=ON",):
        connection.execute(f"PRAGMA {pragma}")


def check_version(connection: sqlite3.Connection, path: Path) -> int:
    """The schema's version, 0 for a database without one; refuse what is not ours."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if tables and application != APPLICATION_ID:
        raise StoreVersionError(
            f"'{path}' is a database of another program. Choose another folder for the store."
        )
    if version > SCHEMA_VERSION:
        raise StoreVersionError(
            f"'{path}' has schema version {version}; this niteru knows versions up to "
            f"{SCHEMA_VERSION}. Update niteru, or index the catalogue into a new store."
        )
    return int(version)


def create_schema(connection: sqlite3.Connection, store: Path) -> None:
    """Make all tables in one transaction: a crash leaves either none of them or all."""
    connection.execute(f"PRAGMA auto_vacuum={INCREMENTAL}")  # before there is a first page
    connection.execute("PRAGMA journal_mode=WAL")
    connection.executescript(
        f"BEGIN IMMEDIATE;{SCHEMA}PRAGMA application_id={APPLICATION_ID};"
        f"PRAGMA user_version={SCHEMA_VERSION};COMMIT;"
    )
    descriptor = os.open(store, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def transaction(connection: sqlite3.Connection, kind: str = "IMMEDIATE") -> Iterator[None]:
    """All or nothing; ``kind`` is DEFERRED for reading from one snapshot."""
    connection.execute(f"BEGIN {kind}")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # a full disk has already rolled it back
            connection.execute("ROLLBACK")
        raise


class ReaderPool:
    """Read-only connections that threads borrow; each loan reads one snapshot of the store."""

    def __init__(self, store: Path) -> None:
        self.store = store
        self._idle: list[sqlite3.Connection] = [connect(store)]
        self._lock = Lock()
        self._closed = False

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A connection within a read transaction."""
        connection = self._borrow()
        try:
            with storage_errors(self.store), transaction(connection, "DEFERRED"):
                yield connection
        finally:
            self._give_back(connection)

    def _borrow(self) -> sqlite3.Connection:
        with self._lock:
            if self._closed:
                raise StoreError(f"The store '{self.store}' was closed; open it again.")
            if self._idle:
                return self._idle.pop()
        return connect(self.store)

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Close all connections, those on loan as they come back."""
        with self._lock:
            self._closed = True
            while self._idle:
                self._idle.pop().close()
