"""Files here and elsewhere: a path, or a URL of a file system that fsspec knows (s3, gs, az ...).

A remote file is read with the credentials that its file system finds in the environment. Only what
a catalogue names is ever read: nothing that comes over HTTP becomes a place.
"""

import errno
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from indexer.errors import CatalogueError

# What may be read. Not `file` or chains (`zip::...`): they would be another way to local files.
SCHEMES = ("s3", "gs", "gcs", "az", "abfs", "abfss", "hdfs", "webhdfs", "sftp", "http", "https",
           "memory")  # fmt: skip


class Status(NamedTuple):
    """What tells that a file is as it was.

    Attributes:
        size: Bytes.
        version: Grows or differs when the file is written: its time of modification in nanoseconds,
            or a number made of its ETag.
    """

    size: int
    version: int


def is_remote(place: str) -> bool:
    """Whether a place is a URL."""
    return "://" in place


def filesystem_of(url: str) -> tuple[Any, str]:
    """The file system of a URL and the path on it.

    Raises:
        OSError: Its kind is not read, or what reads it is not installed; says what to install.
    """
    scheme = url.partition("://")[0].lower()
    if scheme not in SCHEMES or "::" in url:
        raise OSError(
            errno.EPROTONOSUPPORT,
            f"'{scheme}' is not read; expected one of {', '.join(SCHEMES)}",
            url,
        )
    try:
        from fsspec.core import url_to_fs  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise OSError(
            errno.EPROTONOSUPPORT, "remote files need: pip install 'niteru[remote]'", url
        ) from error
    try:
        found, path = url_to_fs(url)
    except (ImportError, ValueError) as error:  # s3 without s3fs: fsspec says which package
        raise OSError(errno.EPROTONOSUPPORT, str(error), url) from error
    return found, path


def status_of(place: str) -> Status:
    """Size and version of a file. Raises OSError if there is none, or it cannot be asked."""
    if not is_remote(place):
        status = Path(place).stat()
        return Status(status.st_size, status.st_mtime_ns)
    files, path = filesystem_of(place)
    told = _answered(files.info, place, path)
    if told.get("type") == "directory":
        raise IsADirectoryError(errno.EISDIR, "it is a folder", place)
    version = told.get("ETag") or told.get("etag") or told.get("mtime") or told.get("LastModified")
    version = version or told.get("created") or ""
    digest = hashlib.sha256(str(version).encode()).digest()
    return Status(int(told["size"]), int.from_bytes(digest[:7], "big") if version else 0)


def read_range(place: str, start: int, size: int) -> bytes:
    """So many bytes of a file from a place on. Raises OSError."""
    if not is_remote(place):
        with Path(place).open("rb") as file:
            file.seek(start)
            return file.read(size)
    files, path = filesystem_of(place)
    return cast("bytes", _answered(files.cat_file, place, path, start=start, end=start + size))


def open_file(place: str) -> BinaryIO:
    """A file to read and to move about in. Raises OSError."""
    if not is_remote(place):
        return Path(place).open("rb")
    files, path = filesystem_of(place)
    return cast("BinaryIO", _answered(files.open, place, path, "rb"))


def list_files(folder: str) -> Iterator[str]:
    """The URLs of all files below a remote folder, sorted.

    Raises:
        CatalogueError: It cannot be listed.
    """
    try:
        files, path = filesystem_of(folder)
        files.invalidate_cache()  # a listing is kept by some, and this is another run
        found = _answered(files.find, folder, path)
    except OSError as error:
        raise CatalogueError(
            f"'{folder}' cannot be listed: {error.strerror or error}. Are the address and the "
            "credentials in the environment right?"
        ) from error
    for name in sorted(found):
        yield folder.rstrip("/") + "/" + str(name).removeprefix(path).lstrip("/")


def is_folder(url: str) -> bool:
    """Whether a URL is a folder's. Raises OSError if it cannot be asked."""
    files, path = filesystem_of(url)
    return bool(_answered(files.isdir, url, path))


def _answered(ask: Any, place: str, *given: Any, **named: Any) -> Any:
    """What a file system answers; whatever goes wrong elsewhere is an OSError with a reason."""
    try:
        return ask(*given, **named)
    except FileNotFoundError as error:
        raise FileNotFoundError(errno.ENOENT, "there is no such file", place) from error
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        raise OSError(error.errno or errno.EIO, reason, place) from error
    except Exception as error:  # each kind has errors of its own
        raise OSError(errno.EIO, f"{type(error).__name__}: {error}", place) from error
