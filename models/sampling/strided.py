"""Cached sampling of PixelCNN++: strides, doublings and shortcuts included.

A scale has a row whenever its stride divides that of the picture, and a pixel whenever it divides
the column as well. Then, between the way down and the way up through the finer scale, the coarser
one takes its step; what it gives serves four pixels of the finer one, and waits for three of them.
"""

from typing import Any

import numpy as np

from models.nn.shifted import Doubling, GatedBlock, ShiftedConv2d
from models.sampling.calls import ONE, Array, Calls, concat_elu, features, halves
from models.sampling.rows import PixelConv, RowConv, array
from models.sampling.stacks import kernel, ones_first


def _beside(block: GatedBlock) -> Array:
    """The weights of what else a block knows: (C, 2E), none for E = 0."""
    if block.beside is None:
        return np.zeros((block.first.conv.out_channels, 0))
    return array(block.beside.weight)[:, :, 0, 0]


def _biases(block: GatedBlock, condition: Array | None) -> tuple[Array, Array]:
    """Of both convolutions, with what a label adds: (C,) and (B or 1, 1, 2C)."""
    assert block.first.conv.bias is not None
    assert block.second.conv.bias is not None
    first, second = array(block.first.conv.bias), array(block.second.conv.bias)[None, None]
    if block.condition is not None:
        assert condition is not None
        second = second + (condition @ array(block.condition.weight).T)[:, None]
    return first, second


def _padded(batch: int, width: int, channels: int) -> Array:
    """A row for a kernel of three columns: (B, W + 2, C), zeros all over."""
    return np.zeros((batch, width + 2, channels))


class DownBlock:
    """A gated block of the stream of whole rows.

    Args:
        block: The torch module.
        batch: B.
        width: W of its scale.
        condition: (B, classes), or None.
    """

    def __init__(self, block: GatedBlock, batch: int, width: int, condition: Array | None) -> None:
        w1, _ = kernel(block.first.conv)
        w2, _ = kernel(block.second.conv)
        b1, self.bias = _biases(block, condition)
        self.first = RowConv(w1, b1, _padded(batch, width, w1.shape[1]), left=1)
        self.second = RowConv(
            w2, np.zeros(len(w2)), _padded(batch, width, w2.shape[1]), left=1
        )  # fmt: skip
        self.beside = _beside(block).T.copy()

        self.inner = features(self.second.input)

    def __call__(self, x: Array, activated: Array, shortcut: Array | None) -> Array:
        """A row (B, W, C), its ELUs (B, W, 2C) and those of a shortcut -> (B, W, C)."""
        self.first.input[:] = activated
        inner = self.first()
        if shortcut is not None:
            inner += shortcut @ self.beside
        concat_elu(inner, self.inner)
        both = self.second()
        both += self.bias
        value, gate = halves(both)
        np.negative(gate, out=gate)
        np.exp(gate, out=gate)
        gate += ONE
        out: Array = value / gate
        out += x
        return out


