"""The calls of a pixel, written down once and gone through by code that Numba compiles.

NumPy makes the calls of a place the first time, and they are written down: what is done, with which
memory. From then on compiled code goes through the list. Sums are taken in another order, so
numbers differ in their last bits; what is drawn from them does not (``models.sampling.methods``).

Compiling takes some seconds, and is kept for later processes: in ``__pycache__`` here, or where the
user keeps caches if this folder cannot be written. A full disk is told of, and no error. Numba
compiles anew when this file changes and not when another does, so whatever the compiled code relies
on stands here.
"""

import logging
import math
from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import Any

import numpy as np
from numba import njit, types
from numba.core.caching import FunctionCache
from numba.extending import intrinsic
from numpy.typing import NDArray

from models.sampling.calls import Array, Features, NumpyCalls

PRODUCT, CONCAT_ELU, SIGMOID_GATE, TANH_GATE, RELU, ADD, COPY = range(7)
# Kind, B, inputs, outputs; address and stride of x; of a second array; of out; address of a weight.
FIELDS = 11

logger = logging.getLogger(__name__)

Numbers = Any  # float64, from an address on


class RecordedCalls(NumpyCalls):
    """Makes the calls of a place the first time, and has them made by compiled code then on."""

    def __init__(self) -> None:
        self._told: dict[Hashable, tuple[NDArray[np.int64], Array]] = {}
        self._list: list[list[int]] = []
        self._kept: list[Any] = []  # what the addresses are of

    def run(self, place: Hashable, work: Callable[[], Array]) -> Array:
        """See ``Calls``, as of all the others."""
        known = self._told.get(place)
        if known is not None:
            play(known[0])
            return known[1]
        self._list = []
        out = work()
        self._told[place] = np.array(self._list, np.int64).reshape(-1, FIELDS), out
        return out

    def _note(self, kind: int, x: Array, second: Array, out: Array, weight: Array | None) -> None:
        batch, inputs = x.shape
        row = [kind, batch, inputs, out.shape[1]]
        for part in (x, second, out):
            require_rows(part)
            row += [part.ctypes.data, 0 if len(part) == 1 else part.strides[0] // 8]
        self._list.append([*row, 0 if weight is None else weight.ctypes.data])
        self._kept += [x, second, out, weight]

    def product(self, x: Array, weight: Array, base: Array, out: Array) -> None:  # noqa: D102
        require_rows(weight)
        if not weight.flags.c_contiguous:
            raise ValueError("A weight has to lie in one piece, row after row.")
        self._note(PRODUCT, x, base, out, weight)
        super().product(x, weight, base, out)

    def concat_elu(self, x: Array, out: Features) -> None:  # noqa: D102
        self._note(CONCAT_ELU, x, out.negative, out.positive, None)
        super().concat_elu(x, out)

    def sigmoid_gate(self, value: Array, gate: Array, x: Array, out: Array) -> None:  # noqa: D102
        # In the place of a weight, as both are halves of one array: its rows lie as the value's do.
        self._note(SIGMOID_GATE, value, x, out, gate)
        super().sigmoid_gate(value, gate, x, out)

    def tanh_gate(self, value: Array, gate: Array, out: Array) -> None:  # noqa: D102
        self._note(TANH_GATE, value, gate, out, None)
        super().tanh_gate(value, gate, out)

    def relu(self, x: Array, out: Array) -> None:  # noqa: D102
        self._note(RELU, x, x, out, None)
        super().relu(x, out)

    def add(self, x: Array, out: Array) -> None:  # noqa: D102
        self._note(ADD, x, x, out, None)
        super().add(x, out)

    def copy(self, x: Array, out: Array) -> None:  # noqa: D102
        self._note(COPY, x, x, out, None)
        super().copy(x, out)


def require_rows(x: Array) -> None:
    """Refuse what an address and a stride do not describe: compiled code would read elsewhere.

    Raises:
        ValueError: Not float64, or the numbers of a row do not follow one another.
    """
    if x.dtype != np.float64 or (x.shape[1] > 1 and x.strides[1] != x.itemsize):
        raise ValueError(
            f"Calls are over rows of float64 in one piece; found {x.dtype}, strides {x.strides}."
        )


@intrinsic  # type: ignore[untyped-decorator]
def at(_typing: Any, _address: Any) -> Any:
    """The numbers that lie at an address."""
    numbers = types.CPointer(types.float64)

    def generate(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.inttoptr(values[0], context.get_value_type(numbers))

    return numbers(types.int64), generate


class IfPossible(FunctionCache):  # type: ignore[misc]
    """Numba's cache, whose disk may be full or whose files damaged: then each process compiles."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """What was compiled for these types, None if there is nothing that can be used."""
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:  # noqa: BLE001 - damaged pickles raise whatever they like
            return self._give_up(error)

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep what was compiled for these types."""
        try:
            super().save_overload(sig, data)
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self.disable()
        logger.warning(
            "What was compiled for sampling cannot be kept in '%s' (%s), so each process compiles "
            "it anew, which takes seconds. Make room there or remove what is damaged; or name "
            "another folder in NUMBA_CACHE_DIR.",
            self.cache_path, error or type(error).__name__,
        )  # fmt: skip


def fast(function: Any) -> Any:
    """Compile it; what was compiled is kept where there is a place for it."""
    compiled = njit(function, error_model="numpy", nogil=True, fastmath={"contract"})
    with suppress(RuntimeError):  # nothing can be written anywhere
        compiled._cache = IfPossible(function)  # noqa: SLF001 - as its enable_caching does
    return compiled


@fast
def product(
    x: Numbers, weight: Numbers, base: Numbers, out: Numbers, inputs: int, outputs: int
) -> None:
    """``out`` (O,) = x (I,) times weight (I, O) plus base (O,), four inputs at a time."""
    for n in range(outputs):
        out[n] = base[n]
    whole = inputs - inputs % 4
    for k in range(0, whole, 4):
        a, b, c, d = x[k], x[k + 1], x[k + 2], x[k + 3]
        w = k * outputs
        for n in range(outputs):
            out[n] += (a * weight[w + n] + b * weight[w + outputs + n]) + (
                c * weight[w + 2 * outputs + n] + d * weight[w + 3 * outputs + n]
            )
    for k in range(whole, inputs):
        for n in range(outputs):
            out[n] += x[k] * weight[k * outputs + n]


@fast
def apply(kind: int, x: Numbers, second: Numbers, third: Numbers, out: Numbers, size: int) -> None:
    """One call of another kind over ``size`` numbers."""
    for n in range(size):
        if kind == CONCAT_ELU:
            low = math.exp(-abs(x[n])) - 1.0
            out[n], second[n] = max(x[n], low), max(-x[n], low)
        elif kind == SIGMOID_GATE:
            out[n] = second[n] + x[n] / (1.0 + math.exp(third[n]))
        elif kind == TANH_GATE:
            out[n] = math.tanh(x[n]) * (1.0 + math.tanh(second[n]))
        elif kind == RELU:
            out[n] = max(x[n], 0.0)
        elif kind == ADD:
            out[n] += x[n]
        else:
            out[n] = x[n]


@fast
def play(told: Any) -> None:
    """Make the calls of a list (N, FIELDS), one after the other."""
    for line in range(told.shape[0]):
        kind, inputs, outputs = told[line, 0], told[line, 2], told[line, 3]
        for b in range(told[line, 1]):
            step = 8 * b
            x = at(told[line, 4] + step * told[line, 5])
            second = at(told[line, 6] + step * told[line, 7])
            out = at(told[line, 8] + step * told[line, 9])
            if kind == PRODUCT:
                product(x, at(told[line, 10]), second, out, inputs, outputs)
            else:  # what lies beside x lies in the same rows
                apply(kind, x, second, at(told[line, 10] + step * told[line, 5]), out, inputs)
