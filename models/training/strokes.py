"""Drawings in memory, ready to be trained on; and what every stroke model does with rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from models.strokes import Points, StrokeError, StrokePreprocessing, StrokeSet, to_five
from models.strokes.augment import Augment
from models.strokes.formats import DOWN, ENDED
from models.strokes.preprocessing import extent_of, offset_deviation
from models.training.parts import Part


@dataclass(frozen=True, slots=True)
class StrokeTensors:
    """N drawings at the scale that the model sees.

    Attributes:
        sketches: (K, 3) each.
        preprocessing: Their scale, and the most points.
        augment: What changes when they are drawn for a step.
        digest: Hash of all drawings, to notice on resuming that they changed.
        left_out: Drawings with too many points.
        parts: One source.
    """

    noun: ClassVar[str] = "sketch"

    sketches: tuple[Points, ...]
    preprocessing: StrokePreprocessing
    augment: Augment
    digest: str
    left_out: int = 0
    parts: tuple[Part, ...] = ()

    def __len__(self) -> int:
        """The number of drawings."""
        return len(self.sketches)

    @property
    def groups(self) -> Tensor:
        """(N,): each drawing is an item."""
        return torch.arange(len(self.sketches))

    def draw(self, index: Tensor, seed: int) -> Tensor:
        """Augmented drawings: (B,) numbers -> (B, N_max, 5)."""
        random = np.random.default_rng(seed)
        drawn = [self.augment.apply(self.sketches[n], random) for n in index.tolist()]
        return stack_sketches(drawn, self.preprocessing.max_points)

    def plain(self, index: Tensor) -> Tensor:
        """Drawings as they are: (B,) numbers -> (B, N_max, 5)."""
        chosen = [self.sketches[n] for n in index.tolist()]
        return stack_sketches(chosen, self.preprocessing.max_points)

    def describe(self) -> dict[str, Any]:
        """What metrics.json says of them."""
        return {
            "sketches": len(self),
            "sketches_left_out": self.left_out,
            "sketches_digest": self.digest,
        }


def load_strokes(sets: Sequence[StrokeSet], *, max_points: int, augment: Augment) -> StrokeTensors:
    """Drawings of one or more files as training data; those that are too long are left out.

    Args:
        sets: Their train splits; the scale is that of all their offsets.
        max_points: N_max.
        augment: What changes in a step.

    Raises:
        StrokeError: None is short enough.
    """
    everything = [points for one in sets for points in one.list()]
    kept = [points for points in everything if len(points) <= max_points]
    if not kept:
        raise StrokeError(
            f"Each of {len(everything):,} sketches has more than {max_points} points. Give more "
            "room: --set max_points=N."
        )
    joined = np.concatenate(kept)
    extent = float(np.median([extent_of(points) for points in kept]))
    preprocessing = StrokePreprocessing(offset_deviation(joined), max_points, extent)
    digest = sha256(joined.tobytes() + str([len(points) for points in kept]).encode())
    return StrokeTensors(
        sketches=tuple(preprocessing.apply(points) for points in kept),
        preprocessing=preprocessing,
        augment=augment,
        digest=digest.hexdigest(),
        left_out=len(everything) - len(kept),
    )


def stack_sketches(sketches: Sequence[Points], length: int) -> Tensor:
    """Drawings (K, 3) as rows of the 5-element format: (B, length, 5)."""
    return torch.from_numpy(np.stack([to_five(points, length) for points in sketches]))


def stroke_lengths(x: Tensor) -> Tensor:
    """Points before the end: (B, T, 5) -> (B,)."""
    return (x[..., ENDED].cumsum(1) == 0).sum(1)


def shift_strokes(x: Tensor) -> Tensor:
    """What is known before each row: (B, T, 5) -> the same, one later, (0, 0, 1, 0, 0) first."""
    first = torch.zeros_like(x[:, :1])
    first[..., DOWN] = 1
    return torch.cat([first, x[:, :-1]], 1)


def pad_strokes(x: Tensor, length: int) -> Tensor:
    """(B, T, 5) -> (B, length, 5), with ended rows added, or taken away.

    Raises:
        ValueError: A drawing has more points than that.
    """
    T = x.shape[1]
    if length < T and bool((x[:, length:, ENDED] == 0).any()):
        raise ValueError(
            f"A sketch has more than the {length} points that this model takes; simplify it."
        )
    if length <= T:
        return x[:, :length]
    rest = x.new_zeros(len(x), length - T, 5)
    rest[..., ENDED] = 1
    return torch.cat([x, rest], 1)
