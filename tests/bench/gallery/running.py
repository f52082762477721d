"""Training a row, measuring it and drawing its pictures, all by the public command line."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.training.weights import METRICS, fingerprint_weights, read_metrics, write_atomically
from service.commands.console import cores, say
from tests.bench.gallery.measuring import Ask, ask_niteru, measure_row, told_measure
from tests.bench.gallery.pictures import (
    GIVEN,
    draw_curve,
    draw_frames,
    stack,
    write_digits,
    write_lattice,
    write_sketches,
)
from tests.bench.gallery.row import BITS, CIFAR, FEATURES, Row
from tests.bench.gallery.rows import ROWS
from tests.bench.gallery.training import told, train_row, write_cifar
from tests.bench.trainings import Command, TrainingError, call, call_niteru

MANY = 64  # pictures of a sheet of samples
PEN = 0.4  # temperature of sketches: at 1 a pen wanders off after a few strokes
SOME = 7  # completions of a picture


@dataclass
class Gallery:
    """Runs rows.

    Attributes:
        data: The folder that holds binarized-mnist/, mnist/, cifar-10/ and sketches/.
        out: Where weights go, a folder for each row.
        page: Where files of figures and pictures go.
        niteru: Runs a command and returns its exit status.
        ask: Runs a command and returns what it prints.
    """

    data: Path
    out: Path
    page: Path
    niteru: Command = call_niteru
    ask: Ask = ask_niteru

    def redraw(self, row: Row) -> None:
        """Draw the pictures of a row that is trained once more.

        Raises:
            TrainingError: It is not trained, or a command failed.
        """
        if not (self.out / row.name / METRICS).is_file():
            raise TrainingError(f"{row.name} is not trained yet: run it without --redraw.")
        self._draw(row, self.out / row.name)

    def run(self, row: Row, *, again: bool = False) -> Path:
        """Train a row, measure it and draw its pictures, each unless it is done: its figures.

        Raises:
            TrainingError: A command failed, or the folder holds another training.
            StoppedError: The training was interrupted.
        """
        if row.measure == "kid" and row.name != FEATURES:
            self.run(ROWS[FEATURES])
        folder = train_row(row, self.data, self.out, niteru=self.niteru, again=again)
        if row.data == CIFAR:
            write_cifar(self.data / "cifar-10", self.out / "cifar10")
        file = self.page / f"{row.name}.json"
        if _is_of(file, folder):
            say(f"{row.name}: {file} is measured.")
            return file
        self.page.mkdir(parents=True, exist_ok=True)
        figures = measure_row(row, self.data, self.out, ask=self.ask)
        self._draw(row, folder)
        curve = draw_curve(folder / "history.jsonl", self.page / f"{row.name}_curve.svg")
        about = describe(row, folder) | {"curve": curve, "figures": figures}
        write_atomically(file, (json.dumps(about, indent=2, ensure_ascii=False) + "\n").encode())
        say(f"{row.name}: {file}")
        return file

    def _draw(self, row: Row, folder: Path) -> None:
        strokes = row.model in {"sketch_rnn", "srnn"}
        given = self._given(row, strokes=strokes)
        ending = "svg" if strokes else "png"
        for show in row.shows:
            file = self.page / f"{row.name}_{show}.{ending}"
            if show == "samples":
                warmth = ("--temperature", str(PEN)) if strokes else ()
                self._call(row, "sample", str(folder), "-n", str(MANY), "--out", str(file), *warmth)
            elif show == "completions":
                self._complete(row, given, folder, file)
            elif show == "reconstructions":
                kind = ("sketch", "reconstruct") if strokes else ("reconstruct",)
                self._call(row, *kind, *map(str, given), *_into(folder, file))
            elif show == "interpolation":
                kind = ("sketch", "interpolate") if strokes else ("interpolate",)
                self._call(row, *kind, *map(str, given[:2]), *_into(folder, file))
            elif show == "arithmetic":
                a, b, c = map(str, given[:3])
                self._call(row, "sketch", "arithmetic", a, "-", b, "+", c, *_into(folder, file))
            elif show == "frames":
                draw_frames(folder, given, file)

    def _complete(self, row: Row, given: Sequence[Path], folder: Path, file: Path) -> None:
        """A row of completions for each of some pictures."""
        parts = [file.with_name(f".{number}.png") for number in range(len(given))]
        known = "14" if row.data == BITS else "16"
        if row.model == "multiscale":  # knows every fourth pixel, and not the first rows
            known = str(write_lattice(self.out / "given" / "lattice.png", 2 * int(known)))
        for picture, part in zip(given, parts, strict=True):
            words = ("complete", str(picture), "--known", known, "-n", str(SOME))
            self._call(row, *words, *_into(folder, part))
        stack(parts, file)
        for part in parts:
            part.unlink()

    def _given(self, row: Row, *, strokes: bool) -> list[Path]:
        """What reconstructions, completions and interpolations start from."""
        if row.data == CIFAR:
            tested = sorted((self.out / "cifar10" / "test").rglob("*.png"))
            return tested[:: max(1, len(tested) // GIVEN)][:GIVEN]
        if strokes:
            return write_sketches(self.data / row.data, self.out / "given" / row.name)
        return write_digits(self.data / BITS, self.out / "given" / "digits")

    def _call(self, row: Row, *words: str) -> None:
        call(row.name, words, self.niteru)


def describe(row: Row, folder: Path) -> dict[str, Any]:
    """What gave the figures: commands, length, size and machine."""
    training = read_metrics(folder)["training"]
    return {
        "row": row.name, "model": row.model, "command": told(row), "measured_by": told_measure(row),
        "fingerprint": fingerprint_weights(folder), "seed": training["seed"],
        "steps": training["steps"], "minutes": training["minutes"],
        "parameters": training["parameters"],
        "pictures": training.get("photos", training.get("sketches")),
        "nats": _nats(training["last_steps"]),
        "device": training.get("device", "cpu"),
        "machine": f"{training['machine']}, {training['precision']}, {cores()} cores",
    }  # fmt: skip


def _nats(last: dict[str, float]) -> float | None:
    """How many nats z held over the last steps, where the model has one."""
    return round(last["kl"], 2) if "kl" in last else None


def _into(folder: Path, file: Path) -> tuple[str, ...]:
    return ("--weights", str(folder), "--out", str(file))


def _is_of(file: Path, folder: Path) -> bool:
    """Whether figures are of these weights."""
    if not file.is_file() or not (folder / METRICS).is_file():
        return False
    return bool(json.loads(file.read_text())["fingerprint"] == fingerprint_weights(folder))
