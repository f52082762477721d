"""WebDataset shards as a catalogue: read where they lie, told apart, refused by name."""

import os
import tarfile
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.catalogues import open_catalogue
from indexer.catalogues.members import Member, is_member
from indexer.catalogues.patterns import expand
from indexer.catalogues.photos import photo_status, read_photo
from indexer.embedders import ColourLayoutEmbedder
from indexer.errors import CatalogueError
from indexer.pipeline import index_catalogue
from service.commands.training_data import read_photos
from tests.shards_made import LONG_AGO, link, png, put_file, sample, tar


def write_tar(path, members, *, at=LONG_AGO):
    """An archive of (name, bytes), written at a time that is long gone."""
    return put_file(path, tar(members), at)


@pytest.fixture
def index(tmp_path):
    """Index shards into a store."""

    def run(place, **given):
        catalogue = open_catalogue(place)
        embedder = ColourLayoutEmbedder()
        return index_catalogue(catalogue, tmp_path / "s", embedder, workers=1, batch=2, **given)

    return run


def test_samples_are_items_and_json_their_attributes(tmp_path):
    long = "folder/" + "x" * 150
    shard = write_tar(tmp_path / "a.tar", [
        *sample("k/0", 10, kind="hat", price=3.5, tags=["no"], new=True),
        ("k/1.JPG", png(20)), ("k/1.cls", b"7"), ("k/1.txt", b"a red hat\n"),
        ("k/1.seg.png", png(1)), ("only.json", b"[not even read"), ("k/.hid/2.png", png(2)),
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
    assert expand("a{08..11}b{0..1}") == [
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


def test_ids_and_json_are_checked_before_the_work(tmp_path):
    write_tar(tmp_path / "0.tar", sample("a", 1))
    write_tar(tmp_path / "1.tar", sample("b", 2, id="a"))
    with pytest.raises(CatalogueError, match=r"'a' is in .*0\.tar' and again in .*1\.tar"):
        open_catalogue(tmp_path / "*.tar")
    bad = write_tar(tmp_path / "bad.tar", [("a.png", png(1)), ("a.json", b"{")])
    assert "'a.json' is no JSON" in refusal(bad)
    bad = write_tar(tmp_path / "list.tar", [("a.png", png(1)), ("a.json", b"[1]")])
    assert "expected an object" in refusal(bad)


def test_names_that_climb_are_harmless(tmp_path):
    names = ("../../up.png", "/abs/solute.png")
    path = write_tar(tmp_path / "a.tar", [(name, png(1)) for name in names])
    catalogue = open_catalogue(path)
    assert [entry.id for entry in catalogue] == ["../../up", "/abs/solute"]
    assert all(catalogue.read(entry) == png(1) for entry in catalogue)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tar"]


def test_an_archive_that_changed_is_not_misread(tmp_path):
    path = write_tar(tmp_path / "a.tar", [*sample("a", 1), *sample("b", 2)])
    first, second = open_catalogue(path)
    write_tar(path, [*sample("c", 3), *sample("d", 4)])
    with pytest.raises(OSError, match="has changed since"):
        read_photo(first.uri)
    write_tar(path, sample("c", 1))  # of the same size
    with pytest.raises(OSError, match="has changed since"):
        read_photo(first.uri)
    write_tar(path, sample("a", 1))
    assert read_photo(first.uri) == png(1)
    with pytest.raises(OSError, match="has changed since"):
        read_photo(second.uri)
    with pytest.raises(OSError, match="at most 10"):
        read_photo(first.uri, max_bytes=10)
    beside = replace(Member.parse(first.uri), offset=Member.parse(first.uri).offset + 512)
    with pytest.raises(OSError, match="has changed since"):
        read_photo(beside.uri)
    with pytest.raises(OSError, match="no member"):
        read_photo(f"{path}#offset=2&size=1&header=9&name=a")
    path.unlink()
    os.mkfifo(path)  # which nobody writes into
    with pytest.raises(OSError, match="no regular file"):
        read_photo(first.uri)


@given(st.text(st.characters(), min_size=1), st.text(min_size=1))
def test_a_place_survives_being_written_down(name, archive):
    member = Member(f"/{archive}.TAR", 512, 1024, 9, name.encode("utf-8", "surrogatepass").decode(
        "utf-8", "surrogateescape"))  # fmt: skip
    assert Member.parse(member.uri) == member
    assert "/" not in member.uri.rpartition("#")[2]


def test_a_folder_named_like_a_place_is_a_folder(tmp_path, put_photo):
    for name in ("old.tar#1", "x.tar#offset=1&size=2&header=0&name=y", "plain.tar"):
        folder = tmp_path / name
        path = put_photo(folder / "a.png", 1)
        assert not is_member(str(path))
        catalogue = open_catalogue(folder)
        assert [catalogue.read(entry) for entry in catalogue] == [path.read_bytes()]
        shard = write_tar(folder / "inner" / "b.TAR", sample("b", 2))
        (entry,) = open_catalogue(shard)
        assert read_photo(entry.uri) == png(2)


def test_what_did_not_change_is_not_read_again(tmp_path, index):
    shards = tmp_path / "*.tar"
    write_tar(tmp_path / "0.tar", [*sample("a", 1), *sample("b", 2)])
    write_tar(tmp_path / "1.tar", sample("c", 3))
    assert index(shards).embedded == 3
    again = index(shards)
    assert (again.embedded, again.unchanged) == (0, 3)
    # A member changed and one came: its shard is compared by hash, the other not looked at.
    members = [*sample("a", 1), *sample("b", 200), *sample("d", 4)]
    write_tar(tmp_path / "0.tar", members, at=LONG_AGO + 100)
    changed = index(shards)
    assert (changed.embedded, changed.items) == (2, 4)
    (tmp_path / "1.tar").unlink()
    assert index(shards, prune=True).pruned == 1
    entry = next(iter(open_catalogue(tmp_path / "0.tar")))
    assert photo_status(entry.uri).size == len(png(1))


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ([("a.png", png(1)), ("a.png", png(2))], "'a.png' and 'a.png' for the one key 'a'"),
        ([*sample("a", 1), *sample("b", 2), ("a.JPG", b"")], "'a.png' and 'a.JPG'"),
        ([*sample("a", 1), ("./a.png", b"")], "'a.png' and './a.png'"),
        ([*sample("a", 1, n=1), ("a.json", b"{}")], "'a.json' and 'a.json'"),
        ([("a.txt", b"x"), *sample("a", 1), ("a.TXT", b"")], "'a.txt' and 'a.TXT'"),
        ({"a.png": b"", "a.json": b"\xff"}, "'a.json': not UTF-8"),
        ({"a.png": b"", "a.json": b'{"id": true}'}, "'a.json': True is no id"),
        ({"a.png": b"", "a.json": b'{"id": null}'}, "'a.json': None is no id"),
        ({"a.png": b"", "a.json": b"[" * 100_000}, "'a.json' is no JSON"),
        ({"a.png": b"", "a.txt": b"x" * 1_000_001}, "at most 1,000,000"),
        ([*sample("a", 1), *sample("b", 1, id="a")], "The id 'a' is in"),
    ],
)
def test_what_would_be_left_out_unnoticed_is_refused(tmp_path, index, members, expected):
    """The earlier items stay: nothing is pruned by a shard that is refused."""
    index(write_tar(tmp_path / "x.tar", [*sample("a", 1), *sample("b", 2)]))
    path = write_tar(tmp_path / "x.tar", members)
    assert expected in refusal(path)
    with pytest.raises(CatalogueError):
        index(path, prune=True)
    write_tar(tmp_path / "x.tar", [*sample("a", 1), *sample("b", 2)])
    assert index(path, prune=True).unchanged == 2


def test_a_description_may_stand_anywhere_in_its_shard(tmp_path, index):
    path = write_tar(tmp_path / "x.tar", [
        ("a.json", b'{"n": 1}'), ("b.txt", b"17"), *sample("a", 1), *sample("b", 2),
        *sample("c", 3), ("b.json", b'{"id": "bee", "n": 2}'), ("c.cls", b"007"),
    ])  # fmt: skip
    assert [(e.id, dict(e.attributes)) for e in open_catalogue(path)] == [
        ("a", {"n": 1}), ("bee", {"txt": "17", "n": 2}), ("c", {"cls": "007"})
    ]  # fmt: skip
    index(path)
    write_tar(path, [*sample("b", 2, id="bee"), *sample("a", 1), *sample("c", 3)], at=LONG_AGO + 9)
    assert index(path, prune=True).pruned == 0


def test_a_link_is_reported_and_the_item_it_was_stays(tmp_path, index):
    (tmp_path / "secret.png").write_bytes(png(9))
    path = write_tar(tmp_path / "x.tar", [*sample("a", 1), *sample("b", 2)])
    index(path)
    secret = link("b.png", str(tmp_path / "secret.png"))[:512]
    put_file(path, secret + tar(sample("a", 1)), LONG_AGO + 9)
    report = index(path, prune=True)
    assert [(f.id, f.reason.partition(" to ")[0]) for f in report.failures] == [
        ("b", "it is a link")
    ]  # fmt: skip
    assert (report.items, report.pruned) == (2, 0)


def test_a_description_that_is_a_link_is_refused(tmp_path):
    """It may name the item's id: without it the item would be another one."""
    data = link("a.json", "b.json")[:512]
    alone = put_file(tmp_path / "alone.tar", data + tar({"b.png": png(1)}))
    assert [entry.id for entry in open_catalogue(alone)] == ["b"]
    path = put_file(tmp_path / "x.tar", data + tar(sample("a", 1)))
    assert "'a.json': it is a link to 'b.json'" in refusal(path)


def test_a_name_that_is_no_unicode_is_left_out_of_the_run(tmp_path, index):
    members = [*sample("good", 1), ("bad\udcff.png", png(2))]
    report = index(put_file(tmp_path / "x.tar", tar(members, kind=tarfile.GNU_FORMAT)))
    assert [f.reason for f in report.failures] == [
        "its name or its attributes are no valid Unicode; rename it"
    ]
    assert report.items == 1


def test_a_folder_of_nothing_but_shards_is_a_catalogue(tmp_path):
    write_tar(tmp_path / "0.tar", sample("a", 1))
    write_tar(tmp_path / "1.TAR", sample("b", 2))
    put_file(tmp_path / "0_stats.json", b"{}")
    put_file(tmp_path / ".2.tar", b"hidden")
    catalogue = open_catalogue(tmp_path)
    assert [entry.id for entry in catalogue] == ["a", "b"]
    assert catalogue.name == str(tmp_path)
    put_file(tmp_path / "photo.jpg", b"")
    assert [entry.id for entry in open_catalogue(tmp_path)] == ["photo"]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("a.tar", ["a.tar"]),
        ("{8..11}.tar", ["8.tar", "9.tar", "10.tar", "11.tar"]),
        ("{08..11}.tar", ["08.tar", "09.tar", "10.tar", "11.tar"]),
        ("{a,b}-{0..1}.tar", ["a-0.tar", "a-1.tar", "b-0.tar", "b-1.tar"]),
        ("{,x}.tar", [".tar", "x.tar"]),
    ],
)
def test_patterns(pattern, names):
    assert expand(pattern) == names


