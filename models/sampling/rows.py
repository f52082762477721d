"""Convolutions in raster order, each product computed once: rows at once, pixels one by one.

What a pixel takes from the rows above it is known before its row begins, for all pixels of the row:
one matrix product. What it takes from its own row comes pixel by pixel: a product for each. Maps
are rows of (B, W, C) in float64, on the processor. Arrays are made once and written again and
again: with few pictures a step takes the time of some dozens of calls, not that of its arithmetic.

NumPy and not torch: most calls cost less than half.
"""

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray
from torch import Tensor

from models.sampling.calls import Array, Calls


def array(x: Tensor) -> Array:
    """A tensor's numbers as float64; for a module in float64 on the processor no copy."""
    numbers: Array = x.detach().double().cpu().numpy()
    return numbers


class RowConv:
    """A convolution of whole rows that come one after the other.

    A call reads ``input`` and returns what the convolution gives in that row, which is what the row
    and the ones before have added up to; what it gives to later rows is kept until their call.

    Args:
        weight: (O, I, h, w); the last of its h rows meets the row that is read.
        bias: (O,).
        buffer: (B, left + W + right, I), with zeros on both sides, from which it reads.
        left: How many columns the kernel reaches to the left.
        stride: Every how many columns there is a result.
    """

    def __init__(
        self, weight: Array, bias: Array, buffer: Array, *, left: int, stride: int = 1
    ) -> None:
        outputs, inputs, height, w = weight.shape
        batch, padded, _ = buffer.shape
        width = (padded - w) // stride + 1
        across, along, deep = buffer.strides
        self.input = buffer[:, left : padded - (w - 1 - left)]
        self.field = as_strided(
            buffer, (batch, width, w, inputs), (across, stride * along, along, deep)
        )  # fmt: skip
        self.patches = np.empty((batch, width, w, inputs))
        self.flat = self.patches.reshape(-1, w * inputs)
        # A matrix for each row of the kernel, the row's own part first.
        rows = weight[:, :, ::-1].transpose(2, 3, 1, 0).reshape(height, w * inputs, outputs)
        self.own, self.below = rows[0].copy(), [row.copy() for row in rows[1:]]
        # What this row and later ones have been given so far; the last one of them the bias alone.
        self.given = [np.tile(bias, (batch * width, 1)) for _ in rows]
        self.out = np.empty((batch * width, outputs))
        self.row = self.out.reshape(batch, width, outputs)

    def __call__(self) -> Array:
        """Read the row: -> (B, W / stride, O), overwritten by the next call."""
        np.copyto(self.patches, self.field)
        np.dot(self.flat, self.own, out=self.out)
        self.out += self.given[0]
        for given, after, matrix in zip(self.given, self.given[1:], self.below, strict=False):
            np.dot(self.flat, matrix, out=given)
            np.add(given, after, out=given)
        return self.row


class PixelConv:
    """The part of a causal convolution that lies in the pixel's own row, after what lies above.

    Attributes:
        out: For each step of a pixel (B, O), what ``at`` writes and returns.
        row: (B, W, I), the row so far; column j has to be there when ``at(j)`` is asked for.
        beside: (B, W, E), further features of a pixel that enter with it.
        base: (B, W, O), what is added to every pixel of the row: the rows above, the bias.

    Args:
        own: (O, I, t), the kernel in the pixel's own row; its last column meets the pixel itself.
        batch: B.
        width: W.
        right: How many columns of zeros there are to the right, for a kernel above.
        beside: (O, E), the weights of the further features.
        calls: What its product is made by.
        steps: For each step of a pixel how many channels are known in it, and the outputs wanted:
            all of them by default. Results come in the order of the steps.
    """

    def __init__(
        self, own: Array, batch: int, width: int, calls: Calls, *, right: int = 0,
        beside: Array | None = None, steps: list[tuple[int, NDArray[np.int64]]] | None = None,
    ) -> None:  # fmt: skip
        self.calls = calls
        outputs, inputs, taps = own.shape
        extra = beside.shape[1] if beside is not None else 0
        self.left = taps - 1
        self.buffer = np.zeros((batch, self.left + width + right, extra + inputs))
        inside = self.buffer[:, self.left : self.left + width]
        self.beside, self.row = inside[:, :, :extra], inside[:, :, extra:]
        self.base = np.zeros((batch, width, outputs))
        # From the first tap's own features to the pixel: beside, row, beside, row.
        weights = np.zeros((taps, extra + inputs, outputs))
        weights[:, extra:] = own.transpose(2, 1, 0)
        if beside is not None:
            weights[-1, :extra] = beside.T
        skipped = extra if taps > 1 else 0
        flat = weights.reshape(-1, outputs)[skipped:]
        across, along, deep = self.buffer.strides
        strides = (across, deep)
        self.out: list[Array] = []
        self.steps, low = [], 0
        for known, wanted in steps or [(inputs, np.arange(outputs))]:
            K = len(flat) - inputs + known
            views = [
                np.ndarray((batch, K), float, self.buffer, j * along + skipped * deep, strides)
                for j in range(width)
            ]
            bases = [self.base[:, j, low : low + len(wanted)] for j in range(width)]
            matrix = np.ascontiguousarray(flat[:K, wanted])
            self.out.append(np.empty((batch, len(wanted))))
            self.steps.append((views, matrix, bases, self.out[-1]))
            low += len(wanted)

    def above(self, weight: Array, bias: Array, *, stride: int = 1) -> RowConv:
        """The kernel's rows above, (O, I, h, w), reading the same row; its calls give ``base``."""
        extra = self.beside.shape[2]
        return RowConv(weight, bias, self.buffer[:, :, extra:], left=self.left, stride=stride)

    def at(self, j: int, step: int = 0, place: int | None = None) -> Array:
        """The convolution at column j: (B, O), overwritten by the next call.

        Args:
            j: Column of the row.
            step: Of the pixel.
            place: Column of ``base``, if it is another: with a stride.
        """
        views, matrix, bases, out = self.steps[step]
        self.calls.product(views[j], matrix, bases[j if place is None else place], out)
        return out


class Dense:
    """A product with the features of one pixel, which become known step by step.

    Attributes:
        cells: For each step, where its features have to be written: (B, features of the step).

    Args:
        weight: (O, I).
        bias: (O,).
        batch: B.
        calls: What its product is made by.
        steps: For each step of a pixel how many features are known in it, and the outputs wanted.
    """

    def __init__(
        self, weight: Array, bias: Array, batch: int, calls: Calls,
        steps: list[tuple[int, NDArray[np.int64]]],
    ) -> None:  # fmt: skip
        self.calls = calls
        self.features = np.zeros((batch, weight.shape[1]))
        self.cells, self.steps, low = [], [], 0
        for known, outputs in steps:
            self.cells.append(self.features[:, low:known])
            matrix = np.ascontiguousarray(weight[outputs, :known].T)
            out = np.empty((batch, len(outputs)))
            self.steps.append((self.features[:, :known], matrix, bias[None, outputs], out))
            low = known

    def at(self, step: int) -> Array:
        """(B, outputs of the step), overwritten by the next call."""
        features, matrix, bias, out = self.steps[step]
        self.calls.product(features, matrix, bias, out)
        return out
