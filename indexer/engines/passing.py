"""What a filter lets pass, with codes of just those vectors.

An index has to look past all that does not pass. A filter comes again, so codes of what it lets
pass are kept, and comparing with all of them is faster: those of 8 bits a number for a few, product
codes for more, which are a half to an eighth as large and compared in registers, so much faster.
How coarse they may be, and how many candidates they have to give, is measured on the very vectors;
so is whether the index finds enough without.
"""

import math
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import faiss
import numpy as np

from indexer.engines.candidates import FLAT, ROW_NUMBER, parts, product_coding
from indexer.engines.recall import HeldOut, K, fetch_width, photo_like, true_neighbours
from indexer.engines.search import Search, filtered_effort
from indexer.engines.view import Codes, RowSet, View, row_set
from indexer.filters import Filter
from indexer.protocols import Vectors
from indexer.reading import Rows
from indexer.reading_filters import find_passing_since

LISTED = 15  # product codes that are compared in the time of one vector in a list, about
FINE = 5_000  # at most so many that pass get codes of 8 bits a number
# Up to how many that pass so many numbers share a code of 4 bits; finer where that misses.
SHARED = {1: 50_000, 2: 200_000, 4: 2_000_000}
MEMORY = 64_000_000  # bytes of codes for one filter
LEAST_PARTS = 8  # fewer do not tell vectors apart
BREADTHS = (2, 4, 8, 16)
# A filtered search has to find .99 (tests/indexer/test_filtered_recall.py).
RECALL, QUERIES, COSINE = 0.998, 200, 0.8
ENOUGH = 0.985  # of an index without codes: .99, less what chance does to so many queries
TRIED = 2_000_000  # that pass at most where it is measured: all of them are looked at for that
TRAINING = 2_000  # vectors; with as few, and few rounds, the codes find as much (``find_breadth``)
ROUNDS = 10
# Rows that may come or go before codes are made anew: those that came are compared one by one.
BEHIND = 1_000
NOTHING = np.empty(0, np.int64)


def passing_rows(connection: sqlite3.Connection, view: View, rows: Rows) -> RowSet:
    """What a filter lets pass: the rows (P,), ascending, of a view, with codes if they help."""
    found, dim = row_set(rows), view.vectors.shape[1]
    if not len(rows) or view.opened.manifest.index == FLAT:
        return found
    if len(rows) <= FINE:
        codes = encode(connection, view, found, "SQ8")
        return replace(found, codes=Codes(codes, dim + ROW_NUMBER, NOTHING))
    codings = coarseness(len(rows), dim)
    if not codings and (len(rows) > TRIED or looks_everywhere(view, len(rows))):
        return found
    trial = draw_trial(connection, view, found)
    faster = codes_are_faster(view, len(rows))
    if not faster and index_finds(connection, view, found, trial):
        return found
    for numbers in codings:
        codes = encode(connection, view, found, product_coding(dim, numbers))
        breadth = find_breadth(connection, view, codes, trial)
        if breadth is not None:
            size = parts(dim, numbers) // 2 + ROW_NUMBER
            return replace(found, codes=Codes(codes, size, NOTHING, breadth))
    return with_effort(connection, view, found, trial)


def with_effort(
    connection: sqlite3.Connection, view: View, passing: RowSet, trial: HeldOut
) -> RowSet:
    """What passes, with as many times the usual effort as the index needs to find enough of it."""
    while not index_finds(connection, view, passing, trial):
        if passing.more * view.opened.manifest.nprobe >= view.opened.most_effort:
            break
        passing = replace(passing, more=2 * passing.more)
    return passing


def index_finds(
    connection: sqlite3.Connection, view: View, passing: RowSet, trial: HeldOut
) -> bool:
    """Whether searches of the index find enough of what passes.

    They do where a filter has nothing to do with what items look like. A filter by kind or colour
    does: the nearest that pass lie far from a photo of another kind, in lists that are not probed.
    """
    search = Search(connection, view, K, frozenset(), passing)
    answers = search.run(trial.queries, exact=False, effort=None)
    near = [[hit.score for hit in hits] for hits in answers]
    return trial.share_of(near) >= ENOUGH


