"""What an encoder says of a latent vector: a distribution, and the prior it is measured from.

Each family is told by two numbers per dimension, the location and the log-variance of a normal
variable, and holds its prior as the case 0 and 0. It draws by explicit noise (Kingma and Welling,
2014), weighs its draws in nats, and has its divergence from its prior in closed form.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from models.nn.latent import spherical, straight
from models.nn.noise import normal
from models.nn.rate import gaussian_kl, gaussian_log_prob

# Bounded: a posterior a thousand times narrower than the prior is a runaway.
LOG_VARIANCES = (-7.0, 3.0)


@dataclass(frozen=True, slots=True)
class NormalPosterior:
    """Independent normal distributions; the prior is N(0, 1) in each dimension.

    Attributes:
        temperature: T of draws from the prior only, which are from p^(1/T): N(0, T).
    """

    temperature: float = 1.0

    def read(self, params: Tensor) -> tuple[Tensor, Tensor]:
        """An encoder's numbers (B, 2 D) -> location and log-variance, two of (B, D)."""
        location, log_var = params.chunk(2, 1)
        return location, log_var.clamp(*LOG_VARIANCES)

    def mean(self, location: Tensor, log_var: Tensor) -> Tensor:  # noqa: ARG002 - as every family's
        """The posterior mean: two of (B, D) -> (B, D)."""
        return location

    def weigh(
        self, location: Tensor, log_var: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """A draw z (B, D), with its gradient, and log p(z) - log q(z) in nats (B,)."""
        noise = normal(tuple(location.shape), location, generator)
        z = location + (0.5 * log_var).exp() * noise
        zeros = torch.zeros_like(z)
        return z, gaussian_log_prob(z, zeros, zeros) - gaussian_log_prob(z, location, log_var)

    def draw(self, location: Tensor, log_var: Tensor, generator: torch.Generator) -> Tensor:
        """A draw with the gradient of both: two of (B, D) -> (B, D)."""
        return self.weigh(location, log_var, generator)[0]

    def kl(self, location: Tensor, log_var: Tensor) -> Tensor:
        """KL(q || p) in nats: two of (B, D) -> (B,)."""
        return gaussian_kl(location, log_var)

    def prior_draw(self, n: int, dims: int, generator: torch.Generator) -> Tensor:
        """``n`` draws from the prior: (n, D)."""
        return math.sqrt(self.temperature) * torch.randn(
            n, dims, generator=generator, device=generator.device
        )

    def between(self, a: Tensor, b: Tensor, share: float) -> Tensor:
        """The point at ``share`` of the arc between two vectors: two of (B, D) -> (B, D)."""
        return spherical(a, b, share)


@dataclass(frozen=True, slots=True)
class NormalPlaces:
    """What lies at the places of a map: independent normal numbers, told as a posterior's are.

    For the ways to draw value by value (``models.sampling``), which round differently in float64. A
    draw is one of float32's numbers, so that they agree as they do on a pixel's levels.

    Attributes:
        channels: Numbers at a place.
    """

    channels: int

    @property
    def parameters(self) -> int:
        """Numbers per place that a network must give."""
        return 2 * self.channels

    @property
    def noise(self) -> int:
        """Normal numbers per place that a draw needs."""
        return self.channels

    def draw(self, params: Tensor, noise: Tensor) -> Tensor:
        """(B, 2 L, H, W) parameters and (B, L, H, W) normal noise -> (B, L, H, W)."""
        location, log_var = NormalPosterior().read(params)
        return (location + (0.5 * log_var).exp() * noise).float().to(params)


@dataclass(frozen=True, slots=True)
class ProbitNormalPosterior:
    """2 Phi(y) - 1 of a normal variable y: on (-1, 1), with U(-1, 1) as the prior.

    Phi turns N(0, 1) into the uniform distribution, and as it can be undone it leaves divergences
    and ratios of densities as they were: both are those of y, in closed form. (A uniform posterior
    on an interval is simpler, but its support is not the prior's, so no number of importance
    samples reaches the likelihood; and near the prior its divergence grows linearly and not with
    the square, so that a vector which has once collapsed hardly comes back.)

    Attributes:
        temperature: T of draws from the prior only, in which y is N(0, T).
    """

    temperature: float = 1.0

    def read(self, params: Tensor) -> tuple[Tensor, Tensor]:
        """An encoder's numbers (B, 2 D) -> location and log-variance of y, two of (B, D)."""
        return NormalPosterior().read(params)

    def mean(self, location: Tensor, log_var: Tensor) -> Tensor:
        """The posterior mean, 2 Phi(m / sqrt(1 + s^2)) - 1: two of (B, D) -> (B, D)."""
        return _squash(location * (1 + log_var.exp()).rsqrt())

    def weigh(
        self, location: Tensor, log_var: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """A draw z (B, D), with its gradient, and log p(z) - log q(z) in nats (B,)."""
        y, ratio = NormalPosterior().weigh(location, log_var, generator)
        return _squash(y), ratio

    def draw(self, location: Tensor, log_var: Tensor, generator: torch.Generator) -> Tensor:
        """A draw with the gradient of both: two of (B, D) -> (B, D)."""
        return self.weigh(location, log_var, generator)[0]

    def kl(self, location: Tensor, log_var: Tensor) -> Tensor:
        """KL(q || p) in nats: two of (B, D) -> (B,)."""
        return gaussian_kl(location, log_var)

    def prior_draw(self, n: int, dims: int, generator: torch.Generator) -> Tensor:
        """``n`` draws from the prior: (n, D)."""
        z = 2 * torch.rand(n, dims, generator=generator, device=generator.device) - 1
        if self.temperature == 1:
            return z
        return _squash(math.sqrt(2 * self.temperature) * torch.erfinv(z))

    def between(self, a: Tensor, b: Tensor, share: float) -> Tensor:
        """The point at ``share`` of the line between two vectors, which never leaves (-1, 1)."""
        return straight(a, b, share)


Posterior = NormalPosterior | ProbitNormalPosterior


def posterior_for(prior: Literal["normal", "uniform"]) -> Posterior:
    """The family whose prior has that name."""
    return ProbitNormalPosterior() if prior == "uniform" else NormalPosterior()


def importance_weighted(
    posterior: Posterior,
    score: Callable[[Tensor], Tensor],
    location: Tensor,
    log_var: Tensor,
    k: int,
    generator: torch.Generator,
) -> Tensor:
    """log 1/k sum p(x|z) p(z) / q(z|x) over k draws (Burda et al., 2016) in nats: (B,).

    In expectation it rises with ``k``, from the evidence lower bound at 1 towards log p(x).

    Args:
        posterior: The family.
        score: log p(x | z) of vectors (B, D): (B,) nats.
        location: The posteriors' locations (B, D).
        log_var: Their log-variances (B, D).
        k: Draws, at least 1.
        generator: Of the draws.

    Raises:
        ValueError: ``k`` is less than 1.
    """
    if k < 1:
        raise ValueError(f"An importance-weighted bound takes at least 1 sample; found k = {k}.")
    weights = []
    for _ in range(k):
        z, ratio = posterior.weigh(location, log_var, generator)
        weights.append(score(z) + ratio)
    return torch.logsumexp(torch.stack(weights), 0) - math.log(k)


def _squash(y: Tensor) -> Tensor:
    """2 Phi(y) - 1, from the line to (-1, 1)."""
    return torch.erf(y / math.sqrt(2))
