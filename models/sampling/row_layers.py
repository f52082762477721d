"""Convolutions in raster order on torch, a row at a time: what lies above once, the own row often.

A row is guessed, and computed again until it stays as it is. What it takes from the rows above
does not change meanwhile: that is computed once, at its beginning. Maps are rows of pixels,
(B * W, C) in float64. Whatever outlives a call lies in a buffer that is made once and written in
place, so that the calls can be captured as CUDA graphs: see ``models.sampling.graphed``.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.nn.masked import CausalConv2d


def weights(conv: nn.Module) -> tuple[Tensor, Tensor]:
    """Weight (O, I, h, w), masked where the layer masks it, and bias (O,), in float64.

    Of a transposed convolution torch keeps the weight as (I, O, h, w), and so it comes.
    """
    assert isinstance(conv, nn.Conv2d | nn.ConvTranspose2d | CausalConv2d)
    assert conv.bias is not None
    with torch.no_grad():  # copies, as callers write into them
        weight = conv.weight * conv.mask if isinstance(conv, CausalConv2d) else conv.weight
        return weight.to(torch.float64, copy=True), conv.bias.to(torch.float64, copy=True)


def dense(conv: nn.Module) -> tuple[Tensor, Tensor]:
    """A convolution of 1 x 1 as a bias (O,) and a matrix (I, O), as ``addmm`` wants them."""
    weight, bias = weights(conv)
    return bias, weight[:, :, 0, 0].T.contiguous()


def concat_elu(x: Tensor) -> Tensor:
    """ELU of a feature and of its negative: (N, C) -> (N, 2C)."""
    return F.elu(torch.cat([x, -x], 1))


class Buffers:
    """Makes zeros, and makes them zero again.

    Args:
        batch: B.
        device: Where they lie.
    """

    def __init__(self, batch: int, device: torch.device) -> None:
        self.batch = batch
        self._device = device
        self._made: list[Tensor] = []

    def zeros(self, *shape: int) -> Tensor:
        """(B, *shape) in float64."""
        made = torch.zeros(self.batch, *shape, dtype=torch.float64, device=self._device)
        self._made.append(made)
        return made

    def clear(self) -> None:
        """All as before the first row."""
        for made in self._made:
            made.zero_()


class LastRows:
    """The last rows of a map, between zeros, and what a kernel makes of them.

    Args:
        weight: (O, I, h, w); the last of its h rows meets the row that came last.
        buffers: Where the rows are kept.
        width: W.
        left: How many columns the kernel reaches to the left.
        stride: Every how many columns there is a result.
    """

    def __init__(
        self, weight: Tensor, buffers: Buffers, width: int, *, left: int, stride: int = 1
    ) -> None:
        outputs, inputs, height, w = weight.shape
        rows = buffers.zeros(height, width + w - 1, inputs)
        across, up, along, deep = rows.stride()
        self._field = rows.as_strided(
            (buffers.batch, width // stride, height, w, inputs),
            (across, stride * along, up, along, deep),
        )
        self._rows = rows.unbind(1)
        self._last = rows[:, -1, left : left + width]
        self._matrix = weight.permute(2, 3, 1, 0).reshape(-1, outputs).contiguous()

    def push(self, row: Tensor) -> None:
        """The next row: (B * W, I) or (B, W, I)."""
        for above, below in zip(self._rows, self._rows[1:], strict=False):
            above.copy_(below)
        self._last.copy_(row.reshape(self._last.shape))

    def __call__(self, base: Tensor, out: Tensor | None = None) -> Tensor:
        """What is added, (O,) or (B * W, O) -> (B * W / stride, O)."""
        patches = self._field.reshape(-1, len(self._matrix))
        return torch.addmm(base, patches, self._matrix, out=out)


class OwnRow:
    """The row itself: each pixel's features, and those of its neighbours to the left, side by side.

    Attributes:
        own: (B, W, I), where the features of the row are written before a call.
        beside: (B, W, E), further features of a pixel.
        seen: (B * W / stride, t * I), what the kernel sees of the row after a call.

    Args:
        weight: (O, I, t), whose last column meets the pixel itself.
        buffers: Where the row is kept.
        width: W.
        beside: (O, E), the weights of the further features.
        stride: Every how many columns there is a result.
    """

    def __init__(
        self, weight: Tensor, buffers: Buffers, width: int, *, beside: Tensor | None = None,
        stride: int = 1,
    ) -> None:  # fmt: skip
        outputs, inputs, taps = weight.shape
        extra = 0 if beside is None else beside.shape[1]
        cells = buffers.zeros(width, extra + taps * inputs)
        self.beside, self.own = cells[..., :extra], cells[..., -inputs:]
        neighbours = torch.unflatten(cells[..., extra:], 2, (taps, inputs))  # (B, W, t, I)
        self._copies = [
            (neighbours[:, k:, taps - 1 - k], self.own[:, : width - k])
            for k in range(1, min(taps, width))
        ]
        self._patches = cells[:, ::stride].reshape(-1, cells.shape[2])
        self.seen = self._patches[:, extra:]
        self._matrix = weight.permute(2, 1, 0).reshape(-1, outputs).contiguous()
        if beside is not None:
            self._matrix = torch.cat([beside.T, self._matrix])

    def spread(self) -> None:
        """Tell every pixel of its neighbours."""
        for place, features in self._copies:
            place.copy_(features)

    def __call__(self, base: Tensor) -> Tensor:
        """What is added, (O,) or (B * W, O) -> (B * W / stride, O)."""
        self.spread()
        return torch.addmm(base, self._patches, self._matrix)


class CausalRow:
    """A convolution that reaches up, and in its own row no further than to the pixel.

    Attributes:
        own: The row itself.

    Args:
        weight: (O, I, h, w), of which the columns after the pixel's are not looked at in the last
            row.
        bias: (O,).
        buffers: Where the rows are kept.
        width: W.
        left: How many columns the kernel reaches to the left.
    """

    def __init__(
        self, weight: Tensor, bias: Tensor, buffers: Buffers, width: int, *, left: int
    ) -> None:
        self.own = OwnRow(weight[:, :, -1, : left + 1], buffers, width)
        self._above = LastRows(weight[:, :, :-1], buffers, width, left=left)
        self._bias = bias
        self._base = buffers.zeros(width, len(bias)).flatten(0, 1)

    def begin(self) -> None:
        """The row is done: it lies above the next one."""
        self._above.push(self.own.own)
        self._above(self._bias, out=self._base)

    def __call__(self) -> Tensor:
        """The row: (B * W, O)."""
        return self.own(self._base)
