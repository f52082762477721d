"""Draws of latent vectors, and ways between two."""

import torch
from torch import Tensor

from models.nn.noise import normal


def straight(a: Tensor, b: Tensor, share: float) -> Tensor:
    """The point at ``share`` of the straight line from ``a`` to ``b``: two of (B, D) -> (B, D)."""
    return torch.lerp(a, b, share)


def spherical(a: Tensor, b: Tensor, share: float) -> Tensor:
    """The point at ``share`` of the arc from ``a`` to ``b`` (White, 2016): two of (B, D) -> (B, D).

    A normal variable of many dimensions has a length near sqrt(D), and the middle of a straight
    line between two of its draws is shorter: a place where no draw ever is. The angle moves evenly
    along the arc, and so does the length. Between vectors of (nearly) one direction, or of opposite
    ones, there is no one arc, and the line is taken.
    """
    lengths = [v.norm(dim=1, keepdim=True) for v in (a, b)]
    units = [
        v / length.clamp(min=torch.finfo(v.dtype).tiny)
        for v, length in zip((a, b), lengths, strict=True)
    ]
    cosine = (units[0] * units[1]).sum(1, keepdim=True).clamp(-1, 1)
    angle = torch.acos(cosine)
    sine = torch.sin(angle)
    arc = (torch.sin((1 - share) * angle) * units[0] + torch.sin(share * angle) * units[1]) / sine
    length = torch.lerp(lengths[0], lengths[1], share)
    return torch.where(sine > 1e-4, arc * length, straight(a, b, share))


def reparameterise(mean: Tensor, log_var: Tensor, generator: torch.Generator) -> Tensor:
    """mean + std * noise (Kingma and Welling, 2014): two of (B, D) -> (B, D)."""
    noise = normal(tuple(mean.shape), mean, generator)
    return mean + (0.5 * log_var).exp() * noise
