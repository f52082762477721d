"""What stroke models are asked for, without HTTP and without a terminal.

Samples, completions, ways from one drawing to another, and arithmetic with drawings: strokes in,
strokes out, at the size of the training drawings.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor

from models.sketch_rnn import spherical
from models.strokes import (
    Points,
    StrokeError,
    draw_sheet,
    read_json,
    read_svg,
    simplify,
    to_three,
    write_json,
    write_svg,
)
from models.training.checkpoint import Weights, find_weights, load_weights
from models.training.protocols import StrokeDecoder, StrokeModel
from models.training.strokes import stack_sketches

Form = Literal["svg", "json", "png"]


class NoVectorError(ValueError):
    """The model has no single vector of a drawing."""


@dataclass(frozen=True)
class Sketcher:
    """A stroke model that has been trained.

    Attributes:
        weights: Of a model whose modality is strokes.
    """

    weights: Weights

    @classmethod
    def load(cls, name: str | Path) -> "Sketcher":
        """Load weights by folder, or by name below ``weights/``.

        Raises:
            models.training.checkpoint.WeightsError: Missing, damaged, or of a model of pixels.
        """
        weights = load_weights(find_weights(name))
        _ = weights.strokes  # pixels are refused here, and not in the middle of the work
        return cls(weights)

    @property
    def model(self) -> StrokeModel:
        """The model, as one of strokes."""
        return cast("StrokeModel", self.weights.model)

    @property
    def decoder(self) -> StrokeDecoder:
        """The model, as one with a vector for each drawing.

        Raises:
            NoVectorError: It has none.
        """
        if not isinstance(self.weights.model, StrokeDecoder):
            raise NoVectorError(
                f"A {self.weights.name} has no single vector of a drawing, so drawings can be "
                "neither mixed nor added with it. Use weights of a sketch_rnn."
            )
        return self.weights.model

    def sample(self, n: int, *, seed: int, temperature: float) -> list[Points]:
        """``n`` new drawings, (K, 3) each."""
        generator = torch.Generator().manual_seed(seed)
        return self._out(self.model.sample(n, generator=generator, temperature=temperature))

    def complete(self, started: Points, n: int, *, seed: int, temperature: float) -> list[Points]:
        """``n`` drawings that begin with the points given, which stay as they are.

        Raises:
            ValueError: There is no room for another point.
        """
        rows = self._in([started])[0, : len(started)]  # (K, 5), none of them ended
        generator = torch.Generator().manual_seed(seed)
        drawn = self.model.finish(rows, n, generator=generator, temperature=temperature)
        return self._out(drawn)

    def interpolate(
        self, start: Points, end: Points, steps: int, *, seed: int, temperature: float
    ) -> list[Points]:
        """Drawings of the vectors on the sphere's way from one drawing to another."""
        with torch.inference_mode():
            first, last = self.decoder.encode(self._in([start, end]))[0]
        return self._decode(spherical(first, last, steps), seed, temperature)

    def combine(
        self, terms: Sequence[tuple[int, Points]], n: int, *, seed: int, temperature: float
    ) -> list[Points]:
        """``n`` drawings of the sum of drawings' vectors, each with its sign.

        Args:
            terms: Signs, 1 or -1, and drawings.
            n: How many.
            seed: Of the draws.
            temperature: Of the pen.
        """
        signs = torch.tensor([float(sign) for sign, _ in terms]).unsqueeze(1)
        with torch.inference_mode():
            mean, _ = self.decoder.encode(self._in([points for _, points in terms]))
            together = (signs * mean).sum(0, keepdim=True)  # (1, D)
        return self._decode(together.expand(n, -1), seed, temperature)

    def fit(self, points: Points) -> Points:
        """A drawing scaled to the size of the training drawings."""
        return self.weights.strokes.fit(points)

    def _decode(self, z: Tensor, seed: int, temperature: float) -> list[Points]:
        generator = torch.Generator().manual_seed(seed)
        return self._out(self.decoder.decode(z, generator=generator, temperature=temperature))

    def _in(self, sketches: Sequence[Points]) -> Tensor:
        """Drawings (K, 3) as rows (B, N_max, 5)."""
        strokes = self.weights.strokes
        scaled = [strokes.apply(points) for points in sketches]
        return stack_sketches(scaled, strokes.max_points)

    def _out(self, drawn: Tensor) -> list[Points]:
        undo = self.weights.strokes.undo
        return [undo(to_three(rows)) for rows in drawn.cpu().numpy()]


def read_strokes(data: bytes, name: str) -> Points:
    """The one drawing in a file's bytes, SVG or JSON by its name's ending: (N, 3).

    Raises:
        StrokeError: Another ending, pixels above all; several drawings; or nothing that can be
            read.
    """
    ending = Path(name).suffix.lower()
    if ending == ".svg":
        return read_svg(data)
    if ending == ".json":
        sketches = read_json(data)
        if len(sketches) > 1:
            raise StrokeError(f"{name} holds {len(sketches)} sketches; give one.")
        return sketches[0]
    raise StrokeError(
        f"{name} is no file of strokes: expected .svg or .json. A stroke model takes what a pen "
        "did, not pixels."
    )


def form_of(path: Path) -> Form:
    """What to write to a file, by its ending.

    Raises:
        StrokeError: None of svg, json, png.
    """
    ending = path.suffix.lower().removeprefix(".")
    if ending not in ("svg", "json", "png"):
        raise StrokeError(f"Sketches are written as .svg, .json or .png; found '{path.name}'.")
    return cast("Form", ending)


def render(
    sketches: Sequence[Points], form: Form, *, given: int = 0, columns: int | None = None,
    **facts: Any,
) -> bytes:  # fmt: skip
    """Drawings as the bytes of a file.

    Args:
        sketches: (N, 3) each.
        form: SVG and PNG are sheets of all; JSON has every point.
        given: In PNG, so many first points are red.
        columns: Of a sheet; without it nearly square.
        facts: What JSON also says.
    """
    if form == "json":
        return (write_json(sketches, **facts) + "\n").encode()
    if form == "svg":
        return write_svg(sketches, columns=columns).encode()
    file = BytesIO()
    draw_sheet(sketches, given=given, columns=columns).save(file, "PNG")
    return file.getvalue()


def shorten(points: Points, epsilon: float) -> Points:
    """A drawing with fewer points, if a distance is given."""
    return simplify(points, epsilon) if epsilon > 0 else points
