"""Which generations are answered from just now, so that none is removed under a running process.

Whoever answers from a generation holds a shared lock on its manifest; whoever wants to remove it
asks for the exclusive one. The locks are the operating system's (``flock``): they are gone with the
process that held them, and hold on one machine. Another machine that answers from an old generation
goes on with what it has in memory.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from indexer.manifest import MANIFEST


class Lease:
    """That a process answers from a generation, until ``release``; made by ``hold``."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        """Let the generation go; more than once is as good as once."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __del__(self) -> None:
        self.release()


def hold(folder: Path) -> Lease:
    """Say that this process answers from the generation in a folder.

    Where a file system knows no locks, or the generation is not there, nothing is held: what is
    opened next tells of that.
    """
    try:
        descriptor = os.open(folder / MANIFEST, os.O_RDONLY)
    except OSError:
        return Lease(None)
    lease = Lease(descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    except OSError:
        lease.release()
    return lease


@contextmanager
def unless_held(folder: Path) -> Iterator[bool]:
    """Whether nobody answers from the generation in a folder; nobody begins to within the block."""
    try:
        descriptor = os.open(folder / MANIFEST, os.O_RDONLY)
    except OSError:  # without a manifest nobody can answer from it
        yield True
        return
    try:
        yield _try_alone(descriptor)
    finally:
        os.close(descriptor)


def _try_alone(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # no locks here: nothing can be held either
        return True
    return True
