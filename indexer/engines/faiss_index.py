"""Building the FAISS index of a generation: chosen by measuring, read back before it is trusted.

All vectors are copied into a file first, from which the index is built and candidates are ranked
(``indexer.engines.stored``). Row numbers of ``items.sqlite`` are the ids in the index. Small
catalogues get ``Flat``, which is exact. Above ``IndexPolicy.flat_limit`` it is what
``indexer.engines.choosing`` finds to be the cheapest; if nothing reaches the asked recall, ``Flat``
it is.
"""

import errno
import sqlite3
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from indexer.engines.candidates import FLAT, is_unrounded, search_index
from indexer.engines.choosing import Candidate, build_flat, choose
from indexer.engines.policy import IndexPolicy, Source
from indexer.engines.recall import HeldOut, K, fetch_width, measure, photo_like, true_neighbours
from indexer.engines.stored import VECTORS, write_stored
from indexer.errors import GenerationCorruptError, GenerationError
from indexer.manifest import Contents, Trial
from indexer.protocols import Vectors
from indexer.reading import Rows, count_vectors, find_embedder, find_uris, read_change

__all__ = ["IndexPolicy", "build_index", "load_index", "search_index", "write_index"]

WRITE_BYTES = 1 << 20
Views = Callable[[Sequence[str]], list[Vectors | None]]


def build_index(
    connection: sqlite3.Connection,
    path: Path,
    *,
    fingerprint: str,
    policy: IndexPolicy,
    views: Views | None = None,
) -> Contents:
    """Build, write and measure the index of all live vectors of an embedder.

    Beside it lies ``vectors.bin``, with the vectors themselves.

    Args:
        connection: A read snapshot of the store.
        path: Where to write the index.
        fingerprint: The embedder's.
        policy: What to build when.
        views: Embeds an altered view of the photo at each of some uris: (dim,) of unit length, None
            where there is none to read. The held-out queries are such views; where they are too
            few, the rest is made by noise as far from its vector as the views are.

    Raises:
        GenerationError: The embedder has no vectors here, or the written index does not hold them.
        OSError: The index could not be written; ENOSPC if no space is left.
    """
    started = time.perf_counter()
    source = copy_vectors(connection, path.with_name(VECTORS), fingerprint)
    count = source.count
    training, held_out = draw_samples(source, policy, views)
    curve: list[Trial] = []
    best = choose(source, training, held_out, policy, curve) if count > policy.flat_limit else None
    chosen = best or Candidate(build_flat(source), FLAT, 0, 0)
    recall, microseconds = write_and_measure(chosen, path, source, held_out)
    trial = Trial(
        index=chosen.factory,
        nprobe=chosen.nprobe,
        recall_at_10=recall,
        microseconds=microseconds,
        items=count,
        bytes_per_item=round(path.stat().st_size / count),
    )
    return Contents(
        index=chosen.factory,
        nprobe=chosen.nprobe,
        nlist=chosen.nlist,
        breadth=chosen.breadth,
        count=count,
        dim=source.dim,
        fingerprint=fingerprint,
        change=read_change(connection),
        last_row=last_row(connection),
        recall_at_10=recall,
        recall_queries=len(held_out.queries),
        recall_views=held_out.views,
        build_seconds=round(time.perf_counter() - started, 3),
        curve=(*curve, trial),
    )


def copy_vectors(connection: sqlite3.Connection, path: Path, fingerprint: str) -> Source:
    """Copy the live vectors of an embedder into a file, as the source of an index."""
    found = find_embedder(connection, fingerprint)
    count = 0 if found is None else count_vectors(connection, found[0])
    if found is None or not count:
        raise GenerationError(f"There are no vectors of the embedder '{fingerprint}' to index.")
    embedder, dim = found
    stored = write_stored(connection, path, embedder=embedder, dim=dim, count=count)
    return Source(connection, embedder, dim, count, stored)


