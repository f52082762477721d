"""A store that was moved, or is seen at another path, keeps its own photos and their items."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from indexer.catalogues import open_catalogue
from indexer.database import DATABASE, connect
from indexer.doctor import examine
from indexer.embedders import ColourLayoutEmbedder
from indexer.own_photos import drop_unused, keep_photo
from indexer.pipeline import index_catalogue
from indexer.protocols import Item
from indexer.reading import find_items
from indexer.store import Record, open_writer


@pytest.fixture
def own(run, store, photo, embedder) -> Item:
    """An item of a store that came over HTTP, without a catalogue."""
    run(embedder)
    path, sha256 = keep_photo(store, photo(99), ".png")
    item = Item("own", str(path), sha256)
    vector = embedder.embed(embedder.preprocessing.read(photo(99))[None])[0]
    with open_writer(store) as writer:
        writer.upsert([Record(item, vector)], fingerprint=embedder.fingerprint)
    return item


def place(store: Path) -> Path:
    with closing(connect(store)) as connection:
        (found,) = find_items(connection, ["own"])
    assert found is not None
    return Path(found.uri)


def test_an_item_of_its_own_is_found_and_not_pruned(run, store, own, photo, embedder, tmp_path):
    assert place(store) == Path(own.uri)
    moved = store.rename(tmp_path / "moved")
    assert place(moved).is_relative_to(moved)
    assert place(moved).read_bytes() == photo(99)
    report = run_again(moved, tmp_path, embedder)
    assert report.pruned == 0
    assert report.items == 13
    assert place(moved).read_bytes() == photo(99)


def run_again(store, tmp_path, embedder):
    catalogue = open_catalogue(tmp_path / "photos")
    return index_catalogue(catalogue, store, embedder, workers=1, batch=4, prune=True)


def test_other_weights_embed_it_too(run, store, own, tmp_path):
    moved = store.rename(tmp_path / "moved")
    report = run_again(moved, tmp_path, ColourLayoutEmbedder(grid=2))
    assert (report.items, report.embedded) == (13, 13)


def test_a_link_to_the_store_is_as_good_as_the_store(run, store, own, photo, embedder, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(store)
    assert place(link).read_bytes() == photo(99)
    assert run_again(link, tmp_path, embedder).pruned == 0
    assert place(store).read_bytes() == photo(99)


def test_its_photo_goes_with_the_item(store, own, tmp_path):
    moved = store.rename(tmp_path / "moved")
    here = place(moved)
    with open_writer(moved) as writer:
        drop_unused(moved, writer.connection, [str(here)])
        assert here.exists()
        writer.delete(["own"])
        drop_unused(moved, writer.connection, [str(here)])
    assert not here.exists()


def test_what_was_written_with_its_path_is_read_and_loses_it(store, own, photo, tmp_path):
    with closing(sqlite3.connect(store / DATABASE)) as connection, connection:
        connection.execute("UPDATE items SET uri = ? WHERE id = 'own'", (own.uri,))
        connection.execute("DELETE FROM facts WHERE name = 'own'")
    assert place(store) == Path(own.uri)
    with open_writer(store):
        pass
    moved = store.rename(tmp_path / "moved")
    assert place(moved).read_bytes() == photo(99)
    assert not [found for found in examine(moved) if found.severity == "error"]
