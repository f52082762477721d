"""Telling items apart: two views of one item shall be closer than any two items."""

import torch
from torch import Tensor
from torch.nn import functional as F


def info_nce(a: Tensor, b: Tensor, temperature: float) -> Tensor:
    """Normalised temperature-scaled cross entropy (NT-Xent; Chen et al., 2020), in nats.

    Args:
        a: (B, D) vectors of one view.
        b: (B, D) vectors of the other view of the same items, in the same order.
        temperature: Lower looks harder at the closest wrong items.

    Returns:
        Scalar: the mean over the 2B vectors of -log of the share that the right partner takes
        among the other 2B - 1.
    """
    B = len(a)
    z = F.normalize(torch.cat([a, b]).float(), dim=1)  # (2B, D)
    scores = z @ z.T / temperature  # (2B, 2B)
    scores.fill_diagonal_(-torch.inf)
    partner = torch.arange(2 * B, device=z.device).roll(B)
    return F.cross_entropy(scores, partner)
