"""One search in a collection: candidates, ranked by their true vectors, as wide as needed."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from indexer.engines.milvus_collection import ALL, MOST, Collection, Near
from indexer.engines.recall import TOLERANCE, fetch_width
from indexer.engines.scores import cosines
from indexer.protocols import Hit, Vectors

# A search that has too few answers, or a tie at its end, looks this many times further.
WIDEN = 4


class Task(NamedTuple):
    """Queries by their place in the batch, and how hard to look for their answers."""

    numbers: list[int]
    width: int
    lists: int


@dataclass(frozen=True, slots=True)
class CollectionSearch:
    """What is asked of a collection.

    Attributes:
        collection: What answers.
        limit: At most so many answers.
        excluded: Ids that are not answered.
        expression: What may be answered; None is everything.
    """

    collection: Collection
    limit: int
    excluded: frozenset[str] = frozenset()
    expression: str | None = None

    def run(self, queries: Vectors, lists: int) -> list[list[Hit]]:
        """Answer each query (B, dim): score descending, then id ascending.

        Args:
            queries: Of unit length.
            lists: To look at first; ``ALL`` finds whatever there is.
        """
        answers: list[list[Hit]] = [[] for _ in queries]
        width = fetch_width(self.limit + len(self.excluded))
        tasks = [Task(list(range(len(queries))), width, lists)]
        while tasks:
            numbers, width, lists = tasks.pop()
            if not numbers:
                continue
            if width > MOST:
                for number in numbers:
                    answers[number] = self.scan(queries[number])
                continue
            further = WIDEN * width if width == MOST else min(WIDEN * width, MOST)
            short = Task([], width, min(WIDEN * lists, ALL))
            cut = Task([], further, lists)
            proposed = self.collection.nearest(queries[numbers], width, lists, self.expression)
            for number, near in zip(numbers, proposed, strict=True):
                hits, doubt = self.rank(queries[number], near)
                answers[number] = hits
                if len(near.ids) < width:
                    if len(hits) < self.limit and lists < ALL:
                        short.numbers.append(number)
                elif len(hits) < self.limit or not settled(hits, near, doubt):
                    cut.numbers.append(number)
            tasks += [short, cut]
        return answers

    def rank(self, query: Vectors, near: Near) -> tuple[list[Hit], float]:
        """The answers among one query's candidates by their true vectors.

        Returns:
            The answers, and by how much the index's score of a candidate is off.
        """
        if not near.ids:
            return [], 0.0
        scores = cosines(near.vectors, query)
        return self.best(near.ids, scores.tolist()), float(np.abs(scores - near.scores).max())

    def best(self, ids: list[str], scores: list[float]) -> list[Hit]:
        """The answers among ids (N,) with their scores (N,)."""
        hits = [Hit(*pair) for pair in zip(ids, scores, strict=True)]
        kept = [hit for hit in hits if hit.id not in self.excluded]
        return sorted(kept, key=lambda hit: (-hit.score, hit.id))[: self.limit]

    def scan(self, query: Vectors) -> list[Hit]:
        """The answer to one query (dim,) by comparing with everything."""
        hits: list[Hit] = []
        for ids, vectors in self.collection.scan(self.expression):
            scores = cosines(vectors, query).tolist()
            hits = self.best([hit.id for hit in hits] + ids, [hit.score for hit in hits] + scores)
        return hits


def settled(hits: list[Hit], near: Near, doubt: float) -> bool:
    """Whether nothing just beyond the candidates could belong into the answer.

    An equal one further on might have the smaller id, and an index that rounds might have put it
    there.
    """
    return bool(near.scores[-1] < hits[-1].score - doubt - TOLERANCE)
