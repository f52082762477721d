"""Row-wise sampling of PixelCNN++: strides, doublings and shortcuts included.

A scale has a row whenever its stride divides that of the picture. So rows differ in how many scales
take part in them, their phase: all of them in the first row, in every odd one the finest alone. A
coarser scale that takes no part gives the second of the two rows that it made of its last one.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from models.nn.shifted import Doubling, GatedBlock, ShiftedConv2d
from models.sampling.row_layers import Buffers, LastRows, OwnRow, concat_elu, weights


def _beside(block: GatedBlock) -> Tensor:
    """The weights of what else a block knows: (C, 2E), none for E = 0."""
    if block.beside is None:
        return block.first.conv.weight.new_zeros(block.first.conv.out_channels, 0).double()
    return block.beside.weight.detach()[:, :, 0, 0].double()


def _second_bias(block: GatedBlock, bias: Tensor, width: int, condition: Tensor | None) -> Tensor:
    """With what a label adds: (2C,) or (B * W, 2C)."""
    if block.condition is None or condition is None:
        return bias
    told = condition @ block.condition.weight.detach().double().T
    return (told + bias).repeat_interleave(width, 0)


def _activate(x: Tensor, into: Tensor) -> None:
    """ELU of a feature and of its negative: (N, C) -> into (B, W, 2C)."""
    C = x.shape[1]
    row = x.view(*into.shape[:2], C)
    into[..., :C].copy_(row)
    torch.neg(row, out=into[..., C:])
    F.elu_(into)


class DownBlock:
    """A gated block of the stream of whole rows.

    Args:
        block: The torch module.
        buffers: Where the rows are kept.
        width: W of its scale.
        condition: (B, classes), or None.
    """

    def __init__(
        self, block: GatedBlock, buffers: Buffers, width: int, condition: Tensor | None
    ) -> None:
        (w1, self._bias1), (w2, b2) = weights(block.first.conv), weights(block.second.conv)
        self._first = LastRows(w1, buffers, width, left=1)
        self._second = LastRows(w2, buffers, width, left=1)
        self._bias2 = _second_bias(block, b2, width, condition)
        self._beside = _beside(block).T.contiguous()

    def __call__(self, x: Tensor, activated: Tensor, shortcut: Tensor | None) -> Tensor:
        """A row (B * W, C), its ELUs and those of a shortcut (B * W, 2C) -> (B * W, C)."""
        self._first.push(activated)
        inner = self._first(self._bias1)
        if shortcut is not None:
            inner.addmm_(shortcut, self._beside)
        self._second.push(concat_elu(inner))
        return x + F.glu(self._second(self._bias2), 1)


class RightBlock:
    """A gated block of the stream that also sees what lies to the left.

    Attributes:
        given: (B, W, 2C), the ELUs of what it was last given.

    Args:
        block: The torch module.
        buffers: Where the rows are kept.
        width: W of its scale.
        condition: (B, classes), or None.
        shortcut: Whether a shortcut of the same stream comes beside the stream of the rows.
    """

    def __init__(
        self, block: GatedBlock, buffers: Buffers, width: int, condition: Tensor | None, *,
        shortcut: bool,
    ) -> None:  # fmt: skip
        (w1, self._bias1), (w2, b2) = weights(block.first.conv), weights(block.second.conv)
        C = len(w1)
        parts = _beside(block).reshape(C, 2, -1, C)  # of x and -x, rows' stream and shortcut
        self._rows = parts[:, :, 0].reshape(C, 2 * C).T.contiguous()
        beside = parts[:, :, 1].reshape(C, 2 * C) if shortcut else None
        self._first = OwnRow(w1[:, :, 1], buffers, width, beside=beside)
        self._second = OwnRow(w2[:, :, 1], buffers, width)
        self.given = self._first.own
        # The kernel sees as much of the row above as of its own: what that row has last shown it.
        self._above = [_rows_matrix(w1[:, :, 0]), _rows_matrix(w2[:, :, 0])]
        self._bias2 = _second_bias(block, b2, width, condition)
        self._bases = [buffers.zeros(width, k * C).flatten(0, 1) for k in (1, 2)]

    def begin(self, activated: Tensor) -> None:
        """What a row takes from above, and from the rows' stream there, by its ELUs (B * W, 2C)."""
        first, second = self._bases
        torch.addmm(self._bias1, self._first.seen, self._above[0], out=first)
        first.addmm_(activated, self._rows)
        torch.addmm(self._bias2, self._second.seen, self._above[1], out=second)

    def __call__(self, x: Tensor, shortcut: Tensor | None) -> Tensor:
        """A row (B * W, C) and the ELUs (B, W, 2C) of a shortcut -> (B * W, C)."""
        _activate(x, self._first.own)
        if shortcut is not None:
            self._first.beside.copy_(shortcut)
        _activate(self._first(self._bases[0]), self._second.own)
        return x + F.glu(self._second(self._bases[1]), 1)


