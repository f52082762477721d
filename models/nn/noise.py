"""Noise, drawn where its generator is."""

import torch
from torch import Tensor


def normal(shape: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
    """N(0, 1), of the type and on the device of ``like``."""
    return torch.randn(shape, generator=generator, device=generator.device).to(like)


def uniform(shape: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
    """U[0, 1), of the type and on the device of ``like``."""
    return torch.rand(shape, generator=generator, device=generator.device).to(like)
