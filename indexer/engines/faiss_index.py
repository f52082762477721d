"""Building the FAISS index of a generation: chosen by measuring, read back before it is trusted.

Row numbers of ``items.sqlite`` are the ids in the index. Small catalogues get ``Flat``, which is
exact. Above ``IndexPolicy.flat_limit`` each candidate is trained and filled, its effort
(``nprobe``) is doubled until it reaches the asked recall on held-out, photo-like queries, and the
fastest that does is kept; if none does, ``Flat`` it is.
"""

import errno
import math
import sqlite3
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from indexer.engines.recall import HeldOut, hold_out, measure, photo_like
from indexer.errors import GenerationCorruptError, GenerationError
from indexer.manifest import Contents, Trial
from indexer.protocols import Vectors
from indexer.reading import Rows, count_vectors, find_embedder, read_change, stream_vectors

FLAT = "Flat"
# FAISS asks for at least this many training vectors a list.
VECTORS_PER_LIST = 39


@dataclass(frozen=True, slots=True)
class IndexPolicy:
    """What to build when.

    Attributes:
        flat_limit: Up to so many vectors an exact scan is fast enough.
        recall: The recall@10 a larger index has to reach, 0 to 1.
        queries: How many held-out queries to measure with.
        cosine: How near a held-out query is to the vector it was made from, 0 to 1.
        training: At most so many vectors train the lists.
        seed: Of the sampling and of k-means.
    """

    flat_limit: int = 50_000
    recall: float = 0.95
    queries: int = 200
    cosine: float = 0.8
    training: int = 200_000
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Source:
    """The vectors an index is built from: one embedder's, within one snapshot."""

    connection: sqlite3.Connection
    embedder: int
    dim: int
    count: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """A filled index with the effort that reached the asked recall."""

    index: Any
    factory: str
    nlist: int
    nprobe: int
    microseconds: float


def build_index(
    connection: sqlite3.Connection, path: Path, *, fingerprint: str, policy: IndexPolicy
) -> Contents:
    """Build, write and measure the index of all live vectors of an embedder.

    Args:
        connection: A read snapshot of the store.
        path: Where to write the index.
        fingerprint: The embedder's.
        policy: What to build when.

    Raises:
        GenerationError: The embedder has no vectors here, or the written index does not hold them.
        OSError: The index could not be written; ENOSPC if no space is left.
    """
    started = time.perf_counter()
    found = find_embedder(connection, fingerprint)
    count = 0 if found is None else count_vectors(connection, found[0])
    if found is None or not count:
        raise GenerationError(f"There are no vectors of the embedder '{fingerprint}' to index.")
    source = Source(connection, found[0], found[1], count)
    sample, held_out = draw_samples(source, policy)
    curve: list[Trial] = []
    best = choose(source, sample, held_out, policy, curve) if count > policy.flat_limit else None
    chosen = best or Candidate(build_flat(source), FLAT, 0, 0, 0.0)
    write_index(chosen.index, path)
    written = load_index(path)
    if written.ntotal != count or written.d != source.dim:
        raise GenerationError(
            f"The index just written to '{path}' holds {written.ntotal} vectors of {written.d} "
            f"numbers instead of {count} of {source.dim}: the disk or the memory is failing."
        )
    lookup = partial(search_index, written, nprobe=chosen.nprobe)
    recall, microseconds = measure(connection, held_out, lookup)
    trial = Trial(
        index=chosen.factory, nprobe=chosen.nprobe, recall_at_10=recall, microseconds=microseconds
    )
    return Contents(
        index=chosen.factory,
        nprobe=chosen.nprobe,
        nlist=chosen.nlist,
        count=count,
        dim=source.dim,
        fingerprint=fingerprint,
        change=read_change(connection),
        last_row=last_row(connection),
        recall_at_10=recall,
        recall_queries=len(held_out.queries),
        build_seconds=round(time.perf_counter() - started, 3),
        curve=(*curve, trial),
    )


def last_row(connection: sqlite3.Connection) -> int:
    """The highest row number ever given."""
    found = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'vectors'").fetchone()
    return int(found[0]) if found else 0


