"""The factorised decoder: every pixel's distribution from the latent vector alone."""

from typing import Literal

import torch
from torch import Tensor, nn

from models.nn.likelihoods import Bernoulli, Likelihood, LogisticMixture
from models.nn.precision import at_least_float32
from models.nn.upsampler import Upsampler


class FactorisedDecoder(nn.Module):
    """Latent vector -> parameters of each pixel's distribution, independent given the vector.

    Args:
        latent: D of the vector.
        channels: C of the picture.
        size: Its side.
        width: Channels of the last feature map.
        likelihood: ``logistic`` for grey levels, ``bernoulli`` for binary pictures.
        levels: Grey levels that are told apart.
        components: Logistics in the mixture.
    """

    def __init__(
        self,
        latent: int,
        channels: int,
        size: int,
        width: int,
        *,
        likelihood: Literal["logistic", "bernoulli"],
        levels: int,
        components: int,
    ) -> None:
        super().__init__()
        self.size = size
        self.likelihood: Likelihood = (
            Bernoulli(channels)
            if likelihood == "bernoulli"
            else LogisticMixture(channels, components, levels)
        )
        self.upsampler = Upsampler(latent, size, width)
        self.out = nn.Conv2d(width, self.likelihood.parameters, 1)

    def forward(self, z: Tensor) -> Tensor:
        """(B, D) -> (B, P, h, w), the parameters of the likelihood, in float32."""
        return at_least_float32(self.out(self.upsampler(z)))

    def score(self, z: Tensor, target: Tensor) -> Tensor:
        """log p(target | z) in nats: (B, D) and (B, C, h, w) -> (B,)."""
        return self.likelihood.log_prob(target, self(z)).sum((1, 2))

    def mean(self, z: Tensor) -> Tensor:
        """The mean picture: (B, D) -> (B, C, h, w) in [-1, 1]."""
        params = self(z)
        if isinstance(self.likelihood, Bernoulli):
            return 2 * torch.sigmoid(params) - 1
        return self.likelihood.mean(params)

    def draw(self, z: Tensor, generator: torch.Generator) -> Tensor:
        """A picture drawn from each vector's distribution: (B, D) -> (B, C, h, w) in [-1, 1]."""
        noise = torch.rand(
            len(z), self.likelihood.noise, self.size, self.size, generator=generator
        ).to(z)
        return self.likelihood.draw(self(z), noise)
