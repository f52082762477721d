"""Catalogue readers: what they give, and what they say of a catalogue that is wrong."""

import json
import os
import sys
from datetime import date
from pathlib import Path

import pytest

from indexer.catalogues import MemoryCatalogue, open_catalogue
from indexer.catalogues.photos import read_photo
from indexer.errors import CatalogueError
from indexer.protocols import Entry


def refusal(path: Path) -> str:
    with pytest.raises(CatalogueError) as caught:
        list(open_catalogue(path))
    assert str(path.parent) in str(caught.value)
    return str(caught.value)


def test_directory_gives_photos_of_all_endings_in_order(tmp_path, put_photo) -> None:
    for name in ("b/z.JPG", "b/a.webp", "a.png", "c.jpeg", "b/x.y.Png"):
        put_photo(tmp_path / name)
    for name in ("notes.txt", ".hidden.jpg", ".cache/x.jpg", "b/._a.jpg", "noending"):
        put_photo(tmp_path / name)
    catalogue = open_catalogue(tmp_path)
    assert [entry.id for entry in catalogue] == ["a", "c", "b/a", "b/x.y", "b/z"]
    assert [entry.id for entry in catalogue] == ["a", "c", "b/a", "b/x.y", "b/z"]  # once more
    last = list(catalogue)[-1]
    assert last == Entry("b/z", str(tmp_path / "b/z.JPG"), {})
    assert catalogue.read(last) == (tmp_path / "b/z.JPG").read_bytes()
    assert catalogue.name == str(tmp_path)


def test_directory_names_photos_that_cannot_be_read_unless_a_copy_can(tmp_path, put_photo) -> None:
    for name in ("a.jpg", "a.HEIC", "b.heic", "b.gif", "c/d.tiff", "c/e.mov"):
        put_photo(tmp_path / name)
    found = [(entry.id, Path(entry.uri).name) for entry in open_catalogue(tmp_path)]
    assert found == [("a", "a.jpg"), ("b", "b.heic"), ("c/d", "d.tiff")]


def test_directory_reports_both_files_of_one_id(tmp_path, put_photo) -> None:
    put_photo(tmp_path / "shop/red.jpg")
    put_photo(tmp_path / "shop/red.png")
    message = refusal(tmp_path)
    assert "red.jpg" in message
    assert "red.png" in message
    assert "'shop/red'" in message


def test_directory_follows_links_but_not_in_circles(tmp_path, put_photo) -> None:
    put_photo(tmp_path / "root/real/x.jpg")
    put_photo(tmp_path / "other/y.jpg")
    (tmp_path / "root/linked").symlink_to(tmp_path / "other")
    (tmp_path / "root/real/up").symlink_to(tmp_path / "root")
    (tmp_path / "other/me").symlink_to(tmp_path / "other")
    (tmp_path / "root/dangling.jpg").symlink_to(tmp_path / "nowhere.jpg")
    catalogue = open_catalogue(tmp_path / "root")
    assert [entry.id for entry in catalogue] == ["dangling", "linked/y", "real/x"]
    with pytest.raises(FileNotFoundError):  # the item's failure, not the catalogue's
        catalogue.read(next(iter(catalogue)))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list every folder")
def test_directory_that_cannot_be_listed_is_an_error(tmp_path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o000)
    assert "cannot be listed" in refusal(closed)


