"""Attention by a grid of Gaussian filters (Gregor et al., 2015): an N x N glimpse of a picture.

All places here are counted from 0, as arrays are. The paper counts from 1: its grid i - N/2 - 1/2
is symmetric for i from 1 to N only, and taken with i from 0 it looks a whole stride too far to the
left and up.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class Glimpse(NamedTuple):
    """Where a grid of N x N filters lies, in pixels counted from 0, and how strongly it acts.

    Attributes:
        row, column: The grid's centre, each (B,); (side - 1) / 2 is the picture's.
        stride: Pixels between neighbouring filters (B,).
        sigma: Standard deviation of the filters in pixels (B,).
        gain: Factor on what is read, and its inverse on what is written (B,).
    """

    row: Tensor
    column: Tensor
    stride: Tensor
    sigma: Tensor
    gain: Tensor


def place_glimpse(numbers: Tensor, side: int, grid: int) -> Glimpse:
    """A glimpse from five numbers of a network, all picture for zeros: (B, 5) -> (B,) each.

    The centre is at -1 and 1 just outside the picture, as in the paper; stride, sigma and gain are
    exponentials, the stride 1 at the width that covers the picture.

    Args:
        numbers: Column, row, log variance, log stride and log gain, in the paper's order.
        side: Of the picture.
        grid: N, at least 2.
    """
    column, row, log_var, log_stride, log_gain = numbers.unbind(1)
    half = (side + 1) / 2
    log_stride, log_gain = log_stride.clamp(-5, 5), log_gain.clamp(-5, 5)  # else exp can overflow
    return Glimpse(
        half * (row + 1) - 1,  # the paper's (side + 1) / 2 (g + 1), less the one it counts from
        half * (column + 1) - 1,
        (side - 1) / (grid - 1) * log_stride.exp(),
        # Bounded: a filter far narrower than a pixel has no gradient, a far wider one no place.
        (0.5 * log_var).exp().clamp(0.1, float(side)),
        log_gain.exp(),
    )


def filters(centre: Tensor, stride: Tensor, sigma: Tensor, side: int, grid: int) -> Tensor:
    """One Gaussian for each line of the grid, over the pixels of a side: (B,) x 3 -> (B, N, side).

    Each sums to 1 over the pixels. The means lie symmetrically about the centre:
    centre + (i - (N - 1) / 2) stride for i from 0 to N - 1.
    """
    offsets = torch.arange(grid, device=centre.device, dtype=centre.dtype) - (grid - 1) / 2
    means = centre[:, None] + offsets * stride[:, None]  # (B, N)
    pixels = torch.arange(side, device=centre.device, dtype=centre.dtype)
    gaps = (pixels - means[:, :, None]) / sigma[:, None, None]
    # A softmax is the normalised Gaussian, and does not vanish where all pixels are far away.
    return F.softmax(-0.5 * gaps.square(), 2)


def _both(at: Glimpse, side: int, grid: int) -> tuple[Tensor, Tensor]:
    """The filters of the rows and of the columns, two of (B, N, side)."""
    return (
        filters(at.row, at.stride, at.sigma, side, grid),
        filters(at.column, at.stride, at.sigma, side, grid),
    )


def read(pictures: Tensor, at: Glimpse, grid: int) -> Tensor:
    """What the filters see: (B, C, side, side) -> (B, C, N, N)."""
    rows, columns = _both(at, pictures.shape[-1], grid)
    seen = rows[:, None] @ pictures @ columns[:, None].transpose(2, 3)
    return at.gain[:, None, None, None] * seen


def write(patch: Tensor, at: Glimpse, side: int) -> Tensor:
    """A patch put where the filters lie: (B, C, N, N) -> (B, C, side, side)."""
    rows, columns = _both(at, side, patch.shape[-1])
    put = rows[:, None].transpose(2, 3) @ patch @ columns[:, None]
    return put / at.gain[:, None, None, None]
