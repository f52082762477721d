"""Collecting what no generation needs: what goes, what stays, and that no end of it does harm."""

import errno
import multiprocessing
import os
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from indexer.database import DATABASE, INCREMENTAL, ReaderPool, connect
from indexer.engines.choice import IDENTITY
from indexer.engines.faiss_engine import FaissEngine
from indexer.engines.faiss_index import IndexPolicy, build_index
from indexer.errors import StoreBusyError, VectorsGoneError
from indexer.garbage import collect, find_garbage
from indexer.generations import (
    GENERATIONS,
    activate,
    current,
    list_ids,
    publish,
    read_current,
)
from indexer.manifest import MANIFEST
from indexer.own_photos import keep_photo
from indexer.own_places import PHOTOS
from indexer.protocols import Item
from indexer.publishing import LocalGenerations
from indexer.reading import count_vectors, find_embedder
from indexer.store import Record, open_writer

OLD, NEW, NEXT = "old-weights", "new-weights", "next-weights"


@pytest.fixture
def make(store, records):
    """Store items with the vectors of an embedder, and publish them."""

    def fill(count, fingerprint, *, dim=8):
        with open_writer(store) as writer, closing(ReaderPool(store)) as pool:
            writer.upsert(records(count, dim=dim), fingerprint=fingerprint)

            def build(path: Path):
                with pool.read() as connection:
                    policy = IndexPolicy()
                    return build_index(connection, path, fingerprint=fingerprint, policy=policy)

            made = publish(store, build)
            writer.mark_published(fingerprint)
            return made

    return fill


@pytest.fixture
def changed(make):
    """The generations of a store that went over from one embedder to another: old, new, new."""
    return [make(30, OLD).id, make(30, NEW).id, make(20, NEW).id]


def look(store, **given):
    return find_garbage(store, LocalGenerations(store), **given)


def clean(store, **given):
    return collect(store, LocalGenerations(store), **given)


def known(store, fingerprint):
    with closing(connect(store)) as connection:
        return find_embedder(connection, fingerprint) is not None


def contents(store):
    return {path: path.read_bytes() for path in sorted(store.rglob("*")) if path.is_file()}


def test_nothing_is_garbage_while_a_generation_may_be_gone_back_to(store, changed):
    found = look(store, keep=3)
    assert not found
    assert found.bytes == found.unused
    assert clean(store).generations == ()
    assert known(store, OLD)


def test_what_would_go_is_told_and_left_alone(store, changed):
    before = contents(store)
    found = look(store, keep=1)
    assert contents(store) == before
    assert [old.id for old in found.generations] == changed[:2]
    assert all(old.bytes > 1000 for old in found.generations)
    (vectors,) = found.vectors
    assert (vectors.fingerprint, vectors.vectors) == (OLD, 30)
    assert vectors.bytes >= 30 * 8 * 4
    assert found.freed == 0


def test_vectors_go_with_the_last_generation_of_their_weights(store, changed):
    told = look(store, keep=1)
    done = clean(store, keep=1)
    assert (done.generations, done.vectors) == (told.generations, told.vectors)
    assert done.freed >= sum(old.bytes for old in done.generations)
    assert list_ids(store) == changed[2:]
    assert not known(store, OLD)
    assert not look(store, keep=1)
    with FaissEngine.open(store, fingerprint=NEW) as engine:
        assert len(engine) == 30


def test_the_file_becomes_smaller_by_what_was_dropped(store, make):
    make(3000, OLD, dim=256)
    make(30, NEW)
    before = (store / DATABASE).stat().st_size
    done = clean(store, keep=1)
    after = (store / DATABASE).stat().st_size
    assert not (store / f"{DATABASE}-wal").exists()
    assert before - after > 0.8 * done.vectors[0].bytes > 2_000_000
    with closing(connect(store)) as connection:
        assert connection.execute("PRAGMA freelist_count").fetchone() == (0,)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert abs(done.vectors[0].bytes - (before - after)) < 0.3 * (before - after)


