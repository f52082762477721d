"""Generations in Milvus: a collection each, and an alias that says which of them answers.

    NAME                            the alias, in the place of ``CURRENT``
    NAME_20261125T101500Z_1a2b      a collection, which remembers its manifest

A collection is filled and measured before it is given its manifest, and the alias is changed last,
in one step. One without a manifest was left half-made by a crash, and the next run removes it.
"""

import uuid
from collections.abc import Callable
from contextlib import closing
from datetime import UTC
from pathlib import Path

from indexer.clock import Clock, utc_now
from indexer.database import ReaderPool, connect
from indexer.engines.choice import IDENTITY, check_name
from indexer.engines.faiss_index import Views
from indexer.engines.milvus_collection import CHANGE, MANIFEST, STORE, Collection
from indexer.engines.milvus_index import build_collection
from indexer.engines.milvus_names import collection_name, generation_of
from indexer.engines.milvus_server import LONG, Server
from indexer.engines.milvus_serving import bring_up, open_collection
from indexer.engines.policy import IndexPolicy
from indexer.errors import (
    GenerationCorruptError,
    GenerationError,
    MilvusError,
    UnknownGenerationError,
)
from indexer.generations import (
    PUBLISHER_WAIT,
    Generation,
    check_known,
    id_after,
    is_known,
    niteru_version,
    note_publishing,
)
from indexer.locks import PUBLISHER, exclusive
from indexer.manifest import Manifest, parse_manifest
from indexer.reading import count_changed, count_vectors, find_embedder, read_fact
from indexer.store import StoreWriter

CHANGED = 0.2  # of the items: more of them changed make a run measure and fill a new collection


