"""What a row of the gallery is: a training, how it is measured and what is shown of it."""

from dataclasses import dataclass
from typing import Literal

DATA, OUT = "$NITERU_DATA", "runs/gallery"  # as a reader would type them
MINUTES = 6.0
BITS = "binarized-mnist/binarized_mnist.npz"
GREY = "mnist/train"
SKETCHES = "sketches/kanji_short.npz"
CIFAR = "cifar10/train"  # made beside the weights, see pictures.py
FEATURES = "features"  # the row whose embedding compares pictures

Measure = Literal["nll", "kid", "none"]
Show = Literal["samples", "completions", "reconstructions", "interpolation", "frames", "arithmetic"]


@dataclass(frozen=True, slots=True)
class Row:
    """One training, what is measured of it and what is shown.

    Attributes:
        name: Of the row, its weights folder, its file of figures and its pictures.
        about: What is special about it, in a table's words.
        model: What is trained.
        preset: Of the model.
        settings: ``KEY=VALUE`` for ``niteru train --set``.
        data: Below the data folder, or beside the weights (``cifar10/``).
        measure: By which command.
        test: What it is measured on; the same file, split ``test``, if empty.
        samples: Importance samples of a bound.
        limit: Only so many test pictures, drawn at random; None for all.
        published: The published figure, as a table's cell.
        shows: What is drawn.
        minutes: Length of the training.
        steps: Its length instead, where rows are compared step by step.
        after: The row whose weights it starts from; fresh ones if empty.
        device: On which it is trained, if not the processor.
        measured_on: And on which it is measured.
        seed: Of everything random.
    """

    name: str
    about: str
    model: str
    preset: str = "mnist"
    settings: tuple[str, ...] = ()
    data: str = BITS
    measure: Measure = "nll"
    test: str = ""
    samples: int = 50
    limit: int | None = None
    published: str = ""
    shows: tuple[Show, ...] = ("samples",)
    minutes: float = MINUTES
    steps: int | None = None
    after: str = ""
    device: str = ""
    measured_on: str = ""
    seed: int = 0

    def train_words(self, *, data: str = DATA, out: str = OUT) -> tuple[str, ...]:
        """The words of the command that trains the row, without ``niteru``."""
        words = ["train", self.model, "--data", place(self.data, data=data, out=out)]
        words += ["--preset", self.preset]
        words += [word for value in self.settings for word in ("--set", value)]
        words += ["--steps", str(self.steps)] if self.steps else ["--minutes", f"{self.minutes:g}"]
        words += ["--seed", str(self.seed)]
        words += ["--init", f"{out}/{self.after}"] if self.after else []
        words += ["--device", self.device] if self.device else []
        return (*words, "--out", f"{out}/{self.name}")

    def measure_words(self, *, data: str = DATA, out: str = OUT) -> tuple[str, ...]:
        """The words of the command that measures the row; empty if nothing does."""
        if self.measure == "none":
            return ()
        test = place(self.test or self.data, data=data, out=out)
        words = ["evaluate", self.measure, f"{out}/{self.name}", "--data", test]
        words += ["--features", f"{out}/{FEATURES}"] if self.measure == "kid" else []
        words += ["--samples", str(self.samples)] if self.measure == "nll" else []
        words += ["--limit", str(self.limit)] if self.limit else []
        words += ["--device", self.measured_on] if self.measured_on else []
        return tuple(words)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows side by side in docs/models.md, under markers of this name."""

    name: str
    rows: tuple[str, ...]


def place(name: str, *, data: str = DATA, out: str = OUT) -> str:
    """Where data lie: what the gallery makes itself beside the weights, else in the data folder."""
    return f"{out if name.startswith('cifar10/') else data}/{name}"
