"""What a critic is charged for, and how it tells two sets apart.

The gradient penalty (Gulrajani et al., 2017) keeps a critic near slope one, so that its verdict is
a distance between distributions. The energy distance (Székely and Rizzo, 2013) is the distance that
a Cramér GAN (Bellemare et al., 2017) measures between features:

    E(P, Q) = 2 E|x - y| - E|x - x'| - E|y - y'|,   x, x' from P, y, y' from Q

It is 0 where P = Q, and nowhere else.
"""

from collections.abc import Callable

import torch
from torch import Tensor


def gradient_penalty(
    critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, generator: torch.Generator
) -> Tensor:
    """Mean of (|slope of the critic| - 1)^2 between real and fake pictures: a scalar.

    At one random place on the line between each pair. The slope is over the whole picture, and the
    result can be differentiated by the critic's parameters.

    Args:
        critic: (B, C, H, W) -> (B,), each from its own picture.
        real: (B, C, H, W).
        fake: The same shape.
        generator: Of the places.
    """
    place = torch.rand(len(real), 1, 1, 1, generator=generator).to(real)
    between = (real + place * (fake - real)).detach().requires_grad_()
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    # Not norm(): its gradient at zero is not a number.
    length = (slope.flatten(1).square().sum(1) + 1e-12).sqrt()
    return (length - 1).square().mean()


def distances(x: Tensor, y: Tensor) -> Tensor:
    """|x - y| of every pair: (N, D) and (M, D) -> (N, M)."""
    # Not by |x|^2 + |y|^2 - 2 x.y, which cancels for near pairs; the gradient at 0 must exist.
    squares = (x.unsqueeze(1) - y.unsqueeze(0)).square().sum(2)
    return (squares + 1e-12).sqrt()


def energy_distance(x: Tensor, y: Tensor) -> Tensor:
    """The energy distance of what two sets were drawn from: (N, D) and (M, D) -> a scalar.

    Unbiased: no vector is compared with itself, so a single estimate may be negative.

    Raises:
        ValueError: A set has fewer than two vectors, so no pair to compare.
    """
    if min(len(x), len(y)) < 2:
        raise ValueError(
            f"An energy distance needs at least 2 vectors on each side; found {len(x)} and "
            f"{len(y)}. Use a larger batch."
        )
    within = _mean_of_pairs(distances(x, x)) + _mean_of_pairs(distances(y, y))
    return 2 * distances(x, y).mean() - within


def witness(h: Tensor, real: Tensor, fake: Tensor) -> Tensor:
    """How much nearer vectors are to the real ones than to the fake ones: (N, D) -> (N,).

    E|h - fake| - E|h - real|: the function whose difference in mean is the energy distance.
    """
    return distances(h, fake).mean(1) - distances(h, real).mean(1)


def _mean_of_pairs(table: Tensor) -> Tensor:
    """The mean off the diagonal: (N, N) -> a scalar."""
    N = len(table)
    return (table.sum() - table.diagonal().sum()) / (N * (N - 1))
