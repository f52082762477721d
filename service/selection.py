"""Which of the nearest items are answered: a page of them, one of each kind, no copies.

    choose(engine, vector, Selection(limit=10, group_by="style", collapse=0.98))

Groups and copies need more candidates than answers, and how many more is known only afterwards: so
the engine is asked again for four times as many until the page is full, nothing is left, or
``MOST`` were looked at. What is answered does not depend on how often it was asked.
"""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from indexer.engines.scores import cosines
from indexer.errors import UnknownAttributeError
from indexer.filters import Filter
from indexer.protocols import Engine, Hit, Item, Scalar, Vectors
from service.settings import hint

MOST = 10_000  # candidates that one search looks at
WIDEN = 4
NAMED = 20  # attributes, where another is asked for that no item has

Step = Callable[[str], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Selection:
    """What is asked for.

    Attributes:
        limit: At most so many items.
        offset: Of the items that could be answered, leave out so many of the best.
        exact: Compare with every item.
        exclude: Ids that are not answered.
        where: What may be answered.
        score_threshold: Only items of at least this score.
        group_by: An attribute, of whose every value at most ``group_size`` items are answered. An
            item without it is a group of its own; that no item at all has it is an error.
        group_size: See there.
        collapse: Items whose vector has at least this cosine with that of a better answer are
            folded into it: photos of one thing, colour variants at lower values.
    """

    limit: int
    offset: int = 0
    exact: bool = False
    exclude: tuple[str, ...] = ()
    where: Filter | None = None
    score_threshold: float | None = None
    group_by: str | None = None
    group_size: int = 1
    collapse: float | None = None

    @property
    def needed(self) -> int:
        """How many of the best are looked for."""
        return self.offset + self.limit

    @property
    def joins(self) -> bool:
        """Whether searches that want the same may be one call of an engine."""
        return self.where is None and not self.thins

    @property
    def thins(self) -> bool:
        """Whether some of the nearest are passed over for others further away."""
        return self.group_by is not None or self.collapse is not None


class Choice(NamedTuple):
    """An answer.

    Attributes:
        id: Of the item.
        score: Its cosine.
        item: None if it was deleted meanwhile.
        collapsed: Ids of the items folded into it, of those that stood before the page's end.
    """

    id: str
    score: float
    item: Item | None
    collapsed: tuple[str, ...]


def choose(
    engine: Engine,
    vector: Vectors,
    wanted: Selection,
    step: Step = lambda _: nullcontext(),
) -> list[Choice]:
    """The items to answer to ``vector`` (dim,), best first; see ``choose_each``."""
    return choose_each(engine, vector[np.newaxis], wanted, step)[0]


def choose_each(
    engine: Engine,
    vectors: Vectors,
    wanted: Selection,
    step: Step = lambda _: nullcontext(),
) -> list[list[Choice]]:
    """The items to answer to each of ``vectors`` (B, dim), best first.

    Args:
        engine: Asked for all of them together, unless some of the nearest are passed over.
        vectors: Of unit length.
        wanted: What is asked for.
        step: Times the steps ``search`` and ``fetch``.

    Raises:
        UnknownAttributeError: No item has the attribute to group by.
    """
    if wanted.thins:
        kept = [_thinned(engine, vector, wanted, step) for vector in vectors]
    else:
        with step("search"):
            found = _search(engine, vectors, wanted.needed, wanted)
        kept = [
            [(hit, ()) for hit in hits if _reaches(hit, wanted.score_threshold)] for hits in found
        ]
    pages = [hits[wanted.offset : wanted.needed] for hits in kept]
    with step("fetch"):
        ids = list(dict.fromkeys(hit.id for page in pages for hit, _ in page))
        items = dict(zip(ids, engine.get(ids), strict=True))
    return [
        [Choice(hit.id, hit.score, items[hit.id], folded) for hit, folded in page] for page in pages
    ]


def _search(engine: Engine, vectors: Vectors, width: int, wanted: Selection) -> list[list[Hit]]:
    return engine.search(
        vectors, width, exact=wanted.exact, exclude=wanted.exclude, where=wanted.where
    )


def _thinned(
    engine: Engine, vector: Vectors, wanted: Selection, step: Step
) -> list[tuple[Hit, tuple[str, ...]]]:
    """What is kept of the nearest, asking for more of them until that is enough."""
    width = wanted.needed
    while True:
        with step("search"):
            hits = _search(engine, vector[np.newaxis], width, wanted)[0]
        good = [hit for hit in hits if _reaches(hit, wanted.score_threshold)]
        no_more = len(hits) < width or len(good) < len(hits) or width >= MOST
        with step("fetch"):
            kept = thin(engine, good, wanted)
        if len(kept) >= wanted.needed or no_more:
            return kept
        width = max(wanted.needed, min(MOST, WIDEN * width))


def thin(
    engine: Engine, hits: Sequence[Hit], wanted: Selection
) -> list[tuple[Hit, tuple[str, ...]]]:
    """The hits that are kept, as many as are needed, each with the ids folded into it."""
    ids = [hit.id for hit in hits]
    groups = _values(engine, ids, wanted.group_by)
    if wanted.group_by is not None and all(group is None for group in groups):
        check_attribute(engine, wanted.group_by)
    vectors = [None] * len(ids) if wanted.collapse is None else engine.vectors(ids)
    copies = 2.0 if wanted.collapse is None else wanted.collapse  # no cosine reaches 2
    kept: list[Hit] = []
    kept_vectors: list[Vectors] = []
    folded: list[list[str]] = []
    counted: Counter[Scalar] = Counter()
    for hit, group, vector in zip(hits, groups, vectors, strict=True):
        if len(kept) == wanted.needed:
            break
        if vector is not None and kept_vectors:
            best = int((np.stack(kept_vectors) @ vector).argmax())
            if cosines(kept_vectors[best][np.newaxis], vector)[0] >= copies:
                folded[best].append(hit.id)
                continue
        if group is not None:
            if counted[group] == wanted.group_size:
                continue
            counted[group] += 1
        kept.append(hit)
        folded.append([])
        if vector is not None:
            kept_vectors.append(vector)
    return [(hit, tuple(names)) for hit, names in zip(kept, folded, strict=True)]


def check_attribute(engine: Engine, key: str) -> None:
    """Refuse an attribute that no item has: its name is misspelt, and nothing would be grouped.

    Raises:
        UnknownAttributeError: See above. Where there are no items nothing is unknown.
    """
    there = engine.attributes(sought=key)
    if key not in there and len(engine):
        raise UnknownAttributeError(no_attribute(key, there))


def no_attribute(key: str, there: Collection[str]) -> str:
    """That no item has an attribute, which one may have been meant, and which there are."""
    more = ", …" if len(there) > NAMED else ""
    known = ", ".join(sorted(there)[:NAMED]) or "none at all"
    return f"No item has an attribute '{key}'.{hint(key, there)} There are: {known}{more}."


def _reaches(hit: Hit, threshold: float | None) -> bool:
    return threshold is None or hit.score >= threshold


def _values(engine: Engine, ids: Sequence[str], key: str | None) -> list[Scalar]:
    """The value of an attribute of each item; None where there is none, or the item is gone."""
    if key is None:
        return [None] * len(ids)
    return [None if item is None else item.attributes.get(key) for item in engine.get(ids)]
