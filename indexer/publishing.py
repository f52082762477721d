"""Where the generations of a store are kept: one seam, folders of the store as the first peer."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from indexer.clock import Clock, utc_now
from indexer.database import ReaderPool
from indexer.errors import GenerationError
from indexer.filesystem import FileSystem, LocalFileSystem
from indexer.generations import (
    GENERATIONS,
    Generation,
    activate,
    find_old,
    is_known,
    list_generations,
    new_id,
    note_publishing,
    publish,
    read_current,
    remove_old,
    verify,
)
from indexer.layout import MAP, write_layout
from indexer.leases import unless_held
from indexer.manifest import Contents, Manifest
from indexer.reading import find_embedder, has_changed
from indexer.store import StoreWriter

if TYPE_CHECKING:  # FAISS comes with them
    from indexer.engines.faiss_index import Views
    from indexer.engines.policy import IndexPolicy


class Generations(Protocol):
    """The generations of one store, and which of them answers."""

    def new_id(self) -> str:
        """An id that sorts after every generation there is."""
        ...

    def listed(self) -> list[Generation]:
        """All generations, oldest first; a damaged one has no manifest."""
        ...

    def read_sound(self) -> Manifest | None:
        """The manifest of the generation that answers, None if there is none or it is damaged."""
        ...

    def verify(self, generation_id: str) -> Manifest:
        """The manifest of a generation, checked.

        Raises:
            UnknownGenerationError: There is none of this id.
            GenerationCorruptError: It is damaged.
        """
        ...

    def activate(self, generation_id: str) -> Generation:
        """Let another generation answer: rollback, or forward again; raises as ``verify``."""
        ...

    def covers(self, pool: ReaderPool, fingerprint: str) -> bool:
        """Whether the generation that answers finds all items there are, and is to go on."""
        ...

    def publish(
        self,
        writer: StoreWriter,
        pool: ReaderPool,
        *,
        fingerprint: str,
        policy: "IndexPolicy",
        views: "Views | None" = None,
        generation_id: str | None = None,
    ) -> Generation:
        """Make a generation of all vectors of an embedder, and let it answer."""
        ...

    def find_old(self, *, keep: int) -> tuple[list[str], list[str]]:
        """Ids of what ``remove_old`` would remove, and of what it would if no process used it."""
        ...

    def remove_old(self, writer: StoreWriter, *, keep: int) -> list[str]:
        """Remove all but the newest ``keep`` that no process answers from; returns their ids.

        Never the current one.
        """
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


def read_last(generations: Generations) -> Manifest | None:
    """The manifest of the generation that answers; if it is damaged, of the newest that is not.

    Its files are not looked at.

    Raises:
        NoStoreError: There is no store.
    """
    listed = generations.listed()
    for told in [*(told for told in listed if told.current), *reversed(listed)]:
        if told.manifest is not None:
            return told.manifest
    return None


@dataclass(frozen=True, slots=True)
class LocalGenerations:
    """FAISS indexes in folders of the store; see ``indexer.generations``.

    Attributes:
        store: The store's folder.
        clock: The time, with its zone.
        files: The steps on the disk.
    """

    store: Path
    clock: Clock = utc_now
    files: FileSystem = field(default_factory=LocalFileSystem)

    def new_id(self) -> str:
        """An id that sorts after every generation there is."""
        return new_id(self.store, self.clock)

    def listed(self) -> list[Generation]:
        """All generations, oldest first; a damaged one has no manifest.

        Raises:
            NoStoreError: There is no store at this path.
        """
        return list_generations(self.store)

    def read_sound(self) -> Manifest | None:
        """The manifest of the generation that answers, None if there is none or it is damaged."""
        try:
            current = read_current(self.store)
            return verify(self.store, current) if current is not None else None
        except GenerationError:
            return None

    def verify(self, generation_id: str) -> Manifest:
        """The manifest of a generation after a look at every byte of it; see ``Generations``."""
        return verify(self.store, generation_id)

    def activate(self, generation_id: str) -> Generation:
        """Let another generation answer; see ``Generations``."""
        return activate(self.store, generation_id, files=self.files)

    def covers(self, pool: ReaderPool, fingerprint: str) -> bool:
        """Whether the current generation is sound and holds all vectors there are."""
        manifest = self.read_sound()
        if manifest is None or manifest.fingerprint != fingerprint:
            return False
        with pool.read() as connection:
            found = find_embedder(connection, fingerprint)
            if found is None or not is_known(connection, manifest):
                return False
            return not has_changed(
                connection, found[0], change=manifest.change, row=manifest.last_row
            )

    def publish(
        self,
        writer: StoreWriter,
        pool: ReaderPool,
        *,
        fingerprint: str,
        policy: "IndexPolicy",
        views: "Views | None" = None,
        generation_id: str | None = None,
    ) -> Generation:
        """Build an index and a map in a new folder, and let it answer; see ``Generations``."""
        from indexer.engines.faiss_index import build_index  # noqa: PLC0415 - other engines need none

        def build(path: Path) -> Contents:
            with pool.read() as connection:
                contents = build_index(
                    connection, path, fingerprint=fingerprint, policy=policy, views=views
                )
                write_layout(connection, path.with_name(MAP), fingerprint=fingerprint)
                return contents.model_copy(update={"asked": policy.asked})

        generation_id = generation_id or self.new_id()
        writer.index_changes()
        note_publishing(writer, generation_id)
        return publish(
            writer.store, build, generation_id=generation_id, clock=self.clock, files=self.files
        )

    def find_old(self, *, keep: int) -> tuple[list[str], list[str]]:
        """Ids of what ``remove_old`` would remove, and of what a process answers from."""
        free: list[str] = []
        held: list[str] = []
        for name in find_old(self.store, keep=keep):
            with unless_held(self.store / GENERATIONS / name) as unused:
                (free if unused else held).append(name)
        return free, held

    def remove_old(self, writer: StoreWriter, *, keep: int) -> list[str]:
        """Remove all but the newest ``keep``; see ``Generations``."""
        return remove_old(writer, keep=keep, files=self.files)

    def close(self) -> None:
        """Nothing is held."""
