"""Only the trainings of the gallery, to be measured and drawn elsewhere.

    python -m tests.bench.gallery.training ROW [ROW ...] --out DIR [--data DIR] [--minutes M]

It needs nothing of the service, so it runs on a machine that has torch and little else. See
``accelerate.sh``.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from models.training.weights import METRICS
from service.commands.console import say
from tests.bench.gallery.row import CIFAR, Row
from tests.bench.gallery.rows import find_row
from tests.bench.trainings import (
    INTERRUPTED,
    Command,
    StoppedError,
    TrainingError,
    call_niteru,
    train_once,
)


def told(row: Row) -> str:
    """The command that trains a row, as a reader would type it."""
    return "niteru " + " ".join(row.train_words())


def train_row(
    row: Row, data: Path, out: Path, *, niteru: Command = call_niteru, again: bool = False
) -> Path:
    """Train a row unless it is trained: the folder of its weights.

    What it goes on from is trained first, unless weights lie there, by whatever command.

    Args:
        row: What to train.
        data: Folder of the data.
        out: Gets a folder for the row.
        niteru: Runs a command.
        again: Begin anew, whatever there is.

    Raises:
        TrainingError: The training failed, or the folder holds another.
        StoppedError: The training was interrupted.
    """
    folder = out / row.name
    begun = [(out / name / METRICS).is_file() for name in (row.name, row.after)]
    if row.after and not any(begun):
        train_row(find_row(row.after), data, out, niteru=niteru)
    if row.data == CIFAR and not (folder / METRICS).is_file():
        write_cifar(data / "cifar-10", out / "cifar10", splits=("train",))
    words = row.train_words(data=str(data), out=str(out))
    train_once(row.name, words, folder, told=told(row), niteru=niteru, again=again)
    return folder


def write_cifar(source: Path, folder: Path, splits: Sequence[str] = ("train", "test")) -> None:
    """The sheets of CIFAR-10 as folders of PNG files: 5,000 to train on, 10,000 to test.

    Args:
        source: Holds ``train_0.webp`` and ``test_10000.webp``, sheets of 32 x 32 tiles in rows of
            100, with ``NAME_labels.npy`` and ``classes.txt``.
        folder: Gets ``train/CLASS/NUMBER.png`` and ``test/CLASS/NUMBER.png``.
        splits: Which of the two.
    """
    classes = (source / "classes.txt").read_text("utf-8").split()
    for name, split in (("train_0", "train"), ("test_10000", "test")):
        if split not in splits or (folder / split).is_dir():
            continue
        sheet = np.asarray(Image.open(source / f"{name}.webp").convert("RGB"))
        labels = np.load(source / f"{name}_labels.npy", allow_pickle=False)
        tiles = sheet.reshape(-1, 32, 100, 32, 3).transpose(0, 2, 1, 3, 4).reshape(-1, 32, 32, 3)
        begun = folder / f".{split}-{os.getpid()}"  # two trainings may begin at once
        for number, (tile, label) in enumerate(zip(tiles, labels, strict=False)):
            file = begun / classes[int(label)] / f"{number:05}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(tile).save(file)
        try:
            begun.rename(folder / split)
        except OSError:
            if not (folder / split).is_dir():
                raise
            shutil.rmtree(begun)


def main(words: Sequence[str] | None = None) -> int:
    """Train rows one after the other; the exit status. One that fails does not stop the next."""
    options = argparse.ArgumentParser(prog="python -m tests.bench.gallery.training")
    options.add_argument("rows", nargs="+", metavar="ROW", help="what to train")
    options.add_argument("--data", type=Path, help="folder of the data; else $NITERU_DATA")
    options.add_argument("--out", type=Path, required=True, help="where weights go")
    options.add_argument("--minutes", type=float, help="only try, for so long")
    asked = options.parse_args(words)
    data: Path = asked.data or Path(os.environ.get("NITERU_DATA", ""))
    failed = 0
    rows = [find_row(name) for name in asked.rows]
    if asked.minutes is not None:
        rows = [replace(row, minutes=asked.minutes, steps=None) for row in rows]
    for row in rows:
        try:
            train_row(row, data, asked.out)
        except StoppedError as stopped:
            say(f"{stopped} was stopped; the same command goes on with it.")
            return INTERRUPTED
        except (TrainingError, OSError) as error:
            say(f"{row.name}: {error}")
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
