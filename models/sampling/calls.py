"""What the cached ways do with the numbers of a pixel, as a handful of calls.

All arrays are made once and written again and again, so that what a pixel needs is the same list of
calls over the same memory every time: ``NumpyCalls`` makes them, ``recorded.RecordedCalls`` writes
them down and leaves the list to compiled code.
"""

from collections.abc import Callable, Hashable
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

Array = NDArray[np.float64]

ONE = np.ones(())  # of a number of Python's, NumPy makes an array at every call


class Features(NamedTuple):
    """Where the ELUs of features and of their negatives are put: (..., 2C) in one piece.

    Attributes:
        positive: (..., C), the first half.
        negative: (..., C), the second.
        both: The same memory, as torch sees it.
    """

    positive: Array
    negative: Array
    both: Tensor


def halves(x: Array) -> tuple[Array, Array]:
    """Views of the two halves of the channels: (..., 2C) -> two of (..., C)."""
    C = x.shape[-1] // 2
    return x[..., :C], x[..., C:]


def features(x: Array) -> Features:
    """The two halves of (..., 2C), and the whole."""
    return Features(*halves(x), torch.from_numpy(x))


def concat_elu(x: Array, out: Features) -> None:
    """ELU of features, and of their negatives: one call of torch's, where NumPy needs four."""
    np.copyto(out.positive, x)
    np.negative(x, out=out.negative)
    F.elu_(out.both)


class Calls(Protocol):
    """Calls over arrays of (B, channels), each row in one piece, all of float64."""

    def run(self, place: Hashable, work: Callable[[], Array]) -> Array:
        """Do ``work``, which makes the same calls whenever ``place`` is the same: what it gives."""
        ...

    def product(self, x: Array, weight: Array, base: Array, out: Array) -> None:
        """``out`` (B, O) = x (B, I) times weight (I, O) plus base (B or 1, O)."""
        ...

    def concat_elu(self, x: Array, out: Features) -> None:
        """ELU of features, and of their negatives: (B, C) -> (B, 2C)."""
        ...

    def sigmoid_gate(self, value: Array, gate: Array, x: Array, out: Array) -> None:
        """``out`` = x + value / (1 + exp(gate)); the gate is written over."""
        ...

    def tanh_gate(self, value: Array, gate: Array, out: Array) -> None:
        """``out`` = tanh(value) (1 + tanh(gate)); both are written over."""
        ...

    def relu(self, x: Array, out: Array) -> None:
        """``out`` = the larger of x and 0."""
        ...

    def add(self, x: Array, out: Array) -> None:
        """``out`` += x."""
        ...

    def copy(self, x: Array, out: Array) -> None:
        """``out`` = x."""
        ...


class NumpyCalls:
    """Every call at once: by NumPy, of which most cost half as much as torch's."""

    def run(self, place: Hashable, work: Callable[[], Array]) -> Array:  # noqa: ARG002
        """See ``Calls``, as of all the others."""
        return work()

    def product(self, x: Array, weight: Array, base: Array, out: Array) -> None:  # noqa: D102
        np.dot(x, weight, out=out)
        np.add(out, base, out=out)

    def concat_elu(self, x: Array, out: Features) -> None:  # noqa: D102
        concat_elu(x, out)

    def sigmoid_gate(self, value: Array, gate: Array, x: Array, out: Array) -> None:  # noqa: D102
        np.exp(gate, out=gate)
        np.add(gate, ONE, out=gate)
        np.divide(value, gate, out=out)
        np.add(out, x, out=out)

    def tanh_gate(self, value: Array, gate: Array, out: Array) -> None:  # noqa: D102
        np.tanh(value, out=value)
        np.tanh(gate, out=gate)
        np.add(gate, ONE, out=gate)
        np.multiply(value, gate, out=out)

    def relu(self, x: Array, out: Array) -> None:  # noqa: D102
        np.maximum(x, 0.0, out=out)

    def add(self, x: Array, out: Array) -> None:  # noqa: D102
        np.add(out, x, out=out)

    def copy(self, x: Array, out: Array) -> None:  # noqa: D102
        np.copyto(out, x)
