"""LSTMs in two dimensions (van den Oord et al., 2016): by rows, and by diagonals from both sides.

The gates of a layer come from its input, by a masked convolution over the whole picture, and from
the states of neighbours that were read before:

    (o, f, i, g) = input to state + state to state     c' = f c + i g     h = o tanh(c')

A row, or a diagonal, is one step for all pictures of a batch, so a picture of H x W pixels takes H
steps, or H + W - 1, and not H W. While a picture is drawn, ``draw`` gives the same for one pixel,
and states are remembered from pixel to pixel.
"""

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.nn.gated import shift_down
from models.nn.masked import CausalConv2d, Colours
from models.nn.precision import at_least_float32

Pair = tuple[Tensor, Tensor]


class Memory(NamedTuple):
    """The states of a layer while a picture is drawn, with zeros above and on both sides.

    Pixel (i, j) lies at (i + 1, j + 1).

    Attributes:
        h: (D, B, H + 1, W + 2, h) outputs, D directions.
        c: Cells, of the same shape.
    """

    h: Tensor
    c: Tensor


class LSTM2d(nn.Module):
    """What both kinds share: gates of the input, masked, and gates of the states of neighbours.

    From states to states nothing is masked: a neighbour's pixel is drawn before, all its colours.
    Where a picture ends, states are zero.

    Args:
        outer: The colour of each input channel.
        inner: The colour of each of the h channels of a state.
        kernel: Width of the convolution from input to state, along the row.
        neighbours: Of how many states a state is made.
        directions: Times the picture is read, each with weights of its own.
    """

    def __init__(
        self, outer: Colours, inner: Colours, *, kernel: int, neighbours: int, directions: int
    ) -> None:
        super().__init__()
        h = self.hidden = len(inner)
        self.reach = kernel // 2
        self.directions = directions
        # All four gates of every direction hold the colours in the same order.
        self.gates = CausalConv2d(outer, inner * 4 * directions, kernel, own=True, row=True)
        bound = (neighbours * h) ** -0.5
        self.states = nn.Parameter(torch.empty(directions, neighbours * h, 4 * h))
        nn.init.uniform_(self.states, -bound, bound)
        with torch.no_grad():  # remembers at first, so that gradients reach far
            assert self.gates.bias is not None
            self.gates.bias.view(directions, 4, h)[:, 1] += 1

    def remember(self, x: Tensor) -> Memory:
        """Nothing yet of pictures (B, C, H, W)."""
        B, _, H, W = x.shape
        shape = (self.directions, B, H + 1, W + 2, self.hidden)
        return Memory(self.states.new_zeros(shape), self.states.new_zeros(shape))

    def at(self, x: Tensor, i: int, j: int) -> Tensor:
        """Gates of the input at one pixel: (B, I, H, W) -> (D, B, 4h)."""
        left = max(0, j - self.reach)
        here: Tensor = self.gates(x[:, :, i : i + 1, left : j + 1])[:, :, 0, -1]  # (B, 4Dh)
        return here.reshape(len(x), self.directions, -1).transpose(0, 1)


