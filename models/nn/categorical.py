"""A pixel's value as one of so many levels, each with a probability of its own, in nats.

Nothing is said of the levels' order: that 100 lies between 99 and 101 has to be learned (van den
Oord et al., 2016). Like the other likelihoods it draws by explicit uniform noise, so that any
sampler that uses the same noise gives the same picture, and at a temperature T from p^(1/T).
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


def snap(x: Tensor, levels: int) -> Tensor:
    """The nearest of the levels, which lie evenly on [-1, 1]: any shape -> the same shape."""
    half = (levels - 1) / 2
    return ((x.clamp(-1, 1) + 1) * half).round() / half - 1


@dataclass(frozen=True, slots=True)
class Categorical:
    """One probability for each of 2 to 256 levels, by softmax.

    Parameters per pixel, in this order: the logits of the first channel's levels, the darkest
    first, then those of the next channel's. Given the parameters the channels are independent; a
    model that lets green depend on red draws one after the other.
    """

    channels: int = 1
    levels: int = 256
    temperature: float = 1.0

    @property
    def parameters(self) -> int:
        """Numbers per pixel that a decoder must give."""
        return self.channels * self.levels

    @property
    def noise(self) -> int:
        """Uniform numbers per pixel that a draw needs."""
        return self.channels

    def log_prob(self, x: Tensor, params: Tensor) -> Tensor:
        """(B, C, H, W) pixels in [-1, 1] and (B, P, H, W) parameters -> (B, H, W) nats.

        A value between two levels counts as the nearest.
        """
        level = ((x.clamp(-1, 1) + 1) * ((self.levels - 1) / 2)).round().long()
        each = F.log_softmax(self._split(params), 2)  # (B, C, L, H, W)
        return each.gather(2, level.unsqueeze(2)).squeeze(2).sum(1)

    def draw(self, params: Tensor, noise: Tensor) -> Tensor:
        """(B, P, H, W) parameters and (B, C, H, W) uniform noise -> (B, C, H, W) pixels.

        By inverse transform: the first level whose cumulated probability exceeds the noise.
        """
        logits = self._split(params) / self.temperature  # (B, C, L, H, W)
        cumulated = F.softmax(logits, 2).cumsum(2)
        # Rounding can leave the last sum a little under 1; noise above it is the last level.
        level = (noise.unsqueeze(2) >= cumulated).sum(2).clamp(max=self.levels - 1)
        return level.to(params) / ((self.levels - 1) / 2) - 1

    def mean(self, params: Tensor) -> Tensor:
        """The expected picture, without a draw: (B, P, H, W) -> (B, C, H, W)."""
        levels = torch.linspace(-1, 1, self.levels, dtype=params.dtype, device=params.device)
        return (F.softmax(self._split(params), 2) * levels.view(-1, 1, 1)).sum(2)

    def _split(self, params: Tensor) -> Tensor:
        """The logits: (B, P, H, W) -> (B, C, L, H, W)."""
        B, _, H, W = params.shape
        return params.reshape(B, self.channels, self.levels, H, W)
