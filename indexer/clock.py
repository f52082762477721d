"""The time as an argument: a run, a generation and a catalogue are told it."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The time, with its zone: the default clock."""
    return datetime.now(UTC)
