"""Reading a photo's bytes without being held up by what is no photo.

A photo is a file, a file elsewhere (``s3://...``), or a member of a tar archive, which is told by
where its bytes lie: ``shards/000.tar#offset=1536&size=20480&header=1024&name=17.jpg``.
"""

import errno
import os

from indexer.catalogues.members import Member, is_member, read_member
from indexer.catalogues.places import is_remote, open_file, read_range, status_of
from indexer.masking import mask
from indexer.stamps import Status

# Beyond any photo; a mistaken path to a disk image must not fill the memory.
MAX_BYTES = 256 * 1024 * 1024


def read_photo(uri: str, *, max_bytes: int = MAX_BYTES) -> bytes:
    """The bytes of a photo.

    Raises:
        OSError: It cannot be read, is no regular file, or is larger than ``max_bytes``.
    """
    if not uri or "\0" in uri:
        raise OSError(errno.EINVAL, "the path is empty or holds a zero byte", uri)
    if is_member(uri):
        return read_member(Member.parse(uri), max_bytes=max_bytes)
    if is_remote(uri):
        size = status_of(uri).size
        check_size(size, uri, max_bytes)
        return read_range(uri, 0, size)
    with open_file(uri) as file:
        check_size(os.fstat(file.fileno()).st_size, uri, max_bytes)
        return file.read()


def photo_status(uri: str) -> Status:
    """What tells, without reading it, that a photo is as it was.

    Raises:
        OSError, ValueError: There is nothing to be told.
    """
    if is_member(uri):
        member = Member.parse(uri)
        return status_of(member.archive)._replace(size=member.size)
    return status_of(uri)


def check_size(size: int, uri: str, max_bytes: int) -> None:
    """Refuse more bytes than a photo has."""
    if size > max_bytes:
        reason = f"it has {size:,} bytes; a photo has at most {max_bytes:,}"
        raise OSError(errno.EFBIG, reason, mask(uri))
