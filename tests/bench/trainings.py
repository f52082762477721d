"""Trainings by the public command line, each made only once: for the study and for the gallery."""

import json
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from models.training.weights import CONFIG, STATE, write_atomically
from service.commands.console import say

ORIGIN = "study.json"  # in a run's folder: which command it belongs to
INTERRUPTED = 130  # what a shell expects of an interrupted command

Command = Callable[[Sequence[str]], int]


class TrainingError(ValueError):
    """A row that cannot be run as asked."""


class StoppedError(Exception):
    """A training was interrupted; the same command goes on with it."""


NITERU = (sys.executable, "-m", "service")


def call_niteru(words: Sequence[str], *, program: Sequence[str] = NITERU) -> int:
    """Run ``niteru`` in a process of its own; a signal to us is passed on, and waited for.

    Returns:
        Its exit status, or minus the number of the signal that ended it.
    """
    # A group of its own: a terminal's interrupt reaches the training once, through us.
    child = subprocess.Popen([*program, *words], process_group=0)

    def pass_on(number: int, _: FrameType | None) -> None:
        child.send_signal(number)

    with _handling(pass_on):
        return child.wait()


@contextmanager
def _handling(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before = {n: signal.signal(n, handler) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def train_once(
    name: str,
    words: Sequence[str],
    folder: Path,
    *,
    told: str,
    niteru: Command = call_niteru,
    again: bool = False,
) -> None:
    """Train a row unless that is done; go on with it if it was begun.

    Args:
        name: Of the row, for what is said.
        words: The command, ``train MODEL --OPTION VALUE ...`` without ``niteru``.
        folder: Where its weights go.
        told: The command as a reader would type it, by which the folder is known again: a short try
            must not pass for the row, nor an old setting for a new one.
        niteru: Runs a command.
        again: Begin anew, whatever there is.

    Raises:
        TrainingError: The folder holds another training, or the training failed.
        StoppedError: The training was interrupted.
    """
    if again:
        shutil.rmtree(folder, ignore_errors=True)
    begun = (folder / STATE).is_file()
    done = (folder / CONFIG).is_file() and not begun
    file = folder / ORIGIN
    found = json.loads(file.read_text())["command"] if file.is_file() else None
    if (begun or done) and found != told:
        raise TrainingError(
            f"{folder} holds a training by another command: {found or 'unknown'}. Expected: "
            f"{told}. Choose another --out, or give --again to train anew."
        )
    if done:
        say(f"{name}: {folder} is trained.")
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(file, (json.dumps({"command": told}, indent=2) + "\n").encode())
    call(name, _resume(words) if begun else words, niteru)


def call(name: str, words: Sequence[str], niteru: Command) -> None:
    """Run a command of a row and say so.

    Raises:
        TrainingError: It failed.
        StoppedError: It was interrupted.
    """
    say(f"{name}: niteru {shlex.join(words)}")
    status = niteru(words)
    if status in {INTERRUPTED, -signal.SIGINT, -signal.SIGTERM}:
        raise StoppedError(name)
    if status:
        raise TrainingError(f"{name}: niteru ended with status {status}; see what it said.")


def _resume(words: Sequence[str]) -> tuple[str, ...]:
    """The same command to go on with: model, data, folder and device, and no settings."""
    kept = list(words[:2])
    for option, value in zip(words[2::2], words[3::2], strict=True):
        if option in {"--data", "--out", "--device"}:
            kept += [option, value]
    return (*kept, "--resume")
