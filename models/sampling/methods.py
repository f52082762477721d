"""The ways to draw a picture value by value from given noise. All of them give the same picture.

``naive``
    One pass over the whole picture for every value: what the others are compared with.
``cached``
    Value by value too, but no product is computed twice; NumPy on the processor.
``compiled``
    The same, with the calls of a pixel made by compiled code instead of NumPy, which pays for few
    pictures. Needs Numba (an extra).
``jacobi``
    Guess the picture, draw all its values at once given the guess, and take that as the next guess
    until nothing changes (Song et al., 2021). What stays as it is under all its own distributions
    is the picture that the naive way draws: the first value is right after one pass, the second
    after two at the latest, and so on; mostly many become right at once.
``rows``
    Row by row: what a row takes from those above is computed once, and within the row the values
    are guessed and drawn as by ``jacobi``; on CUDA as graphs that are captured once for all rows.

Everything is computed in float64, whatever the weights are kept in. The rule is then: two ways
give the same picture, bit for bit, unless a number of the noise lies within about 1e-13 of the
border between two values. In float32 it would be some 1e-6: a few of the 49,152 values of sixteen
small colour pictures, and with them all that come after (measured in ``docs/speed.md``).
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeVar, get_args

import torch
from torch import Tensor, nn

from models.nn.categorical import snap
from models.nn.onlookers import show
from models.sampling import compiled
from models.sampling.cached import Walk, walk_through
from models.sampling.calls import Calls, NumpyCalls
from models.sampling.graphed import BURST, RowDrawing, RowWalk

Method = Literal["auto", "naive", "cached", "compiled", "rows", "jacobi"]

Net = TypeVar("Net", bound=nn.Module)


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be drawn.

    The values of a pixel are drawn in ``steps`` one after the other, with ``likelihood.channels``
    of them in each: three steps of one value where each colour has parameters of its own, one step
    of three values where a likelihood draws the whole pixel.

    Attributes:
        model: Whose parameters are used.
        likelihood: Draws from parameters (B, P, H, W) by noise (B, N, H, W).
        levels: Values that a pixel may have, evenly on [-1, 1]; what is known is rounded to them.
        noise: (B, steps * N, H, W) uniform in [0, 1).
        x: (B, C, H, W) in [-1, 1]; what is not known is not looked at.
        known: (B, 1, H, W) bool, where ``x`` is kept: a number of pixels from the first one on.
    """

    model: nn.Module
    likelihood: Any
    levels: int
    noise: Tensor
    x: Tensor
    known: Tensor

    @property
    def steps(self) -> int:
        """Into how many steps a pixel is divided."""
        channels: int = self.likelihood.channels
        return self.x.shape[1] // channels


def refuse_gaps(known: Tensor, name: str) -> None:
    """Only what comes after all known pixels can be drawn: (B, 1, H, W) bool.

    Raises:
        ValueError: An unknown pixel stands before a known one.
    """
    if not torch.equal(known.flatten(1).cumprod(1).bool(), known.flatten(1)):
        raise ValueError(
            f"A {name} draws row by row, so it completes only what comes after all known pixels. "
            "Found an unknown pixel before a known one; give whole rows from the top."
        )


def in_double(model: Net) -> Net:
    """The model in float64: itself, or a copy."""
    double = next(model.parameters()).dtype == torch.float64
    return model if double else copy.deepcopy(model).double()


def chosen(method: Method, *, device: torch.device, walks: bool, pictures: int) -> Method:
    """What ``auto`` means here.

    Args:
        method: What was asked for.
        device: Where the model lies.
        walks: Whether there is anything to remember: a factorised decoder has nothing.
        pictures: How many are drawn.

    Raises:
        ValueError: There is no such method.
    """
    if method not in get_args(Method):
        raise ValueError(
            f"There is no sampling method '{method}'. Methods: {', '.join(get_args(Method))}."
        )
    if method in ("cached", "compiled", "rows") and not walks:
        return "jacobi"
    if method != "auto":
        return method
    few = pictures <= compiled.MOST and compiled.is_installed()
    fast: dict[str, Method] = {"cpu": "compiled" if few else "cached", "cuda": "rows"}
    return fast.get(device.type, "jacobi") if walks else "jacobi"


