"""What stroke models are asked for, without HTTP and without a terminal.

Samples, completions, ways from one drawing to another, and arithmetic with drawings: strokes in,
strokes out, at the size of the training drawings.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from models.sketch_rnn import spherical
from models.strokes import (
    Points,
    to_three,
)
from models.training.checkpoint import Weights, find_weights, load_weights
from models.training.protocols import StrokeDecoder, StrokeModel
from models.training.strokes import stack_sketches
from service.brush import Brush
from service.stroke_sheets import StrokeDrawing


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

    def reconstruct(
        self, sketches: Sequence[Points], *, seed: int, temperature: float
    ) -> list[Points]:
        """Drawings, each drawn again from its vector alone."""
        with torch.inference_mode():
            mean, _ = self.decoder.encode(self._in(sketches))
        return self._decode(mean, seed, temperature)

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


def sketch_samples(brush: Brush, n: int) -> StrokeDrawing:
    """``n`` new drawings."""
    made = Sketcher(brush.weights).sample(n, seed=brush.seed, temperature=brush.temperature)
    return drawn_by(brush, made)


def drawn_by(
    brush: Brush, sketches: Sequence[Points], *, sent: Sequence[Points] = (), given: int = 0,
    columns: int | None = None,
) -> StrokeDrawing:  # fmt: skip
    """Drawings (N, 3) with what they were drawn by; the watch is told that they are ready."""
    brush.watch.progress(len(sketches), len(sketches), "draw")
    return StrokeDrawing(
        model=brush.weights.name,
        weights=brush.weights.folder.name,
        fingerprint=brush.weights.fingerprint,
        seed=brush.seed,
        temperature=brush.temperature,
        sketches=tuple(sketches),
        sent=tuple(sent),
        given=given,
        columns=columns,
    )
