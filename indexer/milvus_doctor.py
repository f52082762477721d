"""What is wrong with a store whose generations are collections of a Milvus server."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from indexer.doctor import (
    Finding,
    check_database,
    check_leftovers,
    check_photos,
    check_space,
    compare_weights,
    examine,
    find_without_vector,
    tell_asked,
    tell_garbage,
    tell_weights,
)
from indexer.engines.choice import IDENTITY, EngineChoice
from indexer.engines.milvus_collection import STORE, Collection
from indexer.engines.milvus_names import collection_name
from indexer.errors import IndexerError, MilvusError
from indexer.manifest import Manifest
from indexer.milvus_generations import MilvusGenerations
from indexer.reading import count_vectors, find_embedder, read_change, read_fact


def examine_milvus(
    store: Path, choice: EngineChoice, *, fingerprint: str | None = None
) -> list[Finding]:
    """Every check of a store and of its collections; see ``indexer.doctor.examine``."""

    def check_server(_: Path, connection: sqlite3.Connection) -> Iterator[Finding]:
        try:
            generations = choice.generations(store)
            with closing(generations):
                assert isinstance(generations, MilvusGenerations)
                yield from look(generations, connection, fingerprint)
        except MilvusError as error:
            yield Finding("error", str(error), "Start the server, or say where it is.")

    checks = (check_database, check_server, check_leftovers, check_photos, check_space)
    return examine(store, checks=checks)


def look(
    generations: MilvusGenerations, connection: sqlite3.Connection, fingerprint: str | None
) -> Iterator[Finding]:
    """Alias and collections."""
    store, listed = generations.store, generations.listed()
    index = f"niteru index CATALOGUE --store {store} --engine milvus"
    answering = next((generation for generation in listed if generation.current), None)
    if not listed:
        yield Finding("warning", "Nothing was published yet.", index)
    elif answering is None:
        yield Finding(
            "error",
            f"The alias '{generations.name}' is missing, so no generation answers.",
            f"niteru rollback {listed[-1].id} --store {store} --engine milvus",
        )
    for generation in listed:
        try:
            generations.verify(generation.id)
        except IndexerError as error:
            yield Finding("error" if generation.current else "warning", str(error), index)
    if answering is None or answering.manifest is None:
        return
    yield Finding("note", f"{len(listed)} generations; '{answering.id}' answers.")
    yield tell_asked(answering.manifest)
    yield tell_weights(store, answering.manifest.fingerprint)
    yield from compare(generations, connection, answering.manifest, index)
    yield from tell_garbage(store, generations, f"niteru gc --store {store} --engine milvus")
    if fingerprint is not None:
        yield compare_weights(store, answering.manifest.fingerprint, fingerprint)


def compare(
    generations: MilvusGenerations, connection: sqlite3.Connection, manifest: Manifest, index: str
) -> Iterator[Finding]:
    """The collection that answers against ``items.sqlite``."""
    name = collection_name(generations.name, manifest.id)
    collection = Collection(generations.server, name, manifest.dim)
    found = find_embedder(connection, manifest.fingerprint)
    if collection.read_properties().get(STORE) != read_fact(connection, IDENTITY) or found is None:
        yield Finding(
            "error",
            f"The collection '{name}' was made from another store, or of weights that this one "
            "holds no vectors of.",
            f"{index} --milvus-name ANOTHER",
        )
        return
    yield from find_without_vector(generations.store, connection, found[0])
    behind = read_change(connection) - collection.read_change()
    if behind < 0:
        yield Finding(
            "error", f"The collection '{name}' holds later changes than items.sqlite, of which an "
            "older copy was put back.", index,
        )  # fmt: skip
    elif behind:
        yield Finding("note", f"{behind:,} changes are put into it before the next search.")
    elif (held := collection.count()) != (wanted := count_vectors(connection, found[0])):
        yield Finding(
            "error", f"The collection '{name}' holds {held:,} of {wanted:,} items.", index
        )
