"""Files here and elsewhere: a path, or a URL of a file system that fsspec knows (s3, gs, az ...).

A remote file is read with the credentials that its file system finds in the environment. Only what
a catalogue names is ever read: nothing that comes over HTTP becomes a place.
"""

import errno
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast
from urllib.parse import unquote, urlsplit

from indexer.catalogues.host_keys import by_paramiko, known_hosts_only
from indexer.catalogues.redirects import RedirectError, find_redirect, open_session
from indexer.errors import IndexerError
from indexer.masking import mask
from indexer.stamps import Status, timed, versioned

# What may be read. Not `file` or chains (`zip::...`): they would be another way to local files.
SCHEMES = ("s3", "gs", "gcs", "az", "abfs", "abfss", "hdfs", "webhdfs", "sftp", "http", "https",
           "memory")  # fmt: skip
WEB = ("http", "https")
# What a place may call the version of a file, the best first; a time if there is none of these.
VERSIONS = ("ETag", "etag", "generation", "md5Hash", "content_md5")
TIMES = ("LastModified", "last_modified", "mtime", "modified", "updated", "created")
BLOCK = 1024 * 1024  # is fetched at once where only headers are looked for


def is_remote(place: str) -> bool:
    """Whether a place is a URL."""
    return "://" in place


def scheme_of(url: str) -> str:
    """``s3`` of ``s3://bucket/a.jpg``."""
    return url.partition("://")[0].lower()


def origin_of(url: str) -> tuple[str, str]:
    """What a URL cannot leave: its scheme, and its bucket or host."""
    scheme, parts = scheme_of(url), urlsplit(url)
    who, _, where = parts.netloc.rpartition("@")
    if scheme in (*WEB, "sftp"):
        return scheme, where.lower()
    # A password is who asks; a name alone may be a container, as in abfs://container@account.
    return scheme, where if ":" in who else parts.netloc


def path_of(place: str) -> str:
    """A place without what HTTP has after the path; a key of s3 may hold a question mark."""
    return place.partition("?")[0] if is_remote(place) and scheme_of(place) in WEB else place


def suffix_of(place: str) -> str:
    """The ending of a file's name, with its dot, in small letters."""
    return PurePosixPath(path_of(place)).suffix.lower()


def name_of(url: str, name: str) -> str:
    """A name below a URL as people write it: over HTTP it comes with ``%20`` for a space."""
    return unquote(name) if scheme_of(url) in WEB else name


def join(folder: str, name: str) -> str:
    """A name in a folder."""
    return f"{folder}{name}" if folder.endswith("://") else f"{folder.rstrip('/')}/{name}"


def folder_of(url: str) -> str:
    """The URL of the folder that a file is in."""
    folder = path_of(url).rpartition("/")[0]
    return f"{folder}/" if folder.endswith(":/") else folder


def filesystem_of(url: str) -> tuple[Any, str]:
    """The file system of a URL and the path on it.

    Raises:
        OSError: Its kind is not read, or what reads it is not installed; says what to install.
    """
    scheme = scheme_of(url)
    if scheme not in SCHEMES or "::" in url:
        raise OSError(
            errno.EPROTONOSUPPORT,
            f"'{scheme}' is not read; expected one of {', '.join(SCHEMES)}",
            mask(url),
        )
    try:
        from fsspec.core import url_to_fs  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise OSError(
            errno.EPROTONOSUPPORT, "remote files need: pip install 'niteru[remote]'", mask(url)
        ) from error
    with remote_errors(url):
        try:
            found, path = url_to_fs(url, **options_of(scheme))
        except (ImportError, ValueError) as error:  # s3 without s3fs: fsspec says which package
            raise OSError(errno.EPROTONOSUPPORT, mask(str(error)), mask(url)) from error
    return found, path


def options_of(scheme: str) -> dict[str, Any]:
    """What a kind of place is opened with, so that it is the one that was named.

    Raises:
        ImportError: What reads it is not installed.
    """
    if scheme in WEB:
        return {"get_client": open_session}
    return {"host_key_policy": known_hosts_only()} if scheme == "sftp" and by_paramiko() else {}


@contextmanager
def remote_errors(place: str) -> Iterator[None]:
    """Say whatever goes wrong at a remote place as an OSError with a reason; others pass."""
    if not is_remote(place):
        yield
        return
    try:
        yield
    except IndexerError:
        raise
    except FileNotFoundError as error:
        if refused := find_redirect(error):  # fsspec takes whatever happens for that
            raise PermissionError(errno.EACCES, mask(str(refused)), mask(place)) from error
        raise FileNotFoundError(errno.ENOENT, "there is no such file", mask(place)) from error
    except RedirectError as error:
        raise PermissionError(errno.EACCES, mask(str(error)), mask(place)) from error
    except OSError as error:
        reason = mask(error.strerror or str(error) or type(error).__name__)
        raise OSError(error.errno or errno.EIO, reason, mask(place)) from error
    except Exception as error:  # every kind of file system has errors of its own
        reason = mask(f"{type(error).__name__}: {error}")
        raise OSError(errno.EIO, reason, mask(place)) from error


def status_of(place: str) -> Status:
    """Size and version of a file. Raises OSError if there is none, or it cannot be asked."""
    if not is_remote(place):
        status = Path(place).stat()
        return Status(status.st_size, status.st_mtime_ns, status.st_mtime)
    files, path = filesystem_of(place)
    with remote_errors(place):
        told = files.info(path)
    if told.get("type") == "directory":
        raise IsADirectoryError(errno.EISDIR, "it is a folder", mask(place))
    found = read_status(told)
    if found is None:
        raise OSError(errno.EIO, "how large it is is not told", mask(place))
    return found


def read_status(told: Mapping[str, Any]) -> Status | None:
    """What fsspec's description of a file says, None if not even its size."""
    size = told.get("size")
    if not isinstance(size, int):
        return None
    for name in VERSIONS:
        if version := told.get(name):
            return versioned(size, str(version).strip('"'))
    for name in TIMES:
        if isinstance(time := told.get(name), int | float | datetime):
            return timed(size, time)
    return Status(size, None)


def read_range(place: str, start: int, size: int) -> bytes:
    """So many bytes of a file from a place on, fewer where it ends before. Raises OSError."""
    if not is_remote(place):
        with open_file(place) as file:
            file.seek(start)
            return file.read(size)
    files, path = filesystem_of(place)
    with remote_errors(place):
        data = bytes(files.cat_file(path, start=start, end=start + size))
    # A web server that knows no ranges sends the whole file.
    return data[start : start + size] if len(data) > size else data


def open_file(place: str) -> BinaryIO:
    """A file to read and to move about in. Raises OSError, also if it is no regular file."""
    if is_remote(place):
        files, path = filesystem_of(place)
        with remote_errors(place):
            return cast("BinaryIO", files.open(path, "rb", block_size=BLOCK))
    # Non-blocking: opening a named pipe would wait for somebody to write into it.
    descriptor = os.open(place, os.O_RDONLY | os.O_NONBLOCK)
    try:
        check_regular(os.fstat(descriptor), place)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def check_regular(status: os.stat_result, place: str) -> None:
    """Refuse what is no file."""
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder", place)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file", place)
