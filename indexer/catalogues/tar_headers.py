"""The headers of a tar file, one after the other: strict, bounded, and without unpacking anything.

``tarfile`` takes damage in the middle for the end of the file. What comes after it would be left
out unnoticed and look like deleted items, so here everything up to the mark of the end must be
sound. (POSIX.1-1988 and pax, with the long names of GNU tar.)
"""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from indexer.errors import CatalogueError

BLOCK = tarfile.BLOCKSIZE  # 512: all that a tar holds begins at a multiple of it
# Beyond any name; a damaged length must not fill the memory.
MAX_EXTENSION = 1024 * 1024
# Zeros that may follow the end; a download that was begun into reserved space has more.
MAX_PADDING = 4 * 1024 * 1024

LONG_NAME, LONG_LINK = tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK
LOCAL, GLOBAL = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE), tarfile.XGLTYPE
EXTENSIONS = (*LOCAL, GLOBAL, LONG_NAME, LONG_LINK)
# What a header for all that follow may not say: it would be true of one member at most.
OF_ONE = ("path", "size", "linkpath")
HOLES = "GNU.sparse."


@dataclass(frozen=True, slots=True)
class Header:
    """A member of a tar.

    Attributes:
        name: As it is written there; bytes that are no UTF-8 are lone surrogates.
        start: Where its first header begins.
        offset: Of its first byte.
        size: In bytes.
        folder: Whether it is a folder.
        trouble: Why it cannot be read: a link, a device; None of a file.
    """

    name: str
    start: int
    offset: int
    size: int
    folder: bool = False
    trouble: str | None = None

    @property
    def end(self) -> int:
        """Where the next header begins."""
        return self.offset + padded(self.size)


@dataclass(slots=True)
class Extensions:
    """What headers of extension say of the member that follows them, and where they begin."""

    said: dict[str, str] = field(default_factory=dict)
    start: int | None = None

    def take(self, kind: bytes, data: bytes, start: int) -> None:
        """Read one. Raises ValueError if it is damaged."""
        if self.start is None:
            self.start = start
        if kind == LONG_NAME:
            self.said["path"] = data.rstrip(b"\0").decode("utf-8", "surrogateescape")
        elif kind in LOCAL:
            self.said |= parse_records(data)
        elif kind == GLOBAL and any(name in OF_ONE for name in parse_records(data)):
            raise ValueError("one name or size for all members")

    def apply(self, info: tarfile.TarInfo, start: int) -> Header:
        """The member they describe. Raises ValueError if its size is no number."""
        said, begun = self.said, start if self.start is None else self.start
        self.said, self.start = {}, None
        holes = any(name.startswith(HOLES) for name in said)
        name = said.get(f"{HOLES}name") or said.get("path", info.name)
        follows = info.isreg() or info.type not in tarfile.SUPPORTED_TYPES
        size = int(said.get("size", info.size)) if follows else 0
        if size < 0 or "\0" in name:
            raise ValueError("a negative size, or a zero byte in a name")
        trouble = "it is a file with holes; pack it without them" if holes else trouble_of(info)
        return Header(name, begun, start + BLOCK, size, folder=info.isdir(), trouble=trouble)


def trouble_of(info: tarfile.TarInfo) -> str | None:
    """Why a member cannot be read as a file, None if it can."""
    if info.issym() or info.islnk():
        return f"it is a link to '{info.linkname}'; pack the file that it leads to"
    return None if info.isreg() or info.isdir() else "it is no regular file"


def read_headers(file: BinaryIO, name: str) -> Iterator[Header]:
    """The members of a tar, in its order; only headers are read.

    Args:
        file: The tar, which can be read from any place.
        name: What it is called in messages.

    Raises:
        CatalogueError: It is no tar, is damaged, holds nothing, or ends without the mark of the
            end.
    """
    total = file.seek(0, 2)
    said = Extensions()
    place = 0
    while True:
        block = read_at(file, place, BLOCK)
        if len(block) < BLOCK:
            raise cut(name, total)
        if not any(block):
            check_end(file, place, total, name)
            return
        try:
            info = parse_block(block)
            if info.type in EXTENSIONS:
                data = read_extension(file, info, place + BLOCK)
                if len(data) < info.size:
                    raise cut(name, total)
                said.take(info.type, data, place)
                place += BLOCK + padded(info.size)
                continue
            header = said.apply(info, place)
        except ValueError as error:
            raise damaged(name, place, str(error)) from error
        place = header.end  # if it is beyond the end, so is the mark of it
        yield header


