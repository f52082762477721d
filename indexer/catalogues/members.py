"""Members of tar archives, read where they lie: nothing is unpacked."""

import errno
import tarfile
from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qs, quote, urlencode

from indexer.catalogues.places import read_range

MARK = ".tar#"
BLOCK = tarfile.BLOCKSIZE


@dataclass(frozen=True, slots=True)
class Member:
    """Where a member's bytes lie.

    Attributes:
        archive: Path or URL of the archive.
        header: Where the member's header begins.
        offset: Where its bytes begin.
        size: How many they are.
        name: What the archive calls it.
    """

    archive: str
    header: int
    offset: int
    size: int
    name: str

    @property
    def uri(self) -> str:
        """As a photo's place."""
        told = urlencode(
            {"offset": self.offset, "size": self.size, "header": self.header, "name": self.name},
            quote_via=quote,
        )
        return f"{self.archive}#{told}"

    @classmethod
    def parse(cls, uri: str) -> Self:
        """The member that a place names.

        Raises:
            OSError: It is no place of a member.
        """
        archive, _, told = uri.partition(MARK)
        try:
            fields = parse_qs(told, strict_parsing=True, keep_blank_values=True)
            header, offset, size = (int(fields[n][0]) for n in ("header", "offset", "size"))
            name = fields["name"][0]
        except (ValueError, KeyError) as error:
            raise OSError(errno.EINVAL, "it names no member of an archive", uri) from error
        if not 0 <= header < offset or size < 0:
            raise OSError(errno.EINVAL, "it names no member of an archive", uri)
        return cls(f"{archive}.tar", header, offset, size, name)


def read_member(member: Member, *, max_bytes: int) -> bytes:
    """The bytes of a member, if the archive still holds it there.

    Raises:
        OSError: It cannot be read, was moved or replaced, or is larger than ``max_bytes``.
    """
    if member.size > max_bytes:
        reason = f"it has {member.size:,} bytes; a photo has at most {max_bytes:,}"
        raise OSError(errno.EFBIG, reason, member.uri)
    whole = read_range(member.archive, member.header, member.offset - member.header + member.size)
    head, data = whole[: member.offset - member.header], whole[member.offset - member.header :]
    if len(data) != member.size or not _is_of(head, member):
        raise OSError(
            errno.ESTALE, "the archive has changed since; index the catalogue again", member.uri
        )
    return data


def _is_of(head: bytes, member: Member) -> bool:
    """Whether the header before a member's bytes is still its own."""
    try:
        told = tarfile.TarInfo.frombuf(head[-BLOCK:], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    # A long name stands in a block of its own before; the header then has its beginning.
    return told.size == member.size and member.name.startswith(told.name.rstrip("/")[:100])