class MilvusGenerations:
    """The generations of one store on one server.

    Args:
        server: The connection.
        name: The alias.
        store: The store's folder.
        clock: The time, with its zone.
        draw_identity: Gives a store that has none a name that no other store has.

    Raises:
        ValueError: ``name`` cannot be an alias.
    """

    def __init__(
        self,
        server: Server,
        name: str,
        store: Path,
        *,
        clock: Clock = utc_now,
        draw_identity: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        self.server, self.name, self.store = server, check_name(name), store
        self._clock, self._draw_identity = clock, draw_identity

    def list_ids(self) -> list[str]:
        """The ids of all generations, oldest first, half-made ones with them."""
        names = self.server.call("list_collections")
        return sorted(i for name in names if (i := generation_of(name, self.name)) is not None)

    def new_id(self) -> str:
        """An id that sorts after every generation there is."""
        return id_after(max(self.list_ids(), default=""), self._clock)

    def read_current(self) -> str | None:
        """The id of the generation that answers, None if nothing was published yet."""
        found = self.server.find_alias(self.name)
        return None if found is None else generation_of(found, self.name)

    def verify(self, generation_id: str) -> Manifest:
        """The manifest of a generation.

        Raises:
            UnknownGenerationError: There is none of this id.
            GenerationCorruptError: It is half-made, or was altered.
        """
        listed = self.list_ids()
        if generation_id not in listed:
            raise UnknownGenerationError(
                f"The Milvus server has no generation '{generation_id}' of '{self.name}'. "
                f"There is: {', '.join(listed) or 'none'}."
            )
        told = self._collection(generation_id).read_properties()
        return parse_manifest(told.get(MANIFEST, "no text"), generation_id)

    def listed(self) -> list[Generation]:
        """All generations, oldest first; a damaged one has no manifest."""
        answering = self.read_current()
        return [self._describe(generation_id, answering) for generation_id in self.list_ids()]

    def read_sound(self) -> Manifest | None:
        """The manifest of the generation that answers, None if there is none or it is damaged."""
        answering = self.read_current()
        return None if answering is None else self._describe(answering, answering).manifest

    def covers(self, pool: ReaderPool, fingerprint: str) -> bool:
        """Whether the collection that answers can go on; what changed since is put into it then.

        Milvus takes what is put into its index by itself, so a new collection is made for other
        weights, or when so much has changed that what was measured says little.
        """
        manifest = self.read_sound()
        if manifest is None or manifest.fingerprint != fingerprint:
            return False
        with pool.read() as connection:
            if not is_known(connection, manifest):
                return False
            changed = count_changed(connection, after=manifest.change)
        if changed > CHANGED * manifest.count:
            return False
        name = collection_name(self.name, manifest.id)
        try:
            serving = open_collection(self.server, self.name, name, fingerprint)
            self.server.call("load_collection", name, seconds=LONG)
            bring_up(serving, pool)
        except GenerationError:
            return False
        with pool.read() as connection:
            found = find_embedder(connection, fingerprint)
            return found is not None and (
                serving.collection.count() == count_vectors(connection, found[0])
            )

    def close(self) -> None:
        """Close the connection."""
        self.server.close()

    def _describe(self, generation_id: str, answering: str | None) -> Generation:
        try:
            manifest = self.verify(generation_id)
        except GenerationCorruptError:
            manifest = None
        return Generation(generation_id, None, manifest, current=generation_id == answering)

    def activate(self, generation_id: str) -> Generation:
        """Let another generation answer: rollback, or forward again.

        Raises:
            UnknownGenerationError: There is no generation of this id.
            GenerationCorruptError: It is half-made, or was altered.
            VectorsGoneError: It was made of a later copy of the store.
            StoreBusyError: Another process publishes at this very moment.
        """
        connect(self.store).close()
        with exclusive(self.store, PUBLISHER, wait=PUBLISHER_WAIT):
            manifest = self.verify(generation_id)
            with closing(connect(self.store)) as connection:
                check_known(connection, manifest)
            self._point(generation_id)
        return Generation(generation_id, None, manifest, current=True)

    def publish(
        self,
        writer: StoreWriter,
        pool: ReaderPool,
        *,
        fingerprint: str,
        policy: IndexPolicy,
        views: Views | None = None,
        generation_id: str | None = None,
    ) -> Generation:
        """Make a generation and let it answer.

        Args:
            writer: Of the store: nobody else publishes meanwhile.
            pool: Reads the store.
            fingerprint: Of the embedder whose vectors it holds.
            policy: See ``build_collection``.
            views: See ``build_collection``.
            generation_id: From ``new_id``; None takes a new one.

        Raises:
            MilvusError: The server cannot be reached or refuses, or the alias is another store's;
                the current generation is as it was.
        """
        identity = self._identify(writer)
        self._clear(identity)
        generation_id = generation_id or self.new_id()
        writer.index_changes()
        note_publishing(writer, generation_id)
        with pool.read() as connection:
            contents = build_collection(
                connection, self.server, collection_name(self.name, generation_id),
                fingerprint=fingerprint, policy=policy, views=views, store=identity,
            )  # fmt: skip
        manifest = Manifest(
            **contents.model_dump(),
            id=generation_id,
            created=self._clock().astimezone(UTC).isoformat(timespec="seconds"),
            niteru=niteru_version(),
            files={},
        )
        self._collection(generation_id).note(MANIFEST, manifest.dump().decode())
        with exclusive(self.store, PUBLISHER, wait=PUBLISHER_WAIT):
            self._point(generation_id)
            self._drop_what_is_ahead(manifest.change)
        return Generation(generation_id, None, manifest, current=True)

    def _drop_what_is_ahead(self, change: int) -> None:
        """Drop collections of a later change: an older copy of the store was put back since."""
        for generation_id in self.list_ids():
            told = self._collection(generation_id).read_properties().get(CHANGE, "0")
            if told.isdecimal() and int(told) > change:
                name = collection_name(self.name, generation_id)
                self.server.call("drop_collection", name)

    def find_old(self, *, keep: int) -> tuple[list[str], list[str]]:
        """The ids of all but the newest ``keep``, without the current one; and none that stay.

        A server that still answers from an old one is not known of here.
        """
        if keep < 1:
            raise ValueError(f"keep must be at least 1; found {keep}.")
        answering = self.read_current()
        return [name for name in self.list_ids()[:-keep] if name != answering], []

    def remove_old(self, writer: StoreWriter, *, keep: int) -> list[str]:
        """Drop all but the newest ``keep`` generations, never the current one.

        Of those that stay, only the current one and the one before it stay in Milvus's memory: a
        server that has not looked yet goes on with that.

        Returns:
            The ids dropped.
        """
        with exclusive(writer.store, PUBLISHER, wait=PUBLISHER_WAIT):
            listed, answering = self.list_ids(), self.read_current()
            removed, _ = self.find_old(keep=keep)
            for name in removed:
                manifest = self._describe(name, answering).manifest
                if manifest is not None:
                    writer.mark_published(manifest.fingerprint)
                self.server.call("drop_collection", collection_name(self.name, name))
            before = [name for name in listed if answering is None or name < answering][-1:]
            for name in listed:
                if name not in (answering, *before, *removed):
                    self.server.call("release_collection", collection_name(self.name, name))
        return removed

    def _collection(self, generation_id: str) -> Collection:
        return Collection(self.server, collection_name(self.name, generation_id), 0)

    def _point(self, generation_id: str) -> None:
        """Let the alias stand for a collection that lies in Milvus's memory."""
        collection = collection_name(self.name, generation_id)
        self.server.call("load_collection", collection, seconds=LONG)
        self.server.point_alias(self.name, collection)

    def _identify(self, writer: StoreWriter) -> str:
        """The store's identity, which it is given with its first generation here."""
        known = read_fact(writer.connection, IDENTITY)
        if known is None:
            known = self._draw_identity()
            writer.remember(IDENTITY, known)
        return known

    def _clear(self, identity: str) -> None:
        """Remove what a crash left half-made; refuse to go on where another store is."""
        for generation_id in self.list_ids():
            told = self._collection(generation_id).read_properties()
            if told.get(STORE) != identity:
                raise MilvusError(
                    f"The Milvus server '{self.server.uri}' has generations of another store under "
                    f"the name '{self.name}'. Give this store another one with --milvus-name."
                )
            if MANIFEST not in told:
                name = collection_name(self.name, generation_id)
                self.server.call("drop_collection", name)
