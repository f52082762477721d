"""Catalogues on other machines, over fsspec's file system in memory."""

import json

import pytest

from indexer.catalogues import open_catalogue
from indexer.catalogues.photos import read_photo
from indexer.catalogues.places import SCHEMES, filesystem_of, status_of
from indexer.embedders import ColourLayoutEmbedder
from indexer.errors import CatalogueError
from indexer.pipeline import index_catalogue
from tests.indexer.test_shards import png, sample, write_tar

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed: pip install '.[remote]'")
EMBEDDER = ColourLayoutEmbedder()


@pytest.fixture
def bucket():
    """An empty bucket in memory."""
    files = fsspec.filesystem("memory")
    files.store.clear()
    yield files
    files.store.clear()


def put(files, name, data):
    files.pipe_file(f"/shop/{name}", data)


def test_a_folder_is_a_catalogue(bucket):
    for name, shade in (("b/2.png", 2), ("a.png", 1), ("b/.hid.png", 3), (".x/4.png", 4)):
        put(bucket, name, png(shade))
    put(bucket, "notes.txt", b"x")
    catalogue = open_catalogue("memory://shop")
    entries = list(catalogue)
    assert [entry.id for entry in entries] == ["a", "b/2"]
    assert catalogue.read(entries[1]) == png(2)
    assert catalogue.name == "memory://shop"
    put(bucket, "a.webp", png(1))
    with pytest.raises(CatalogueError, match="would both be the item 'a'"):
        list(open_catalogue("memory://shop"))


def test_a_manifest_names_photos_beside_it_and_elsewhere(bucket, tmp_path):
    put(bucket, "p/1.png", png(1))
    put(bucket, "p/2.png", png(2))
    (tmp_path / "3.png").write_bytes(png(3))
    lines = [
        {"id": "1", "path": "p/1.png", "kind": "hat"},
        {"id": "2", "path": "memory://shop/p/2.png"},
        {"id": "3", "path": str(tmp_path / "3.png")},
        {"id": "4", "path": "../up.png"},
    ]
    put(bucket, "items.jsonl", "\n".join(map(json.dumps, lines)).encode())
    catalogue = open_catalogue("memory://shop/items.jsonl")
    entries = list(catalogue)
    assert entries[0].uri == "memory://shop/p/1.png"
    assert [catalogue.read(entry) for entry in entries[:2]] == [png(1), png(2)]
    with pytest.raises(OSError, match="empty"):  # a path of this machine, named by another
        catalogue.read(entries[2])
    with pytest.raises(PermissionError, match="leaves the folder"):
        catalogue.read(entries[3])
    assert catalogue.name == "memory://shop/items.jsonl"


def test_shards_are_read_member_by_member(bucket, tmp_path):
    for number in range(2):
        shard = write_tar(tmp_path / f"{number}.tar", sample(f"i{number}", 7 + number, kind="x"))
        put(bucket, f"{number}.tar", shard.read_bytes())
    for pattern in ("memory://shop/{0..1}.tar", "memory://shop/*.tar"):
        catalogue = open_catalogue(pattern)
        assert [(e.id, dict(e.attributes)) for e in catalogue] == [
            ("i0", {"kind": "x"}), ("i1", {"kind": "x"})
        ]  # fmt: skip
        assert [catalogue.read(e) for e in catalogue] == [png(7), png(8)]


def test_only_what_changed_is_read_again(bucket, tmp_path):
    for number in range(3):
        put(bucket, f"{number}.png", png(number))

    def run():
        catalogue = open_catalogue("memory://shop")
        return index_catalogue(catalogue, tmp_path / "s", EMBEDDER, workers=2, batch=2)

    assert run().embedded == 3
    assert run().unchanged == 3
    put(bucket, "1.png", png(99))
    report = run()
    assert (report.embedded, report.items) == (1, 3)


def test_a_photo_that_vanishes_is_one_failure(bucket, tmp_path):
    for number in range(3):
        put(bucket, f"{number}.png", png(number))
    catalogue = open_catalogue("memory://shop")
    entries = list(catalogue)
    bucket.rm_file("/shop/1.png")
    with pytest.raises(FileNotFoundError, match="no such file"):
        catalogue.read(entries[1])


def test_what_cannot_be_reached_is_told(bucket):
    with pytest.raises(CatalogueError, match="no catalogue at 'memory://nothing'"):
        open_catalogue("memory://nothing")
    with pytest.raises(CatalogueError, match="'file' is not read; expected one of s3"):
        open_catalogue("file:///etc")
    for url in ("zip::memory://shop/a.zip", "simplecache::memory://shop/a.png"):
        with pytest.raises(OSError, match="is not read"):
            read_photo(url)
    with pytest.raises(FileNotFoundError):
        status_of("memory://shop/none.png")
    put(bucket, "big.png", b"0" * 100)
    with pytest.raises(OSError, match="at most 50"):
        read_photo("memory://shop/big.png", max_bytes=50)


def test_a_kind_whose_package_is_missing_names_it():
    assert "s3" in SCHEMES
    try:
        import s3fs  # noqa: F401, PLC0415
    except ImportError:
        with pytest.raises(OSError, match="s3fs"):
            filesystem_of("s3://bucket/a.png")
