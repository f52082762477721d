"""Which differences between vectors count: a linear map, fitted after the training.

A vector spreads most along what varies most, which is rarely what a search is about. Half
whitening evens that out (Jegou and Chum, 2012), and the directions from which an item's shape is
told can be counted again. Both are one symmetric matrix:

    M = P^T P + emphasis^2 W^T W,    embedding = A^T M^(1/2) (vector - centre)

with P the whitening and W the map from the vector to the shape, scaled to the same spread as P. A
is the identity where the embedding is as long as the vector; where it is shorter, A holds the
directions along which the photos differ most by then.

The vector is the latent mean, or the encoder's pooled features that the mean is a linear reading
of: they keep some of what the rate presses out of the mean.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

TINY = 1e-8


@dataclass(frozen=True, slots=True)
class MetricSettings:
    """How an embedding is made of what the encoder says.

    Attributes:
        fit: Whether there is a metric; without one the posterior mean is the embedding.
        of: What is measured: the posterior mean (``latent``) or what it is read from
            (``features``).
        shrink: Share of the largest deviation that is added to each before dividing by it: 0
            whitens fully, a large number leaves the proportions as they are.
        emphasis: How often the shape counts beside everything else (needs a shape term).
    """

    fit: bool = False
    of: Literal["latent", "features"] = "latent"
    shrink: float = 0.3
    emphasis: float = 0.5


class Metric(nn.Module):
    """The map from a vector to the embedding; until it is fitted, the vector's first numbers.

    Args:
        length: F, numbers of the vector.
        kept: D, numbers of the embedding.
    """

    def __init__(self, length: int, kept: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(length))
        self.register_buffer("root", torch.eye(length, kept))
        self.centre: Tensor
        self.root: Tensor

    def forward(self, vector: Tensor) -> Tensor:
        """(B, F) -> (B, D)."""
        return (vector - self.centre) @ self.root

    @torch.no_grad()
    def fit(self, vectors: Tensor, shape: Tensor | None, settings: MetricSettings) -> None:
        """Fit to the vectors of many photos.

        Args:
            vectors: (N, F); with fewer than two nothing is changed.
            shape: (S, F) linear map from the vector to the shape, if there is one.
            settings: How.
        """
        if len(vectors) < 2:
            return
        z = vectors.double()
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
        kept = self.root.shape[1]
        if kept < len(root):
            y = z @ root
            root = root @ torch.linalg.eigh(y.T @ y)[1][:, -kept:]
        # Embeddings of unit length on average: the stored half precision is at its best there.
        self.root.copy_(root / ((z @ root).square().sum(1).mean().sqrt() + TINY))
