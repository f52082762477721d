"""What a model must be able to do to be trained, saved, listed, sampled and indexed here."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeGuard, runtime_checkable

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
        shapes: (V, B, S) what shape each view's item has, of unit length; zero where unknown. None
            where no item was cut out (see ``models.training.shapes``).
    """

    views: Tensor
    targets: Tensor
    step_seed: int
    progress: float = 1.0
    shapes: Tensor | None = None

    def generator(self) -> torch.Generator:
        """A generator that gives the same numbers for the same step."""
        return torch.Generator().manual_seed(self.step_seed)


class Player(NamedTuple):
    """Who minimises what: one optimiser's parameters and their loss.

    A likelihood model has one player, a GAN two, and both train in the same loop. ``loss``
    returns a dict of scalars; ``loss["loss"]`` is minimised, the rest is logged.

    Attributes:
        name: Tells the players of a model apart.
        parameters: What the player moves.
        loss: What the player minimises.
        every: The player has a turn in every so many steps: 1 is each, 5 the fifth, the tenth...
        betas: Decay of the optimiser's two running means.
    """

    name: str
    parameters: Callable[[], Iterable[nn.Parameter]]
    loss: Callable[[Batch], dict[str, Tensor]]
    every: int = 1
    betas: tuple[float, float] = (0.9, 0.99)


class GenerativeModel(nn.Module, ABC):
    """A model of pictures with a vector for each of them.

    Attributes:
        embedding_dim: Length of the vector.
        heads: Prefixes of what weights may lack and still be the start of a training: parameters
            that only a loss needs, and what is fitted at the end.
    """

    embedding_dim: int
    heads: tuple[str, ...] = ()

    @abstractmethod
    def players(self) -> tuple[Player, ...]:
        """The optimisation problem."""

    @abstractmethod
    def sample(self, n: int, *, generator: torch.Generator) -> Tensor:
        """Draw ``n`` new pictures: (n, C, h, w) in [-1, 1]."""

    @abstractmethod
    def embed(self, x: Tensor) -> Tensor:
        """(B, C, H, W) in [-1, 1] -> (B, embedding_dim), each row independent of the others."""

    def latent(self, x: Tensor) -> Tensor:
        """The vector from which a model with a decoder would draw the picture again.

        The embedding, unless that is made of the latent vector: (B, C, H, W) -> (B, D).
        """
        return self.embed(x)

    def settle(self, pictures: Iterable[Tensor]) -> None:
        """Fit what no gradient learns, once, after the last step and with the averaged weights.

        Args:
            pictures: Batches of training pictures as the encoder will see them in use,
                (B, C, H, W) in [-1, 1]. A model that has nothing to fit need not ask for them.
        """


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

    def rate(self, x: Tensor) -> Tensor:
        """How many nats the vector of each picture holds, KL(q(z|x) || p(z)): (B,)."""
        ...

    def decode(self, z: Tensor, *, generator: torch.Generator) -> Tensor:
        """Draw a picture for each latent vector: (B, D) -> (B, C, h, w) in [-1, 1]."""
        ...


@runtime_checkable
class WeighedDraws(Protocol):
    """A latent-variable model whose posterior or prior is no plain normal distribution.

    Its ``encode`` says where the posterior lies, its ``rate`` is a mean over draws, and what
    defines both is here.
    """

    def weigh(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """A draw z from q(z|x) (B, D), and log p(z) - log q(z|x) in nats (B,)."""
        ...


@runtime_checkable
class LatentDecoder(Protocol):
    """A model that shows what a vector of ``latent`` says, without chance."""

    def outline(self, z: Tensor) -> Tensor | None:
        """The mean picture of each latent vector: (B, D) -> (B, C, h, w) in [-1, 1].

        None if the model was trained without what draws it.
        """
        ...


@runtime_checkable
class ExactLikelihoodModel(Protocol):
    """A model that gives every picture its probability itself, not a bound on it.

    Ask ``scores_exactly`` which models these are: one with a latent vector may have a method of the
    same name that scores a picture given the vector.
    """

    def score(self, x: Tensor) -> Tensor:
        """log p(x) in nats: (B, C, H, W) in [-1, 1] -> (B,)."""
        ...


@runtime_checkable
class Completer(Protocol):
    """A model that draws the rest of a picture of which a part is known."""

    def complete(self, x: Tensor, known: Tensor, *, generator: torch.Generator) -> Tensor:
        """Draw what is not known, given what is: (B, C, H, W) in [-1, 1] -> the same shape.

        Args:
            x: Pictures; what is not known of them is not looked at.
            known: (B, 1, H, W) bool, True where a pixel is known. It comes back as it is, but for
                the rounding to the model's levels.
            generator: Of the draws; the same as ``sample``'s, where nothing is known.

        Raises:
            ValueError: The model cannot draw the rest given just this part.
        """
        ...


def scores_exactly(model: object) -> TypeGuard[ExactLikelihoodModel]:
    """Whether ``model.score(x)`` is the exact log-probability of pictures."""
    return isinstance(model, ExactLikelihoodModel) and not isinstance(model, LatentVariableModel)
