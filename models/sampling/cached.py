"""The loop of cached sampling: row by row, pixel by pixel, step by step."""

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from models.nn.onlookers import show
from models.sampling.calls import Array
from models.sampling.draws import drawing


class Walk(Protocol):
    """A network that is given a picture's values in their order, and says what it expects next."""

    def begin_row(self, i: int) -> None:
        """Compute what row ``i`` takes from the rows above, all of which were given."""
        ...

    def at(self, j: int, step: int) -> Array:
        """Parameters (B, P) of a step of the pixel in column ``j``; all before it were given."""
        ...

    def put(self, j: int, step: int, values: Array) -> None:
        """Give the values (B, C / steps) of that step."""
        ...


def walk_through(
    walk: Walk, likelihood: object, noise: Tensor, x: Tensor, known: Tensor, steps: int
) -> Tensor:
    """Draw a picture; the computation of a value is never repeated.

    Args:
        walk: The network, fresh.
        likelihood: Draws from its parameters.
        noise: (B, steps * N, H, W) in [0, 1), float64.
        x: (B, C, H, W) float64, the values of what is known.
        known: (B, 1, H, W) bool.
        steps: Of a pixel.

    Returns:
        (B, C, H, W) float64 on the processor.
    """
    B, C, H, W = x.shape
    draw, numbers = drawing(likelihood, _by_place(noise, steps))
    values = _by_place(x, steps)  # (H, W, steps, B, C / steps)
    given = known[:, 0].permute(1, 2, 0).cpu().numpy()[..., None]  # (H, W, B, 1)
    some = known[:, 0].any(0).tolist()

    def picture() -> Tensor:
        drawn = values.transpose(3, 2, 4, 0, 1).reshape(B, C, H, W)
        return torch.from_numpy(np.ascontiguousarray(drawn))

    with np.errstate(over="ignore", under="ignore"):  # an infinite exponential is a closed gate
        for i in range(H):
            walk.begin_row(i)
            for j in range(W):
                for step in range(steps):
                    drawn = draw(walk.at(j, step), numbers[i, j, step])
                    if some[i][j]:
                        drawn = np.where(given[i, j], values[i, j, step], drawn)
                    values[i, j, step] = drawn
                    walk.put(j, step, drawn)
            show(picture)
    return picture()


def _by_place(x: Tensor, steps: int) -> Array:
    """(B, steps * N, H, W) -> a copy (H, W, steps, B, N)."""
    B, channels, H, W = x.shape
    split = x.view(B, steps, channels // steps, H, W).permute(3, 4, 1, 0, 2)
    numbers: Array = split.contiguous().cpu().numpy().copy()
    return numbers
