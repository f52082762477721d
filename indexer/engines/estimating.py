"""What an index of everything would cost, told from one of a sample, before it is built."""

import math
import time
from collections.abc import Callable
from typing import Any

import faiss
import numpy as np

from indexer.engines.candidates import FLAT, ROW_NUMBER, Kind, new_graph, search_index
from indexer.engines.policy import IndexPolicy, Source
from indexer.engines.recall import TOLERANCE, HeldOut, K, fetch_width, true_neighbours
from indexer.engines.scores import cosines
from indexer.manifest import Trial
from indexer.protocols import Vectors


def promises(
    kind: Kind,
    source: Source,
    sample: Vectors,
    queries: Vectors,
    policy: IndexPolicy,
    curve: list[Trial],
    most: float,
) -> bool:
    """Whether a graph of a sample (S, dim) lets expect the recall in under ``most`` microseconds.

    It takes about ten times as long to build as lists, and is not built without that.
    """
    held_out = true_neighbours(queries, [sample], len(sample))
    index = new_graph(source.dim)
    index.add_with_ids(sample, np.arange(len(sample)))
    ranking = ranking_time(source, kind)

    def enough(trial: Trial) -> bool:
        return policy.reached_by(trial.recall_at_10, len(queries))

    trials = raise_effort(on_sample(index, kind, sample, held_out, ranking), kind, 0, enough)
    curve += trials
    return enough(trials[-1]) and expected_time(trials[-1], ranking, source.count) < most


def expected_time(trial: Trial, ranking: float, count: int) -> float:
    """Microseconds of a search in a graph of ``count`` items, from one in that of a sample.

    The way through it grows with the logarithm of the number of items. That is for looking for
    candidates; ranking them takes no longer.
    """
    assert trial.items is not None
    looking = max(0.0, trial.microseconds - ranking)
    return looking * math.log(max(2, count)) / math.log(max(2, trial.items)) + ranking


def time_flat(source: Source, sample: Vectors, queries: Vectors, curve: list[Trial]) -> float:
    """Microseconds to compare a query with everything, from comparing it with a sample (S, dim)."""
    index: Any = faiss.IndexFlatIP(source.dim)
    index.add(sample)
    some = queries[:20]
    started = time.perf_counter()
    for query in some:
        index.search(query[None], fetch_width(K, unrounded=True))
    microseconds = (time.perf_counter() - started) / len(some) * 1e6
    curve.append(
        Trial(
            index=FLAT, nprobe=0, recall_at_10=1, microseconds=microseconds, items=len(sample),
            bytes_per_item=4 * source.dim + ROW_NUMBER,
        )
    )  # fmt: skip
    return microseconds * source.count / len(sample)


def ranking_time(source: Source, kind: Kind) -> float:
    """Microseconds to read and compare the true vectors of as many candidates as a kind needs."""
    stream, needed = source.stream(), kind.width(K)
    rows, vectors = next(stream)
    rows = np.resize(rows, needed)
    started = time.perf_counter()
    for _ in range(20):
        cosines(source.read(rows), vectors[0])
    return (time.perf_counter() - started) / 20 * 1e6


def on_sample(
    index: Any, kind: Kind, sample: Vectors, held_out: HeldOut, ranking: float
) -> Callable[[int], Trial]:
    """Measures an index over a sample, whose ids are its rows, with some effort.

    ``ranking`` is the time to rank the candidates, microseconds a query.
    """

    def attempt(effort: int) -> Trial:
        width = kind.width(K)
        started = time.perf_counter()
        rows = np.concatenate(
            [
                search_index(index, query[None], width, effort=effort)[1]
                for query in held_out.queries
            ]
        )
        seconds = time.perf_counter() - started
        true = np.einsum("qwd,qd->qw", sample[rows.clip(0)], held_out.queries)  # (Q, W)
        near = (true >= held_out.thresholds[:, None] - TOLERANCE) & (rows >= 0)
        hits = np.minimum(near.sum(axis=1), held_out.neighbours).sum()
        return Trial(
            index=kind.factory(0, sample.shape[1]),
            nprobe=effort,
            recall_at_10=float(hits) / (len(rows) * held_out.neighbours),
            microseconds=seconds / len(rows) * 1e6 + ranking,
            items=len(sample),
            bytes_per_item=kind.bytes_per_item(sample.shape[1]),
        )

    return attempt


def raise_effort(
    attempt: Callable[[int], Trial], kind: Kind, lists: int, enough: Callable[[Trial], bool]
) -> list[Trial]:
    """Double the effort until it is enough, or there is no more; the last is the best."""
    effort, most = kind.least, kind.most or lists
    trials = [attempt(effort)]
    while not enough(trials[-1]) and effort < most:
        effort = min(2 * effort, most)
        trials.append(attempt(effort))
    return trials
