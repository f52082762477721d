"""Drawings made of numbers, for tests of stroke models."""

import numpy as np
import torch
from torch import Tensor

from models.nn.pen import PenDistribution
from models.strokes import Points, StrokePreprocessing, StrokeSet, from_lines
from models.strokes.augment import Augment
from models.training.strokes import StrokeTensors, load_strokes


def polygon(rng: np.random.Generator, most: int = 12) -> Points:
    """A closed shape of a few corners, and sometimes a stroke beside it."""
    corners = int(rng.integers(3, most - 4))
    angle = np.linspace(0, 2 * np.pi, corners + 1) + rng.normal(0, 0.1)
    size = rng.uniform(20, 40)
    outline = size * np.stack([np.cos(angle), np.sin(angle)], 1) + rng.normal(0, 1, (len(angle), 2))
    lines = [outline.round()]
    if rng.random() < 0.5:
        lines.append(np.array([[-50.0, -10.0], [-50.0, 20.0]]) + rng.normal(0, 1, (2, 2)).round())
    return from_lines(lines)


def drawings(count: int, seed: int = 0, most: int = 12) -> list[Points]:
    """Several, the same for the same seed."""
    rng = np.random.default_rng(seed)
    return [polygon(rng, most) for _ in range(count)]


def stroke_tensors(count: int = 24, *, max_points: int = 16, seed: int = 0) -> StrokeTensors:
    """The same as training data."""
    return load_strokes([stroke_set(count, seed)], max_points=max_points, augment=Augment())


def stroke_set(count: int, seed: int = 0) -> StrokeSet:
    """The same as a split of a file."""
    made = drawings(count, seed)
    lengths = np.array([len(points) for points in made], np.int64)
    return StrokeSet(np.concatenate(made), lengths)


def stroke_preprocessing(max_points: int) -> StrokePreprocessing:
    """A scale as a training would find it."""
    return StrokePreprocessing(scale=20.0, max_points=max_points, extent=60.0)


def write_archive(path, *, train: int = 24, test: int = 8):
    """A file of drawings with two splits."""
    content = {}
    for split, count, seed in (("train", train, 0), ("test", test, 1)):
        found = stroke_set(count, seed)
        content |= {f"{split}_points": found.points, f"{split}_lengths": found.lengths}
    np.savez(path, **content)
    return path


def gather_draws(monkeypatch) -> list[Tensor]:
    """From now on, how probable each drawn row was: (B,) nats a row, in their order."""
    gathered: list[Tensor] = []
    draw = PenDistribution.draw

    def noted(pen: PenDistribution, generator: torch.Generator) -> Tensor:
        row = draw(pen, generator)
        state = row[..., 2:].argmax(-1, keepdim=True)  # of what cannot be, the logarithm is -inf
        moved = (state[..., 0] < 2) * pen.offset_log_prob(row[..., :2])
        gathered.append(moved + pen.log_states.gather(-1, state)[..., 0])
        return row

    monkeypatch.setattr(PenDistribution, "draw", noted)
    return gathered


def gathered_until_end(gathered: list[Tensor], lengths: Tensor) -> Tensor:
    """The sum over the rows of each drawing, up to and with its end: (B,)."""
    rows = torch.stack(gathered, 1)
    counted = torch.arange(rows.shape[1]) <= lengths.unsqueeze(1)
    return (rows * counted).sum(1)
