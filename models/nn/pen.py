"""What the pen does next: a mixture of bivariate normal distributions, and one of three states.

p(dx, dy) = sum_m w_m N(dx, dy | mean_m, sigma_m, rho_m)      (Graves, 2013; Ha and Eck, 2017)
p(state)  = softmax over down, lifted, ended
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

# Coordinates are whole numbers and many are equal, and the density of a number that comes again and
# again has no upper bound. So no component is narrower than a hundredth of the offsets' deviation.
LOG_SIGMA = (-4.6, 4.0)
CORRELATION = 4.0  # largest atanh(rho): |rho| <= 0.9993


@dataclass(frozen=True, slots=True)
class PenDistribution:
    """The distribution of the next row, for any leading shape ``...``.

    Attributes:
        log_weights: (..., M) log-probabilities of the components.
        mean: (..., M, 2) of dx and dy.
        log_sigma: (..., M, 2) logarithms of their deviations.
        slant: (..., M) atanh of their correlations.
        log_states: (..., 3) log-probabilities of down, lifted, ended.
    """

    log_weights: Tensor
    mean: Tensor
    log_sigma: Tensor
    slant: Tensor
    log_states: Tensor

    @classmethod
    def read(cls, params: Tensor, *, temperature: float = 1.0) -> "PenDistribution":
        """(..., 6 M + 3) of a network -> the distribution.

        Args:
            params: Any numbers.
            temperature: Divides all logits and multiplies all variances; 1 changes nothing, and
                near 0 the likeliest is drawn.

        Raises:
            ValueError: The temperature is not positive.
        """
        if not temperature > 0:
            raise ValueError(f"The temperature is {temperature}; it has to be positive.")
        states, mixture = params[..., :3], params[..., 3:]
        weights, x, y, sigma_x, sigma_y, slant = mixture.chunk(6, dim=-1)  # (..., M) each
        log_sigma = torch.stack([sigma_x, sigma_y], -1).clamp(*LOG_SIGMA)
        return cls(
            log_weights=F.log_softmax(weights / temperature, -1),
            mean=torch.stack([x, y], -1),
            log_sigma=log_sigma + 0.5 * math.log(temperature),
            slant=slant.clamp(-CORRELATION, CORRELATION),
            log_states=F.log_softmax(states / temperature, -1),
        )

    def going_on(self) -> "PenDistribution":
        """The same, given that the drawing does not end here."""
        never = torch.tensor([0.0, 0.0, -math.inf]).to(self.log_states)
        return replace(self, log_states=F.log_softmax(self.log_states + never, -1))

    def offset_log_prob(self, offset: Tensor) -> Tensor:
        """log p(dx, dy) in nats: (..., 2) -> (...).

        With rho = tanh(r), 1 - rho^2 = 1 / cosh^2(r): nothing is divided by what may become zero,
        and the components are added by their logarithms.
        """
        z_x, z_y = ((offset.unsqueeze(-2) - self.mean) * (-self.log_sigma).exp()).unbind(-1)
        across = (z_x - self.slant.tanh() * z_y) * self.slant.cosh()
        log_density = (
            self.slant.cosh().log()
            - math.log(2 * math.pi)
            - self.log_sigma.sum(-1)
            - 0.5 * (across.square() + z_y.square())
        )  # (..., M)
        return torch.logsumexp(self.log_weights + log_density, -1)

    def state_log_prob(self, states: Tensor) -> Tensor:
        """log p(state) in nats, of states of which one is 1: (..., 3) -> (...)."""
        return (states * self.log_states).sum(-1)

    def draw(self, generator: torch.Generator) -> Tensor:
        """A row of the 5-element format for each leading index: (..., 5).

        An ended row has no offset.
        """
        lead = self.log_weights.shape[:-1]
        uniform = torch.rand(*lead, 2, generator=generator).to(self.mean)
        noise = torch.randn(*lead, 2, generator=generator).to(self.mean)
        component = _pick(self.log_weights, uniform[..., :1])  # (..., 1)
        state = _pick(self.log_states, uniform[..., 1:])  # (..., 1)
        index = component.unsqueeze(-1).expand(*component.shape, 2)
        mean = self.mean.gather(-2, index).squeeze(-2)  # (..., 2)
        sigma = self.log_sigma.gather(-2, index).squeeze(-2).exp()
        slant = self.slant.gather(-1, component)  # (..., 1)
        first, second = noise[..., :1], noise[..., 1:]
        together = torch.cat([slant.tanh() * second + first / slant.cosh(), second], -1)
        states = F.one_hot(state.squeeze(-1), 3).to(mean)
        offset = (mean + sigma * together) * (1 - states[..., 2:])
        return torch.cat([offset, states], -1)


def _pick(log_probs: Tensor, uniform: Tensor) -> Tensor:
    """Where a uniform number falls among probabilities: (..., K) and (..., 1) -> (..., 1)."""
    below = log_probs.exp().cumsum(-1) < uniform
    return below.sum(-1, keepdim=True).clamp(max=log_probs.shape[-1] - 1)
