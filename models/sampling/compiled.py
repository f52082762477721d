"""The calls of a pixel as one call of compiled code; an extra, ``pip install '.[compiled]'``.

With few pictures cached sampling takes the time of some dozens of NumPy's calls for each pixel, and
not that of its arithmetic. Here the calls are made by NumPy for the first rows, and written down:
what is done, with which memory. For later rows Numba's code goes through the list (``player``),
which is compiled in some seconds when it is first needed, and kept. Sums are taken in another
order, so numbers differ in their last bits; what is drawn from them does not
(``models.sampling.methods``).
"""

from collections.abc import Callable, Hashable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.sampling.calls import Array, Features, NumpyCalls

# Of many more pictures at once the matrix products of NumPy are sooner done.
MOST = 16

PRODUCT, CONCAT_ELU, SIGMOID_GATE, TANH_GATE, RELU, ADD, COPY = range(7)
# Kind, B, inputs, outputs; address and stride of x; of a second array; of out; and of a weight.
FIELDS = 11


def is_installed() -> bool:
    """Whether there is Numba, which is not imported for that."""
    return find_spec("numba") is not None


class RecordedCalls(NumpyCalls):
    """Makes the calls of a place the first time, and has them made by compiled code then on."""

    def __init__(self) -> None:
        self._play = player()
        self._told: dict[Hashable, tuple[NDArray[np.int64], Array]] = {}
        self._list: list[list[int]] = []
        self._kept: list[Any] = []  # what the addresses are of

    def run(self, place: Hashable, work: Callable[[], Array]) -> Array:
        """See ``Calls``, as of all the others."""
        known = self._told.get(place)
        if known is not None:
            self._play(known[0])
            return known[1]
        self._list = []
        out = work()
        self._told[place] = np.array(self._list, np.int64).reshape(-1, FIELDS), out
        return out

    def _note(self, kind: int, x: Array, second: Array, out: Array, weight: Array | None) -> None:
        batch, inputs = x.shape
        row = [kind, batch, inputs, out.shape[1]]
        for part in (x, second, out):
            row += [part.ctypes.data, 0 if len(part) == 1 else part.strides[0] // 8]
        self._list.append([*row, 0 if weight is None else weight.ctypes.data])
        self._kept += [x, second, out, weight]

    def product(self, x: Array, weight: Array, base: Array, out: Array) -> None:  # noqa: D102
        self._note(PRODUCT, x, base, out, weight)
        super().product(x, weight, base, out)

    def concat_elu(self, x: Array, out: Features) -> None:  # noqa: D102
        self._note(CONCAT_ELU, x, out.negative, out.positive, None)
        super().concat_elu(x, out)

    def sigmoid_gate(self, value: Array, gate: Array, x: Array, out: Array) -> None:  # noqa: D102
        # The halves of one array: the gate lies behind the value.
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


@cache
def player() -> Callable[[NDArray[np.int64]], None]:
    """The function that goes through a list (N, FIELDS).

    Raises:
        ModuleNotFoundError: There is no Numba.
    """
    if not is_installed():
        raise ModuleNotFoundError(
            "Compiled sampling needs Numba: pip install '.[compiled]'. Without it "
            "method='cached' gives the same pictures."
        )
    play: Callable[[NDArray[np.int64]], None] = import_module("models.sampling.player").play
    return play
