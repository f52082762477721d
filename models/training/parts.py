"""How much each source of items counts, so that a large one does not drown a small one.

Every step takes the same number of items from a source, its share of the batch, and goes through
each source in epochs of its own: each item of a source is seen once before one is seen twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Part:
    """A source of items.

    Attributes:
        items: How many there are.
        weight: As how many they count beside the other parts; None is as many as there are.
    """

    items: int
    weight: float | None = None

    @property
    def counts(self) -> float:
        """As how many items the part counts."""
        return self.items if self.weight is None or self.items == 0 else self.weight


def share_out(parts: Sequence[Part], batch: int) -> tuple[int, ...]:
    """How many items of a step come from each part.

    By weight, rounded by the largest remainder; at least one, and no more than a part has: a step
    never holds an item twice.

    Raises:
        ValueError: The batch has fewer items than there are parts.
    """
    filled = sum(part.items > 0 for part in parts)
    if batch < filled:
        raise ValueError(
            f"A step of {batch} items cannot hold one from each of {filled} sources. "
            "Give a larger --batch-size, or fewer --data."
        )
    total = sum(part.counts for part in parts)
    quotas = [batch * part.counts / total for part in parts]
    sizes = [min(p.items, max(1, int(q))) for p, q in zip(parts, quotas, strict=True)]
    numbers = range(len(parts))
    while sum(sizes) > batch:
        most = max((n for n in numbers if sizes[n] > 1), key=lambda n: sizes[n] - quotas[n])
        sizes[most] -= 1
    while sum(sizes) < batch:
        open_ = [n for n in numbers if sizes[n] < parts[n].items]
        if not open_:
            break  # a batch larger than all there is
        sizes[max(open_, key=lambda n: quotas[n] - sizes[n])] += 1
    return tuple(sizes)


def items_of_step(parts: Sequence[Part], batch: int, seed: int, step: int) -> Tensor:
    """The items (numbers, counted through all parts) of a step: (B,), each at most once.

    Each part goes through epochs of a fresh permutation, whose incomplete last batch is left out.

    Args:
        parts: Where items come from.
        batch: How many items a step holds; all there are, if these are fewer.
        seed: Of all permutations.
        step: Number of the step; the same step gives the same items.
    """
    chosen, first = [], 0
    for number, (part, size) in enumerate(zip(parts, share_out(parts, batch), strict=True)):
        if size:
            epoch, place = divmod(step, part.items // size)
            permutation = _shuffle(part.items, (seed + 104_729 * number) * 7_919 + epoch)
            chosen.append(first + permutation[place * size : (place + 1) * size])
        first += part.items
    return torch.cat(chosen)


@lru_cache(maxsize=8)
def _shuffle(count: int, seed: int) -> Tensor:
    """A permutation (count,), kept for the steps of its epoch."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))