@pytest.mark.parametrize(
    "pattern", ["{}", "{1}", "{3..1}", "{0..999999999}", "{0..999}{0..999}", "{a,{b,c}}", "a}"]
)
def test_patterns_that_are_none(pattern):
    with pytest.raises(CatalogueError, match=r"range|count up|more than|within braces"):
        expand(pattern)


def test_a_pattern_is_followed_through_folders(tmp_path):
    for number, folder in enumerate(("train", "val", "tests", ".hidden")):
        write_tar(tmp_path / "s [1]" / folder / "0.tar", sample(f"{number}", number))
    for pattern, ids in (("*/*.tar", ["2", "0", "1"]), ("{train,val}/?.tar", ["0", "1"]),
                         ("t[e]*/0.tar", ["2"])):  # fmt: skip
        assert [e.id for e in open_catalogue(tmp_path / "s [1]" / pattern)] == ids
    write_tar(tmp_path / "a[1]{x}.tar", sample("own name", 1))
    assert [e.id for e in open_catalogue(tmp_path / "a[1]{x}.tar")] == ["own name"]
    with pytest.raises(CatalogueError, match=r"\*\* is not read"):
        open_catalogue(tmp_path / "**/*.tar")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list every folder")
def test_a_folder_that_cannot_be_listed_is_no_empty_one(tmp_path):
    for name in ("a", "b"):
        write_tar(tmp_path / name / "0.tar", sample(name, 1))
    (tmp_path / "b").chmod(0)
    try:
        with pytest.raises(CatalogueError, match="cannot be listed"):
            open_catalogue(tmp_path / "*/*.tar")
    finally:
        (tmp_path / "b").chmod(0o755)


def test_a_named_pipe_is_no_shard(tmp_path):
    os.mkfifo(tmp_path / "x.tar")  # which nobody writes into
    for place in (tmp_path / "x.tar", tmp_path / "*.tar", tmp_path):
        with pytest.raises(CatalogueError, match=r"x\.tar' cannot be read: it is no regular file"):
            open_catalogue(place)


def test_more_than_are_kept_are_listed_again(tmp_path, monkeypatch):
    monkeypatch.setattr("indexer.catalogues.shards.KEPT", 1)
    write_tar(tmp_path / "0.tar", sample("a", 1))
    write_tar(tmp_path / "1.tar", sample("b", 2))
    catalogue = open_catalogue(tmp_path)
    assert list(catalogue.kept) == [str(tmp_path / "0.tar")]
    assert [entry.id for entry in catalogue] == ["a", "b"]


def test_training_says_that_it_needs_files(tmp_path):
    path = write_tar(tmp_path / "x.tar", sample("a", 1))
    with pytest.raises(CatalogueError, match="Unpack them into a folder"):
        read_photos([path])
