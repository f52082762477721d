"""What a model must be able to do to be trained, saved, listed, sampled and indexed here."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, Self, TypeGuard, runtime_checkable

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
        progress: How much of the training has passed, 0 to 1; a scalar tensor in a recorded step.
        shapes: (V, B, S) what shape each view's item has, of unit length; zero where unknown. None
            where no item was cut out (see ``models.training.shapes``).
        labels: (V, B) int64, the class of each view's picture; None where the data have none.
        source: Where noise comes from instead (``models.training.recording``).
    """

    views: Tensor
    targets: Tensor
    step_seed: int
    progress: float | Tensor = 1.0
    shapes: Tensor | None = None
    labels: Tensor | None = None
    source: torch.Generator | None = None

    def generator(self) -> torch.Generator:
        """A generator that gives the same numbers for the same step."""
        return self.source or torch.Generator().manual_seed(self.step_seed)


@dataclass(frozen=True, slots=True)
class StrokeBatch:
    """What a training step of a stroke model sees.

    Attributes:
        strokes: (B, N_max, 5) drawings in the 5-element format (see ``models.strokes``).
        step_seed: Seeds whatever else the step draws, so that a resumed run repeats itself.
        progress: How much of the training has passed, 0 to 1; a scalar tensor in a recorded step.
        source: Where noise comes from instead (``models.training.recording``).
    """

    strokes: Tensor
    step_seed: int
    progress: float | Tensor = 1.0
    source: torch.Generator | None = None

    def generator(self) -> torch.Generator:
        """A generator that gives the same numbers for the same step."""
        return self.source or torch.Generator().manual_seed(self.step_seed)


class Player(NamedTuple):
    """Who minimises what: one optimiser's parameters and their loss.

    A likelihood model has one player, a GAN two, and both train in the same loop. ``loss``
    returns a dict of scalars; ``loss["loss"]`` is minimised, the rest is logged. It is given a
    ``Batch``, or a ``StrokeBatch`` where that is the model's modality.

    Attributes:
        name: Tells the players of a model apart.
        parameters: What the player moves.
        loss: What the player minimises.
        every: The player has a turn in every so many steps: 1 is each, 5 the fifth, the tenth...
        repeats: The loss runs the same kernels whatever the batch holds, so that on an accelerator
            a step can be recorded and repeated (``models.training.recording``).
        betas: Decay of the optimiser's two running means.
    """

    name: str
    parameters: Callable[[], Iterable[nn.Parameter]]
    loss: Callable[[Any], dict[str, Tensor]]
    every: int = 1
    betas: tuple[float, float] = (0.9, 0.99)
    repeats: bool = False


class GenerativeModel(nn.Module, ABC):
    """A model of pictures, or of drawings, with a vector for each of them.

    What a method says of pictures (B, C, H, W) in [-1, 1] holds, for a model of strokes, of
    drawings (B, T, 5) in the 5-element format; rows after a drawing's end change nothing.

    Attributes:
        embedding_dim: Length of the vector.
        heads: Prefixes of what weights may lack and still be the start of a training: parameters
            that only a loss needs, and what is fitted at the end.
        modality: What goes in and comes out: ``pixels``, or ``strokes`` of a pen.
        encodes: Whether ``latent`` gives the vector that a picture would be drawn from again.
        unrolls: Whether a graph of ``embed`` has every step of a recurrence written out: minutes of
            work, which nobody does unasked.
    """

    modality: Literal["pixels", "strokes"] = "pixels"
    encodes: bool = True
    unrolls: bool = False
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
        """Evidence lower bound in nats: (B,).

        Raises:
            ValueError: Pixels are binary to the model, and the target's are not.
        """
        ...

    def log_prob(self, x: Tensor, target: Tensor, k: int, *, generator: torch.Generator) -> Tensor:
        """Importance-weighted bound with ``k`` samples (Burda et al., 2016) in nats: (B,).

        Raises:
            ValueError: ``k`` is less than 1; or, as for ``elbo``, the target is not binary.
        """
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
class StagedDecoder(Protocol):
    """A model whose pictures come about in steps that can be shown, from rough to fine."""

    def canvases(self, z: Tensor) -> Tensor:
        """The picture of a latent vector after each step: (B, D) -> (B, T, C, h, w) in [-1, 1]."""
        ...


@runtime_checkable
class ShapeTeller(Protocol):
    """A model that learned to tell an item's shape (``models.training.shapes``) from a photo."""

    def tell_shape(self, x: Tensor) -> Tensor | None:
        """What shape the item of each photo has: (B, C, H, W) in [-1, 1] -> (B, S).

        None if the model was trained without shapes.
        """
        ...


