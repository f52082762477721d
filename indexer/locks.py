"""One writer at a time, told apart by name.

The lock is the operating system's (``flock``), so it is gone with the process that held it, kill
-9 included; the file's text only says whose it was.
"""

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from indexer.errors import StoreBusyError

WRITER = "writer.lock"
PUBLISHER = "publisher.lock"
MIRROR = "mirror.lock"
POLL_SECONDS = 0.05


@contextmanager
def exclusive(store: Path, name: str, *, wait: float = 0.0) -> Iterator[None]:
    """Hold the lock file ``name`` of a store.

    Three locks exist: ``WRITER`` guards ``items.sqlite`` for a whole run, ``PUBLISHER`` guards
    ``generations/`` and ``CURRENT`` for moments, so that a rollback need not wait for a run, and
    ``MIRROR`` guards the collections of a Milvus server while they catch up with the store.

    Args:
        store: The store's folder.
        name: ``WRITER``, ``PUBLISHER`` or ``MIRROR``.
        wait: Seconds to wait for another holder.

    Raises:
        StoreBusyError: Somebody else holds it; names the process.
    """
    descriptor = os.open(store / name, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        give_up = time.monotonic() + wait
        while not try_lock(descriptor):
            if time.monotonic() >= give_up:
                raise StoreBusyError(store, read_pid(descriptor))
            time.sleep(POLL_SECONDS)
        note_pid(descriptor)
        yield
    finally:
        os.close(descriptor)  # releases the lock


def try_lock(descriptor: int) -> bool:
    """Take the lock if it is free."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def note_pid(descriptor: int) -> None:
    """Write in a lock file whose it is, if the disk has room for that: what frees it locks, too."""
    os.ftruncate(descriptor, 0)
    try:
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise


def read_pid(descriptor: int) -> int | None:
    """The process id written in a lock file, None if there is none (yet)."""
    text = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
    return int(text) if text.isdecimal() else None
