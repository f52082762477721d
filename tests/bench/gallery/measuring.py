"""Only the figures of the gallery's rows, kept beside their weights for whoever draws the pictures.

python -m tests.bench.gallery.measuring ROW [ROW ...] --out DIR [--data DIR]
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from models.training.weights import (
    CONFIG,
    fingerprint_weights,
    record_figures,
    write_atomically,
)
from service.commands.console import say
from tests.bench.gallery.row import Row
from tests.bench.gallery.rows import find_row
from tests.bench.trainings import NITERU, TrainingError

Ask = Callable[[Sequence[str]], str]

FIGURES = "figures.json"  # in a row's folder


def ask_niteru(words: Sequence[str]) -> str:
    """Run ``niteru`` in a process of its own: what it prints.

    Raises:
        TrainingError: It failed.
    """
    done = subprocess.run([*NITERU, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise TrainingError(f"niteru {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def told_measure(row: Row) -> str:
    """The command that measures a row, as a reader would type it."""
    words = row.measure_words()
    return "niteru " + " ".join(words) if words else ""


def measure_row(row: Row, data: Path, out: Path, *, ask: Ask = ask_niteru) -> dict[str, Any]:
    """The figures of a row's weights, which are measured only once.

    Raises:
        TrainingError: The command failed.
    """
    words = row.measure_words(data=str(data), out=str(out))
    if not words:
        return {}
    file = out / row.name / FIGURES
    belongs = {"command": told_measure(row), "fingerprint": fingerprint_weights(out / row.name)}
    if file.is_file():
        kept = json.loads(file.read_text("utf-8"))
        if {key: kept[key] for key in belongs} == belongs:
            return dict(kept["figures"])
    say(f"{row.name}: niteru {' '.join(words)}")
    figures = short(json.loads(ask((*words, "--json"))))
    record_figures(out / row.name, row.measure, figures)  # goes with the weights
    write_atomically(file, (json.dumps(belongs | {"figures": figures}, indent=2) + "\n").encode())
    return figures


def short(told: Mapping[str, Any]) -> dict[str, Any]:
    """The same figures with five digits behind the point."""
    return {k: round(v, 5) if isinstance(v, float) else v for k, v in told.items()}


def main(words: Sequence[str] | None = None) -> int:
    """Measure the rows that are trained, one after the other; the exit status."""
    options = argparse.ArgumentParser(prog="python -m tests.bench.gallery.measuring")
    options.add_argument("rows", nargs="+", metavar="ROW", help="what to measure")
    options.add_argument("--data", type=Path, help="folder of the data; else $NITERU_DATA")
    options.add_argument("--out", type=Path, required=True, help="where the weights are")
    asked = options.parse_args(words)
    data: Path = asked.data or Path(os.environ.get("NITERU_DATA", ""))
    failed = 0
    for row in map(find_row, asked.rows):
        if not (asked.out / row.name / CONFIG).is_file():
            say(f"{row.name}: not trained.")
            continue
        try:
            say(f"{row.name}: {measure_row(row, data, asked.out)}")
        except (TrainingError, OSError) as error:
            say(f"{row.name}: {error}")
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
