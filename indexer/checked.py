"""Which large files of a generation were hashed before, so that opening need not read them again.

Hashing reads 1.3 GB a second: the 6 GB of ten million items would be five seconds before the first
answer, and a slow request whenever a generation is taken up. So who hashes a large file notes in
``checked.json`` what the file system said of it. While it says the same, its bytes are the same:
the time of the last change of a file (ctime) moves with every write, and no program can set it.
What a disk loses by itself it does not tell: a full check finds that (``niteru doctor``, a
rollback).
"""

import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

CHECKED = "checked.json"
# Smaller files are hashed at every opening: it takes less than 50 ms.
LARGE = 64 << 20
# The clock of a file system ticks in hundredths of a second. What changed within a tick of the
# hashing may change again unnoticed, and is not noted.
SETTLED_NS = 100_000_000


def describe(path: Path) -> list[int]:
    """What a file system says of a file: size, number, and the times of its last changes."""
    status = path.stat()
    return [status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns]


def is_settled(path: Path) -> bool:
    """Whether a file is large and has not changed for a while: asked before it is hashed."""
    status = path.stat()
    return status.st_size >= LARGE and status.st_ctime_ns < time.time_ns() - SETTLED_NS


def read_checked(folder: Path) -> dict[str, str]:
    """The hashes, by name, of those files that are as they were when they were hashed."""
    try:
        noted = json.loads((folder / CHECKED).read_bytes())
        return {
            name: sha256
            for name, (sha256, said) in noted.items()
            if said == describe(folder / name)
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}  # as good as none: everything is hashed


def note_checked(folder: Path, hashes: Mapping[str, str]) -> None:
    """Note the hashes of some settled files; where nothing can be written, nothing is noted."""
    temporary = folder / f"{CHECKED}.{os.getpid()}.{time.monotonic_ns()}"
    with suppress(OSError):
        noted = {name: (sha256, describe(folder / name)) for name, sha256 in hashes.items()}
        temporary.write_text(json.dumps(noted), "ascii")
        temporary.replace(folder / CHECKED)