def _rows_matrix(weight: Tensor) -> Tensor:
    """A kernel of one row (O, I, t) as a matrix (t * I, O)."""
    return weight.permute(2, 1, 0).reshape(-1, len(weight)).contiguous()


class Halving:
    """From a scale to the next coarser one, for both streams.

    Args:
        down: Of the rows' stream.
        right: Of the other one.
        buffers: Where the rows are kept.
        width: W of the finer scale.
    """

    def __init__(
        self, down: ShiftedConv2d, right: ShiftedConv2d, buffers: Buffers, width: int
    ) -> None:
        (wd, self._down_bias), (wr, self._right_bias) = weights(down.conv), weights(right.conv)
        self._down = LastRows(wd, buffers, width, left=1, stride=2)
        self._right = OwnRow(wr[:, :, 1], buffers, width, stride=2)
        self._above = _rows_matrix(wr[:, :, 0])
        self._base = buffers.zeros(width // 2, len(wr)).flatten(0, 1)

    def push(self, row: Tensor) -> None:
        """A row of the rows' stream of the finer scale."""
        self._down.push(row)

    def begin(self) -> Tensor:
        """-> a row of the rows' stream of the coarser scale, (B * W / 2, C)."""
        torch.addmm(self._right_bias, self._right.seen, self._above, out=self._base)
        return self._down(self._down_bias)

    def show(self, row: Tensor) -> None:
        """A row of the other stream of the finer scale: (B * W, C)."""
        own = self._right.own
        own.copy_(row.view(own.shape))

    def remember(self) -> None:
        """The shown row has no row of the coarser scale beside it, but one below it."""
        self._right.spread()

    def __call__(self) -> Tensor:
        """The row that was shown -> a row of the coarser scale, (B * W / 2, C)."""
        return self._right(self._base)


class Growing:
    """From a scale to the next finer one, of which each row gives two.

    Args:
        down: Of the rows' stream.
        right: Of the other one.
        buffers: Where the rows are kept.
        width: W of the coarser scale.
    """

    def __init__(self, down: Doubling, right: Doubling, buffers: Buffers, width: int) -> None:
        (wd, self._down_bias), (wr, right_bias) = weights(down.conv), weights(right.conv)
        C = len(wd)
        self._down = wd.permute(0, 2, 3, 1).reshape(C, -1).contiguous()  # (C, 2 * 3 * C)
        self._right = [wr[:, :, k].permute(0, 2, 1).reshape(C, -1).contiguous() for k in (0, 1)]
        self._right_bias = right_bias.repeat(2)
        self._shape = (buffers.batch, width, 2, 3, C)
        self._rows = buffers.zeros(2, width, 2, C)
        self._last = buffers.zeros(width, C).flatten(0, 1)
        self._second = buffers.zeros(width, 2 * C).flatten(0, 1)

    def begin(self, row: Tensor) -> Tensor:
        """A row (B * W, C) of the rows' stream -> the first of two, (B * 2W, C)."""
        taps = (row @ self._down).view(self._shape).permute(3, 0, 2, 1, 4)  # (3, B, 2, W, C)
        self._rows[:, :, :, 0] = taps[1]
        self._rows[:, :, :, 1] = taps[2]
        self._rows[:, :, :-1, 1] += taps[0, :, :, 1:]
        self._rows += self._down_bias
        return self._rows[:, 0].reshape(-1, row.shape[1])

    def begin_second(self) -> Tensor:
        """The second of the rows of the rows' stream; that of the other one is made as well."""
        torch.addmm(self._right_bias, self._last, self._right[1], out=self._second)
        return self._rows[:, 1].reshape(-1, self._last.shape[1])

    def __call__(self, row: Tensor) -> Tensor:
        """A row (B * W, C) of the other stream -> the first of two, (B * 2W, C)."""
        self._last.copy_(row)
        first = torch.addmm(self._right_bias, row, self._right[0])
        return first.view(-1, row.shape[1])

    def second(self) -> Tensor:
        """The second of them."""
        return self._second.view(-1, self._last.shape[1])


class Scale:
    """One resolution: the blocks on the way down, the coarser scale, the blocks on the way up.

    Args:
        model: A ``pixelcnn_pp``.
        number: 0 is the picture's own.
        buffers: Where the rows are kept.
        condition: (B, classes), or None.
    """

    def __init__(self, model: Any, number: int, buffers: Buffers, condition: Tensor | None) -> None:
        width = model.config.size // 2**number
        given = (buffers, width, condition)
        self._down = [DownBlock(block, *given) for block in model.down[number]]
        self._right = [RightBlock(b, *given, shortcut=False) for b in model.right[number]]
        self._down_again = [DownBlock(block, *given) for block in model.down_again[number]]
        self._right_again = [
            RightBlock(b, *given, shortcut=True) for b in model.right_again[number]
        ]
        self._coarser: Scale | None = None
        if number + 1 < model.config.scales:
            self._coarser = Scale(model, number + 1, buffers, condition)
            self._halving = Halving(
                model.halve_down[number], model.halve_right[number], buffers, width
            )
            self._growing = Growing(
                model.double_down[number], model.double_right[number], buffers, width // 2
            )
            self._last = buffers.zeros(width, 2 * model.config.width)

    def begin(self, coarser: int, x: Tensor) -> Tensor:
        """A row of the rows' stream, down and up again, and what the other one takes from it.

        Args:
            coarser: How many coarser scales have a row here.
            x: (B * W, C).

        Returns:
            (B * W, C), for the next finer scale.
        """
        shortcuts = [concat_elu(x)]
        for down, right in zip(self._down, self._right, strict=True):
            x = down(x, shortcuts[-1], None)
            shortcuts.append(concat_elu(x))
            right.begin(shortcuts[-1])
        if self._coarser is None:
            shortcuts.pop()
        else:
            self._halving.push(x)
            if coarser:
                row = self._coarser.begin(coarser - 1, self._halving.begin())
                x = self._growing.begin(row)
            else:
                x = self._growing.begin_second()
        activated = concat_elu(x)
        for down, right in zip(self._down_again, self._right_again, strict=True):
            x = down(x, activated, shortcuts.pop())
            activated = concat_elu(x)
            right.begin(activated)
        return x

    def __call__(self, coarser: int, x: Tensor) -> Tensor:
        """The row of the other stream, down and up again: (B * W, C) -> the same shape."""
        shortcuts = []
        for right in self._right:
            x = right(x, None)
            shortcuts.append(right.given)  # the ELUs of what it was given
        if self._coarser is not None:
            _activate(x, self._last)
            shortcuts.append(self._last)
            self._halving.show(x)
            if coarser:
                x = self._growing(self._coarser(coarser - 1, self._halving()))
            else:
                self._halving.remember()
                x = self._growing.second()
        for right in self._right_again:
            x = right(x, shortcuts.pop())
        return x


class StridedRows:
    """A PixelCNN++.

    Attributes:
        row: (B, W, C), the guess.
        buffers: All that outlives a call.
        phases: How many kinds of rows there are.

    Args:
        model: A ``pixelcnn_pp``.
        batch: How many pictures are drawn.
        condition: (B, classes), or None.
    """

    def __init__(self, model: Any, batch: int, condition: Tensor | None) -> None:
        (wd, bd), (wa, ba), (wl, bl) = (
            weights(first.conv) for first in (model.first_down, model.first_above, model.first_left)
        )
        C, inputs = wd.shape[:2]
        size, self.phases = model.config.size, model.config.scales
        self.buffers = Buffers(batch, wd.device)
        # All is shifted with its bias, which so belongs to the channel of ones, the last one.
        wd[:, -1, 1, 1] += bd
        above = torch.zeros_like(wd)  # of the other stream: the row above, three columns
        above[:, :, 1] = wa[:, :, 0]
        above[:, -1, 1, 1] += ba
        above[:, :, 1, 0] += wl[:, :, 0, 0]
        own = wl.new_zeros(C, inputs, 2)  # the pixel to the left, and nothing of the pixel itself
        own[:, :, 0] = wl[:, :, 1, 0]
        own[:, -1, 0] += bl
        self._own = OwnRow(own, self.buffers, size)
        self._above = LastRows(torch.cat([wd, above]), self.buffers, size, left=1)
        self.row, self._ones = torch.split(self._own.own, [inputs - 1, 1], 2)
        self._nothing = wd.new_zeros(2 * C)
        self._base = self.buffers.zeros(size, C).flatten(0, 1)
        given = None if condition is None else condition.double()
        self._scale = Scale(model, 0, self.buffers, given)
        out, self._bias = weights(model.out)
        self._out = out[:, :, 0, 0].T.contiguous()

    def phase(self, i: int, /) -> int:
        """How many coarser scales have a row beside row ``i``."""
        return next((k for k in range(self.phases - 1) if i >> k & 1), self.phases - 1)

    def begin(self, phase: int, _i: Tensor, /) -> None:
        """The stream of whole rows, and what the other one takes from it and from above."""
        self._above.push(self._own.own)
        self._ones.fill_(1.0)
        down, right = self._above(self._nothing).chunk(2, 1)
        self._base.copy_(right)
        self._scale.begin(phase, down)

    def params(self, phase: int, /) -> Tensor:
        """Of all values of the row, given the guess: (B * W, P)."""
        x = self._scale(phase, self._own(self._base))
        return torch.addmm(self._bias, F.elu(x), self._out)
