"""Whether a photo may have changed, told without reading it: its size and a mark that goes with it.

For a file the mark is its time of modification; for an object elsewhere it is made of its ETag, or
of a time where the place gives none. Equal stamps mean an unchanged photo, a missing one nothing.
"""

import hashlib
from datetime import datetime
from typing import NamedTuple

from indexer.clock import Clock

# What was written so lately may be written again within the same tick of its time of modification,
# so its time is not remembered and the next run compares its hash instead.
FRESH_SECONDS = 2.0

Stamp = tuple[int, int] | tuple[None, None]
UNKNOWN: Stamp = (None, None)


class Status(NamedTuple):
    """What tells that a file is as it was.

    Attributes:
        size: Bytes.
        version: Grows or differs when the file is written: its time of modification in nanoseconds,
            or a number made of its ETag; None if neither is told.
        written: When the file was written, in seconds since 1970, if that is all that is told.
    """

    size: int
    version: int | None
    written: float | None = None

    def stamp(self, clock: Clock) -> Stamp:
        """What to remember of it: nothing if it was written just now."""
        young = self.written is not None and self.written > clock().timestamp() - FRESH_SECONDS
        return UNKNOWN if young or self.version is None else (self.size, self.version)


def versioned(size: int, version: str) -> Status:
    """The status of an object whose every version has another name, as an ETag is one."""
    digest = hashlib.sha256(version.encode()).digest()
    return Status(size, int.from_bytes(digest[:7], "big"))


def timed(size: int, time: float | datetime) -> Status:
    """The status of an object of which only the time of its last change is known."""
    seconds = time.timestamp() if isinstance(time, datetime) else float(time)
    return Status(size, int(seconds * 1e9), seconds)
