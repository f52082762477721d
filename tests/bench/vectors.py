"""Synthetic catalogues of vectors, what is true of them, and the best that FAISS alone can do."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import faiss
import numpy as np
from faiss.contrib.ivf_tools import add_preassigned

from indexer.engines.candidates import KINDS, LINKS, VECTORS_PER_LIST, list_count, search_index
from indexer.engines.recall import fetch_width, photo_like

BLOCK, K, RECALL, COSINE = 10_000, 10, 0.95, 0.8
Figures = dict[str, float]


def blocks(items: int, dim: int) -> Iterator[tuple[int, np.ndarray]]:
    """The catalogue in blocks, each drawn from a seed of its own: first number, (N, dim)."""
    centres = np.random.default_rng(0).standard_normal((max(1, items // 100), dim), np.float32)
    for start in range(0, items, BLOCK):
        rng = np.random.default_rng([1, start])
        count = min(BLOCK, items - start)
        drawn = centres[rng.integers(len(centres), size=count)]
        drawn += 0.7 * rng.standard_normal((count, dim), np.float32)
        yield start, drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def everything(items: int, dim: int) -> np.ndarray:
    """All vectors (N, dim)."""
    vectors = np.empty((items, dim), np.float32)
    for start, block in blocks(items, dim):
        vectors[start : start + len(block)] = block
    return vectors


def draw_queries(vectors: np.ndarray, count: int) -> np.ndarray:
    """(Q, dim), made like photos of random items."""
    rng = np.random.default_rng(2)
    chosen = np.sort(rng.integers(len(vectors), size=count))
    return photo_like(vectors[chosen], COSINE, rng)


def true_numbers(vectors: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """The items nearest to each query, (Q, K)."""
    best = np.full((len(queries), 0), 0.0, np.float32)
    numbers = np.empty((len(queries), 0), np.int64)
    for start in range(0, len(vectors), 100_000):
        scores = queries @ vectors[start : start + 100_000].T
        best = np.hstack([best, scores])
        here = np.broadcast_to(np.arange(start, start + scores.shape[1]), scores.shape)
        numbers = np.hstack([numbers, here])
        order = np.argsort(-best, axis=1, kind="stable")[:, :K]
        best = np.take_along_axis(best, order, axis=1)
        numbers = np.take_along_axis(numbers, order, axis=1)
    return numbers


def recall(found: list[set[int]], true: np.ndarray) -> float:
    """Part of the true neighbours that were found."""
    return float(
        np.mean([len(f & set(t)) / len(t) for f, t in zip(found, true.tolist(), strict=True)])
    )


def each(queries: np.ndarray, ask: Callable[[np.ndarray], Any]) -> tuple[list[Any], list[float]]:
    """The answer to each query (1, dim) and its milliseconds."""
    answers, times = [], []
    for query in queries:
        started = time.perf_counter()
        answers.append(ask(query[None]))
        times.append(1000 * (time.perf_counter() - started))
    return answers, times


def best_of_faiss(
    vectors: np.ndarray, queries: np.ndarray, true: np.ndarray, graph: Path | None = None
) -> Figures:
    """The least time at the recall over a grid; FAISS and numpy only.

    A graph is read from ``graph`` if there is one; building it takes longer than all the rest.
    """
    rng, count = np.random.default_rng(4), len(vectors)
    training = vectors[rng.choice(count, min(count, 200_000), replace=False)]
    best = graph_of_faiss(vectors, queries, true, graph)
    usual = list_count(count, len(training))
    for lists in (max(1, usual // 2), usual, 2 * usual):
        if lists * VECTORS_PER_LIST > len(training):
            continue
        quantizer: Any = faiss.IndexFlatIP(vectors.shape[1])
        places = None
        for kind in KINDS:
            if kind.coding is None:
                continue
            index_name = kind.factory(lists, vectors.shape[1])
            index: Any = faiss.index_factory(
                vectors.shape[1], index_name, faiss.METRIC_INNER_PRODUCT
            )
            if places is not None:  # the lists are the same for every coding: train them once
                index.quantizer.add(quantizer.reconstruct_n(0, lists))
            index.train(training)
            if places is None:
                quantizer = faiss.downcast_index(index.quantizer)
                places = quantizer.search(vectors, 1)[1].ravel()
                kept = index  # owns the quantizer
            if kind.coding in ("RaBitQfs", "PQ"):
                index.add(vectors)
            else:
                add_preassigned(index, vectors, places)
            for width in (K, *(breadth * fetch_width(K) for breadth in (1, 4, 8))):
                found = least_effort(index, (1, lists), width, vectors, queries, true)
                if found is not None:
                    name = f"FAISS {index_name}, {width} ranked, ms"
                    best[name] = found
                    print(f"  {name}: {found:.3f}", flush=True)
        del kept
    return {**best, "FAISS, the best, ms": min(best.values())}


def graph_of_faiss(
    vectors: np.ndarray, queries: np.ndarray, true: np.ndarray, built: Path | None
) -> Figures:
    """The same of graphs alone."""
    index: Any
    if built is None:
        index = faiss.IndexHNSWFlat(vectors.shape[1], LINKS, faiss.METRIC_INNER_PRODUCT)
        index.add(vectors)
    else:
        owner: Any = faiss.read_index(str(built))  # numbers rows from 1, as the store does
        index = faiss.downcast_index(owner.index)
    found = least_effort(index, (16, 1024), K, vectors, queries, true)
    if found is None:
        return {}
    name = f"FAISS HNSW{LINKS}, {K} ranked, ms"
    print(f"  {name}: {found:.3f}", flush=True)
    return {name: found}


def least_effort(
    index: Any,
    efforts: tuple[int, int],
    width: int,
    vectors: np.ndarray,
    queries: np.ndarray,
    true: np.ndarray,
) -> float | None:
    """Median milliseconds at the least effort that reaches the recall, None if none does."""

    def ask(query: np.ndarray, effort: int) -> np.ndarray:
        rows = search_index(index, query, width, effort=effort)[1][0]
        if width == K:
            return rows
        rows = rows[rows >= 0]
        return rows[np.argsort(-(vectors[rows] @ query[0]), kind="stable")[:K]]

    effort, most = efforts
    while effort <= most:
        rows, times = each(queries, lambda query, effort=effort: ask(query, effort))
        if recall([set(r.tolist()) for r in rows], true) >= RECALL:
            return median(times)
        effort = max(effort + 1, effort * 5 // 4)
    return None
