"""Building the collection of a generation from ``items.sqlite``, and measuring what was built."""

import sqlite3
import time
from collections.abc import Iterator
from dataclasses import replace

from indexer.engines.candidates import list_count
from indexer.engines.faiss_index import Views, draw_samples, last_row
from indexer.engines.milvus_collection import ALL, CHANGE, STORE, Collection, Pair
from indexer.engines.milvus_search import CollectionSearch
from indexer.engines.milvus_server import Server
from indexer.engines.policy import IndexPolicy, Source
from indexer.engines.recall import TOLERANCE, HeldOut, K
from indexer.errors import GenerationError
from indexer.layout import make_layout
from indexer.manifest import Contents, Trial
from indexer.protocols import Place
from indexer.reading import count_vectors, find_embedder, read_change, stream_items

FLAT, LISTS = "FLAT", "IVF_SQ8"


def build_collection(
    connection: sqlite3.Connection,
    server: Server,
    name: str,
    *,
    fingerprint: str,
    policy: IndexPolicy,
    views: Views | None = None,
    store: str,
) -> Contents:
    """Make, fill and measure a collection of all live vectors of an embedder.

    Args:
        connection: A read snapshot of the store.
        server: Where to.
        name: Of the collection.
        fingerprint: The embedder's.
        policy: Up to which size everything is looked at, and the recall to reach otherwise.
        views: See ``indexer.engines.faiss_index.build_index``.
        store: The store's identity, which the collection remembers.

    Raises:
        GenerationError: The embedder has no vectors here, or the collection does not hold them.
        MilvusError: The server cannot be reached, or refuses.
    """
    started = time.perf_counter()
    found = find_embedder(connection, fingerprint)
    count = 0 if found is None else count_vectors(connection, found[0])
    if found is None or not count:
        raise GenerationError(f"There are no vectors of the embedder '{fingerprint}' to index.")
    source = Source(connection, found[0], found[1], count)
    _, held_out = draw_samples(source, replace(policy, training=1), views)
    index = FLAT if count <= policy.flat_limit else LISTS
    lists = 0 if index == FLAT else list_count(count, count)
    change = read_change(connection)
    collection = Collection(server, name, source.dim)
    collection.create(index, lists, {CHANGE: str(change), STORE: store})
    fill(collection, source, make_layout(connection, fingerprint=fingerprint))
    curve = measure(collection, index, held_out, lists, policy.recall, count)
    best = curve[-1]
    return Contents(
        engine="milvus",
        index=index,
        nprobe=best.nprobe,
        nlist=lists,
        count=count,
        dim=source.dim,
        fingerprint=fingerprint,
        change=change,
        last_row=last_row(connection),
        recall_at_10=best.recall_at_10,
        recall_queries=len(held_out.queries),
        recall_views=held_out.views,
        build_seconds=round(time.perf_counter() - started, 3),
        curve=tuple(curve),
        asked=policy.asked,
    )


def fill(collection: Collection, source: Source, places: list[Place]) -> None:
    """Put all items that have a vector into a collection, and wait until they can be found.

    Raises:
        GenerationError: It does not hold them.
    """
    collection.put(living(source), places)
    collection.settle()
    if (held := collection.count()) != source.count:
        raise GenerationError(
            f"The collection '{collection.name}' just filled holds {held} items instead of "
            f"{source.count}."
        )


def living(source: Source) -> Iterator[Pair]:
    """All items that have a vector."""
    for block in stream_items(source.connection, source.embedder, source.dim, after=-1):
        for item, vector in block:
            if vector is not None:
                yield item, vector


def measure(
    collection: Collection, index: str, held_out: HeldOut, lists: int, wanted: float, count: int
) -> list[Trial]:
    """Look at more and more lists until the recall is what is wanted; the last is what to use."""
    curve: list[Trial] = []
    effort = 0 if index == FLAT else 1
    while True:
        started = time.perf_counter()
        answers = CollectionSearch(collection, K).run(held_out.queries, effort or ALL)
        seconds = time.perf_counter() - started
        near = sum(
            min(sum(hit.score >= threshold - TOLERANCE for hit in hits), held_out.neighbours)
            for hits, threshold in zip(answers, held_out.thresholds, strict=True)
        )
        queries = len(held_out.queries)
        trial = Trial(
            index=index,
            nprobe=effort,
            recall_at_10=near / (queries * held_out.neighbours),
            microseconds=seconds / queries * 1e6,
            items=count,
        )
        curve.append(trial)
        if index == FLAT or trial.recall_at_10 >= wanted or effort >= lists:
            return curve
        effort = min(2 * effort, lists)
