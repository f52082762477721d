"""``niteru sample``, ``complete``, ``reconstruct``, ``interpolate``, ...: what a model draws."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import models
from indexer.protocols import Pixels
from models.images import ImageError, read_mask
from models.training.checkpoint import find_weights, load_weights
from models.training.weights import read_description
from service.brush import Brush, unable
from service.commands.console import Bar, use_one_thread
from service.commands.sketching import Drawn, parse_terms, sample_sketches
from service.drawing import (
    draw_arithmetic,
    draw_completions,
    draw_enlargements,
    draw_frames,
    draw_interpolation,
    draw_reconstructions,
    draw_samples,
    enlarger_of,
)
from service.known import known_by_mask, known_rows
from service.rendering import render
from service.schemas_models import Format
from service.sheets import Drawing


@dataclass(frozen=True, slots=True)
class Canvas:
    """By what something is drawn, and where it goes.

    Attributes:
        weights: A folder, or a name below ``weights/``.
        out: The file to write.
        file_format: ``grid`` is a PNG of all, ``zip`` an archive with a PNG each, ``json`` data.
        seed: Of all chance.
        temperature: Of the draws.
        mean: The mean picture of a vector instead of a draw.
        label: Of what class, by a model that was trained with labels.
    """

    weights: str
    out: Path
    file_format: Format = "grid"
    seed: int = 0
    temperature: float = 1.0
    mean: bool = False
    label: int | None = None

    def draw(self, make: Callable[[Brush], Drawing]) -> None:
        """Draw with a progress bar, write the file, and say what it is."""
        use_one_thread()
        bar = Bar(" pictures")
        brush = Brush(
            load_weights(find_weights(self.weights)), BarWatch(bar), self.seed, self.temperature,
            self.mean, self.label,
        )  # fmt: skip
        try:
            drawing = make(brush)
        finally:
            bar.close()
        self.out.write_bytes(bytes(render(drawing, self.file_format, "").body))
        warmth = "" if self.temperature == 1 else f", temperature {self.temperature:g}"
        warmth += "" if self.label is None else f", label {self.label}"
        count = len(drawing.pictures)
        print(
            f"{self.out}: {count} picture{'s' if count > 1 else ''} by {drawing.fingerprint}, "
            f"seed {self.seed}{warmth}."
        )


class BarWatch:
    """Shows on a progress bar how far a drawing is."""

    def __init__(self, bar: Bar) -> None:
        self.bar = bar

    def progress(self, done: int, total: int, stage: str = "") -> None:
        """So many of the pictures are ready."""
        self.bar.show(stage, done, total)

    def picture(self, number: int, pixels: Pixels) -> None:
        """One picture is ready: it is written with the others."""

    def partial(self, number: int, pictures: Callable[[], Sequence[Pixels]]) -> None:
        """Pictures are being drawn: a terminal does not show them."""


def run_sample(canvas: Canvas, *, n: int, side: int | None = None) -> None:
    """Draw ``n`` new pictures; of a model of strokes, drawings by the ending of the file."""
    folder = find_weights(canvas.weights)
    if models.modality(str(read_description(folder)["model"])) == "strokes":
        use_one_thread()
        weights = load_weights(folder)
        if canvas.label is not None:
            raise unable(weights, "label", "it is not conditioned on labels")
        sample_sketches(weights, n, Drawn(canvas.out, canvas.temperature, canvas.seed))
        return
    canvas.draw(lambda brush: draw_samples(brush, n, side))


def run_complete(canvas: Canvas, image: Path, *, known: str, n: int) -> None:
    """Draw the rest of a photo ``n`` times; ``known`` is a number of rows or a mask's file."""
    photo = image.read_bytes()

    def make(brush: Brush) -> Drawing:
        preprocessing = brush.weights.preprocessing
        pixels = read_photo(brush, image)
        if known.isdecimal():
            part = known_rows(int(known), preprocessing.size)
        else:
            mask = Path(known).read_bytes()
            part = known_by_mask(read_mask(mask, photo, preprocessing))
        return draw_completions(brush, pixels, part, n)

    canvas.draw(make)


def run_enlarge(canvas: Canvas, image: Path, *, n: int) -> None:
    """Make a small picture large ``n`` times."""
    canvas.draw(lambda brush: draw_enlargements(brush, read_small(brush, image), n))


def run_reconstruct(canvas: Canvas, images: Sequence[Path]) -> None:
    """Draw photos again."""
    canvas.draw(
        lambda brush: draw_reconstructions(brush, [read_photo(brush, path) for path in images])
    )


def run_interpolate(canvas: Canvas, first: str, last: str, *, steps: int) -> None:
    """Draw what lies between two photos, or two seeds.

    Raises:
        ValueError: One is a photo and the other a seed.
    """
    if first.isdecimal() != last.isdecimal():
        raise ValueError(
            f"'{first}' and '{last}' are a photo and a seed; expected two photos, or two seeds."
        )
    canvas.draw(lambda brush: draw_interpolation(brush, read_ends(brush, (first, last)), steps))


def run_arithmetic(canvas: Canvas, words: Sequence[str], *, n: int) -> None:
    """Draw ``A - B + C`` of photos or seeds.

    Raises:
        ValueError: Terms and signs do not alternate, or as many are taken away as added.
    """
    terms = parse_terms(words)
    plus = [term for sign, term in terms if sign > 0]
    minus = [term for sign, term in terms if sign < 0]
    canvas.draw(
        lambda brush: draw_arithmetic(brush, read_ends(brush, plus), read_ends(brush, minus), n)
    )


def run_frames(canvas: Canvas, images: Sequence[Path], *, n: int, frames: int | None) -> None:
    """Show how new pictures, or photos again, come about."""
    canvas.draw(
        lambda brush: draw_frames(brush, [read_photo(brush, path) for path in images], n, frames)
    )


def read_ends(brush: Brush, words: Sequence[str]) -> list[Pixels | int]:
    """Photos by their paths, and seeds, which are numbers."""
    return [int(word) if word.isdecimal() else read_photo(brush, Path(word)) for word in words]


def read_photo(brush: Brush, path: Path) -> Pixels:
    """A photo (H, W, C) uint8 as the model sees it; errors name the file."""
    try:
        return brush.weights.preprocessing.read(path.read_bytes())
    except ImageError as error:
        raise ImageError(error.reason, f"{path}: {error}") from error


def read_small(brush: Brush, path: Path) -> Pixels:
    """A small picture (s, s, C) uint8 as it is; errors name the file."""
    enlarger_of(brush)  # who enlarges nothing says that, whatever the file is
    config: Any = brush.weights.model.config
    try:
        return brush.weights.preprocessing.read_small(path.read_bytes(), config.enlarges)
    except ImageError as error:
        raise ImageError(error.reason, f"{path}: {error}") from error