class RightBlock:
    """A gated block of the stream that also sees what lies to the left, pixel by pixel.

    Args:
        block: The torch module.
        batch: B.
        width: W of its scale.
        condition: (B, classes), or None.
        calls: Of the pixels.
        shortcut: Whether a shortcut of the same stream comes beside the stream of the rows.
    """

    def __init__(
        self, block: GatedBlock, batch: int, width: int, condition: Array | None, calls: Calls, *,
        shortcut: bool,
    ) -> None:  # fmt: skip
        self.calls = calls
        (w1, _), (w2, _) = kernel(block.first.conv), kernel(block.second.conv)
        b1, self.bias = _biases(block, condition)
        C = len(w1)
        # A gate's second half is negated: a sigmoid(b) = a / (1 + exp(-b)).
        self.sign = np.repeat([1.0, -1.0], C)
        w2 = w2 * self.sign[:, None, None, None]
        beside = _beside(block)
        parts = beside.reshape(C, 2, -1, C)  # of x and -x, the rows' stream and the shortcut
        self.rows = parts[:, :, 0].reshape(C, 2 * C).T.copy()
        self.first = PixelConv(
            w1[:, :, 1], batch, width, calls,
            beside=parts[:, :, 1].reshape(C, 2 * C) if shortcut else None,
        )  # fmt: skip
        self.second = PixelConv(w2[:, :, 1], batch, width, calls)
        self.above = [
            self.first.above(w1[:, :, :1], b1),
            self.second.above(w2[:, :, :1], np.zeros(2 * C)),
        ]
        self.first.base[:] = b1  # what there is above the first row
        self.second.base[:] = 0.0
        self.given = [self.first.row[:, j] for j in range(width)]
        self.cells = [
            (features(self.given[j]), self.first.beside[:, j], features(self.second.row[:, j]))
            for j in range(width)
        ]
        self.gate = halves(self.second.out[0])
        self.out = np.empty((batch, C))

    def begin_row(self, i: int, activated: Array) -> None:
        """What row ``i`` takes from above, and from the rows' stream there, by its ELUs."""
        if i:
            self.first.base[:] = self.above[0]()
            self.second.base[:] = self.above[1]()
        self.first.base += activated @ self.rows
        self.second.base += self.bias * self.sign

    def at(self, j: int, x: Array, shortcut: Array | None) -> Array:
        """Column ``j``: (B, C) and the ELUs (B, 2C) of a shortcut -> (B, C), overwritten next."""
        first, beside, second = self.cells[j]
        calls = self.calls
        calls.concat_elu(x, first)
        if shortcut is not None:
            calls.copy(shortcut, beside)
        calls.concat_elu(self.first.at(j), second)
        self.second.at(j)
        calls.sigmoid_gate(*self.gate, x, self.out)
        return self.out


