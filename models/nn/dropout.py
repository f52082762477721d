"""Which features are left out in a step, told by the step's seed."""

from collections.abc import Callable

import torch
from torch import Tensor

Drop = Callable[[Tensor], Tensor]


def keep_all(features: Tensor) -> Tensor:
    """Features as they are."""
    return features


def dropping(share: float, generator: torch.Generator | None) -> Drop:
    """What leaves out so large a share of the features it is given; nothing without a generator."""
    if generator is None or not share:
        return keep_all
    return lambda given: given * keep(tuple(given.shape), share, given, generator)


def keep(shape: tuple[int, ...], share: float, like: Tensor, generator: torch.Generator) -> Tensor:
    """A mask to multiply features with: 0 for so large a share of them, and 1 / (1 - share).

    Millions of numbers a step are drawn where the features are. On an accelerator that is by a
    generator there, seeded by ``generator`` if that is on the processor; so a step can be repeated,
    but is not the same as on a processor.

    Args:
        shape: Of the mask.
        share: Below 1.
        like: Says of what type and where the mask is.
        generator: Of the choice.
    """
    if like.device.type == "cuda" and generator.device.type == "cpu":
        seed = int(torch.randint(2**62, (), generator=generator))
        generator = torch.Generator(like.device).manual_seed(seed)
    kept = torch.rand(shape, generator=generator, device=generator.device) >= share
    return kept.to(like) / (1 - share)