def test_a_store_from_before_is_written_anew_once(store, make):
    make(2000, OLD, dim=64)
    make(30, NEW)
    with closing(sqlite3.connect(store / DATABASE)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute("PRAGMA auto_vacuum=0")
        connection.execute("VACUUM")
    before = (store / DATABASE).stat().st_size
    clean(store, keep=1)
    assert (store / DATABASE).stat().st_size < before / 2
    with closing(connect(store)) as connection:
        assert connection.execute("PRAGMA auto_vacuum").fetchone() == (INCREMENTAL,)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    with FaissEngine.open(store, fingerprint=NEW) as engine:
        query = engine.vectors(["a01"])[0][None]
        assert engine.search(query, 1)[0][0].id == "a01"


def test_an_interrupted_indexing_stays_unless_it_is_named(store, changed, records):
    with open_writer(store) as writer:
        writer.upsert(records(9, seed=5), fingerprint=NEXT)
    assert [one.fingerprint for one in look(store, keep=1).unfinished] == [NEXT]
    clean(store, keep=1)
    assert known(store, NEXT)
    assert [one.fingerprint for one in clean(store, unfinished=True).vectors] == [NEXT]
    assert not known(store, NEXT)


def test_vectors_stay_where_it_cannot_be_told_whose_are_needed(store, changed):
    (store / GENERATIONS / changed[1] / MANIFEST).write_text("{")
    done = clean(store, keep=2)
    assert "cannot be read" in done.vectors_stay
    assert changed[1] in done.vectors_stay
    assert known(store, OLD)
    shutil.rmtree(store / GENERATIONS)
    found = look(store)
    assert found.vectors == ()
    assert "no generation is left" in found.vectors_stay


def test_vectors_of_a_store_on_milvus_stay_until_the_server_is_asked(store, changed):
    with open_writer(store) as writer:
        writer.remember(IDENTITY, "f00")
    done = clean(store, keep=1)
    assert "--engine milvus" in done.vectors_stay
    assert known(store, OLD)


def test_a_generation_that_a_process_answers_from_stays(store, changed):
    activate(store, changed[0])
    with FaissEngine.open(store, fingerprint=OLD) as engine:
        activate(store, changed[2])
        found = look(store, keep=1)
        assert (found.held, [old.id for old in found.generations]) == ((changed[0],), [changed[1]])
        done = clean(store, keep=1)
        assert done.held == (changed[0],)
        assert done.vectors == ()
        assert len(engine) == 30
        assert len(engine.search(engine.vectors(["a01"])[0][None], 50)[0]) == 30
    assert [old.id for old in clean(store, keep=1).generations] == [changed[0]]
    assert not known(store, OLD)


def test_an_engine_that_goes_on_lets_the_old_generation_go(store, make):
    old = make(10, NEW).id
    with FaissEngine.open(store, fingerprint=NEW) as engine:
        make(20, NEW)
        assert look(store, keep=1).held == (old,)
        assert engine.refresh()
        assert look(store, keep=1).held == ()
        assert [one.id for one in clean(store, keep=1).generations] == [old]
        assert len(engine) == 20


def test_leftovers_and_photos_of_no_item_go_and_others_stay(store, changed, photo):
    named, sha256 = keep_photo(store, photo(1), ".png")
    unnamed, _ = keep_photo(store, photo(2), ".png")
    with open_writer(store) as writer:
        writer.upsert([Record(Item("own", str(named), sha256), None)], fingerprint=NEW)
    begun = named.with_name(f"{'0a' * 16}.part")
    begun.write_bytes(b"half")
    staging = store / GENERATIONS / ".staging-x"
    staging.mkdir()
    (staging / "index.faiss").write_bytes(b"0" * 1000)
    stranger = store / "notes.txt"
    stranger.write_text("mine")
    mine = [store / "a.tmp", store / PHOTOS / "shoes" / "1.jpg", named.with_name("x.part")]
    for path in mine:  # of a catalogue that lies in the folder of the store
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(photo(3))
    found = look(store)
    assert set(found.files) == {unnamed, begun, staging}
    assert found.file_bytes == 1004 + unnamed.stat().st_size
    clean(store)
    assert [path.exists() for path in (unnamed, begun, staging)] == [False] * 3
    assert [path.exists() for path in (named, stranger, *mine)] == [True] * 5


def test_photos_of_a_store_that_was_moved_stay(store, changed, photo):
    named, sha256 = keep_photo(store, photo(1), ".png")
    with open_writer(store) as writer:
        writer.upsert([Record(Item("own", str(named), sha256), None)], fingerprint=NEW)
    moved = store.rename(store.with_name("moved"))
    assert look(moved).files == ()
    clean(moved)
    assert len(list((moved / PHOTOS).glob("*/*"))) == 1


def test_a_store_that_is_written_is_left_alone(store, changed):
    with open_writer(store), pytest.raises(StoreBusyError):
        clean(store, keep=1)
    assert list_ids(store) == changed


def test_a_collection_that_was_stopped_is_gone_on_with(store, make, monkeypatch):
    monkeypatch.setattr("indexer.store.AT_ONCE", 100)
    make(900, OLD)
    make(30, NEW)
    told = []
    done = clean(
        store, keep=1, progress=lambda d, _: told.append(d), should_stop=lambda: len(told) > 3
    )
    assert done.stopped
    assert done.vectors == ()
    with closing(connect(store)) as connection:
        number, _ = find_embedder(connection, OLD)
        assert 0 < count_vectors(connection, number) < 900
    done = clean(store, keep=1)
    assert [one.fingerprint for one in done.vectors] == [OLD]
    assert not known(store, OLD)


def test_a_rollback_to_a_generation_whose_vectors_are_gone_is_refused(store, changed, tmp_path):
    kept = tmp_path / "kept"
    shutil.copytree(store / GENERATIONS / changed[0], kept)
    clean(store, keep=1)
    shutil.copytree(kept, store / GENERATIONS / changed[0])
    with pytest.raises(VectorsGoneError, match=r"holds 0 of them.*niteru index .*--weights"):
        activate(store, changed[0])
    assert read_current(store) == changed[2]


def test_a_rollback_is_refused_where_the_weights_were_embedded_anew(
    store, changed, make, records, tmp_path
):
    """The old rows are gone, though the store has vectors of these weights again."""
    kept = tmp_path / "kept"
    shutil.copytree(store / GENERATIONS / changed[0], kept)
    clean(store, keep=1)
    with open_writer(store) as writer:
        writer.upsert(records(30), fingerprint=OLD)
    shutil.copytree(kept, store / GENERATIONS / changed[0])
    with pytest.raises(VectorsGoneError, match=r"indexes 30 vectors .* holds 0 of them"):
        activate(store, changed[0])


def test_a_rollback_is_refused_over_an_older_copy_of_the_items(store, make, records):
    make(10, NEW)
    with closing(connect(store)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    copy = (store / DATABASE).read_bytes()
    later = make(20, NEW).id
    for path in store.glob(f"{DATABASE}*"):
        path.unlink()
    (store / DATABASE).write_bytes(copy)
    with pytest.raises(VectorsGoneError, match="an older copy was put back"):
        activate(store, later)


def collect_slowly(store, ready):
    """In a process of its own: collect, telling of each step."""
    clean(store, keep=1, progress=lambda *_: (ready.set(), time.sleep(0.002)))


@pytest.mark.parametrize("seconds", [0, 0.005, 0.02, 0.05])
def test_a_collection_that_is_killed_harms_nothing(store, make, seconds, monkeypatch):
    monkeypatch.setattr("indexer.store.AT_ONCE", 50)  # a fork has it, too
    make(800, OLD, dim=32)
    make(30, NEW)
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    with FaissEngine.open(store, fingerprint=NEW) as engine:  # a server, meanwhile
        query = engine.vectors(["a01"])[0][None]
        child = context.Process(target=collect_slowly, args=(store, ready))
        child.start()
        assert ready.wait(20)
        time.sleep(seconds)
        os.kill(child.pid, 9)
        child.join()
        assert len(engine.search(query, 50)[0]) == 30
        with closing(connect(store)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        clean(store, keep=1)
        assert not known(store, OLD)
        assert len(engine.search(query, 50)[0]) == 30
    assert current(store).manifest.fingerprint == NEW


def test_old_generations_go_though_nothing_can_be_written(store, make, monkeypatch):
    """A full disk is when it is needed: neither the lock nor the database has to be written."""
    old = [make(9, NEW).id for _ in range(3)]

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with open_writer(store) as writer:
        writer.connection.execute("PRAGMA query_only=ON")  # whatever it writes is an error
        assert LocalGenerations(store).remove_old(writer, keep=1) == old[:2]
    assert list_ids(store) == old[2:]
