"""Labels that condition a model, and what a picture is worth when its label is not known."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F


def one_hot(labels: Tensor | None, classes: int, *, name: str, like: Tensor) -> Tensor | None:
    """Labels as one of so many: (B,) -> (B, classes) of ``like``'s type; None for no labels.

    Raises:
        ValueError: Labels are missing, not wanted, or out of range; ``name`` says whose they are.
    """
    if (labels is not None) != (classes > 0):
        found = "none were given" if labels is None else "labels were given"
        raise ValueError(f"This {name} knows {classes} classes, and {found}.")
    if labels is None:
        return None
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"Labels {labels.tolist()}: expected 0 to {classes - 1}.")
    return F.one_hot(labels, classes).to(like)


def under_each_label(
    score: Callable[[Tensor], Tensor], classes: int, count: int, device: torch.device
) -> Tensor:
    """What ``score`` says of ``count`` pictures given each label: -> (B, classes).

    Args:
        score: Labels (B,) -> log p of the pictures given them, (B,).
        classes: How many labels there are.
        count: B.
        device: Where the labels have to be.
    """
    labels = (torch.full((count,), label, device=device) for label in range(classes))
    return torch.stack([score(given) for given in labels], 1)