def draw(
    task: Task, told: Callable[[Any, Tensor, Tensor], Tensor],
    walks: tuple[Callable[[Calls], Walk], Callable[[], RowWalk]] | None, *, method: Method = "auto",
) -> Tensor:  # fmt: skip
    """Draw the picture that ``task`` asks for: (B, C, H, W) of the type of its ``x``.

    Args:
        task: Noise, and what is known.
        told: The model in float64, pictures (b, C, H, W), and which rows of the batch they are (b,)
            -> the parameters of every value's distribution, given those before it,
            (b, steps, P, H, W).
        walks: Build what walks through the model, cached, value by value and row by row; None if
            that is of no use.
        method: How; ``auto`` chooses.

    Raises:
        ValueError: There is no such method.
    """
    noise, known = task.noise.double(), task.known
    x = torch.where(known, snap(task.x.double(), task.levels), 0.0)
    way = chosen(method, device=x.device, walks=walks is not None, pictures=len(x))
    if walks is not None and way in ("cached", "compiled"):
        calls = NumpyCalls() if way == "cached" else compiled.record()
        drawn = walk_through(walks[0](calls), task.likelihood, noise, x, known, task.steps)
        return drawn.to(task.x)
    if walks is not None and way == "rows":
        return _by_rows(walks[1](), task, noise, x).to(task.x)
    passes = partial(told, in_double(task.model))
    drawn = (_naive if way == "naive" else _jacobi)(passes, task, noise, x)
    return drawn.to(task.x)


def split(x: Tensor, steps: int) -> Tensor:
    """The steps of a pixel on an axis of their own: (B, SC, H, W) -> a view (B, S, C, H, W)."""
    B, channels, H, W = x.shape
    return x.view(B, steps, channels // steps, H, W)


def _by_rows(walk: RowWalk, task: Task, noise: Tensor, x: Tensor) -> Tensor:
    """Passes over a row until it does not change, then the next row; on CUDA captured."""
    graphs = x.device.type == "cuda"
    return RowDrawing(
        walk, task.likelihood, noise, x, task.known, steps=task.steps, graphs=graphs,
        burst=BURST if graphs else 1,
    ).run()  # fmt: skip


def _naive(
    told: Callable[[Tensor, Tensor], Tensor], task: Task, noise: Tensor, x: Tensor
) -> Tensor:
    """A pass for every step of every pixel."""
    values, numbers = split(x, task.steps), split(noise, task.steps)
    every = torch.arange(len(x), device=x.device)
    for i in range(x.shape[2]):
        for j in range(x.shape[3]):
            given = task.known[:, :, i, j]  # (B, 1)
            if bool(given.all()):
                continue
            here = (..., slice(i, i + 1), slice(j, j + 1))
            for step in range(task.steps):
                params = told(x, every)[:, step][here]  # (B, P, 1, 1)
                drawn = task.likelihood.draw(params, numbers[:, step][here])[..., 0, 0]
                values[:, step, :, i, j] = torch.where(given, values[:, step, :, i, j], drawn)
        show(x.clone)
    return x


def _jacobi(
    told: Callable[[Tensor, Tensor], Tensor], task: Task, noise: Tensor, x: Tensor
) -> Tensor:
    """Passes until nothing changes; pictures that are done are left out of the next pass."""
    numbers = split(noise, task.steps)
    waiting = torch.arange(len(x), device=x.device)
    while len(waiting):
        before = x[waiting]
        params = told(before, waiting)  # (b, steps, P, H, W)
        drawn = task.likelihood.draw(params.flatten(0, 1), numbers[waiting].flatten(0, 1))
        after = torch.where(task.known[waiting], before, drawn.reshape(before.shape))
        x[waiting] = after
        show(x.clone)
        waiting = waiting[(after != before).flatten(1).any(1)]
    return x
