"""Maximum mean discrepancy: how unlike two sets of vectors are (Gretton et al., 2012).

    MMD^2(P, Q) = E k(x, x') + E k(y, y') - 2 E k(x, y),   x, x' from P, y, y' from Q

It is 0 where P = Q, and with the kernels here nowhere else. Both kernels are 1 at distance 0 and
fall towards 0, so MMD^2 lies between 0 and 2. Their lengths are told as multiples of 2 D, the mean
squared distance of two draws of N(0, 1) in D dimensions; each is a mean over several lengths, so
that no single one need be right.
"""

from typing import Literal

import torch
from torch import Tensor

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)

Kernel = Literal["rbf", "imq"]


def gram(x: Tensor, y: Tensor, kernel: Kernel, scales: tuple[float, ...] = SCALES) -> Tensor:
    """k(x, y) of every pair: (N, D) and (M, D) -> (N, M) in (0, 1].

    With s = 2 D scale, ``rbf`` is exp(-|x - y|^2 / s) and ``imq``, the inverse multiquadratic of
    Tolstikhin et al. (2018), s / (s + |x - y|^2); the latter's tails reach vectors that are far
    off. The result is the mean over ``scales``.
    """
    # Not by |x|^2 + |y|^2 - 2 x.y, which cancels for near pairs.
    squares = (x.unsqueeze(1) - y.unsqueeze(0)).square().sum(2)  # (N, M)
    total = torch.zeros_like(squares)
    for scale in scales:
        s = 2 * x.shape[1] * scale
        total = total + (torch.exp(-squares / s) if kernel == "rbf" else s / (s + squares))
    return total / len(scales)


def mmd_biased(x: Tensor, y: Tensor, kernel: Kernel = "imq") -> Tensor:
    """MMD^2 of the two sets themselves (V-statistic): (N, D) and (M, D) -> scalar >= 0.

    0 for equal sets. As an estimate for what they were drawn from it is too high, by about 1 / N
    and 1 / M.
    """
    within = gram(x, x, kernel).mean() + gram(y, y, kernel).mean()
    return within - 2 * gram(x, y, kernel).mean()


def mmd_unbiased(x: Tensor, y: Tensor, kernel: Kernel = "imq") -> Tensor:
    """MMD^2 of what the sets were drawn from (U-statistic): (N, D) and (M, D) -> scalar.

    Right on average whatever the size of the sets, so a weight on it means the same at any batch
    size; a single estimate may be negative.

    Raises:
        ValueError: A set has fewer than two vectors, so no pair to compare.
    """
    if min(len(x), len(y)) < 2:
        raise ValueError(
            f"An unbiased discrepancy needs at least 2 vectors on each side; found {len(x)} and "
            f"{len(y)}. Use a larger batch."
        )
    within = _mean_of_pairs(gram(x, x, kernel)) + _mean_of_pairs(gram(y, y, kernel))
    return within - 2 * gram(x, y, kernel).mean()


def kernel_distance(x: Tensor, y: Tensor) -> Tensor:
    """MMD^2 with the cubic kernel (x.y / D + 1)^3, unbiased: (N, D) and (M, D) -> scalar.

    Of features of pictures this is the KID (Bińkowski et al., 2018). It has no scale of its own: a
    figure means something beside others of the same features.

    Raises:
        ValueError: A set has fewer than two vectors, so no pair to compare.
    """
    if min(len(x), len(y)) < 2:
        raise ValueError(
            f"A kernel distance needs at least 2 vectors on each side; found {len(x)} and {len(y)}."
        )

    def cubic(a: Tensor, b: Tensor) -> Tensor:
        return (a @ b.T / a.shape[1] + 1) ** 3

    within = _mean_of_pairs(cubic(x, x)) + _mean_of_pairs(cubic(y, y))
    return within - 2 * cubic(x, y).mean()


def _mean_of_pairs(kernel: Tensor) -> Tensor:
    """The mean off the diagonal, where nothing is compared with itself: (N, N) -> scalar."""
    N = len(kernel)
    return (kernel.sum() - kernel.diagonal().sum()) / (N * (N - 1))
