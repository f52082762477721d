"""Reading a photo's bytes without being held up by what is no photo."""

import errno
import os
import stat

# Beyond any photo; a mistaken path to a disk image must not fill the memory.
MAX_BYTES = 256 * 1024 * 1024


def read_photo(uri: str, *, max_bytes: int = MAX_BYTES) -> bytes:
    """The bytes of a regular file.

    Raises:
        OSError: It cannot be read, is no regular file, or is larger than ``max_bytes``.
    """
    if "://" in uri:
        raise OSError(errno.EPROTONOSUPPORT, "URLs are not read; download the photos first", uri)
    if not uri or "\0" in uri:
        raise OSError(errno.EINVAL, "the path is empty or holds a zero byte", uri)
    # Non-blocking: opening a named pipe would wait for somebody to write into it.
    descriptor = os.open(uri, os.O_RDONLY | os.O_NONBLOCK)
    try:
        check_regular(os.fstat(descriptor), uri, max_bytes)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(descriptor)


def check_regular(status: os.stat_result, uri: str, max_bytes: int) -> None:
    """Refuse what is no file of a photo's size."""
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder", uri)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file", uri)
    if status.st_size > max_bytes:
        reason = f"it has {status.st_size:,} bytes; a photo has at most {max_bytes:,}"
        raise OSError(errno.EFBIG, reason, uri)
