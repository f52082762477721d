"""WebDataset shards as a catalogue: read where they lie, told apart, refused by name."""

import io
import json
import os
import tarfile

import pytest
from PIL import Image

from indexer.catalogues import open_catalogue
from indexer.catalogues.members import Member
from indexer.catalogues.photos import photo_status, read_photo
from indexer.catalogues.shards import braces
from indexer.embedders import ColourLayoutEmbedder
from indexer.errors import CatalogueError
from indexer.pipeline import index_catalogue


def png(shade):
    file = io.BytesIO()
    Image.new("RGB", (16, 16), (shade, 255 - shade, shade // 2)).save(file, "PNG")
    return file.getvalue()


def write_tar(path, members, *, mode="w", at=1_700_000_000):
    """An archive of (name, bytes), written at a time that is long gone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    os.utime(path, (at, at))
    return path


def sample(key, shade, **attributes):
    found = [(f"{key}.png", png(shade))]
    return found + ([(f"{key}.json", json.dumps(attributes).encode())] if attributes else [])


def test_samples_are_items_and_json_their_attributes(tmp_path):
    long = "folder/" + "x" * 150
    shard = write_tar(tmp_path / "a.tar", [
        *sample("k/0", 10, kind="hat", price=3.5, tags=["no"], new=True),
        ("k/1.JPG", png(20)), ("k/1.cls", b"7"), ("k/1.txt", b"a red hat\n"),
        ("k/1.seg.png", png(1)),
        ("notes.txt", b"no photo here"), (".hidden.png", png(3)), ("noending", b"x"),
        *sample("k/2", 30, id="own id"), *sample(long, 40),
    ])  # fmt: skip
    catalogue = open_catalogue(shard)
    entries = list(catalogue)
    assert [entry.id for entry in entries] == ["k/0", "k/1", "own id", long]
    assert [dict(entry.attributes) for entry in entries] == [
        {"kind": "hat", "price": 3.5, "new": True}, {"cls": 7, "txt": "a red hat"}, {}, {}
    ]  # fmt: skip
    for entry, shade in zip(entries, (10, 20, 30, 40), strict=True):
        assert catalogue.read(entry) == read_photo(entry.uri) == png(shade)
    assert len(catalogue) == 4
    assert [e.id for e in catalogue] == [e.id for e in entries]


def test_a_pattern_means_several_shards(tmp_path):
    for number in range(3):
        write_tar(tmp_path / f"s/{number:03}.tar", sample(f"i{number}", number))
    for pattern in ("s/{000..002}.tar", "s/*.tar"):
        assert [e.id for e in open_catalogue(tmp_path / pattern)] == ["i0", "i1", "i2"]
    assert braces("a{08..11}b{0..1}") == [
        f"a{n:02}b{m}" for n in range(8, 12) for m in range(2)
    ]  # fmt: skip
    with pytest.raises(CatalogueError, match="no archive"):
        open_catalogue(tmp_path / "t/*.tar")
    (tmp_path / "s/001.tar").unlink()
    with pytest.raises(CatalogueError, match=r"001\.tar.*cannot be read"):
        open_catalogue(tmp_path / "s/{000..002}.tar")


def refusal(path):
    with pytest.raises(CatalogueError) as caught:
        open_catalogue(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_archives_that_are_none_are_refused_by_name(tmp_path):
    whole = write_tar(tmp_path / "a.tar", [*sample("a", 1), *sample("b", 2)])
    data = whole.read_bytes()
    for size in (300, 700, len(sample("a", 1)[0][1]) + 800, 512 * (len(data) // 512) - 9000):
        if 0 < size < len(data) - 1024:
            (tmp_path / "cut.tar").write_bytes(data[:size])
            refusal(tmp_path / "cut.tar")
    (tmp_path / "text.tar").write_bytes(b"no archive at all" * 100)
    refusal(tmp_path / "text.tar")
    (tmp_path / "empty.tar").write_bytes(b"")
    refusal(tmp_path / "empty.tar")
    packed = write_tar(tmp_path / "packed.tar", sample("a", 1), mode="w:gz")
    assert "compressed" in refusal(packed)


def test_a_damaged_header_in_the_middle_is_no_end(tmp_path):
    """What comes after it would look like deleted items, and be pruned."""
    path = write_tar(tmp_path / "a.tar", [*sample("a", 1), *sample("b", 2), *sample("c", 3)])
    data = bytearray(path.read_bytes())
    header = Member.parse(list(open_catalogue(path))[1].uri).header
    data[header + 148 : header + 156] = b"damaged!"  # its checksum
    path.write_bytes(data)
    assert f"byte {header:,} is damaged" in refusal(path)


def test_ids_and_json_are_checked_before_the_work(tmp_path):
    write_tar(tmp_path / "0.tar", sample("a", 1))
    write_tar(tmp_path / "1.tar", sample("b", 2, id="a"))
    with pytest.raises(CatalogueError, match=r"'a' is in .*0\.tar' and again in .*1\.tar"):
        open_catalogue(tmp_path / "*.tar")
    bad = write_tar(tmp_path / "bad.tar", [("a.png", png(1)), ("a.json", b"{")])
    assert "'a.json' is no JSON" in refusal(bad)
    bad = write_tar(tmp_path / "list.tar", [("a.png", png(1)), ("a.json", b"[1]")])
    assert "expected an object" in refusal(bad)


def test_links_and_names_that_climb_are_harmless(tmp_path):
    (tmp_path / "secret.png").write_bytes(png(9))
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        link = tarfile.TarInfo("l.png")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "secret.png")
        archive.addfile(link)
        for name in ("../../up.png", "/abs/solute.png"):
            info = tarfile.TarInfo(name)
            info.size = len(png(1))
            archive.addfile(info, io.BytesIO(png(1)))
    catalogue = open_catalogue(path)
    assert [entry.id for entry in catalogue] == ["../../up", "/abs/solute"]
    assert all(catalogue.read(entry) == png(1) for entry in catalogue)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tar", "secret.png"]


def test_an_archive_that_changed_is_not_misread(tmp_path):
    path = write_tar(tmp_path / "a.tar", [*sample("a", 1), *sample("b", 2)])
    first, second = open_catalogue(path)
    write_tar(path, [*sample("c", 3), *sample("d", 4)])
    with pytest.raises(OSError, match="has changed since"):
        read_photo(first.uri)
    write_tar(path, sample("a", 1))
    assert read_photo(first.uri) == png(1)
    with pytest.raises(OSError, match="has changed since"):
        read_photo(second.uri)
    with pytest.raises(OSError, match="at most 10"):
        read_photo(first.uri, max_bytes=10)
    for uri in (f"{path}#", f"{path}#offset=x", f"{path}#header=9&offset=2&size=1&name=a"):
        with pytest.raises(OSError, match="no member"):
            read_photo(uri)


def test_a_place_survives_being_written_down():
    member = Member("/a b/ü.tar", 512, 1024, 9, "k #&=/ü.jpg")
    assert Member.parse(member.uri) == member


def test_what_did_not_change_is_not_read_again(tmp_path):
    embedder = ColourLayoutEmbedder()

    def run(**given):
        catalogue = open_catalogue(tmp_path / "*.tar")
        return index_catalogue(catalogue, tmp_path / "s", embedder, workers=1, batch=2, **given)

    write_tar(tmp_path / "0.tar", [*sample("a", 1), *sample("b", 2)])
    write_tar(tmp_path / "1.tar", sample("c", 3))
    assert run().embedded == 3
    again = run()
    assert (again.embedded, again.unchanged) == (0, 3)
    # A member changed and one came: its shard is compared by hash, the other not looked at.
    members = [*sample("a", 1), *sample("b", 200), *sample("d", 4)]
    write_tar(tmp_path / "0.tar", members, at=1_700_000_100)
    changed = run()
    assert (changed.embedded, changed.items) == (2, 4)
    (tmp_path / "1.tar").unlink()
    assert run(prune=True).pruned == 1
    entry = next(iter(open_catalogue(tmp_path / "0.tar")))
    assert photo_status(entry.uri).size == len(png(1))
