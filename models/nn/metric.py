"""Which differences between latent vectors count: a linear map, fitted after the training.

A latent vector spreads most along what varies most, which is rarely what a search is about. Half
whitening evens that out (Jegou and Chum, 2012), and the directions from which an item's shape is
told can be counted again. Both are one symmetric matrix, so the embedding keeps its length:

    M = P^T P + emphasis^2 W^T W,    embedding = M^(1/2) (mean - centre)

with P the whitening and W the map from the vector to the shape, scaled to the same spread as P.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

TINY = 1e-8


@dataclass(frozen=True, slots=True)
class MetricSettings:
    """How an embedding is made of the posterior mean.

    Attributes:
        fit: Whether there is a metric; without one the mean is the embedding.
        shrink: Share of the largest deviation that is added to each before dividing by it: 0
            whitens fully, a large number leaves the proportions as they are.
        emphasis: How often the shape counts beside everything else (needs a shape term).
    """

    fit: bool = False
    shrink: float = 0.3
    emphasis: float = 0.5


class Metric(nn.Module):
    """The map from the posterior mean to the embedding; the identity until it is fitted."""

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(latent))
        self.register_buffer("root", torch.eye(latent))
        self.centre: Tensor
        self.root: Tensor

    def forward(self, mean: Tensor) -> Tensor:
        """(B, D) -> (B, D)."""
        return (mean - self.centre) @ self.root

    @torch.no_grad()
    def fit(self, means: Tensor, shape: Tensor | None, settings: MetricSettings) -> None:
        """Fit to the posterior means of many photos.

        Args:
            means: (N, D); with fewer than two nothing is changed.
            shape: (S, D) linear map from the vector to the shape, if there is one.
            settings: How.
        """
        if len(means) < 2:
            return
        z = means.double()
        self.centre.copy_(z.mean(0))
        z = z - z.mean(0)
        variances, axes = torch.linalg.eigh(z.T @ z / len(z))
        deviations = variances.clamp(min=0).sqrt()
        whiten = axes / (deviations + settings.shrink * deviations[-1] + TINY) @ axes.T
        M = whiten.T @ whiten
        if shape is not None and settings.emphasis > 0:
            told = shape.double()
            spread, wanted = (z @ told.T).square().sum(1).mean(), (z @ whiten).square().sum(1)
            M = M + settings.emphasis**2 * wanted.mean() / (spread + TINY) * told.T @ told
        squares, axes = torch.linalg.eigh(M)
        root = axes * squares.clamp(min=0).sqrt() @ axes.T
        # Embeddings of unit length on average: the stored half precision is at its best there.
        self.root.copy_(root / ((z @ root).square().sum(1).mean().sqrt() + TINY))