def test_csv(tmp_path) -> None:
    path = tmp_path / "items.csv"
    path.write_bytes(
        b"\xef\xbb\xbfid,path,price,size,stock,note,sold,new,odd\r\n"
        b'007,img/a.jpg,12.50,38,3,"red, with\nbow",true,FALSE,true\r\n'
        b"\r\n"
        b"8,/abs/b.jpg,,M,,,False,,maybe\r\n"
    )
    catalogue = open_catalogue(path)
    assert list(catalogue) == [
        Entry(
            "007",
            str(tmp_path / "img/a.jpg"),
            {
                "price": 12.5,
                "size": "38",
                "stock": 3,
                "note": "red, with\nbow",
                "sold": True,
                "new": False,
                "odd": "true",
            },
        ),
        Entry(
            "8",
            "/abs/b.jpg",
            {
                "price": None,
                "size": "M",
                "stock": None,
                "note": "",
                "sold": False,
                "new": None,
                "odd": "maybe",
            },
        ),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", "is empty"),
        (b"id,price\n1,2\n", "line 1: there is no column path or uri or image"),
        (b"name,path\n1,2\n", "line 1: there is no column id"),
        (b"id;path\n1;a.jpg\n", "separated by commas"),
        (b"id,path,id\n1,a,2\n", "line 1: the column 'id' is there twice"),
        (b"id,path\n1,a.jpg\n2\n", "line 3: 1 cells under 2 columns"),
        (b"id,path\n1,a.jpg\n2,b.jpg,x\n", "line 3: 3 cells under 2 columns"),
        (b"id,path\n1,a.jpg\n2,b.jpg\n1,c.jpg\n", "line 4: the id '1' is taken already by line 2"),
        (b"id,path\n1,a.jpg\n ,b.jpg\n", "line 3: ' ' is no id"),
        (b"id,path\n1,a.jpg\n2,caf\xe9.jpg\n", "line 3: not UTF-8"),
        ("id,path\n1,a\n".encode("utf-16"), "line 1: not UTF-8"),
        (b'id,path\n1,"a.jpg\n', "not CSV"),
    ],
)
def test_csv_errors_name_the_line(tmp_path, text, expected) -> None:
    path = tmp_path / "items.csv"
    path.write_bytes(text)
    assert expected in refusal(path)


def test_jsonl(tmp_path) -> None:
    path = tmp_path / "items.jsonl"
    rows = [
        {"id": 1, "image": "a.jpg", "price": 2, "sold": False, "brand": None},
        {"id": "zwei", "image": "file:///x/b%20c.jpg"},
    ]
    path.write_text("\n\n".join(json.dumps(row) for row in rows), "utf-8")
    assert list(open_catalogue(path)) == [
        Entry("1", str(tmp_path / "a.jpg"), {"price": 2, "sold": False, "brand": None}),
        Entry("zwei", "/x/b c.jpg", {}),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"id": "1", "path": "a"}\n{"id": ', "line 2: not JSON"),
        ('{"id": "1", "path": "a"}\n[1]', "line 2: expected an object, found list"),
        ('{"id": "1", "path": "a", "tags": ["x"]}', "line 1: 'tags' is a list"),
        ('{"id": "1", "path": "a", "price": NaN}', "line 1: 'price' is nan"),
        ('{"id": null, "path": "a"}', "line 1: None is no id"),
        ('{"id": 1.5, "path": "a"}', "line 1: 1.5 is no id"),
        ('{"id": "a\\u0000", "path": "a"}', "zero byte"),
        ('{"id": "1"}', "line 1: there is no column path or uri or image"),
        ('{"id": 1, "path": "a"}\n{"id": "1", "path": "b"}', "line 2: the id '1' is taken already"),
    ],
)
def test_jsonl_errors_name_the_line(tmp_path, text, expected) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text(text, "utf-8")
    assert expected in refusal(path)