class RowLSTM(LSTM2d):
    """Row by row: a state is made of the three above it and remembers the one above."""

    def __init__(self, outer: Colours, inner: Colours, kernel: int) -> None:
        super().__init__(outer, inner, kernel=kernel, neighbours=3, directions=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, I, H, W) -> (B, h, H, W)."""
        gates = self.gates(x).permute(2, 0, 3, 1).contiguous()  # (H, B, W, 4h)
        h = c = self.states.new_zeros(*gates.shape[1:3], self.hidden)
        rows = []
        for row in gates.unbind(0):
            wide = F.pad(h, (0, 0, 1, 1))
            # A convolution of width 3 over the row above, as one product.
            near = torch.cat([wide[:, :-2], wide[:, 1:-1], wide[:, 2:]], 2)  # (B, W, 3h)
            h, c = lstm_cell(row + near @ self.states[0], c)
            rows.append(h)
        return torch.stack(rows, 2).permute(0, 3, 2, 1)

    def draw(self, x: Tensor, memory: Memory, i: int, j: int) -> Tensor:
        """The output at a pixel whose earlier ones are remembered: (B, I, H, W) -> (B, h)."""
        h, c = memory.h[0], memory.c[0]
        near = h[:, i, j : j + 3].flatten(1)  # the row above
        found = lstm_cell(self.at(x, i, j)[0] + near @ self.states[0], c[:, i, j + 1])
        h[:, i + 1, j + 1], c[:, i + 1, j + 1] = found
        return found[0]

    def end_row(self, x: Tensor, memory: Memory, i: int) -> None:
        """All of a row is remembered as soon as it is drawn."""


class DiagonalBiLSTM(LSTM2d):
    """Diagonal by diagonal: a state is made of those above and beside it, and remembers the latter.

    From the left, and from the right with the map shifted down by one row. The pixels of a diagonal
    do not need one another, so they are one step. Instead of a skewed map, half of which would be
    empty, the pixels are put in the order of their diagonals.
    """

    def __init__(self, outer: Colours, inner: Colours) -> None:
        super().__init__(outer, inner, kernel=1, neighbours=2, directions=2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, I, H, W) -> (B, h, H, W)."""
        B, _, H, W = x.shape
        orders, places, lengths = diagonals(H, W, x.device)
        gates = self._from_input(x, orders)
        h = c = self.states.new_zeros(2, 2, B, self.hidden)
        found = []
        # (2, LB, 4h): a diagonal of L pixels, row by row.
        for number, diagonal in enumerate(torch.split(gates, [n * B for n in lengths], 1)):
            # h and c begin one row above the diagonal, so [:-1] lies above and [1:] beside it.
            # A convolution of width 2 down the skewed column, as one product for each direction.
            near = torch.cat([h[:, :-1], h[:, 1:]], 3).flatten(1, 2)  # (2, LB, 2h)
            now = torch.baddbmm(diagonal, near, self.states)
            h, c = lstm_cell(now.view(2, -1, B, 4 * self.hidden), c[:, 1:])
            found.append(h)
            # Zeros beyond the picture: above it, until the top right corner; beside it, until the
            # bottom left one.
            ends = (0, 0, 0, 0, int(number + 1 < W), int(number + 1 < H))
            h, c = F.pad(h, ends), F.pad(c, ends)
        maps = torch.cat(found, 1)  # (2, HW, B, h)
        left, right = (
            part.index_select(0, place).view(H, W, B, -1).permute(2, 3, 0, 1)
            for part, place in zip(maps, places, strict=True)
        )
        both: Tensor = left + shift_down(right)
        return both

    def _from_input(self, x: Tensor, orders: tuple[Tensor, Tensor]) -> Tensor:
        """Gates of the input, by diagonals for each direction: (B, I, H, W) -> (2, HWB, 4h).

        The convolution as a product, of pixels that are already in order: gates are twice as many
        numbers to put in order.
        """
        pixels = x.permute(2, 3, 0, 1).flatten(0, 1)  # (HW, B, I)
        ordered = torch.stack([pixels.index_select(0, order) for order in orders]).flatten(1, 2)
        weight = (self.gates.weight * self.gates.mask).view(2, 4 * self.hidden, -1)
        assert self.gates.bias is not None
        bias = self.gates.bias.view(2, 1, -1)
        gates: Tensor = torch.baddbmm(bias, ordered, weight.transpose(1, 2))
        return gates

    def draw(self, x: Tensor, memory: Memory, i: int, j: int) -> Tensor:
        """The output at a pixel whose earlier ones are remembered: (B, I, H, W) -> (B, h)."""
        return self._step(x, memory, i, j, 0) + memory.h[1, :, i, j + 1]

    def end_row(self, x: Tensor, memory: Memory, i: int) -> None:
        """Read a row that is drawn from its right end: (B, I, H, W)."""
        for j in reversed(range(x.shape[3])):
            self._step(x, memory, i, j, 1)

    def _step(self, x: Tensor, memory: Memory, i: int, j: int, direction: int) -> Tensor:
        h, c = memory.h[direction], memory.c[direction]
        beside = j + 2 * direction
        near = torch.cat([h[:, i, j + 1], h[:, i + 1, beside]], 1)
        gates = self.at(x, i, j)[direction] + near @ self.states[direction]
        found = lstm_cell(gates, c[:, i + 1, beside])
        h[:, i + 1, j + 1], c[:, i + 1, j + 1] = found
        return found[0]


def lstm_cell(gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Gates (..., 4h) and the cells remembered (..., h) -> output and cells, both (..., h)."""
    h = c.shape[-1]
    # What is added up over a whole picture is not kept in half precision.
    sigmoids, content = torch.split(at_least_float32(gates), [3 * h, h], -1)
    o, f, i = torch.sigmoid(sigmoids).chunk(3, -1)
    c = f * c + i * torch.tanh(content)
    return o * torch.tanh(c), c


def diagonals(H: int, W: int, device: torch.device) -> tuple[Pair, Pair, list[int]]:
    """The pixels by diagonals, and within one by rows.

    Returns:
        Two of (HW,), numbers of the pixels in this order, as seen from the top left and as seen
        from the top right; two of (HW,), the place of each pixel in these; and the lengths of the
        H + W - 1 diagonals.
    """
    # A step that is recorded cannot copy them to the device, so there they are kept.
    orders, places = _kept(H, W, device) if device.type == "cuda" else _as_tensors(H, W, device)
    return orders, places, [min(n, H - 1) - max(0, n - W + 1) + 1 for n in range(H + W - 1)]


@cache
def _kept(H: int, W: int, device: torch.device) -> tuple[Pair, Pair]:
    with torch.inference_mode(mode=False):  # gradients may be asked for later
        return _as_tensors(H, W, device)


def _as_tensors(H: int, W: int, device: torch.device) -> tuple[Pair, Pair]:
    orders, places = (
        tuple(torch.tensor(order, device=device) for order in pair) for pair in _orders(H, W)
    )
    return (orders[0], orders[1]), (places[0], places[1])


@cache
def _orders(H: int, W: int) -> tuple[tuple[list[int], list[int]], tuple[list[int], list[int]]]:
    """Both orders, and the places in them.

    Sorted here and not by torch: the order is a constant of the picture's size, also in an export.
    """
    pixels = range(H * W)
    left = sorted(pixels, key=lambda p: p // W + p % W)
    right = sorted(pixels, key=lambda p: p // W + W - 1 - p % W)
    left_places, right_places = (sorted(pixels, key=o.__getitem__) for o in (left, right))
    return (left, right), (left_places, right_places)
