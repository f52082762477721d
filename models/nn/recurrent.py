"""LSTMs that take one step at a time, with dropout on what they are about to remember.

What the inputs add to the gates is computed for all steps at once; only the rest waits for the step
before. Three cells: plain (Hochreiter and Schmidhuber, 1997), with layer normalisation (Ba et al.,
2016), and one whose weights a smaller LSTM scales at every step (Ha et al., 2017).
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.nn.dropout import keep

Cell = Literal["lstm", "layer_norm", "hyper"]
State = tuple[Tensor, ...]  # the first is the output


class Gates(nn.Module):
    """The four gates of an LSTM, from the inputs' and the last output's share of them.

    Args:
        hidden: H.
        normed: Normalise each gate and the memory's way out.
    """

    def __init__(self, hidden: int, *, normed: bool) -> None:
        super().__init__()
        self.hidden = hidden
        self.gain = nn.Parameter(torch.ones(4, hidden)) if normed else None
        self.bias = nn.Parameter(torch.zeros(4, hidden))
        self.out = nn.LayerNorm(hidden) if normed else None

    def forward(self, gates: Tensor, memory: Tensor, kept: Tensor | None) -> tuple[Tensor, Tensor]:
        """(B, 4, H) and the memory (B, H) -> output and memory, (B, H) each.

        Args:
            gates: Input, forget, output and what may be remembered, before their biases.
            memory: Of the step before.
            kept: (B, H), 0 where nothing new is remembered (Semeniuta et al., 2016), else the
                inverse of the share that is kept; None remembers all.
        """
        if self.gain is not None:
            gates = F.layer_norm(gates, (self.hidden,)) * self.gain
        enter, forget, leave, new = (gates + self.bias).unbind(1)
        new = new.tanh() if kept is None else new.tanh() * kept
        # To forget is learned from remembering: the forget gate starts half open and one more.
        memory = torch.sigmoid(forget + 1) * memory + torch.sigmoid(enter) * new
        shown = memory if self.out is None else self.out(memory)
        return torch.sigmoid(leave) * shown.tanh(), memory


class Recurrent(nn.Module):
    """A recurrent network over rows: (B, T, I) -> (B, T, H).

    Args:
        inputs: I.
        hidden: H.
        cell: Which LSTM.
    """

    def __init__(self, inputs: int, hidden: int, cell: Cell) -> None:
        super().__init__()
        self.hidden = hidden
        self.inner = max(4, hidden // 4) if cell == "hyper" else 0  # size of the scaling LSTM
        self.enter = nn.Linear(inputs, 4 * hidden, bias=False)
        self.back = nn.Linear(hidden, 4 * hidden, bias=False)
        self.gates = Gates(hidden, normed=cell != "lstm")
        for block in self.back.weight.detach().chunk(4):
            nn.init.orthogonal_(block)
        if self.inner:
            self.scaling = Scaling(inputs, hidden, self.inner)

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """Sizes of what passes from step to step."""
        return (self.hidden, self.hidden, *([self.inner] * 2 if self.inner else []))

    def begin(self, n: int) -> State:
        """An empty state of ``n`` rows."""
        return tuple(self.back.weight.new_zeros(n, size) for size in self.state_sizes)

    def prepare(self, x: Tensor) -> Tensor:
        """The inputs' share of everything, for all steps at once: (B, T, I) -> (B, T, K)."""
        if self.inner:
            return torch.cat([self.enter(x), self.scaling.enter(x)], -1)
        share: Tensor = self.enter(x)
        return share

    def step(self, share: Tensor, state: State, kept: Tensor | None = None) -> State:
        """One step: (B, K) of ``prepare`` and the state before -> the state after."""
        H = self.hidden
        output, memory, *scaler = state
        from_input = share[:, : 4 * H].view(-1, 4, H)
        from_output = self.back(output).view(-1, 4, H)
        if self.inner:
            scaler = list(self.scaling.step(share[:, 4 * H :], output, scaler[0], scaler[1]))
            from_input, from_output = self.scaling(scaler[0], from_input, from_output)
        output, memory = self.gates(from_input + from_output, memory, kept)
        return (output, memory, *scaler)

    def forward(self, x: Tensor, state: State, kept: Tensor | None = None) -> tuple[Tensor, State]:
        """All steps: (B, T, I) -> the outputs (B, T, H), and the last state.

        Args:
            x: Rows.
            state: To begin with.
            kept: (B, T, H) as ``Gates`` takes it.
        """
        outputs = []
        masks = [None] * x.shape[1] if kept is None else kept.unbind(1)
        for share, mask in zip(self.prepare(x).unbind(1), masks, strict=True):
            state = self.step(share, state, mask)
            outputs.append(state[0])
        return torch.stack(outputs, 1), state

    def dropout(self, B: int, T: int, share: float, generator: torch.Generator) -> Tensor | None:
        """A mask (B, T, H) for ``forward`` that drops so large a share; None for 0."""
        if share == 0:
            return None
        return keep((B, T, self.hidden), share, self.back.weight, generator)


class Scaling(nn.Module):
    """The small LSTM of a hyper-LSTM, and how it scales the gates of the large one."""

    FACTORS = 8  # numbers between its output and the scales of one gate

    def __init__(self, inputs: int, hidden: int, inner: int) -> None:
        super().__init__()
        self.inner = inner
        self.enter = nn.Linear(inputs, 4 * inner, bias=False)
        self.see = nn.Linear(hidden, 4 * inner, bias=False)
        self.back = nn.Linear(inner, 4 * inner, bias=False)
        self.gates = Gates(inner, normed=True)
        E = self.FACTORS
        self.choose = nn.Linear(inner, 3 * 4 * E)  # of the input's, the output's, the biases
        nn.init.zeros_(self.choose.weight)
        nn.init.ones_(self.choose.bias)
        self.scale = nn.Parameter(torch.full((2, 4, E, hidden), 1 / E))  # begins at a scale of 1
        self.shift = nn.Parameter(torch.zeros(4, E, hidden))

    def step(
        self, share: Tensor, seen: Tensor, output: Tensor, memory: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The small LSTM's step; it sees the input and the large one's output."""
        gates = share + self.see(seen) + self.back(output)
        found: tuple[Tensor, Tensor] = self.gates(gates.view(-1, 4, self.inner), memory, None)
        return found

    def forward(
        self, output: Tensor, from_input: Tensor, from_output: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The large one's shares (B, 4, H), scaled and moved."""
        factors = self.choose(output).view(-1, 3, 4, self.FACTORS)
        scales = torch.einsum("bsge,sgeh->bsgh", factors[:, :2], self.scale)
        moved = torch.einsum("bge,geh->bgh", factors[:, 2], self.shift)
        return scales[:, 0] * from_input + moved, scales[:, 1] * from_output