def test_parquet(tmp_path) -> None:
    pa = pytest.importorskip("pyarrow", reason="needs the extra 'parquet'")
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra 'parquet'")
    path = tmp_path / "items.parquet"
    table = {"id": [1, 2], "uri": ["a.jpg", None], "since": [date(2026, 1, 2), None]}
    parquet.write_table(pa.table({**table, "weight": [0.5, float("nan")]}), path)
    assert list(open_catalogue(path)) == [
        Entry("1", str(tmp_path / "a.jpg"), {"since": "2026-01-02", "weight": 0.5}),
        Entry("2", "", {"since": None, "weight": None}),
    ]
    for column, expected in (
        ({"tags": [["x"], ["y"]]}, "row 1: 'tags' is a list"),
        ({"id": [7, 7]}, "row 2: the id '7' is taken already by row 1"),
    ):
        parquet.write_table(pa.table({**table, **column}), path)
        assert expected in refusal(path)
    parquet.write_table(pa.table({"id": [1]}), path)
    assert "there is no column path or uri or image" in refusal(path)
    path.write_bytes(b"PAR1 not really")
    assert "is no Parquet file" in refusal(path)


def test_parquet_without_pyarrow_names_the_extra(tmp_path, monkeypatch) -> None:
    path = tmp_path / "items.parquet"
    path.write_bytes(b"")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(CatalogueError, match=r"pip install 'niteru\[parquet\]'"):
        open_catalogue(path)


@pytest.mark.parametrize("name", ["nothing", "nothing.csv"])
def test_nothing_there(tmp_path, name) -> None:
    assert "There is no catalogue at" in refusal(tmp_path / name)


def test_unknown_ending(tmp_path) -> None:
    path = tmp_path / "items.xlsx"
    path.write_bytes(b"")
    message = refusal(path)
    assert "'.xlsx'" in message
    assert ".parquet" in message


@pytest.mark.parametrize(
    ("photo_path", "error", "expected"),
    [
        ("", OSError, "empty"),
        ("gone.jpg", FileNotFoundError, "No such file"),
        ("folder", IsADirectoryError, "folder"),
        ("../outside.jpg", PermissionError, "leaves the folder of the manifest"),
        ("a/../../outside.jpg", PermissionError, "leaves the folder"),
        ("ftp://shop.example/a.jpg", OSError, "'ftp' is not read"),
        ("a\\u0000b.jpg", OSError, "zero byte"),
    ],
)
def test_paths_of_a_manifest_fail_item_by_item(tmp_path, photo_path, error, expected) -> None:
    (tmp_path / "outside.jpg").write_bytes(b"secret")
    folder = tmp_path / "catalogue"
    (folder / "folder").mkdir(parents=True)
    path = folder / "items.jsonl"
    path.write_text(f'{{"id": "1", "path": "{photo_path}"}}', "utf-8")
    catalogue = open_catalogue(path)
    (entry,) = catalogue
    with pytest.raises(error, match=expected):
        catalogue.read(entry)


def test_absolute_and_inner_dotted_paths_are_read(tmp_path) -> None:
    (tmp_path / "far.jpg").write_bytes(b"far")
    folder = tmp_path / "catalogue"
    (folder / "a").mkdir(parents=True)
    (folder / "near.jpg").write_bytes(b"near")
    path = folder / "items.csv"
    path.write_text(f"id,path\n1,a/../near.jpg\n2,{tmp_path}/far.jpg\n", "utf-8")
    catalogue = open_catalogue(path)
    assert [catalogue.read(entry) for entry in catalogue] == [b"near", b"far"]


def test_a_pipe_named_like_a_photo_does_not_block(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    catalogue = open_catalogue(tmp_path)
    (entry,) = catalogue
    with pytest.raises(OSError, match="no regular file"):
        catalogue.read(entry)


def test_a_file_too_large_for_a_photo_is_not_read(tmp_path) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(b"12345")
    assert read_photo(str(path), max_bytes=5) == b"12345"
    with pytest.raises(OSError, match="it has 5 bytes; a photo has at most 4"):
        read_photo(str(path), max_bytes=4)


def test_memory_catalogue() -> None:
    catalogue = MemoryCatalogue([Entry("1", "u"), Entry("2", "v")], {"u": b"photo"})
    first, second = catalogue
    assert catalogue.read(first) == b"photo"
    with pytest.raises(FileNotFoundError):
        catalogue.read(second)
