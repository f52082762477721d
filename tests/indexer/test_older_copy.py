"""An older copy of ``items.sqlite`` that was put back never meets an index of a later one."""

import shutil

import pytest

from indexer.database import DATABASE, connect
from indexer.doctor import examine
from indexer.engines.faiss_engine import FaissEngine
from indexer.errors import NoStoreError, StoreCorruptError, VectorsGoneError
from indexer.generations import GENERATIONS, activate, read_current
from indexer.own_photos import keep_photo


def put_back(store, copy):
    for path in store.glob(f"{DATABASE}*"):
        path.unlink()
    shutil.copy(copy, store / DATABASE)


@pytest.fixture
def copy(run, store, tmp_path):
    """A copy of the items after the first of two runs."""
    run()
    with connect(store, create=True) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return shutil.copy(store / DATABASE, tmp_path / "copy")


def test_one_that_caught_up_is_told_from_the_one_that_was_there(
    run, store, copy, photos, put_photo, embedder, photo
):
    """Both are at the same change, with the same row numbers, of different photos."""
    put_photo(photos / "a" / "new.png", 100)
    later = run().generation
    (photos / "a" / "new.png").unlink()
    put_back(store, copy)
    put_photo(photos / "b" / "other.png", 200)
    report = run()
    assert report.published
    assert report.generation != later
    with FaissEngine.open(store) as engine:
        query = embedder.embed(embedder.preprocessing.read(photo(200))[None])
        assert engine.search(query, 1)[0][0].id == "b/other"
        ids = {hit.id for hit in engine.search(query, 50)[0]}
        assert len(ids) == 13
        assert "a/new" not in ids
    with pytest.raises(VectorsGoneError, match="does not know of it: an older copy"):
        activate(store, later)


def test_it_is_refused_though_it_has_caught_up_by_other_writes(
    run, store, copy, photos, put_photo, embedder
):
    put_photo(photos / "a" / "new.png", 100)
    later = run().generation
    put_back(store, copy)
    put_photo(photos / "a" / "new.png", 200)
    stored = []
    run(  # it stores what is new and publishes nothing
        progress=lambda told: stored.append(told.done) if told.done == told.total else None,
        should_stop=lambda: bool(stored),
    )
    assert read_current(store) == later
    with pytest.raises(VectorsGoneError, match="an older copy was put back"):
        FaissEngine.open(store)
    (told,) = [found for found in examine(store) if found.severity == "error"]
    assert "an older copy was put back" in told.what
    run()
    FaissEngine.open(store).close()


def test_a_generation_from_before_it_was_noted_is_believed(run, store):
    first = run().generation
    with connect(store, create=True) as connection:
        connection.execute("DELETE FROM facts WHERE name LIKE 'generation %'")
    connection.close()
    FaissEngine.open(store).close()
    assert not run().published
    activate(store, first)


@pytest.mark.parametrize("left", [None, b""])
@pytest.mark.parametrize("remains", ["generations", "photos"])
def test_a_store_without_its_items_is_not_begun_anew(run, store, photo, left, remains):
    run()
    if remains == "photos":
        keep_photo(store, photo(1), ".png")
        shutil.rmtree(store / GENERATIONS)
    for path in store.glob(f"{DATABASE}*"):
        path.unlink()
    if left is not None:
        (store / DATABASE).write_bytes(left)
    for attempt in (run, lambda: connect(store)):
        with pytest.raises(StoreCorruptError, match=r"Put it back from a backup.*move '.*' away"):
            attempt()


def test_a_folder_with_photos_of_its_own_may_become_a_store(run, photos, store, put_photo):
    put_photo(store / "photos" / "aa" / "shoe.png", 1)
    with pytest.raises(NoStoreError):
        connect(store)
    assert run().published
