"""What was found for each query and whether it is right: for those who want to look, not count."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from indexer.evaluation.errors import NothingToMeasureError
from indexer.evaluation.neighbours import Codes, Mask, Match, nearest
from indexer.evaluation.photos import PhotoSet
from indexer.evaluation.truth import DEPTH, Truth
from indexer.protocols import Vectors


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """The neighbours of every query, judged.

    Attributes:
        gallery: Where they were found.
        queries: What was asked.
        asked: What makes an answer right: it shows the query's item, or one of its class.
        near: (Q, k) rows of the gallery, best first, -1 where nothing was left.
        right: (Q, k) whether each of them is right.
        known: (Q,) whether the query knows what is right.
    """

    gallery: PhotoSet
    queries: PhotoSet
    asked: Literal["item", "class"]
    near: Codes
    right: Mask
    known: Mask

    @property
    def hits(self) -> Codes:
        """The queries whose nearest answer is right."""
        return np.flatnonzero(self.known & self.right[:, 0])

    @property
    def misses(self) -> Codes:
        """The queries whose nearest answer is wrong."""
        return np.flatnonzero(self.known & ~self.right[:, 0])


def judge_answers(
    gallery: PhotoSet, queries: PhotoSet, truth: Truth, asked: Vectors, held: Vectors
) -> Answers:
    """Find the ten nearest photos of each query by the rules of the figures, and judge them.

    Args:
        gallery: Photos that can be found.
        queries: Photos to search with.
        truth: What both sets know; items are asked for if they are known, else classes.
        asked: (Q, D) vectors of the queries, of unit length.
        held: (G, D) vectors of the gallery, of unit length.

    Raises:
        NothingToMeasureError: Neither items nor classes are known.
    """
    kind: Literal["item", "class"]
    wanted: Match
    leave_out: tuple[Match, ...]
    if truth.items is not None:
        kind, wanted, leave_out = "item", truth.items, (truth.same_photo,)
    elif truth.labels is not None:
        kind, wanted = "class", truth.labels
        leave_out = tuple(truth.left_out_of_classes.values())
    else:
        raise NothingToMeasureError(
            f"No answer to the queries '{queries.name}' can be called right or wrong: neither the "
            "items nor the classes are known. Measure without a picture."
        )
    near = nearest(asked, held, DEPTH, leave_out=leave_out)
    known: Mask = wanted.queries >= 0
    right: Mask = (wanted.gallery[near] == wanted.queries[:, None]) & (near >= 0) & known[:, None]
    return Answers(gallery, queries, kind, near, right, known)


def draw_lots(answers: Sequence[Answers], count: int, *, seed: int) -> Codes:
    """Queries worth looking at: rows of the queries, (n,) with n at most ``count``.

    For one embedder half of them have a right nearest answer and half a wrong one, as far as there
    are so many of both, the right ones first. For several they are drawn among all, so that none
    of the embedders is favoured.

    Raises:
        ValueError: The answers are to different queries, or none is given.
    """
    if len({(len(a.queries), a.queries.name, a.asked) for a in answers}) != 1:
        raise ValueError(
            f"Answers side by side are to the same queries; found {len(answers)} of "
            f"{sorted({a.queries.name for a in answers})}."
        )
    generator = np.random.default_rng(seed)
    first = answers[0]
    if len(answers) > 1:
        known = np.flatnonzero(first.known)
        return np.sort(generator.permutation(known)[:count])
    hits, misses = generator.permutation(first.hits), generator.permutation(first.misses)
    wrong = min(len(misses), max(count // 2, count - len(hits)))
    return np.concatenate([np.sort(hits[: count - wrong]), np.sort(misses[:wrong])])
