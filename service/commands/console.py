"""What commands share: progress bars, stopping politely, printing data."""

import errno
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from tqdm import tqdm


def print_json(value: Any) -> None:
    """Data for programs: to standard output, where nothing else of a ``--json`` command goes."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def say(text: str) -> None:
    """A word to the person at the terminal: to standard error, so that data stays data."""
    print(text, file=sys.stderr, flush=True)


def in_words(error: BaseException) -> str:
    """What went wrong, and what to do, also where the system tells no more than a number."""
    if not isinstance(error, OSError) or error.errno is None or error.strerror is None:
        return str(error)
    name = f"'{os.fsdecode(error.filename)}'" if isinstance(error.filename, str | bytes) else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = f" of {name}" if name else ""
        return f"The disk{where} is full. Make room, and run the same command again."
    if not name:
        return str(error)
    if error.errno == errno.ENOENT:
        # What a program that was asked for says as well, but paths are what is mistyped.
        return f"There is no {name}; looked for from the folder '{Path.cwd()}'."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return (
            f"{name} cannot be read or written by this user ({error.strerror}). Change its "
            "permissions, or choose another place."
        )
    return f"{name}: {error.strerror}."


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def use_one_thread() -> None:
    """Let each worker's arithmetic run on its own core; the workers are what runs in parallel."""
    import torch  # noqa: PLC0415 - slow to import

    torch.set_num_threads(1)


class DeviceError(ValueError):
    """A device that torch cannot use here."""


def check_device(name: str) -> None:
    """Try a device out before photos are read for it.

    Raises:
        DeviceError: There is none of this name, or torch was installed without what it needs.
    """
    import torch  # noqa: PLC0415 - slow to import

    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise DeviceError(
            f"torch {torch.__version__} cannot use the device '{name}': {reason}. Expected cpu, or "
            "cuda or mps where there is such a device and a torch built for it. "
            "Leave --device out to use the processor."
        ) from error


@contextmanager
def stop_on_signal() -> Iterator[Callable[[], bool]]:
    """Turn the first interrupt into a question that answers True; a second one interrupts."""
    asked: list[int] = []

    def remember(number: int, _: FrameType | None) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)
        say("\nStopping after the current step; what is done is kept. Once more to stop at once.")

    before = {number: signal.signal(number, remember) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


LINE_SECONDS = 10.0  # between two lines of progress where no bar can be drawn


class Bar:
    """A progress bar that callbacks feed with (what, done, total); lines in a log file.

    Attributes:
        unit: What is counted.
        terminal: Whether a bar can be drawn; without it a line is written now and then.
        clock: Seconds.
    """

    def __init__(
        self,
        unit: str,
        *,
        terminal: bool | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.unit = unit
        self.terminal = sys.stderr.isatty() if terminal is None else terminal
        self.clock = clock
        self.what = ""
        self.said = -LINE_SECONDS
        self.bar: tqdm[Any] | None = None

    def show(self, what: str, done: int, total: int, note: str = "") -> None:
        """Move to ``done`` of ``total``; another ``what`` begins another bar."""
        if not self.terminal:
            if self.clock() - self.said >= LINE_SECONDS:
                self.said = self.clock()
                say(f"{what}: {done:,} of {total:,}{self.unit} {note}".rstrip())
            return
        if self.bar is None or self.what != what:
            self.close()
            self.what = what
            self.bar = tqdm(total=total, desc=what, unit=self.unit)
        self.bar.total = total
        self.bar.set_postfix_str(note, refresh=False)
        self.bar.update(done - self.bar.n)

    def close(self) -> None:
        """End the bar that is shown."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None