@runtime_checkable
class LatentPrior(Protocol):
    """A model whose latent vectors come from somewhere, and between two of which one can walk."""

    def draw_latent(self, n: int, *, generator: torch.Generator) -> Tensor:
        """Vectors as ``sample`` draws them: (n, D)."""
        ...

    def between(self, a: Tensor, b: Tensor, share: float) -> Tensor:
        """The vector at ``share``, 0 to 1, of the way from ``a`` to ``b``: two of (B, D) -> (B, D).

        An arc where the prior is normal, a line where it is not.
        """
        ...


@runtime_checkable
class Tempered(Protocol):
    """A model that can be asked to draw what is more probable, or what is less."""

    def at_temperature(self, temperature: float) -> Self:
        """The same model, its weights shared, whose draws are from p^(1/T).

        Below 1 draws keep to what is probable, above 1 they dare more. Scores stay those of 1.

        Raises:
            ValueError: The temperature is not positive.
        """
        ...


@runtime_checkable
class Sizable(Protocol):
    """A model that can draw pictures of other sides than it has learned."""

    def at_size(self, side: int) -> Self:
        """The same model, its weights shared, that draws pictures of this side.

        Raises:
            ValueError: The model cannot be of this side.
        """
        ...


@runtime_checkable
class Conditional(Protocol):
    """A model that can be trained with labels, and then draws pictures of the one asked for."""

    def of_label(self, label: int) -> Self:
        """The same model, its weights shared, that draws pictures of this label.

        Raises:
            ValueError: The model has not learned this label, or none at all.
        """
        ...


@runtime_checkable
class ExactLikelihoodModel(Protocol):
    """A model that gives every picture its probability itself, not a bound on it.

    Ask ``scores_exactly`` which models these are: one with a latent vector may have a method of the
    same name that scores a picture given the vector.
    """

    def score(self, x: Tensor) -> Tensor:
        """log p(x) in nats: (B, C, H, W) in [-1, 1] -> (B,).

        Raises:
            ValueError: Pixels are binary to the model, and the picture's are not.
        """
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


@runtime_checkable
class Enlarger(Protocol):
    """A model that draws large pictures of small ones.

    Its ``Config`` says by ``enlarges: tuple[int, ...]`` which sides these may have. Ask
    ``can_enlarge`` which models these are: a layer may have the method's name.
    """

    def enlarge(self, small: Tensor, *, generator: torch.Generator) -> Tensor:
        """Draw a large picture of each small one: (B, C, s, s) in [-1, 1] -> (B, C, h, w).

        Args:
            small: Pictures as they are, never resized; s is one of ``Config.enlarges``.
            generator: Of the draws.

        Raises:
            ValueError: They have another side, or other channels.
        """
        ...


@runtime_checkable
class StrokeModel(Protocol):
    """A model whose modality is strokes.

    Attributes:
        exact: Whether ``bound`` is the likelihood itself, there being no latent variable.
    """

    exact: bool

    def sample(self, n: int, *, generator: torch.Generator, temperature: float = 1.0) -> Tensor:
        """Draw ``n`` drawings: (n, N_max, 5); below a temperature of 1 with less chance."""
        ...

    def finish(
        self, started: Tensor, n: int, *, generator: torch.Generator, temperature: float = 1.0
    ) -> Tensor:
        """Go on with a started drawing in ``n`` ways: (K, 5) -> (n, N_max, 5).

        Raises:
            ValueError: There is no room for another point.
        """
        ...

    def terms(self, x: Tensor, *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """L_R and L_KL, what a drawing costs by itself and in latent variables: two of (B,).

        In the units of Sketch-RNN's paper, or as the model's file says.
        """
        ...

    def bound(self, x: Tensor, k: int, *, generator: torch.Generator) -> Tensor:
        """A lower bound on log p(drawing) in nats, by ``k`` importance samples: (B,)."""
        ...


@runtime_checkable
class StrokeDecoder(Protocol):
    """A stroke model with a vector for each drawing, and a drawing for each vector."""

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the posterior: (B, T, 5) -> two of (B, D)."""
        ...

    def decode(self, z: Tensor, *, generator: torch.Generator, temperature: float = 1.0) -> Tensor:
        """Draw a drawing for each vector: (B, D) -> (B, N_max, 5)."""
        ...


def scores_exactly(model: object) -> TypeGuard[ExactLikelihoodModel]:
    """Whether ``model.score(x)`` is the exact log-probability of pictures."""
    return isinstance(model, ExactLikelihoodModel) and not isinstance(model, LatentVariableModel)


def can_enlarge(model: object) -> TypeGuard[Enlarger]:
    """Whether ``model.enlarge(small)`` draws large pictures of small ones."""
    return issubclass(type(model), Enlarger)
