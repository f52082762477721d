"""Shards that are damaged, cut off, joined or odd: an error that names them, or all the photos."""

import os
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.catalogues import open_catalogue
from indexer.catalogues.members import Member
from indexer.catalogues.photos import read_photo
from indexer.errors import CatalogueError
from tests.shards_made import LONG_AGO, link, put_file, tar

WHOLE = tar({"a.jpg": b"a" * 700, "b.jpg": b"b" * 700})
SECOND = 512 + 1024  # where the header of b begins
END = 2 * SECOND


@pytest.fixture
def refusal(tmp_path):
    """What is said of a shard that is refused."""

    def refused(data: bytes) -> str:
        with pytest.raises(CatalogueError) as caught:
            open_catalogue(put_file(tmp_path / "x.tar", data))
        assert "x.tar" in str(caught.value)
        return str(caught.value)

    return refused


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_kind_of_tar_is_read_as_tarfile_reads_it(tmp_path, kind):
    long = "x" * (90 if kind == tarfile.USTAR_FORMAT else 300)
    members = {f"{long}/{n}é#%@{n}.jpg": bytes([n]) * (n * 511) for n in range(1, 6)}
    members["short.jpg"] = b"after a long one"
    catalogue = open_catalogue(put_file(tmp_path / "x.tar", tar(members, kind=kind)))
    with tarfile.open(tmp_path / "x.tar") as archive:
        expected = {i.name: (i.offset, i.offset_data, i.size) for i in archive}
    found = [Member.parse(entry.uri) for entry in catalogue]
    assert {m.name: (m.header, m.offset, m.size) for m in found} == expected
    assert [read_photo(entry.uri) for entry in catalogue] == list(members.values())


@pytest.mark.parametrize("end", [*range(0, END + 1, 256), END - 1, END + 511])
def test_a_shard_cut_off_anywhere_is_refused(refusal, end):
    assert "without the mark of a tar's end" in refusal(WHOLE[:end])


@pytest.mark.parametrize("kind", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("end", [512, 700, 1024, 1536, 2048])
def test_a_shard_cut_off_in_a_long_name_is_refused(refusal, kind, end):
    data = tar({f"{'x' * 600}.jpg": b"a" * 700}, kind=kind)
    assert "without the mark of a tar's end" in refusal(data[:end])


@pytest.mark.parametrize("place", [0, 100, 130, 257, SECOND, SECOND + 100, SECOND + 148])
def test_a_damaged_header_is_no_end(refusal, place):
    """What comes after it would look like deleted items, and be pruned."""
    data = bytearray(WHOLE)
    data[place] ^= 0x55
    assert ("is no tar file" if place < 512 else "is damaged at byte 1,536") in refusal(bytes(data))


def test_whatever_the_damage_it_is_an_error_or_the_photos_are_there(tmp_path):
    @given(st.integers(0, END + 1023), st.integers(1, 255))
    def check(place: int, flip: int) -> None:
        data = bytearray(WHOLE)
        data[place] ^= flip
        path = put_file(tmp_path / "x.tar", bytes(data))
        try:
            catalogue = open_catalogue(path)
        except CatalogueError:
            return
        assert [entry.id for entry in catalogue] == ["a", "b"]
        for entry in catalogue:
            assert len(catalogue.read(entry)) == 700

    check()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\x1f\x8b\x08" + bytes(600), "unpack what is compressed"),
        (b"no archive at all" * 100, "is no tar file"),
        (b"", "ends at byte 0"),
        (bytes(10_240), "holds no file"),
        (WHOLE + WHOLE, "another tar was joined to it"),
        (WHOLE + bytes(5_000_000), "was it fetched in part"),
        (WHOLE[:END] + bytes(2_000_000) + b"x", "goes on after its end"),
        (link("a.jpg", "", tarfile.GNUTYPE_SPARSE), "holes"),
        (link("a", "", tarfile.GNUTYPE_LONGNAME, size=1 << 30), "a name of 1,073,741,824 bytes"),
    ],
)
def test_what_is_no_sound_shard_is_refused(refusal, data, expected):
    assert expected in refusal(data)


def extended(record: bytes, kind: bytes = tarfile.XHDTYPE) -> bytes:
    """A tar with a header of extension that says this before its photo."""
    info = tarfile.TarInfo("pax")
    info.type, info.size = kind, len(record)
    return info.tobuf(tarfile.GNU_FORMAT) + record.ljust(512, b"\0") + tar({"a.jpg": b"x"})


@pytest.mark.parametrize(
    "record",
    [b"9999 path=x\n", b"-5 path=x\n", b"0 path=x\n", b"x", b"11 size=-9\n", b"10 size=x\n"],
)
def test_a_damaged_pax_header_is_refused(refusal, record):
    assert "is damaged at byte" in refusal(WHOLE[:END] + extended(record))


def test_a_pax_header_for_all_may_not_name_one(tmp_path, refusal):
    said = extended(b"15 comment=any\n", tarfile.XGLTYPE)
    assert [e.id for e in open_catalogue(put_file(tmp_path / "y.tar", said))] == ["a"]
    assert "for all members" in refusal(extended(b"14 path=b.jpg\n", tarfile.XGLTYPE))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (link("a.jpg", "../secret.jpg"), "it is a link to '../secret.jpg'"),
        (link("a.jpg", "b.jpg", tarfile.LNKTYPE), "it is a link to 'b.jpg'"),
        (link("a.jpg", "", tarfile.FIFOTYPE), "no regular file"),
        (link("a.jpg", "", tarfile.CHRTYPE), "no regular file"),
        (extended(b"22 GNU.sparse.major=1\n"), "it is a file with holes"),
    ],
)
def test_a_photo_that_is_no_file_is_an_entry_that_cannot_be_read(tmp_path, data, reason):
    catalogue = open_catalogue(put_file(tmp_path / "x.tar", data))
    (entry,) = catalogue
    assert entry.id == "a"
    with pytest.raises(OSError, match=reason):
        catalogue.read(entry)


def test_a_folder_named_like_a_photo_is_none(tmp_path):
    data = link("a.jpg/", "", tarfile.DIRTYPE)[:512] + tar({"b.jpg": b""})
    assert [e.id for e in open_catalogue(put_file(tmp_path / "x.tar", data))] == ["b"]


def test_a_member_larger_than_the_memory_is_a_failure(tmp_path):
    info = tarfile.TarInfo("a.jpg")
    info.size = 300 * 1024**3
    head = info.tobuf(tarfile.GNU_FORMAT)
    path = put_file(tmp_path / "x.tar", head)
    os.truncate(path, len(head) + info.size + 1024)  # with a hole where the photo would be
    os.utime(path, (LONG_AGO, LONG_AGO))
    catalogue = open_catalogue(path)
    (entry,) = catalogue
    with pytest.raises(OSError, match="322,122,547,200 bytes; a photo has at most"):
        catalogue.read(entry)
