"""Reading a photo's bytes without being held up by what is no photo.

A photo is a file, a file elsewhere (``s3://...``), or a member of a tar archive, which is told by
where its bytes lie: ``shards/000.tar#offset=1536&size=20480&name=17.jpg``.
"""

import errno
import os
import stat

from indexer.catalogues.members import MARK, Member, read_member
from indexer.catalogues.places import Status, is_remote, read_range, status_of

# Beyond any photo; a mistaken path to a disk image must not fill the memory.
MAX_BYTES = 256 * 1024 * 1024


def read_photo(uri: str, *, max_bytes: int = MAX_BYTES) -> bytes:
    """The bytes of a photo.

    Raises:
        OSError: It cannot be read, is no regular file, or is larger than ``max_bytes``.
    """
    if not uri or "\0" in uri:
        raise OSError(errno.EINVAL, "the path is empty or holds a zero byte", uri)
    if MARK in uri:
        return read_member(Member.parse(uri), max_bytes=max_bytes)
    if is_remote(uri):
        size = status_of(uri).size
        check_size(size, uri, max_bytes)
        return read_range(uri, 0, size)
    # Non-blocking: opening a named pipe would wait for somebody to write into it.
    descriptor = os.open(uri, os.O_RDONLY | os.O_NONBLOCK)
    try:
        check_regular(os.fstat(descriptor), uri, max_bytes)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(descriptor)


def photo_status(uri: str) -> Status:
    """What tells, without reading it, that a photo is as it was.

    Raises:
        OSError, ValueError: There is nothing to be told.
    """
    if MARK in uri:
        member = Member.parse(uri)
        return Status(member.size, status_of(member.archive).version)
    return status_of(uri)


def check_regular(status: os.stat_result, uri: str, max_bytes: int) -> None:
    """Refuse what is no file of a photo's size."""
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder", uri)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file", uri)
    check_size(status.st_size, uri, max_bytes)


def check_size(size: int, uri: str, max_bytes: int) -> None:
    """Refuse more bytes than a photo has."""
    if size > max_bytes:
        reason = f"it has {size:,} bytes; a photo has at most {max_bytes:,}"
        raise OSError(errno.EFBIG, reason, uri)
