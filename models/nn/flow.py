"""An autoregressive flow (Papamakarios et al., 2017): a prior that can be learned.

A step turns a vector z into another, e, each number by those before it alone:

    e_i = (z_i - m_i(z_1 ... z_i-1)) exp(-s_i(z_1 ... z_i-1)),   log |de / dz| = - sum of s_i

m and s come from one masked network (MADE, Germain et al., 2015), so e and its determinant take one
pass, and the way back, from noise to a vector, as many as there are numbers. Every other step turns
the order round. Where e is standard normal, log p(z) = log N(e; 0, 1) + log |de / dz|.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.nn.rate import gaussian_log_prob


class MaskedLinear(nn.Module):
    """A linear layer whose units see only units of lower degree, or of the same.

    The mask is multiplied into the weights when they are used; it is told by the degrees and not
    stored with the weights.

    Args:
        inputs: The degree of each input: which place of the order it knows last.
        outputs: The degree of each output.
        strict: See lower degrees only, as the last layer must.
    """

    mask: Tensor

    def __init__(self, inputs: Tensor, outputs: Tensor, *, strict: bool) -> None:
        super().__init__()
        plain = nn.Linear(len(inputs), len(outputs))
        self.weight, self.bias = plain.weight, plain.bias
        source, sink = inputs[None], outputs[:, None]
        mask = (source < sink if strict else source <= sink).float()  # (outputs, inputs)
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs) -> (B, outputs)."""
        return F.linear(x, self.weight * self.mask, self.bias)


class FlowStep(nn.Module):
    """One change of variables, in the given order of the numbers.

    Args:
        dims: D.
        hidden: Units of each of two hidden layers.
        scales: Also scale, not only shift; without, volumes stay as they are.
    """

    def __init__(self, dims: int, hidden: int, *, scales: bool) -> None:
        super().__init__()
        places = torch.arange(1, dims + 1)
        units = torch.arange(hidden) % max(1, dims - 1) + 1  # 1 to D - 1
        layers = [places, units, units]
        self.hidden = nn.ModuleList(MaskedLinear(a, b, strict=False) for a, b in pairwise(layers))
        self.shift = MaskedLinear(units, places, strict=True)
        self.scale = MaskedLinear(units, places, strict=True) if scales else None
        for last in (self.shift, self.scale):
            if last is not None:  # it begins as the identity: the plain normal prior
                nn.init.zeros_(last.weight)
                nn.init.zeros_(last.bias)

    def terms(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """m and s of every number: (B, D) -> two of (B, D)."""
        x = z
        for layer in self.hidden:
            x = F.elu(layer(x))
        # Bounded: a prior a thousand times narrower in one place is a runaway.
        scale = 2 * torch.tanh(self.scale(x) / 2) if self.scale is not None else torch.zeros_like(z)
        return self.shift(x), scale

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """(B, D) -> e (B, D) and log |de / dz| (B,)."""
        shift, scale = self.terms(z)
        return (z - shift) * torch.exp(-scale), -scale.sum(1)

    def inverse(self, e: Tensor) -> Tensor:
        """The z whose e it is, number by number: (B, D) -> (B, D)."""
        z = torch.zeros_like(e)
        for i in range(e.shape[1]):
            shift, scale = self.terms(z)  # what is not there yet is not looked at
            z[:, i] = e[:, i] * torch.exp(scale[:, i]) + shift[:, i]
        return z


class FlowPrior(nn.Module):
    """A learned distribution of vectors: steps between which the order is turned round.

    Args:
        dims: D.
        hidden: Units of each hidden layer of a step.
        steps: How many; with none it is N(0, 1).
        scales: Whether steps scale.
    """

    def __init__(self, dims: int, hidden: int, steps: int, *, scales: bool) -> None:
        super().__init__()
        self.dims = dims
        self.steps = nn.ModuleList(FlowStep(dims, hidden, scales=scales) for _ in range(steps))

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The noise that a vector is made of, and log |de / dz|: (B, D) -> (B, D), (B,)."""
        total = z.new_zeros(len(z))
        for step in self.steps:
            z, log_det = step(z)
            z, total = z.flip(1), total + log_det
        return z, total

    def inverse(self, noise: Tensor) -> Tensor:
        """The vector that is made of a noise: (B, D) -> (B, D)."""
        for step in reversed(self.steps):
            assert isinstance(step, FlowStep)
            noise = step.inverse(noise.flip(1))
        return noise

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) in nats: (B, D) -> (B,)."""
        noise, log_det = self(z)
        zeros = torch.zeros_like(noise)
        density: Tensor = gaussian_log_prob(noise, zeros, zeros) + log_det
        return density

    @torch.no_grad()
    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """``n`` draws: (n, D), on the processor where the generator is."""
        noise = torch.randn(n, self.dims, generator=generator)
        parameter = next(self.parameters(), noise)
        return self.inverse(noise.to(parameter))
