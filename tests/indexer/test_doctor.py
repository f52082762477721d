"""The doctor finds every kind of damage by name, and nothing where all is well."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from PIL import Image

from indexer.catalogues.memory import MemoryCatalogue
from indexer.database import DATABASE
from indexer.doctor import examine
from indexer.embedders import ColourLayoutEmbedder
from indexer.errors import NoStoreError
from indexer.generations import GENERATIONS, INDEX, list_ids, read_current
from indexer.layout import MAP
from indexer.locks import WRITER, exclusive
from indexer.own_photos import keep_photo
from indexer.pipeline import index_catalogue
from indexer.protocols import Entry, Item
from indexer.store import Record, delete, upsert

EMBEDDER = ColourLayoutEmbedder()


@pytest.fixture
def store(tmp_path) -> Path:
    """A store of eight photos with two generations."""
    entries = []
    for number in range(8):
        path = tmp_path / "photos" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (20, 20), (30 * number, 90, 200 - 20 * number)).save(path)
        entries.append(Entry(f"i{number}", str(path)))
    for count in (4, 8):
        index_catalogue(
            MemoryCatalogue(entries[:count]), tmp_path / "store", EMBEDDER, workers=1, batch=4
        )
    return tmp_path / "store"


def worst(store, **given):
    """What is no note: severity and both sentences in one."""
    return [
        (found.severity, f"{found.what} {found.advice}")
        for found in examine(store, **given)
        if found.severity != "note"
    ]


def only(store, severity, *words, **given):
    found = worst(store, **given)
    assert len(found) == 1, found
    assert found[0][0] == severity
    for word in words:
        assert word in found[0][1], found


def test_a_sound_store_has_notes_alone(store):
    assert worst(store, fingerprint=EMBEDDER.fingerprint) == []
    told = " ".join(found.what for found in examine(store))
    assert "8 items" in told
    assert f"'{read_current(store)}' answers" in told
    assert "2 generations" in told
    assert "Asked for was recall@10 0.95: Flat reached 1.000 and takes " in told


def test_no_store_is_told(tmp_path):
    with pytest.raises(NoStoreError):
        examine(tmp_path)
    (tmp_path / DATABASE).touch()  # begun, and nothing more
    with pytest.raises(NoStoreError):
        examine(tmp_path)


def test_what_is_wrong_with_current_is_told_once(store):
    (store / "CURRENT").write_text("")
    only(store, "error", "instead of the id of a generation", "niteru rollback")


def test_a_folder_that_cannot_be_written_is_no_reason_for_a_backup(store, monkeypatch):
    def refuse(*_, **__):
        error = sqlite3.OperationalError("unable to open database file")
        error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
        raise error

    monkeypatch.setattr(sqlite3, "connect", refuse)
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write what is mounted to be read
    (severity, told) = worst(store)[0]
    assert severity == "error"
    assert "the folder cannot be written" in told
    assert "backup" not in told


@pytest.mark.parametrize("name", [INDEX, MAP])
def test_damaged_files_of_a_generation(store, name):
    old, new = list_ids(store)
    (store / GENERATIONS / old / name).write_bytes(b"x")
    only(store, "warning", old, "rollback" if name == INDEX else "refused")
    (store / GENERATIONS / new / name).write_bytes(b"x")
    assert [severity for severity, _ in worst(store)] == ["error", "warning"]


@pytest.mark.parametrize("text", [None, "nonsense\n", "20200101T000000Z-0000\n"])
def test_current_that_is_missing_or_names_nothing(store, text):
    if text is None:
        (store / "CURRENT").unlink()
    else:
        (store / "CURRENT").write_text(text)
    found = worst(store)
    assert found[0][0] == "error"
    assert "niteru rollback" in found[0][1]


def test_a_damaged_database(store):
    with sqlite3.connect(store / DATABASE) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA journal_mode=DELETE")
    connection.close()
    path = store / DATABASE
    data = bytearray(path.read_bytes())
    for page in range(2, len(data) // 4096):  # all but the schema
        data[4096 * page : 4096 * page + 64] = b"\xff" * 64
    path.write_bytes(data)
    found = worst(store)
    assert found[0][0] == "error"
    assert "backup" in found[0][1]
    path.write_bytes(b"no database")
    assert "backup" in worst(store)[0][1]


def vector_of(photo):
    return EMBEDDER.embed(EMBEDDER.preprocessing.read(photo.read_bytes())[None])[0]


def put(store, *ids, uri=None, sha256="0" * 64):
    """Items with the photo of the first one, or another, behind the index's back."""
    photo = uri or store.parent / "photos" / "0.png"
    records = [Record(Item(name, str(photo), sha256), vector_of(photo)) for name in ids]
    upsert(store, records, fingerprint=EMBEDDER.fingerprint)


def test_other_weights_and_items_without_vectors(store):
    only(store, "error", "'other'", "niteru index", fingerprint="other")
    put(store, "new")
    with closing(sqlite3.connect(store / DATABASE)) as connection, connection:
        connection.execute("UPDATE vectors SET removed = 1 WHERE row = 9")  # as other weights do
    only(store, "warning", "1 items have no vector")


def test_what_is_not_in_the_index_yet_is_a_note_until_it_is_much(store):
    put(store, "n0")
    assert worst(store) == []
    put(store, "n1", "n2", "n3")
    only(store, "warning", "4 items are not in the built index", "niteru index")


def test_photos_that_are_gone(store):
    (store.parent / "photos" / "3.png").unlink()
    only(store, "warning", "1 of 8", "3.png", "mounted")
    for photo in (store.parent / "photos").iterdir():
        photo.unlink()
    only(store, "error", "8 of 8")


def test_leftovers_of_a_crash_but_not_of_a_run_that_goes_on(store):
    (store / GENERATIONS / ".staging-x").mkdir()
    (store / GENERATIONS / ".staging-x" / INDEX).write_bytes(b"0" * 1000)
    (store / "CURRENT.tmp").write_text("x")
    only(store, "warning", "2 half-made", "niteru gc")
    with exclusive(store, WRITER):
        assert worst(store) == []
        assert "being written by process" in " ".join(f.what for f in examine(store))


def test_own_photos_of_no_item_are_noted(store):
    path, sha256 = keep_photo(store, (store.parent / "photos/1.png").read_bytes(), ".png")
    assert "1 photos in photos/ of no item" in " ".join(f.what for f in examine(store))
    put(store, "own", uri=path, sha256=sha256)
    assert "of no item" not in " ".join(f.what for f in examine(store))
    delete(store, ["own"])


def test_a_disk_that_is_nearly_full(store, monkeypatch):
    from indexer import doctor  # noqa: PLC0415 - only here

    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: type("U", (), {"free": 10}))
    only(store, "error", "are free")


def test_it_changes_nothing(store):
    before = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
    examine(store, fingerprint="other")
    assert {p: p.read_bytes() for p in store.rglob("*") if p.is_file() and p in before} == before