def draw_samples(source: Source, policy: IndexPolicy) -> tuple[Vectors, HeldOut]:
    """Training vectors (T, dim), and held-out queries with their true neighbours."""
    generator = np.random.default_rng(policy.seed)
    train = min(source.count, policy.training) if source.count > policy.flat_limit else 0
    queries = min(source.count, policy.queries)
    wanted_training = np.sort(generator.choice(source.count, train, replace=False))
    wanted_queries = np.sort(generator.choice(source.count, queries, replace=False))
    training: list[Vectors] = []
    asked: list[Vectors] = []
    seen = 0
    for _, vectors in stream_vectors(source.connection, source.embedder, source.dim):
        for wanted, taken in ((wanted_training, training), (wanted_queries, asked)):
            inside = wanted[
                np.searchsorted(wanted, seen) : np.searchsorted(wanted, seen + len(vectors))
            ]
            taken.append(vectors[inside - seen])
        seen += len(vectors)
    moved = photo_like(np.concatenate(asked), policy.cosine, generator)
    held_out = hold_out(source.connection, source.embedder, moved, source.count)
    return np.concatenate(training), held_out


def choose(
    source: Source,
    training: Vectors,
    held_out: HeldOut,
    policy: IndexPolicy,
    curve: list[Trial],
) -> Candidate | None:
    """The fastest candidate that reaches the asked recall; all that was tried goes on ``curve``."""
    lists = 2 ** round(math.log2(2 * math.sqrt(source.count)))
    while lists > 1 and lists * VECTORS_PER_LIST > len(training):
        lists //= 2
    best: Candidate | None = None
    for coding in ("Flat", "SQ8"):
        factory = f"IVF{lists},{coding}"
        index = fill_lists(factory, source, training, policy.seed)
        nprobe = 1
        while True:
            lookup = partial(search_index, index, nprobe=nprobe)
            recall, microseconds = measure(source.connection, held_out, lookup)
            curve.append(
                Trial(index=factory, nprobe=nprobe, recall_at_10=recall, microseconds=microseconds)
            )
            if recall >= policy.recall or nprobe >= lists:
                break
            nprobe = min(2 * nprobe, lists)
        if recall >= policy.recall and (best is None or microseconds < best.microseconds):
            best = Candidate(index, factory, lists, nprobe, microseconds)
    return best


def fill_lists(factory: str, source: Source, training: Vectors, seed: int) -> Any:
    """Train an IVF index and add all vectors."""
    index: Any = faiss.index_factory(source.dim, factory, faiss.METRIC_INNER_PRODUCT)
    index.cp.seed = seed
    index.train(training)
    for rows, vectors in stream_vectors(source.connection, source.embedder, source.dim):
        index.add_with_ids(vectors, rows)
    return index


def build_flat(source: Source) -> Any:
    """An exact index of all vectors.

    IndexIDMap, not IndexIDMap2: the vectors themselves are read from the database, and the second
    would build a reverse map of all row numbers at every opening.
    """
    index = faiss.IndexIDMap(faiss.IndexFlatIP(source.dim))
    for rows, vectors in stream_vectors(source.connection, source.embedder, source.dim):
        index.add_with_ids(vectors, rows)
    return index


def effort(nprobe: int, selector: Any = None) -> Any:
    """Search parameters of one call: they never touch the index, so calls cannot disturb others."""
    # FAISS's own type hints do not know these keywords.
    plain: Any = faiss.SearchParameters
    lists: Any = faiss.SearchParametersIVF
    return lists(nprobe=nprobe, sel=selector) if nprobe else plain(sel=selector)


def write_index(index: Any, path: Path) -> None:
    """Write an index, saying a full disk in Python's way."""
    try:
        faiss.write_index(index, str(path))
    except RuntimeError as error:  # all that FAISS raises
        if "No space left" in str(error) or "quota" in str(error):
            raise OSError(errno.ENOSPC, "No space left on device", str(path)) from error
        raise OSError(errno.EIO, f"FAISS could not write the index: {error}", str(path)) from error


def load_index(path: Path) -> Any:
    """Memory-map an index: it opens at once and its pages are shared between processes.

    Raises:
        GenerationCorruptError: The file is no FAISS index.
    """
    try:
        return faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
    except RuntimeError as error:  # all that FAISS raises
        raise GenerationCorruptError(
            f"'{path}' is no index FAISS can read: {error}. Go back to another generation with "
            "'niteru rollback', or build a new one with 'niteru index'."
        ) from error


def search_index(
    index: Any, queries: Vectors, width: int, *, nprobe: int, selector: Any = None
) -> tuple[Vectors, Rows]:
    """Scores and row numbers (B, width), best first; -1 pads where there are no more."""
    scores, rows = index.search(queries, width, params=effort(nprobe, selector))
    return scores, rows
