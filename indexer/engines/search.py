"""One search: candidates from a view, ranked by their true vectors, as wide as needed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from sqlite3 import Connection
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from indexer.engines.recall import TOLERANCE, fetch_width
from indexer.engines.scores import cosines
from indexer.engines.view import Codes, RowSet, View, top_rows
from indexer.protocols import Hit, Vectors
from indexer.reading import Rows, find_rows_by_id
from indexer.store import LENGTH_TOLERANCE

# A search that has too few answers, or a tie at its end, looks this many times further.
WIDEN = 4
# A filter that lets a smaller part pass is answered by comparing with all that pass: an index has
# to probe most of its lists to find so few, and still misses some; a graph walks past the others.
FEW, FEW_GRAPH = 0.01, 0.25
# An index that finds .95 has to find .99 under a filter (tests/indexer/test_filtered_recall.py):
# this many times as many lists are probed, and more as less passes; most where what passes is so
# little that neighbours lie far apart. A graph looks at the neighbours of whatever it walks past.
WIDE, FILTERED_WIDE, FILTERED, FILTERED_GRAPH = 0.25, 10, 24, 8

Candidates = tuple[Vectors, Rows]


class Task(NamedTuple):
    """Queries by their place in the batch, and how hard to look for their answers."""

    numbers: list[int]
    width: int
    nprobe: int
    scan: bool


@dataclass(frozen=True, slots=True)
class Search:
    """What is asked of a view, within the snapshot ``connection`` reads.

    Attributes:
        connection: A read transaction at the view's change number.
        view: What answers.
        limit: At most so many answers.
        excluded: Ids that are not answered.
        passing: What may be answered; None is everything.
    """

    connection: Connection
    view: View
    limit: int
    excluded: frozenset[str]
    passing: RowSet | None = None

    def run(self, queries: Vectors, *, exact: bool, effort: int | None) -> list[list[Hit]]:
        """Answer each query (B, dim): score descending, then id ascending."""
        opened = self.view.opened
        lists = opened.most_effort
        hidden = self.hidden()
        findable = len(self.view) if self.passing is None else len(self.passing)
        expected = min(self.limit, findable - len(hidden))
        answers: list[list[Hit]] = [[] for _ in queries]
        coded = not exact and self.codes is not None
        scan = not opened.exact and (exact or self.few()) and not coded
        nprobe = lists if exact else self.effort(max(1, effort or opened.manifest.nprobe), lists)
        everyone = list(range(len(queries)))
        wanted = self.limit + len(hidden)
        width = opened.width(wanted)
        if coded:
            width = fetch_width(wanted, self.breadth)
        elif self.passing is not None and opened.manifest.breadth > 1:
            width *= WIDEN  # coarse codes that find .95 among more candidates find .99
        tasks = [Task(everyone, width, nprobe, scan)] if expected > 0 else []
        while tasks:
            numbers, width, nprobe, scan = tasks.pop()
            if not numbers:
                continue
            width = min(width, len(self.view))
            asked = queries if len(numbers) == len(queries) else queries[numbers]
            parts = self.propose(asked, width, nprobe, scan=scan, coded=coded)
            # What a graph does not lead to, only a scan finds.
            last = nprobe >= lists and width >= len(self.view)
            short = Task([], WIDEN * width, min(WIDEN * nprobe, lists), scan or last)
            cut = Task([], WIDEN * width, nprobe, scan)
            for place, number in enumerate(numbers):
                mine = [(scores[place], rows[place]) for scores, rows in parts]
                hits, doubt = self.rank(queries[number], mine, hidden)
                answers[number] = hits
                if len(hits) < expected and not (last and (scan or opened.exact)):
                    short.numbers.append(number)
                elif width < len(self.view) and hits and not settled(hits, mine, width, doubt):
                    cut.numbers.append(number)
            tasks += [short, cut]
        return answers

    @property
    def codes(self) -> Codes | None:
        """Codes of just what may be answered, if there are any."""
        return None if self.passing is None else self.passing.codes

    @property
    def breadth(self) -> int:
        """Candidates that whatever proposes them has to give; see ``Codes``."""
        return self.codes.breadth if self.codes else self.view.opened.manifest.breadth

    def hidden(self) -> Rows:
        """The rows of those excluded items that could have been answered."""
        if not self.excluded:
            return np.empty(0, np.int64)
        known = find_rows_by_id(self.connection, self.view.embedder, sorted(self.excluded))
        return known if self.passing is None else known[self.passing.holds(known)]

    def few(self) -> bool:
        """Whether so little passes that looking at all of it is best."""
        share = FEW_GRAPH if self.view.opened.graph else FEW
        return self.passing is not None and len(self.passing) < share * len(self.view)

    def effort(self, nprobe: int, lists: int) -> int:
        """Lists to probe, or the length of a graph's list of candidates: more, the less passes."""
        if self.passing is not None and len(self.passing):
            nprobe = self.passing.more * filtered_effort(self.view, len(self.passing), nprobe)
        return min(nprobe, lists)

    def propose(
        self, queries: Vectors, width: int, nprobe: int, *, scan: bool, coded: bool
    ) -> Sequence[Candidates]:
        """Scores and rows (B, up to width) of the candidates, from one or more places."""
        if coded and not scan:
            assert self.codes is not None
            index, beside = self.codes.index, self.codes.beside
            found = [index.search(queries, min(width, index.ntotal))]
            if len(beside):
                vectors = self.view.read(self.connection, beside)
                found.append(top_rows(queries @ vectors.T, beside, width))
            return found
        if not scan:
            return self.view.search(queries, width, nprobe, self.passing)
        best = (np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64))
        for numbers, vectors in self.view.stream(self.connection, self.passing):
            scores, rows = top_rows(queries @ vectors.T, numbers, width)
            scores, rows = np.hstack([best[0], scores]), np.hstack([best[1], rows])
            order = np.argsort(-scores, axis=1, kind="stable")[:, :width]
            best = (
                np.take_along_axis(scores, order, axis=1),
                np.take_along_axis(rows, order, axis=1),
            )
        return [best]

    def rank(
        self, query: Vectors, candidates: Sequence[Candidates], hidden: Rows
    ) -> tuple[list[Hit], float]:
        """The answers among one query's candidates by their true vectors.

        Returns:
            The answers, and by how much a score proposed for an equal or better candidate may be
            lower than the last answer's.
        """
        given, rows = candidates[0]
        if len(candidates) > 1:
            given, rows = (np.concatenate(parts) for parts in zip(*candidates, strict=True))
            if self.codes is not None:  # where what lies beside them may be, too
                rows, first = np.unique(rows, return_index=True)
                given = given[first]
        living = self.view.living(rows, self.passing)
        if not living.all():
            given, rows = given[living], rows[living]
        if not len(rows):
            return [], 0.0
        most = self.limit + len(hidden)
        if self.view.opened.unrounded and self.codes is None and len(rows) > most:
            # True scores, but for rounding and for what vectors lack of unit length: only what
            # comes that near to the last can still come in.
            near = given >= np.partition(given, -most)[-most] - 2 * (TOLERANCE + LENGTH_TOLERANCE)
            given, rows = given[near], rows[near]
        scores = cosines(self.view.read(self.connection, rows), query)
        shown = ~np.isin(rows, hidden) if len(hidden) else slice(None)
        best = self.best(scores[shown], rows[shown])
        if best and self.breadth > 1:
            # Codes so coarse err by more than neighbours differ. Equal vectors have equal codes
            # all the same, so that it can be told whether a tie goes on.
            tied = np.abs(scores - best[-1].score) <= TOLERANCE
            return best, best[-1].score - float(given[tied].min())
        return best, float(np.abs(scores - given).max())

    def best(self, scores: npt.NDArray[np.float64], rows: Rows) -> list[Hit]:
        """The best of some rows (N,): those that tie with the last answer are told by their ids."""
        if len(scores) > self.limit:
            least = np.partition(scores, len(scores) - self.limit)[len(scores) - self.limit]
            among = scores >= least
            scores, rows = scores[among], rows[among]
        names = self.view.names(self.connection, rows)
        hits = map(Hit, names, scores.tolist())
        return sorted(hits, key=lambda hit: (-hit.score, hit.id))[: self.limit]


def filtered_effort(view: View, passing: int, effort: int) -> int:
    """Lists to probe, or the length of a graph's list of candidates, where so many pass.

    As many vectors are compared then, whatever passes: what does not costs a look at one bit.
    """
    more = FILTERED_WIDE if passing >= WIDE * len(view) else FILTERED
    more = FILTERED_GRAPH if view.opened.graph else more
    return math.ceil(more * effort * len(view) / passing)


def settled(
    hits: Sequence[Hit], candidates: Sequence[Candidates], width: int, doubt: float
) -> bool:
    """Whether nothing just beyond the candidates could belong into the answer.

    That is so if the last candidate of each place is truly worse than the last answer: an equal
    one further on might have the smaller id, and an index that rounds might have put it there.
    """
    last = hits[-1].score - doubt - TOLERANCE
    return all(
        len(rows) < width or rows[-1] < 0 or scores[-1] < last for scores, rows in candidates
    )
