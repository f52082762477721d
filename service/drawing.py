"""What a model draws: samples, completions, reconstructions, and what lies between pictures.

Each function does one thing with weights that are loaded, tells a ``Watch`` how far it is, and can
be stopped by it between two pictures. Needs torch: import it where something is drawn.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from indexer.protocols import Pixels
from models.training.protocols import (
    Completer,
    Enlarger,
    GenerativeModel,
    LatentDecoder,
    LatentPrior,
    LatentVariableModel,
    Sizable,
    StagedDecoder,
    can_enlarge,
)
from service.brush import Brush, refusals_of, to_tensor, unable
from service.known import Known, greyed
from service.sheets import Drawing


def draw_samples(brush: Brush, n: int, side: int | None = None) -> Drawing:
    """``n`` new pictures.

    Args:
        brush: Of any model.
        n: How many.
        side: Of the pictures, in pixels; that of the training pictures if None.

    Raises:
        UnableModelError: The model draws no pictures of that side.
    """
    model, generator = brush.model, brush.generator()
    if side is not None and side != own_side(model):
        if not isinstance(model, Sizable):
            raise unable(brush.weights, "size", f"its pictures have a side of {own_side(model)}")
        with refusals_of(brush.weights):
            sized = model.at_size(side)
        assert isinstance(sized, GenerativeModel)
        model = sized
    pictures = brush.collect(n, lambda _, count: model.sample(count, generator=generator))
    return brush.drawing(pictures)


def draw_completions(brush: Brush, photo: Pixels, known: Known, n: int) -> Drawing:
    """The rest of a photo, ``n`` times.

    Args:
        brush: Of a model that completes.
        photo: (H, W, C) uint8, made by the weights' preprocessing.
        known: (H, W) bool, True where the photo counts.
        n: How many.

    Raises:
        UnableModelError: The model completes nothing, or not given just this part.
    """
    model, generator = brush.model, brush.generator()
    if not isinstance(model, Completer):
        raise unable(brush.weights, "complete", "it cannot draw the rest of a picture given a part")
    completer: Completer = model
    x = to_tensor([photo])
    mask = torch.from_numpy(known)[None, None]  # (1, 1, H, W)

    def draw(_: int, count: int) -> Tensor:
        with refusals_of(brush.weights):
            return completer.complete(
                x.expand(count, -1, -1, -1), mask.expand(count, -1, -1, -1), generator=generator
            )

    return brush.drawing(brush.collect(n, draw), photos=(greyed(photo, known),))


def draw_enlargements(brush: Brush, small: Pixels, n: int) -> Drawing:
    """A small picture (s, s, C) uint8 made large, ``n`` times.

    Raises:
        UnableModelError: The model enlarges nothing, or not from this side.
    """
    enlarger, generator = enlarger_of(brush), brush.generator()
    x = to_tensor([small])

    def draw(_: int, count: int) -> Tensor:
        with refusals_of(brush.weights):
            return enlarger.enlarge(x.expand(count, -1, -1, -1), generator=generator)

    return brush.drawing(brush.collect(n, draw), photos=(small,))


def draw_reconstructions(brush: Brush, photos: Sequence[Pixels]) -> Drawing:
    """Photos, each drawn again from its latent vector.

    Raises:
        UnableModelError: The model has no latent vector, or no mean picture and one is asked for.
    """
    if not brush.weights.model.encodes:
        raise unable(brush.weights, "reconstruct", "it finds no vector of a photo")
    decode = decoder_of(brush)
    x = to_tensor(photos)
    model, generator = brush.weights.model, brush.generator()
    pictures = brush.collect(
        len(photos), lambda first, count: decode(model.latent(x[first : first + count]), generator)
    )
    return brush.drawing(pictures, photos=photos, columns=len(photos))


def draw_interpolation(brush: Brush, ends: Sequence[Pixels | int], steps: int) -> Drawing:
    """What lies between two photos, or between the vectors of two seeds, both ends included.

    All steps are drawn with the same chance, so that only the vector changes.

    Raises:
        UnableModelError: The model has no latent vector to walk between.
    """
    decode, prior = decoder_of(brush), prior_of(brush)
    with torch.inference_mode():
        found = latents(brush, ends)
        a, b = found[:1], found[1:]

    def draw(step: int, _: int) -> Tensor:
        return decode(prior.between(a, b, step / (steps - 1)), brush.generator())

    photos = photos_in(ends)
    return brush.drawing(
        brush.collect(steps, draw, chunk=1), photos=photos, columns=steps + len(photos), framed=True
    )


def draw_arithmetic(
    brush: Brush,
    plus: Sequence[Pixels | int],
    minus: Sequence[Pixels | int],
    n: int,
) -> Drawing:
    """The sum of the latent vectors of ``plus`` less those of ``minus``, drawn ``n`` times.

    Args:
        brush: Of a model with a latent vector.
        plus: Photos or seeds, one more than ``minus``, so that weights sum to 1 as a place does:
            with two and one, this is a - b + c.
        minus: Photos or seeds.
        n: How many; a model that decodes without chance gives the same each time.

    Raises:
        UnableModelError: The model has no latent vector to count with.
    """
    decode, _ = decoder_of(brush), prior_of(brush)
    with torch.inference_mode():
        z = latents(brush, plus).sum(0, keepdim=True)
        if minus:
            z = z - latents(brush, minus).sum(0, keepdim=True)
    generator = brush.generator()
    pictures = brush.collect(n, lambda _, count: decode(z.expand(count, -1), generator))
    return brush.drawing(pictures, photos=(*photos_in(plus), *photos_in(minus)))


def draw_frames(
    brush: Brush, photos: Sequence[Pixels], n: int, frames: int | None = None
) -> Drawing:
    """How pictures come about: of each a row of frames, the picture as it is after a step.

    Args:
        brush: Of a model that draws in steps.
        photos: Drawn again from their vectors; without them, ``n`` new pictures.
        n: How many, without photos.
        frames: So many of the steps, evenly spaced, the last included; all of them if None.

    Raises:
        UnableModelError: The model draws at one go.
    """
    model = brush.model
    if not isinstance(model, StagedDecoder):
        raise unable(brush.weights, "frames", "it draws a picture at one go")
    staged: StagedDecoder = model
    with torch.inference_mode():
        if photos:
            z = brush.weights.model.latent(to_tensor(photos))
        else:
            z = prior_of(brush).draw_latent(n, generator=brush.generator())
        stages = staged.canvases(z)  # (B, T, C, h, w)
    count = min(frames or stages.shape[1], stages.shape[1])
    chosen = torch.linspace(0, stages.shape[1] - 1, count).round().long()
    flat = stages[:, chosen].flatten(0, 1)
    pictures = brush.collect(len(flat), lambda first, many: flat[first : first + many])
    return brush.drawing(pictures, photos=photos, columns=count + 1 if photos else count, led=True)


def own_side(model: GenerativeModel) -> int:
    """The side of the pictures that a model has learned."""
    config: Any = model.config
    side: int = config.target_size
    return side


Decode = Callable[[Tensor, torch.Generator], Tensor]


def decoder_of(brush: Brush) -> Decode:
    """What draws a picture (B, C, h, w) of a latent vector (B, D)."""
    model = brush.model
    if isinstance(model, LatentVariableModel) and not brush.mean:
        drawer: LatentVariableModel = model
        return lambda z, generator: drawer.decode(z, generator=generator)
    if not isinstance(model, LatentDecoder):
        what = "it has no mean picture" if brush.mean else "it has no latent vector to draw from"
        raise unable(brush.weights, "reconstruct", what)
    decoder: LatentDecoder = model

    def outline(z: Tensor, _: torch.Generator) -> Tensor:
        found = decoder.outline(z)
        if found is None:
            raise unable(brush.weights, "reconstruct", "it was trained without a mean picture")
        return found

    return outline


def enlarger_of(brush: Brush) -> Enlarger:
    """What draws large pictures of small ones."""
    model = brush.model
    if not can_enlarge(model):
        raise unable(brush.weights, "enlarge", "it draws no large picture of a small one")
    return model


def prior_of(brush: Brush) -> LatentPrior:
    """What draws latent vectors and walks between them."""
    model = brush.model
    if not isinstance(model, LatentPrior):
        raise unable(brush.weights, "interpolate", "it has no latent vectors to walk between")
    return model


def latents(brush: Brush, ends: Sequence[Pixels | int]) -> Tensor:
    """The latent vectors of photos, or those of seeds: (N, D)."""
    model = brush.model
    found = []
    for end in ends:
        if isinstance(end, int):
            generator = torch.Generator().manual_seed(end)
            found.append(prior_of(brush).draw_latent(1, generator=generator))
        elif not model.encodes:
            raise unable(brush.weights, "reconstruct", "it finds no vector of a photo; give seeds")
        else:
            found.append(model.latent(to_tensor([end])))
    return torch.cat(found).to(next(model.parameters()))


def photos_in(ends: Sequence[Pixels | int]) -> tuple[Pixels, ...]:
    """Those of the ends that are photos."""
    return tuple(end for end in ends if not isinstance(end, int))