def follow(
    connection: sqlite3.Connection,
    view: View,
    where: Filter,
    before: RowSet,
    *,
    since: int,
    same_index: bool,
) -> RowSet:
    """What a filter lets pass in a view, from what it let pass earlier.

    Only what was touched since is looked at: a shop changes items all day long, and looking at a
    million takes a second.

    Args:
        connection: A read snapshot of the store.
        view: Of that snapshot.
        where: The filter.
        before: What it let pass.
        since: The change number of that.
        same_index: Whether it was found for the index of the same generation.
    """
    out, come = find_passing_since(connection, view.embedder, where, change=since)
    rows = exchange(before.rows, out, come)
    codes = before.codes
    if codes is None:
        if not same_index or not len(before):
            return passing_rows(connection, view, rows)
        return replace(row_set(rows), more=before.more)
    behind = codes.behind + len(out)
    if behind > BEHIND:
        return passing_rows(connection, view, rows)
    beside = exchange(codes.beside, out, come)
    return replace(row_set(rows), codes=replace(codes, beside=beside, behind=behind))


def exchange(rows: Rows, out: Rows, come: Rows) -> Rows:
    """Some rows (N,) without others (M,), and with further ones (A,); all of them ascending."""
    kept = rows[~np.isin(rows, out)]
    return np.insert(kept, np.searchsorted(kept, come), come)


def looks_everywhere(view: View, passing: int) -> bool:
    """Whether more effort finds no more, where so many pass."""
    opened = view.opened
    return filtered_effort(view, passing, opened.manifest.nprobe) >= opened.most_effort


def codes_are_faster(view: View, passing: int) -> bool:
    """Whether comparing with all of so many codes is faster than the lists with more effort."""
    opened = view.opened
    if opened.graph:
        return True
    effort = filtered_effort(view, passing, opened.manifest.nprobe)
    looked_at = min(1.0, effort / opened.manifest.nlist) * len(view)
    return passing < LISTED * looked_at


def coarseness(count: int, dim: int) -> list[int]:
    """How many numbers may share a code of ``count`` vectors, the most first; none if too many."""
    most = min((numbers for numbers, most in SHARED.items() if count <= most), default=0)
    return [
        numbers
        for numbers in sorted(SHARED, reverse=True)
        if numbers <= most
        and parts(dim, numbers) >= LEAST_PARTS
        and count * parts(dim, numbers) / 2 <= MEMORY
    ]


def encode(connection: sqlite3.Connection, view: View, passing: RowSet, coding: str) -> Any:
    """An index of what passes alone, of one of FAISS's codings."""
    coded: Any = faiss.index_factory(view.vectors.shape[1], coding, faiss.METRIC_INNER_PRODUCT)
    training = len(passing)
    if hasattr(coded, "pq"):
        coded.pq.cp.niter, training = ROUNDS, TRAINING
    coded.train(sample(connection, view, passing, training))
    codes: Any = faiss.IndexIDMap(coded)
    for numbers, vectors in view.stream(connection, passing):
        if len(numbers):
            codes.add_with_ids(vectors, numbers)
    return codes


def sample(connection: sqlite3.Connection, view: View, passing: RowSet, most: int) -> Vectors:
    """At most so many of the vectors that pass (N, dim), evenly spread."""
    some = row_set(passing.rows[:: math.ceil(len(passing) / most)])
    return np.concatenate([vectors for _, vectors in view.stream(connection, some)])


def draw_trial(connection: sqlite3.Connection, view: View, passing: RowSet) -> HeldOut:
    """Queries that are like photos of any items, whether these pass or not, and what is nearest."""

    def blocks() -> Iterator[Vectors]:
        for _, vectors in view.stream(connection, passing):
            yield vectors

    seeds = sample(connection, view, passing, QUERIES)
    stored = view.opened.stored
    if stored is not None:
        seeds = stored.vectors(None, stored.rows[:: math.ceil(len(stored.rows) / QUERIES)])
    queries = photo_like(seeds, COSINE, np.random.default_rng(0))
    return true_neighbours(queries, blocks(), len(passing))


def find_breadth(
    connection: sqlite3.Connection, view: View, codes: Any, trial: HeldOut
) -> int | None:
    """How many times as many candidates as codes of 8 bits codes need; None if even many fail."""
    for breadth in BREADTHS:
        rows = codes.search(trial.queries, min(breadth * fetch_width(K), codes.ntotal))[1]
        near = [
            view.read(connection, mine[mine >= 0]) @ query
            for query, mine in zip(trial.queries, rows, strict=True)
        ]
        if trial.share_of(near) >= RECALL:
            return breadth
    return None
