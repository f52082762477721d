"""What a model must be able to do to be trained, saved, listed, sampled and indexed here."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Batch:
    """What a training step sees.

    Attributes:
        views: (V, B, C, H, W) float in [-1, 1]; V pictures of each of B items, differing in what
            should not matter (background, position, light).
        targets: (V, B, C, h, w) float in [-1, 1]; what a decoder should draw for each view.
        step_seed: Seeds whatever else the step draws, so that a resumed run repeats itself.
        progress: How much of the training has passed, 0 to 1.
    """

    views: Tensor
    targets: Tensor
    step_seed: int
    progress: float = 1.0

    def generator(self) -> torch.Generator:
        """A generator that gives the same numbers for the same step."""
        return torch.Generator().manual_seed(self.step_seed)


class Player(NamedTuple):
    """Who minimises what: one optimiser's parameters and their loss.

    A likelihood model has one player, a GAN two, and both train in the same loop. ``loss``
    returns a dict of scalars; ``loss["loss"]`` is minimised, the rest is logged.
    """

    name: str
    parameters: Callable[[], Iterable[nn.Parameter]]
    loss: Callable[[Batch], dict[str, Tensor]]


class GenerativeModel(nn.Module, ABC):
    """A model of pictures with a vector for each of them."""

    embedding_dim: int

    @abstractmethod
    def players(self) -> tuple[Player, ...]:
        """The optimisation problem."""

    @abstractmethod
    def sample(self, n: int, *, generator: torch.Generator) -> Tensor:
        """Draw ``n`` new pictures: (n, C, h, w) in [-1, 1]."""

    @abstractmethod
    def embed(self, x: Tensor) -> Tensor:
        """(B, C, H, W) in [-1, 1] -> (B, embedding_dim), each row independent of the others."""


@runtime_checkable
class LatentVariableModel(Protocol):
    """A model with a latent vector and a bound on the likelihood."""

    def elbo(self, x: Tensor, target: Tensor, *, generator: torch.Generator) -> Tensor:
        """Evidence lower bound in nats: (B,)."""
        ...

    def log_prob(self, x: Tensor, target: Tensor, k: int, *, generator: torch.Generator) -> Tensor:
        """Importance-weighted bound with ``k`` samples (Burda et al., 2016) in nats: (B,)."""
        ...

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the posterior: two of (B, D)."""
        ...

    def decode(self, z: Tensor, *, generator: torch.Generator) -> Tensor:
        """Draw a picture for each latent vector: (B, D) -> (B, C, h, w) in [-1, 1]."""
        ...
