"""The truth on the disk: what is stored, who may write, and what is refused."""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import indexer
from indexer import database
from indexer.database import DATABASE, SCHEMA_VERSION, ReaderPool, connect, explain_database_error
from indexer.errors import (
    EmbedderError,
    FingerprintMismatchError,
    NoStoreError,
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreVersionError,
)
from indexer.protocols import Item
from indexer.reading import (
    count_items,
    count_vectors,
    find_embedder,
    find_items,
    find_known,
    find_photos,
    find_vectors_by_id,
    read_change,
    read_changes,
    read_fact,
    stream_vectors,
)
from indexer.store import Record, delete, open_writer, upsert

CHECKOUT = Path(indexer.__file__).parents[1]


def test_items_and_vectors_come_back(store, records) -> None:
    item = Item("café/ü 1", "/p/ü.jpg", "f" * 64, {"price": 9.5, "size": "M", "sold": None})
    first = replace(records(1)[0], item=item)
    with open_writer(store) as writer:
        assert writer.upsert([first, *records(2)], fingerprint="f") == 1
        writer.remember("source", "/p")
    with closing(connect(store)) as connection:
        assert find_items(connection, ["none", "café/ü 1"]) == [None, item]
        assert read_fact(connection, "source") == "/p"
        assert read_fact(connection, "other") is None
        embedder, dim = find_embedder(connection, "f") or (0, 0)
        assert dim == 8
        vectors = find_vectors_by_id(connection, embedder, dim, ["café/ü 1", "none"])
        np.testing.assert_array_equal(vectors[0], first.vector)
        assert vectors[1] is None
        assert (count_items(connection), count_vectors(connection, embedder)) == (3, 3)


def test_an_update_replaces_the_vector_and_leaves_other_embedders_alone(store, records) -> None:
    old, new, other = records(1)[0], records(1, seed=1)[0], records(1, seed=2, dim=4)[0]
    with open_writer(store) as writer:
        writer.upsert([old], fingerprint="f")
        writer.upsert([other], fingerprint="g")
        change = writer.upsert([new], fingerprint="f")
        with closing(connect(store)) as connection:
            (f, dim_f), (g, dim_g) = (find_embedder(connection, name) for name in "fg")
            changes = read_changes(connection, f, dim_f, change=1, row=1)
            assert changes.removed.tolist() == [1]
            assert changes.rows.tolist() == [3]  # a row number is never used twice
            np.testing.assert_array_equal(changes.vectors, [new.vector])
            assert change == read_change(connection) == 3
            kept = find_vectors_by_id(connection, g, dim_g, ["a00"])
            np.testing.assert_array_equal(kept[0], other.vector)
            # The item is described by the last write; g's vector is of an earlier photo.
            known = find_known(connection, g, ["a00"])["a00"]
            assert (known.sha256, known.vector_sha256) == ("1-a00", "2-a00")


def test_a_record_without_vector_keeps_the_vector(store, records) -> None:
    old = records(1)[0]
    described = replace(old, item=replace(old.item, attributes={"price": 1}), vector=None)
    upsert(store_with(store, [old]), [described], fingerprint="f")
    with closing(connect(store)) as connection:
        assert find_items(connection, ["a00"])[0] == described.item
        np.testing.assert_array_equal(find_vectors_by_id(connection, 1, 8, ["a00"])[0], old.vector)


def store_with(store: Path, records: list[Record], fingerprint: str = "f") -> Path:
    with open_writer(store) as writer:
        writer.upsert(records, fingerprint=fingerprint)
    return store


def test_deleted_items_are_gone_with_their_vectors(store, records) -> None:
    store_with(store, records(3))
    store_with(store, records(3, seed=5), fingerprint="g")
    assert delete(store, ["a01", "never", "a01"]) == 1
    assert delete(store, ["a01"]) == 0
    with closing(connect(store)) as connection:
        assert find_items(connection, ["a01"]) == [None]
        assert find_known(connection, 1, ["a01"]) == {}
        assert find_photos(connection, 1, 8, ["0-a01"]) == {}
        for embedder in (1, 2):
            assert find_vectors_by_id(connection, embedder, 8, ["a01"]) == [None]
            assert count_vectors(connection, embedder) == 2
    upsert(store, records(1, seed=9, first=1), fingerprint="f")
    with closing(connect(store)) as connection:  # added again: with the new vector only
        assert find_items(connection, ["a01"])[0].sha256 == "9-a01"
        assert [count_vectors(connection, n) for n in (1, 2)] == [3, 2]


def test_delete_others(store, records) -> None:
    store_with(store, records(5))
    with open_writer(store) as writer:
        assert writer.delete_others(["a00", "a03", "new"]) == 3
        assert writer.delete_others(["a00", "a03"]) == 0
    with closing(connect(store)) as connection:
        assert count_items(connection) == 2


def test_streaming_gives_every_live_vector_once_in_order(store, records) -> None:
    store_with(store, records(11))
    delete(store, ["a04"])
    with closing(connect(store)) as connection:
        blocks = list(stream_vectors(connection, 1, 8, block=3))
    assert [len(rows) for rows, _ in blocks] == [3, 3, 3, 1]
    assert np.concatenate([rows for rows, _ in blocks]).tolist() == [1, 2, 3, 4, *range(6, 12)]


