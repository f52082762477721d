"""Telling items apart: two views of one item shall be closer than any two items.

And, where shapes are known, items of one shape closer than items of two: the partner of a view then
shares its place with the items of a similar shape (a relation to be learned instead of a single
right answer: ReSSL, Zheng et al., 2021; NNCLR, Dwibedi et al., 2021).
"""

import torch
from torch import Tensor
from torch.nn import functional as F

SHARPNESS = 0.1  # temperature among shapes: a few near neighbours count, not half the batch


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
    return _nats_of_partner(_log_shares(a, b, temperature)).mean()


def relational_info_nce(
    a: Tensor, b: Tensor, shapes: Tensor, temperature: float, neighbours: float
) -> Tensor:
    """NT-Xent in which the items of a similar shape have a share of the right answer.

    Args:
        a: (B, D) vectors of one view.
        b: (B, D) vectors of the other view of the same items, in the same order.
        shapes: (2B, S) what shape each view's item has, of unit length; zero where unknown, and
            such a view has its partner alone.
        temperature: As in ``info_nce``.
        neighbours: The share of the other items, 0 to 1; the partner has the rest.

    Returns:
        Scalar: the mean over the 2B vectors of the cross entropy, in nats, between who they
        should be close to and who they are close to. With ``neighbours`` 0 it is ``info_nce``.
    """
    log_shares = _log_shares(a, b, temperature)
    partner = _nats_of_partner(log_shares)
    known = shapes.square().sum(1) > 0.5  # (2B,)
    B = len(a)
    likeness = shapes.float() @ shapes.float().T / SHARPNESS  # (2B, 2B)
    itself = torch.eye(B, dtype=torch.bool, device=a.device).repeat(2, 2)
    likeness = likeness.masked_fill(itself | ~known, -torch.inf)
    told = known & (likeness > -torch.inf).any(1)  # somebody else's shape is known as well
    if not bool(told.any()):
        return partner.mean()
    share = torch.softmax(likeness[told], 1)
    others = -(share * log_shares[told].masked_fill(itself[told], 0)).sum(1)
    mixed = partner.clone()
    mixed[told] = (1 - neighbours) * partner[told] + neighbours * others
    return mixed.mean()


def _log_shares(a: Tensor, b: Tensor, temperature: float) -> Tensor:
    """Log of the share that each takes of each one's closeness to all others: (2B, 2B)."""
    z = F.normalize(torch.cat([a, b]).float(), dim=1)  # (2B, D)
    scores = z @ z.T / temperature
    scores.fill_diagonal_(-torch.inf)
    return F.log_softmax(scores, 1)


def _nats_of_partner(log_shares: Tensor) -> Tensor:
    """-log of the partner's share: (2B, 2B) -> (2B,)."""
    rows = torch.arange(len(log_shares), device=log_shares.device)
    return -log_shares[rows, rows.roll(len(rows) // 2)]
