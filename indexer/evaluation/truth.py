"""What two photo sets know of each other, and the figures that follow from it."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from indexer.evaluation.errors import NothingToMeasureError, PhotoSetError
from indexer.evaluation.measures import Values, recall, share, vote_accuracy
from indexer.evaluation.neighbours import Codes, Mask, Match, blocks, encode, nearest
from indexer.evaluation.photos import PhotoSet, Strings
from indexer.protocols import Vectors

DEPTH = 10  # how many neighbours are looked at

Name = Literal["R@1", "R@10", "background_share", "P@1", "P@10", "knn_accuracy"]


class PerQuery(NamedTuple):
    """A value for every query, and for which of them it is known."""

    values: Values
    known: Mask


@dataclass(frozen=True, slots=True)
class Truth:
    """What is known of both the queries and the gallery, as numbers; None if it is not.

    Attributes:
        same_photo: The same file or row: never an answer to itself.
        items: The item to be found.
        labels: The class.
        senders: Who sent the query's item: no answer when classes are measured.
        owners: Whose background the query has, against the gallery's senders.
        factors: (Q,) what was changed to make each query.
    """

    same_photo: Match
    items: Match | None
    labels: Match | None
    senders: Match | None
    owners: Match | None
    factors: Strings | None

    @property
    def left_out_of_classes(self) -> dict[str, Match]:
        """What is no answer when classes are measured: the query's item would be too easy."""
        reasons = {
            "the photo itself": self.same_photo,
            "photos of the query's item": self.items,
            "photos of the query's sender": self.senders,
        }
        return {name: match for name, match in reasons.items() if match is not None}


def match_sets(gallery: PhotoSet, queries: PhotoSet) -> Truth:
    """Find out what can be measured.

    Raises:
        NothingToMeasureError: Neither items nor labels nor background owners are known in both.
        PhotoSetError: An item that a query asks for is not in the gallery.
    """
    same_photo = encode(queries.keys, gallery.keys)
    truth = Truth(
        same_photo=same_photo,
        items=_match_items(gallery, queries, same_photo),
        labels=_match(queries.labels, gallery.labels),
        senders=_match(queries.senders, gallery.senders),
        owners=_match(queries.owners, gallery.senders),
        factors=queries.factors,
    )
    if truth.items is None and truth.labels is None and truth.owners is None:
        raise NothingToMeasureError(
            f"Nothing can be measured with the queries '{queries.name}' and the gallery "
            f"'{gallery.name}': found neither items, classes nor senders known in both. Sort the "
            "photos of both into folders named after their class, or write a queries.csv with "
            "the columns query,item_path."
        )
    return truth


def _match(queries: Strings | None, gallery: Strings | None) -> Match | None:
    if queries is None or gallery is None:
        return None
    match = encode(queries, gallery)
    common = np.intersect1d(match.queries[match.queries >= 0], match.gallery)
    return match if len(common) else None


def _match_items(gallery: PhotoSet, queries: PhotoSet, same_photo: Match) -> Match | None:
    if queries.items is None or gallery.items is None:
        return None
    match = encode(queries.items, gallery.items)
    for start, stop in blocks(len(queries), len(gallery)):
        there = (match.equal(start, stop) & ~same_photo.equal(start, stop)).any(axis=1)
        missing = np.flatnonzero(~there & (match.queries[start:stop] >= 0)) + start
        if len(missing):
            first = missing[0]
            raise PhotoSetError(
                f"The query '{queries.ids[first]}' asks for the item '{queries.items[first]}', of "
                f"which the gallery '{gallery.name}' has no other photo. Give the gallery that "
                "the queries were made from."
            )
    return match


def query_values(truth: Truth, queries: Vectors, gallery: Vectors) -> dict[Name, PerQuery]:
    """Every figure that can be known, for each query.

    Args:
        truth: What is known of both sets.
        queries: (Q, D) of unit length.
        gallery: (G, D) of unit length.
    """
    near = nearest(queries, gallery, DEPTH, leave_out=(truth.same_photo,))
    result = item_values(truth, near)
    if truth.labels is not None:
        leave_out = tuple(truth.left_out_of_classes.values())
        if len(leave_out) > 1:
            near = nearest(queries, gallery, DEPTH, leave_out=leave_out)
        labels, wanted = _codes(truth.labels, near), truth.labels.queries
        known = wanted >= 0
        result["P@1"] = PerQuery(share(labels[:, :1], wanted, near[:, :1]), known)
        result["P@10"] = PerQuery(share(labels, wanted, near), known)
        result["knn_accuracy"] = PerQuery(vote_accuracy(labels, wanted), known)
    return {name: values for name, values in result.items() if values.known.any()}


def item_values(truth: Truth, near: Codes) -> dict[Name, PerQuery]:
    """The figures that follow from the ten nearest alone, whoever found them.

    Args:
        truth: What is known of both sets.
        near: (Q, 10) rows of the gallery, best first, -1 where nothing was found.
    """
    result: dict[Name, PerQuery] = {}
    if truth.items is not None:
        items, known = _codes(truth.items, near), truth.items.queries >= 0
        result["R@1"] = PerQuery(recall(items[:, :1], truth.items.queries), known)
        result["R@10"] = PerQuery(recall(items, truth.items.queries), known)
    if truth.owners is not None:
        values = share(_codes(truth.owners, near), truth.owners.queries, near)
        result["background_share"] = PerQuery(values, truth.owners.queries >= 0)
    return result


def _codes(match: Match, near: Codes) -> Codes:
    """The codes of the neighbours: (Q, k), -1 where there is none."""
    codes: Codes = np.where(near >= 0, match.gallery[near], -1)
    return codes


def chance(truth: Truth) -> dict[Name, float]:
    """What neighbours drawn by lot would give; a vote has no simple expectation: left out."""
    result: dict[Name, float] = {}
    if truth.items is not None:
        relevant, left = _count(truth.items, (truth.same_photo,))
        missed = np.ones(len(left))
        for drawn in range(DEPTH):
            if drawn == 1:
                result["R@1"] = float(1 - missed.mean())
            missed *= np.maximum(left - relevant - drawn, 0) / np.maximum(left - drawn, 1)
        result["R@10"] = float(1 - missed.mean())
    if truth.owners is not None:
        agree, left = _count(truth.owners, (truth.same_photo,))
        result["background_share"] = float((agree / np.maximum(left, 1)).mean())
    if truth.labels is not None:
        agree, left = _count(truth.labels, tuple(truth.left_out_of_classes.values()))
        result["P@1"] = result["P@10"] = float((agree / np.maximum(left, 1)).mean())
    return result


def _count(match: Match, leave_out: tuple[Match, ...]) -> tuple[Codes, Codes]:
    """For each query that knows: how many photos agree with it, and how many could be answers."""
    agreeing = np.zeros(len(match.queries), dtype=np.int64)
    possible = np.zeros(len(match.queries), dtype=np.int64)
    for start, stop in blocks(len(match.queries), len(match.gallery)):
        allowed = np.ones((stop - start, len(match.gallery)), dtype=np.bool_)
        for other in leave_out:
            allowed &= ~other.equal(start, stop)
        possible[start:stop] = allowed.sum(axis=1)
        agreeing[start:stop] = (allowed & match.equal(start, stop)).sum(axis=1)
    known = match.queries >= 0
    return agreeing[known], possible[known]
