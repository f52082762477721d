"""The loop of row-wise sampling: guess a row, draw all of it given the guess, and again.

On a GPU a step for each value costs more in starting kernels than in arithmetic. Here all values of
a row, of all pictures, are drawn at once given a guess of the row, and taken as the next guess,
until nothing changes: as ``jacobi`` does with whole pictures, and exact for the same reason. What
the row takes from the rows above is computed once.

All shapes are fixed. So on CUDA a row's beginning and a pass over it, draw and comparison included,
are captured once as graphs, and started again with one call each.
"""

import threading
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from models.nn.onlookers import show
from models.sampling.row_layers import Buffers

BURST = 1  # passes on a GPU between two looks at whether something changed; measured, docs/speed.md
WARM = 2  # calls before a graph is captured, in which libraries take the memory they need
CAPTURING = threading.Lock()  # torch can have one capture under way in a process


class RowWalk(Protocol):
    """A network that is given a guess of a row, and says what it expects of all its values.

    Attributes:
        row: (B, W, C) float64, the guess; written in place.
        buffers: All that outlives a call.
        phases: How many kinds of rows there are; the calls for each kind are the same.
    """

    row: Tensor
    buffers: Buffers
    phases: int

    def phase(self, i: int, /) -> int:
        """The kind of row ``i``."""
        ...

    def begin(self, phase: int, i: Tensor, /) -> None:
        """The row above is done. Compute what row ``i`` (1,) takes from those above."""
        ...

    def params(self, phase: int, /) -> Tensor:
        """Parameters (B * W, steps * P) of all values of the row, given the guess."""
        ...


class RowDrawing:
    """Pictures that are drawn row by row.

    Attributes:
        passes: How many were made of each row, in the last call of ``run``.

    Args:
        walk: The network, fresh.
        likelihood: Draws from parameters (B, P, H, W) by noise (B, N, H, W).
        noise: (B, steps * N, H, W) in [0, 1), float64.
        x: (B, C, H, W) float64, the values of what is known.
        known: (B, 1, H, W) bool.
        steps: Of a pixel.
        graphs: Whether to capture the calls as CUDA graphs.
        burst: Passes between two looks at whether something changed.
    """

    def __init__(
        self, walk: RowWalk, likelihood: Any, noise: Tensor, x: Tensor, known: Tensor, *,
        steps: int, graphs: bool, burst: int,
    ) -> None:  # fmt: skip
        self._walk, self._likelihood = walk, likelihood
        self._steps, self._burst = steps, burst
        self._values = x.permute(2, 0, 3, 1).contiguous()  # (H, B, W, C)
        self._known = known.permute(2, 0, 3, 1).contiguous()  # (H, B, W, 1)
        split = torch.unflatten(noise, 1, (steps, noise.shape[1] // steps))  # (B, S, N, H, W)
        self._noise = split.permute(3, 0, 2, 1, 4).contiguous()  # (H, B, N, S, W)
        # What the calls read and write, of the row that is being drawn.
        self._i = torch.zeros(1, dtype=torch.long, device=x.device)
        self._numbers, self._kept = torch.empty_like(self._noise[0]), self._known[0].clone()
        self._changed = torch.ones((), dtype=torch.bool, device=x.device)
        self.passes: list[int] = []
        kinds = range(walk.phases)
        self._begin: list[Callable[[], None]] = [_with(self._begin_row, k) for k in kinds]
        self._again: list[Callable[[], None]] = [_with(self._pass, k) for k in kinds]
        if graphs:
            capture = _capturing(x.device)
            self._begin = [capture(call) for call in self._begin]
            self._again = [capture(call) for call in self._again]

    def run(self) -> Tensor:
        """Draw them: (B, C, H, W) float64."""
        walk, picture = self._walk, self._values.clone()
        _, W, _ = walk.row.shape
        walk.buffers.clear()
        self.passes = []

        def drawn() -> Tensor:
            return picture.permute(1, 3, 0, 2).contiguous()

        for i in range(len(picture)):
            phase = walk.phase(i)
            self._i.fill_(i)
            self._begin[phase]()
            self.passes.append(self._settle(self._again[phase], W * self._steps + 1))
            picture[i] = walk.row
            show(drawn)
        return drawn()

    def _settle(self, again: Callable[[], None], most: int) -> int:
        """Passes over the row until it stays as it is; how many.

        After each pass one more value is right, the first ones first. One more, and what the
        layers hold is that of the right values.
        """
        done = 0
        while done < most:
            for _ in range(min(self._burst, most - done)):
                again()
                done += 1
            if not bool(self._changed):
                break
        return done

    def _begin_row(self, phase: int) -> None:
        """Row ``i``: the guess is the row above, and what is known."""
        self._walk.begin(phase, self._i)
        self._numbers.copy_(self._noise.index_select(0, self._i)[0])
        self._kept.copy_(self._known.index_select(0, self._i)[0])
        row = self._walk.row
        row.copy_(torch.where(self._kept, self._values.index_select(0, self._i)[0], row))

    def _pass(self, phase: int) -> None:
        """Draw all values of the row given the guess, and take them for the guess."""
        row = self._walk.row
        B, W, _ = row.shape
        told = self._walk.params(phase).view(B, W, self._steps, -1)
        drawn = self._likelihood.draw(told.permute(0, 3, 2, 1), self._numbers)  # (B, C / S, S, W)
        after = torch.where(self._kept, row, drawn.permute(0, 3, 2, 1).flatten(2))
        self._changed.copy_((after != row).any())
        row.copy_(after)


def _with(call: Callable[[int], None], phase: int) -> Callable[[], None]:
    return lambda: call(phase)


def _capturing(device: torch.device) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Makes of a call the same as a CUDA graph; what it leaves in its buffers is to be cleared.

    The graphs share the memory of what no buffer keeps: they never run at once.
    """
    pool = torch.cuda.graph_pool_handle()
    stream: torch.cuda.Stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def capture(call: Callable[[], None]) -> Callable[[], None]:
        before = torch.cuda.current_stream(device)
        stream.wait_stream(before)
        with torch.cuda.stream(stream):
            for _ in range(WARM):
                call()
        before.wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        # Another thread may use the device meanwhile: only this one's calls are looked at.
        with CAPTURING, torch.cuda.graph(graph, pool, stream, capture_error_mode="thread_local"):
            call()
        replay: Callable[[], None] = graph.replay
        return replay

    return capture