@pytest.mark.parametrize(
    ("vector", "expected"),
    [
        (np.array([1, 0], np.float64), "float64"),
        (np.array([[1, 0]], np.float32), r"\(1, 2\)"),
        (np.array([], np.float32), r"\(0,\)"),
        (np.array([3, 4], np.float32), "has length 5; expected 1"),
        (np.array([np.nan, 1], np.float32), "length nan"),
    ],
)
def test_a_vector_that_would_poison_the_index_is_refused_whole(store, vector, expected) -> None:
    good = Record(Item("good", "u", "s"), np.array([1, 0], np.float32))
    with open_writer(store) as writer, pytest.raises(EmbedderError, match=expected):
        writer.upsert([good, Record(Item("bad", "u", "s"), vector)], fingerprint="f")
    with closing(connect(store)) as connection:
        assert count_items(connection) == 0


def test_another_dim_under_one_fingerprint_is_refused(store, records) -> None:
    store_with(store, records(1))
    with pytest.raises(EmbedderError, match=r"4 numbers.* vectors of 8"):
        upsert(store, records(1, dim=4), fingerprint="f")
    with pytest.raises(FingerprintMismatchError, match=r"'f'.*'g'"):
        upsert(store, records(1), fingerprint="g")


def test_no_store(store, records) -> None:
    for use in (
        lambda: connect(store),
        lambda: upsert(store, records(1), fingerprint="f"),
        lambda: delete(store, ["a"]),
    ):
        with pytest.raises(NoStoreError, match="niteru index CATALOGUE --store"):
            use()
    assert not store.exists()


def test_the_second_writer_is_told_who_the_first_is(store, records) -> None:
    with (
        open_writer(store),
        pytest.raises(StoreBusyError, match=str(os.getpid())) as caught,
    ):
        upsert(store, records(1), fingerprint="f")
    assert caught.value.pid == os.getpid()
    upsert(store, records(1), fingerprint="f")  # free again


def test_the_lock_of_a_killed_writer_is_free(store, records) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; "
        "from indexer.store import open_writer\n"
        "with open_writer(Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)"
    )
    child = subprocess.run([sys.executable, "-c", code, str(store)], check=False, cwd=CHECKOUT)
    assert child.returncode == -9
    store_with(store, records(1))


def test_a_newer_schema_is_refused_by_its_number(store, records) -> None:
    store_with(store, records(1))
    with closing(sqlite3.connect(store / DATABASE)) as connection:
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    with pytest.raises(StoreVersionError, match=f"version {SCHEMA_VERSION + 1}; this niteru knows"):
        connect(store)
    with pytest.raises(StoreVersionError), open_writer(store):
        pass


def test_files_that_are_no_store_are_refused(store) -> None:
    store.mkdir()
    with closing(sqlite3.connect(store / DATABASE)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    with pytest.raises(StoreVersionError, match="another program"), open_writer(store):
        pass
    (store / DATABASE).write_bytes(b"this is no database at all, " * 50)
    with pytest.raises(StoreCorruptError, match="no SQLite database"), open_writer(store):
        pass
    (store / DATABASE).write_bytes(b"")  # a crash before the tables were made
    with pytest.raises(NoStoreError):
        connect(store)
    with open_writer(store):
        pass
    connect(store).close()


def test_a_damaged_database_is_named(store, records) -> None:
    store_with(store, records(40))
    data = bytearray((store / DATABASE).read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    (store / DATABASE).write_bytes(data)
    with pytest.raises(StoreCorruptError, match="backup"), open_writer(store) as writer:
        writer.upsert(records(1), fingerprint="f")


def test_an_error_of_reading_is_a_full_disk_where_nothing_more_fits(store, monkeypatch) -> None:
    """SQLite says so when it cannot make its shared memory."""
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE
    store.mkdir(exist_ok=True)
    assert not isinstance(explain_database_error(store, error), StoreFullError)
    usage = shutil.disk_usage(store)._replace(free=4096)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert isinstance(explain_database_error(store, error), StoreFullError)


def test_a_full_disk_loses_nothing(store, records, monkeypatch) -> None:
    store_with(store, records(20))
    pages = (store / DATABASE).stat().st_size // 4096
    limited = (*database.WRITER_PRAGMAS, f"max_page_count={pages}")
    with monkeypatch.context() as patch:
        patch.setattr(database, "WRITER_PRAGMAS", limited)
        with pytest.raises(StoreFullError, match="free some space"):
            upsert(store, records(99, dim=8, seed=3), fingerprint="f")
    with closing(connect(store)) as connection:
        assert count_items(connection) == 20
        assert find_items(connection, ["a07"])[0].sha256 == "0-a07"
        assert read_change(connection) == 1
    upsert(store, records(99, seed=3), fingerprint="f")  # space is back
    with closing(connect(store)) as connection:
        assert count_items(connection) == 99


def test_a_reader_sees_one_snapshot(store, records) -> None:
    store_with(store, records(2))
    with closing(ReaderPool(store)) as pool:
        with pool.read() as connection:
            assert count_items(connection) == 2
            upsert(store, records(5), fingerprint="f")
            assert count_items(connection) == 2
        with pool.read() as connection:
            assert count_items(connection) == 5
            with pytest.raises(sqlite3.OperationalError, match="readonly"):
                connection.execute("DELETE FROM items")
    with pytest.raises(StoreError, match="was closed"), pool.read():
        pass
