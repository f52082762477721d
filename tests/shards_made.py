"""Tar shards and files at ``memory://``, made for tests of catalogues."""

import io
import json
import os
import tarfile
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

LONG_AGO = 1_600_000_000


def png(shade: int) -> bytes:
    """A small photo of one colour."""
    file = io.BytesIO()
    Image.new("RGB", (16, 16), (shade, 255 - shade, shade // 2)).save(file, "PNG")
    return file.getvalue()


def sample(key: str, shade: int, **attributes: object) -> list[tuple[str, bytes]]:
    """A photo, and its JSON if there is something to say."""
    found = [(f"{key}.png", png(shade))]
    return found + ([(f"{key}.json", json.dumps(attributes).encode())] if attributes else [])


def tar(
    members: Mapping[str, bytes] | Iterable[tuple[str, bytes]], *, kind: int = tarfile.PAX_FORMAT
) -> bytes:
    """A tar of files, in their order; names may repeat in a list."""
    pairs = members.items() if isinstance(members, Mapping) else members
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=kind) as archive:
        for name, data in pairs:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE, size: int = 0) -> bytes:
    """A tar of a single member that is no file."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, size
    return info.tobuf(tarfile.GNU_FORMAT) + bytes(10_240 - 512)


def put_file(path: Path, data: bytes, when: int = LONG_AGO) -> Path:
    """Write a file that was there long ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (when, when))
    return path


def memory() -> Any:
    """The file system of ``memory://``, which is one for the whole process."""
    return pytest.importorskip("fsspec", reason="needs the extra 'remote'").filesystem("memory")


def empty_memory() -> Any:
    """The same, with nothing in it."""
    files = memory()
    files.store.clear()
    files.pseudo_dirs[:] = [""]
    return files


def put_remote(url: str, data: bytes, when: int = LONG_AGO) -> str:
    """Write a file at ``memory://`` that was there long ago."""
    files, path = memory(), url.removeprefix("memory:/")
    files.pipe_file(path, data)
    # It has no versions, only times; of which one is moved so that it can be relied on.
    files.store[path].created = datetime.fromtimestamp(when, UTC)
    return url
