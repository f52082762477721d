"""Members of tar archives, read where they lie: nothing is unpacked.

    /data/shards/000.tar#offset=1536&size=20480&header=1024&name=shoes%2F17.jpg

What comes after the ``#`` holds no slash, so that a path through a folder ``old.tar#1`` is none.
"""

import errno
import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import quote, unquote

from indexer.catalogues.places import read_range
from indexer.catalogues.tar_headers import Header, parse_head
from indexer.masking import mask

PLACE = re.compile(
    r"(?P<archive>.+\.tar)#offset=(?P<offset>\d{1,18})&size=(?P<size>\d{1,18})"
    r"&header=(?P<header>\d{1,18})&name=(?P<name>[^#/&=]*)",
    re.DOTALL | re.IGNORECASE,
)
# Names may be bytes that are no text.
ESCAPED = "surrogateescape"


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

    @classmethod
    def of(cls, archive: str, header: Header) -> Self:
        """The member that a header describes."""
        return cls(archive, header.start, header.offset, header.size, header.name)

    @property
    def uri(self) -> str:
        """As a photo's place."""
        name = quote(self.name, safe="", errors=ESCAPED)
        return (
            f"{self.archive}#offset={self.offset}&size={self.size}&header={self.header}&name={name}"
        )

    @classmethod
    def parse(cls, uri: str) -> Self:
        """The member that a place names.

        Raises:
            OSError: It is no place of a member.
        """
        found = PLACE.fullmatch(uri)
        if found is None or not int(found["header"]) < int(found["offset"]):
            raise OSError(errno.EINVAL, "it names no member of an archive", mask(uri))
        name = unquote(found["name"], errors=ESCAPED)
        header, offset, size = (int(found[part]) for part in ("header", "offset", "size"))
        return cls(found["archive"], header, offset, size, name)


def is_member(place: str) -> bool:
    """Whether a place is a member's of an archive."""
    return PLACE.fullmatch(place) is not None


def read_member(member: Member, *, max_bytes: int) -> bytes:
    """The bytes of a member, if the archive still holds it there.

    Raises:
        OSError: It cannot be read, is a link or no file, was moved or replaced, or is larger than
            ``max_bytes``.
    """
    if member.size > max_bytes:
        reason = f"it has {member.size:,} bytes; a photo has at most {max_bytes:,}"
        raise OSError(errno.EFBIG, reason, mask(member.uri))
    before = member.offset - member.header
    if before > max_bytes:
        raise stale(member)
    whole = read_range(member.archive, member.header, before + member.size)
    try:
        header = parse_head(whole[:before])
    except ValueError as error:
        raise stale(member) from error
    if (header.name, header.size) != (member.name, member.size):
        raise stale(member)
    if header.folder or header.trouble is not None:
        raise OSError(errno.EINVAL, header.trouble or "it is a folder", mask(member.uri))
    if len(whole) != before + member.size:
        raise stale(member)
    return whole[before:]


def stale(member: Member) -> OSError:
    """The error for an archive that is not the one that was listed."""
    reason = "the archive has changed since; index the catalogue again"
    return OSError(errno.ESTALE, reason, mask(member.uri))