def write_and_measure(
    chosen: Candidate, path: Path, source: Source, held_out: HeldOut
) -> tuple[float, float]:
    """Write an index, read it back, and measure what was read: recall@10, microseconds a query."""
    write_index(chosen.index, path)
    written = load_index(path)
    if written.ntotal != source.count or written.d != source.dim:
        raise GenerationError(
            f"The index just written to '{path}' holds {written.ntotal} vectors of {written.d} "
            f"numbers instead of {source.count} of {source.dim}: the disk or the memory is failing."
        )
    lookup = partial(search_index, written, effort=chosen.nprobe)
    width = fetch_width(K, chosen.breadth, unrounded=is_unrounded(chosen.factory))
    return measure(source.read, held_out, lookup, width=width)


def last_row(connection: sqlite3.Connection) -> int:
    """The highest row number ever given."""
    found = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'vectors'").fetchone()
    return int(found[0]) if found else 0


def draw_samples(
    source: Source, policy: IndexPolicy, views: Views | None
) -> tuple[Vectors, HeldOut]:
    """Training vectors (T, dim) in random order, and held-out queries with their neighbours."""
    generator = np.random.default_rng(policy.seed)
    train = min(source.count, policy.training) if source.count > policy.flat_limit else 0
    queries = min(source.count, policy.queries)
    wanted_training = np.sort(generator.choice(source.count, train, replace=False))
    wanted_queries = np.sort(generator.choice(source.count, queries, replace=False))
    training: list[Vectors] = []
    asked: list[Vectors] = []
    asked_rows: list[int] = []
    seen = 0
    for rows, vectors in source.stream():
        inside = within(wanted_training, seen, len(vectors))
        training.append(vectors[inside])
        inside = within(wanted_queries, seen, len(vectors))
        asked.append(vectors[inside])
        asked_rows += rows[inside].tolist()
        seen += len(vectors)
    stored = np.concatenate(asked)
    # Flat finds everything, whatever it is asked: no photo need be read for that.
    seen_anew = look_again(source, asked_rows, views if train else None)
    moved, count = held_out_queries(stored, seen_anew, policy.cosine, generator)
    blocks = (vectors for _, vectors in source.stream())
    held_out = true_neighbours(moved, blocks, source.count, views=count)
    return generator.permutation(np.concatenate(training)), held_out


def within(wanted: Rows, start: int, count: int) -> Rows:
    """Those of some places, ascending, that lie in a block, counted from its start."""
    ends = np.searchsorted(wanted, [start, start + count])
    return wanted[ends[0] : ends[1]] - start


def look_again(source: Source, rows: Sequence[int], views: Views | None) -> list[Vectors | None]:
    """An altered view (dim,) of the photo behind each row, None where there is none."""
    if views is None:
        return [None] * len(rows)
    uris = find_uris(source.connection, rows)
    return views([uris[row] for row in rows])


def held_out_queries(
    stored: Vectors,
    seen_anew: Sequence[Vectors | None],
    cosine: float,
    generator: np.random.Generator,
) -> tuple[Vectors, int]:
    """Queries (Q, dim) that are like photos of the items with the vectors ``stored`` (Q, dim).

    Returns:
        The queries, and how many of them are views. The others are vectors moved by noise to the
        views' median cosine, or to ``cosine`` if there is no view.
    """
    there = np.array([view is not None for view in seen_anew], bool)
    queries = np.array(stored)
    for row, view in enumerate(seen_anew):
        if view is not None:
            queries[row] = view
    if there.any():
        cosine = float(np.clip(np.median((queries * stored).sum(axis=1)[there]), 0, 1))
    queries[~there] = photo_like(stored[~there], cosine, generator)
    return queries, int(there.sum())


def write_index(index: Any, path: Path) -> None:
    """Write an index.

    Through Python's file, because FAISS's own only prints what fails when a file is closed, and a
    full disk may be told of no sooner.

    Raises:
        OSError: It could not be written; ENOSPC if no space is left.
    """
    failures: list[OSError] = []
    with path.open("wb") as file:

        def put(data: bytes) -> None:
            try:
                file.write(data)
            except OSError as error:  # FAISS makes another error of it
                failures.append(error)
                raise

        try:
            callback: Any = faiss.PyCallbackIOWriter  # type: ignore[attr-defined]
            faiss.write_index(index, callback(put, WRITE_BYTES))
        except (OSError, RuntimeError) as error:
            if failures:
                raise failures[0] from error
            raise OSError(
                errno.EIO, f"FAISS could not write the index: {error}", str(path)
            ) from error


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