def parse_head(head: bytes) -> Header:
    """The member that some headers describe: all that lies before its bytes.

    Raises:
        ValueError: They are no such headers.
    """
    said = Extensions()
    place = 0
    while True:
        info = parse_block(head[place : place + BLOCK])
        data = head[place + BLOCK : place + BLOCK + padded(info.size)]
        if info.type not in EXTENSIONS:
            header = said.apply(info, place)
            if header.offset != len(head):
                raise ValueError("another header")
            return header
        said.take(info.type, data[: info.size], place)
        place += BLOCK + padded(info.size)


def parse_block(block: bytes) -> tarfile.TarInfo:
    """A block as a header. Raises ValueError if it is none, or of a kind that is not read."""
    try:
        info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        raise ValueError(str(error)) from error
    if info.type == tarfile.GNUTYPE_SPARSE or info.size < 0:
        raise ValueError(f"'{info.name}' is a file with holes or of a negative size")
    return info


def read_extension(file: BinaryIO, info: tarfile.TarInfo, place: int) -> bytes:
    """What a header of extension says. Raises ValueError if it says too much."""
    if info.size > MAX_EXTENSION:
        raise ValueError(f"a name of {info.size:,} bytes")
    return read_at(file, place, info.size)


def parse_records(data: bytes) -> dict[str, str]:
    """The records ``length key=value`` of a pax header. Raises ValueError if they are damaged."""
    found: dict[str, str] = {}
    while data and data[0]:
        digits, space, _ = data[:20].partition(b" ")
        if not digits.isdigit():
            raise ValueError("a pax header without the lengths of its records")
        length = int(digits)
        record = data[len(digits) + 1 : length]
        key, equals, value = record.partition(b"=")
        if not (space and equals and value.endswith(b"\n") and length <= len(data)):
            raise ValueError("a damaged record of a pax header")
        found[key.decode("utf-8")] = value[:-1].decode("utf-8", "surrogateescape")
        data = data[length:]
    return found


def check_end(file: BinaryIO, place: int, total: int, name: str) -> None:
    """Refuse a tar that holds nothing, or goes on after its end."""
    if place == 0:
        raise CatalogueError(
            f"'{name}' holds no file. Was it made or fetched to its end? Leave it out if so."
        )
    if total - place > MAX_PADDING:
        raise CatalogueError(
            f"'{name}' ends at byte {place:,}, and {total - place:,} bytes follow: was it fetched "
            "in part? Fetch it again."
        )
    if any(read_at(file, place, total - place)):
        raise CatalogueError(
            f"'{name}' goes on after its end at byte {place:,}: another tar was joined to it. "
            "Keep them as two shards."
        )


def read_at(file: BinaryIO, place: int, size: int) -> bytes:
    """Up to ``size`` bytes from a place."""
    file.seek(place)
    return file.read(size)


def padded(size: int) -> int:
    """Bytes up to the next header."""
    return -(-size // BLOCK) * BLOCK


def damaged(name: str, place: int, reason: str) -> CatalogueError:
    """The error for a header that is none."""
    if place == 0:
        return CatalogueError(
            f"'{name}' is no tar file: {reason}. Shards are plain .tar, of which members can be "
            "read one by one: unpack what is compressed as a whole."
        )
    return CatalogueError(
        f"'{name}' is damaged at byte {place:,}: {reason}. What follows cannot be found; make or "
        "fetch the shard again."
    )


def cut(name: str, total: int) -> CatalogueError:
    """The error for a tar without its end."""
    return CatalogueError(
        f"'{name}' ends at byte {total:,} without the mark of a tar's end: it was cut off, or is "
        "being written. Fetch it again, or wait."
    )
