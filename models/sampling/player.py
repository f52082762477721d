"""Goes through a list of calls (``compiled``) in code that Numba compiles.

That takes some seconds the first time, and is kept for later processes: in ``__pycache__`` here, or
where the user keeps caches if this folder cannot be written.
"""

import math
from typing import Any

from numba import njit, types
from numba.extending import intrinsic

from models.sampling.compiled import ADD, CONCAT_ELU, PRODUCT, RELU, SIGMOID_GATE, TANH_GATE

# A number of an array; numbers are 8 bytes wide.
Numbers = Any


@intrinsic  # type: ignore[untyped-decorator]
def at(_typing: Any, _address: Any) -> Any:
    """The numbers that lie at an address."""
    numbers = types.CPointer(types.float64)

    def generate(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.inttoptr(values[0], context.get_value_type(numbers))

    return numbers(types.int64), generate


def fast(function: Any) -> Any:
    """Compile it; what was compiled is kept where there is a place for it."""
    options: dict[str, Any] = {"error_model": "numpy", "nogil": True, "fastmath": {"contract"}}
    try:
        return njit(function, cache=True, **options)
    except RuntimeError:  # nothing can be written anywhere
        return njit(function, **options)


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
