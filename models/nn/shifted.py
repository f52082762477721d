"""The layers of PixelCNN++ (Salimans et al., 2017): causal by padding, halved and doubled.

Two streams use them: one sees whole rows (kernel ``DOWN``), the other nothing to the right of a
pixel (``DOWN_RIGHT``). Both see the pixel itself: what they are given is shifted at the entrance.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.nn.dropout import keep

DOWN, DOWN_RIGHT = (2, 3), (2, 2)  # the kernels of the two streams


def concat_elu(x: Tensor) -> Tensor:
    """ELU of a feature and of its negative: (B, C, H, W) -> (B, 2C, H, W)."""
    return F.elu(torch.cat([x, -x], 1))


class ShiftedConv2d(nn.Module):
    """A convolution that sees the row above and its own: as far right as left, or not at all right.

    Args:
        inputs: Channels.
        outputs: Channels.
        kernel: ``DOWN``, ``DOWN_RIGHT`` or a part of one.
        stride: 2 halves the map: pixel (i, j) of the result stands at (2i, 2j).
    """

    def __init__(self, inputs: int, outputs: int, kernel: tuple[int, int], stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride)
        height, width = kernel
        right = width // 2 if width % 2 else 0
        self.padding = (width - 1 - right, right, height - 1, 0)  # left, right, above, below

    def forward(self, x: Tensor) -> Tensor:
        """(B, I, H, W) -> (B, O, H / stride, W / stride)."""
        out: Tensor = self.conv(F.pad(x, self.padding))
        return out


class Doubling(nn.Module):
    """The transposed convolution that undoes a stride of 2, with the same kernel.

    Rows 2i and 2i + 1 come of row i. Columns 2j and 2j + 1 come of column j, and down 2j + 1 of
    column j + 1 as well.

    Args:
        width: Channels.
        kernel: ``DOWN`` or ``DOWN_RIGHT``.
    """

    def __init__(self, width: int, kernel: tuple[int, int]) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(width, width, kernel, 2)
        self.left = (kernel[1] - 1) // 2

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, 2H, 2W)."""
        out: Tensor = self.conv(x)
        return out[..., self.left : self.left + 2 * x.shape[3]]


class GatedBlock(nn.Module):
    """x + a * sigmoid(b), where a and b come of two convolutions and of what else is known.

    Args:
        width: Channels.
        kernel: ``DOWN`` or ``DOWN_RIGHT``.
        beside: Channels of what else is known: the other stream, a shortcut, or both.
        dropout: Probability that a feature between the convolutions is left out.
        classes: Labels that bias the gate.
    """

    def __init__(
        self, width: int, kernel: tuple[int, int], *, beside: int, dropout: float, classes: int
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.first = ShiftedConv2d(2 * width, width, kernel)
        self.beside = nn.Conv2d(2 * beside, width, 1, bias=False) if beside else None
        self.second = ShiftedConv2d(2 * width, 2 * width, kernel)
        self.condition = nn.Linear(classes, 2 * width, bias=False) if classes else None

    def forward(
        self, x: Tensor, beside: Tensor | None = None, *,
        condition: Tensor | None = None, generator: torch.Generator | None = None,
    ) -> Tensor:  # fmt: skip
        """(B, C, H, W), (B, E, H, W) and (B, classes) -> (B, C, H, W).

        Features are left out if there is a generator to choose them.
        """
        inner = self.first(concat_elu(x))
        if self.beside is not None and beside is not None:
            inner = inner + self.beside(concat_elu(beside))
        inner = concat_elu(inner)
        if generator is not None and self.dropout:
            inner = inner * keep(tuple(inner.shape), self.dropout, inner, generator)
        inner = self.second(inner)
        if self.condition is not None:
            inner = inner + self.condition(condition)[:, :, None, None]
        return x + F.glu(inner, 1)