class Halving:
    """From a scale to the next coarser one: rows of the one stream, pixels of the other."""

    def __init__(
        self, down: ShiftedConv2d, right: ShiftedConv2d, batch: int, width: int, calls: Calls
    ) -> None:
        self.calls = calls
        (wd, bd), (wr, self.bias) = kernel(down.conv), kernel(right.conv)
        row = _padded(batch, width, len(bd))
        nothing = np.zeros_like(bd)
        # Odd rows are the upper ones of the next even row's kernel.
        self.odd = RowConv(wd[:, :, :1], nothing, row, left=1, stride=2)
        self.even = RowConv(wd[:, :, 1:], bd, row, left=1, stride=2)
        self.waiting: Array | float = 0.0
        self.pixel = PixelConv(wr[:, :, 1], batch, width, calls)
        self.pixel_above = self.pixel.above(wr[:, :, :1], self.bias, stride=2)
        self.pixel.base[:] = self.bias
        self.cells = [self.pixel.row[:, j] for j in range(width)]

    def down_row(self, i: int, row: Array) -> Array | None:
        """Row ``i`` of the finer scale -> a row of the coarser one, where there is one."""
        self.even.input[:] = row
        if i % 2:
            self.waiting = self.odd()
            return None
        out: Array = self.even() + self.waiting
        return out

    def begin_row(self, i: int) -> None:
        """After an odd row, what the next even one takes from it."""
        if i and i % 2 == 0:
            self.pixel.base[:, : self.pixel.base.shape[1] // 2] = self.pixel_above()

    def at(self, i: int, j: int, x: Array) -> Array | None:
        """A pixel of the finer scale -> one of the coarser, where there is one."""
        self.calls.copy(x, self.cells[j])
        if i % 2 or j % 2:
            return None
        return self.pixel.at(j, place=j // 2)


class Growing:
    """From a scale to the next finer one, of which it gives four pixels for each of its own."""

    def __init__(
        self, down: Doubling, right: Doubling, batch: int, width: int, calls: Calls
    ) -> None:
        self.calls = calls
        (wd, self.bias_down), (wr, self.bias_right) = kernel(down.conv), kernel(right.conv)
        C = len(wd)
        self.down = wd.transpose(0, 2, 3, 1).reshape(C, -1).copy()  # (C, 2 * 3 * C)
        self.right = wr.transpose(0, 2, 3, 1).reshape(C, -1).copy()  # (C, 2 * 2 * C)
        self.bias_right = np.tile(self.bias_right, (1, 4))
        self.rows = np.empty((2, batch, width, C))
        self.pixels = np.empty((2, batch, width, C))
        self.product = np.empty((batch, 4 * C))
        flat = self.pixels.reshape(2, batch, width * C)
        # The two pixels in each of two rows that one pixel gives, side by side.
        self.cells = [(self.product[:, 2 * C * k : 2 * C * (k + 1)], flat[k]) for k in range(2)]

    def down_row(self, row: Array) -> None:
        """A row (B, W, C) of the coarser scale -> two rows (B, 2W, C) of ``rows``."""
        B, W, C = row.shape
        product = (row.reshape(B * W, C) @ self.down).reshape(B, W, 2, 3, C)
        for k in range(2):
            left, here, right = (product[:, :, k, tap] for tap in range(3))
            self.rows[k, :, 0::2] = here
            self.rows[k, :, 1::2] = right
            self.rows[k, :, 1:-1:2] += left[:, 1:]
        self.rows += self.bias_down

    def at(self, j: int, x: Array) -> None:
        """A pixel (B, C) of the coarser scale -> four pixels of ``pixels``, at columns 2j on."""
        self.calls.product(x, self.right, self.bias_right, self.product)
        for two, row in self.cells:
            width = two.shape[1]
            self.calls.copy(two, row[:, j * width : (j + 1) * width])


class Scale:
    """One resolution: the blocks on the way down, the coarser scale, the blocks on the way up.

    Args:
        model: A ``pixelcnn_pp``.
        number: 0 is the picture's own.
        batch: B.
        condition: (B, classes), or None.
        calls: Of the pixels.
    """

    def __init__(
        self, model: Any, number: int, batch: int, condition: Array | None, calls: Calls
    ) -> None:
        self.calls = calls
        width = model.config.size // 2**number
        self.down = [DownBlock(b, batch, width, condition) for b in model.down[number]]
        self.right = [
            RightBlock(b, batch, width, condition, calls, shortcut=False)
            for b in model.right[number]
        ]
        self.down_again = [DownBlock(b, batch, width, condition) for b in model.down_again[number]]
        self.right_again = [
            RightBlock(b, batch, width, condition, calls, shortcut=True)
            for b in model.right_again[number]
        ]
        self.coarser: Scale | None = None
        if number + 1 < model.config.scales:
            self.coarser = Scale(model, number + 1, batch, condition, calls)
            self.halving = Halving(
                model.halve_down[number], model.halve_right[number], batch, width, calls
            )
            self.growing = Growing(
                model.double_down[number], model.double_right[number], batch, width, calls
            )
        self.last = np.empty((batch, 2 * model.config.width))
        self.last_features = features(self.last)
        self.i = 0

    def down_row(self, i: int, x: Array) -> Array:
        """Row ``i`` of the rows' stream, down and up again: (B, W, C) -> the same shape."""
        self.i = i
        shortcuts = [self._activate(x)]
        for down, right in zip(self.down, self.right, strict=True):
            x = down(x, shortcuts[-1], None)
            shortcuts.append(self._activate(x))
            right.begin_row(i, shortcuts[-1])
        if self.coarser is not None:
            self.halving.begin_row(i)
            coarse = self.halving.down_row(i, x)
            if coarse is not None:
                self.growing.down_row(self.coarser.down_row(i // 2, coarse))
            x = self.growing.rows[i % 2]
        else:
            shortcuts.pop()
        activated = self._activate(x)
        for down, right in zip(self.down_again, self.right_again, strict=True):
            x = down(x, activated, shortcuts.pop())
            activated = self._activate(x)
            right.begin_row(i, activated)
        return x

    def at(self, j: int, x: Array) -> Array:
        """Column ``j`` of the row, of the other stream, down and up again: (B, C) -> (B, C)."""
        shortcuts = []
        for right in self.right:
            x = right.at(j, x, None)
            shortcuts.append(right.given[j])  # the ELUs of what it was given
        if self.coarser is not None:
            self.calls.concat_elu(x, self.last_features)
            shortcuts.append(self.last)
            coarse = self.halving.at(self.i, j, x)
            if coarse is not None:
                self.growing.at(j // 2, self.coarser.at(j // 2, coarse))
            x = self.growing.pixels[self.i % 2, :, j]
        for right in self.right_again:
            x = right.at(j, x, shortcuts.pop())
        return x

    @staticmethod
    def _activate(x: Array) -> Array:
        """(B, W, C) -> its ELUs (B, W, 2C)."""
        out = np.empty((*x.shape[:2], 2 * x.shape[2]))
        concat_elu(x, features(out))
        return out


class StridedWalk:
    """A PixelCNN++.

    Args:
        model: A ``pixelcnn_pp``.
        batch: How many pictures are drawn.
        condition: (B, classes), or None.
        calls: What the pixels are computed by.
    """

    def __init__(self, model: Any, batch: int, condition: Array | None, calls: Calls) -> None:
        self.calls = calls
        (wd, bd), (wa, ba), (wl, bl) = (
            kernel(first.conv) for first in (model.first_down, model.first_above, model.first_left)
        )
        wd, wa, wl = ones_first(wd), ones_first(wa), ones_first(wl)
        C, inputs = wd.shape[:2]
        own = np.zeros((C, inputs, 2))  # the pixel to the left, and nothing of the pixel itself
        own[:, :, 0] = wl[:, :, 1, 0]
        own[:, 0, 0] += (
            bl  # moved to the right with the rest: where nothing is to the left, no bias
        )
        # What is above: for one stream two rows, for the other three columns of one row, and the
        # pixel to the left of those.
        above = wa.copy()
        above[:, :, 0, 0] += wl[:, :, 0, 0]
        self.entrance = PixelConv(
            own, batch, model.config.size, calls, right=1, steps=[(0, np.arange(C))]
        )
        self.entrance.row[:, :, 0] = 1
        self.down = self.entrance.above(wd, bd)
        self.above = self.entrance.above(above, ba)
        self.scale = Scale(model, 0, batch, condition, calls)
        out, bias = kernel(model.out)
        self.out, self.bias = out[:, :, 0, 0].T.copy(), bias[None]
        self.last = features(np.empty((batch, 2 * C)))
        self.params = np.empty((batch, len(out)))
        # Columns do the same again after so many rows.
        self.period = 2 ** (model.config.scales - 1)
        self.i = 0

    def begin_row(self, i: int) -> None:
        """The stream of whole rows, and what the other one takes from it and from above."""
        self.i = i
        if i:
            self.entrance.base[:] = self.above()
            row = self.down()
        else:
            row = np.zeros_like(self.entrance.base)
        self.scale.down_row(i, row)

    def at(self, j: int, step: int) -> Array:
        """Parameters of the pixel in column ``j``: (B, P), overwritten by the next call."""

        def work() -> Array:
            x = self.scale.at(j, self.entrance.at(j, step))
            self.calls.concat_elu(x, self.last)
            self.calls.product(self.last.positive, self.out, self.bias, self.params)
            return self.params

        return self.calls.run((self.i % self.period, j), work)

    def put(self, j: int, step: int, values: Array) -> None:
        """What was drawn: (B, C)."""
        assert step == 0
        self.entrance.row[:, j, 1:] = values
