"""A collection that answers, and how it is brought up to ``items.sqlite``."""

from dataclasses import dataclass

from indexer.database import ReaderPool
from indexer.engines.choice import IDENTITY
from indexer.engines.milvus_collection import ALL, MANIFEST, STORE, Collection
from indexer.engines.milvus_names import collection_name, generation_of
from indexer.engines.milvus_server import Server
from indexer.errors import FingerprintMismatchError, GenerationCorruptError, GenerationError
from indexer.locks import MIRROR, exclusive
from indexer.manifest import Manifest, parse_manifest
from indexer.reading import find_embedder, read_change, read_fact, stream_items

PATIENCE = 60.0  # seconds for another process that brings the collection up to the store


@dataclass(frozen=True, slots=True)
class Serving:
    """The generation that answers."""

    collection: Collection
    manifest: Manifest
    store: str

    @property
    def lists(self) -> int:
        """To look at, unless asked otherwise."""
        return self.manifest.nprobe or ALL


def open_collection(server: Server, name: str, current: str, fingerprint: str | None) -> Serving:
    """Read what a collection says of itself; refuse what is not this alias's generation."""
    generation = generation_of(current, name)
    if generation is None:
        raise GenerationCorruptError(
            f"The alias '{name}' of the Milvus server stands for '{current}', which is no "
            f"generation of niteru: expected '{collection_name(name, 'ID')}'. Choose another "
            "alias with --milvus-name."
        )
    told = Collection(server, current, 0).read_properties()
    manifest = parse_manifest(told.get(MANIFEST, "no text"), generation)
    if fingerprint is not None and manifest.fingerprint != fingerprint:
        raise FingerprintMismatchError(
            found=manifest.fingerprint,
            expected=fingerprint,
            where=f"Generation '{generation}' of '{name}'",
        )
    return Serving(Collection(server, current, manifest.dim), manifest, told.get(STORE, ""))


def bring_up(serving: Serving, pool: ReaderPool) -> int:
    """Write into a collection what changed in the store since; returns the store's change number.

    One process at a time, and a thread of it: others wait. What is written is what is true now, so
    that it does no harm to write it twice: the number is noted last, and whoever is stopped before
    is followed by one who begins again.

    Raises:
        GenerationCorruptError: The store is another one, or an older copy of it.
        GenerationError: Its vectors of this embedder were dropped.
        StoreBusyError: Another process took longer than is waited.
        MilvusError: The server cannot be reached, or refuses.
    """
    with exclusive(pool.store, MIRROR, wait=PATIENCE):
        return write_changes(serving, pool)


def write_changes(serving: Serving, pool: ReaderPool) -> int:
    """``bring_up``, while nobody else does."""
    collection, manifest = serving.collection, serving.manifest
    applied = collection.read_change()
    with pool.read() as connection:
        change = read_change(connection)
        if read_fact(connection, IDENTITY) != serving.store:
            raise GenerationCorruptError(
                f"The collection '{collection.name}' was made from another store than "
                f"'{pool.store}'. Give each store an alias of its own with --milvus-name."
            )
        if change < applied:
            raise GenerationCorruptError(
                f"The collection '{collection.name}' holds changes up to {applied} of "
                f"items.sqlite, which is at change {change}: an older copy was put back. Build a "
                "generation that fits it with 'niteru index'."
            )
        if change == applied:
            return change
        found = find_embedder(connection, manifest.fingerprint)
        if found is None:
            raise GenerationError(
                f"The vectors of the embedder '{manifest.fingerprint}' were garbage-collected. "
                "Index the catalogue again with these weights."
            )
        for block in stream_items(connection, found[0], manifest.dim, after=applied):
            collection.remove([item.id for item, vector in block if vector is None])
            living = [(item, vector) for item, vector in block if vector is not None]
            places = collection.places([item.id for item, _ in living])  # keep them on the map
            collection.put(living, places)
    collection.note_change(change)
    return change
