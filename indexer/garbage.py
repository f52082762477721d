"""What of a store nobody needs any more: found without a change, and collected.

    generations   all but the newest few, without the one that answers and those that a process
                  answers from
    vectors       of embedders of which there is no generation any more
    files         what crashes left half-made, and photos of the store that no item names
    room          what deletions left unused within ``items.sqlite``

Each step leaves a sound store, so whatever ends a collection, the next one goes on. Vectors whose
embedder was never published are an indexing that was interrupted, and stay unless they are named.
"""

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from indexer.database import DATABASE, connect, storage_errors
from indexer.engines.choice import IDENTITY
from indexer.filesystem import FileSystem, LocalFileSystem
from indexer.generations import (
    CURRENT,
    GENERATIONS,
    PUBLISHER_WAIT,
    STAGING,
    Generation,
    list_generations,
)
from indexer.locks import PUBLISHER, exclusive
from indexer.own_photos import find_begun, find_unused
from indexer.publishing import Generations, LocalGenerations
from indexer.reading import count_rows, read_fact, read_unused
from indexer.store import open_writer

KEEP = 3  # generations that are left for a rollback, as a run leaves them
# Bytes of a vector in items.sqlite beside its numbers: its row, and its entries in two indexes.
BESIDE = 190


@dataclass(frozen=True, slots=True)
class Old:
    """A generation that is not needed.

    Attributes:
        id: The generation's.
        bytes: That it takes in the store; 0 if it lies on a server.
    """

    id: str
    bytes: int


@dataclass(frozen=True, slots=True)
class OfEmbedder:
    """The vectors of one embedder.

    Attributes:
        fingerprint: The embedder's.
        vectors: How many; with those of items that changed or are gone.
        bytes: That they take in ``items.sqlite``, about.
    """

    fingerprint: str
    vectors: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Garbage:
    """What can be collected, or was.

    Attributes:
        generations: Old generations.
        held: Ids of old generations that stay, because a process answers from them.
        vectors: Of embedders that no generation needs.
        unfinished: Of indexings that never published anything; they stay.
        vectors_stay: Why vectors stay that nothing seems to need; empty if none does.
        files: What crashes left, and photos that no item names.
        file_bytes: That these take.
        unused: Bytes within ``items.sqlite`` that nothing uses.
        freed: Bytes that the file system has back; 0 before anything was collected.
        stopped: Whether the collection was stopped before its end.
    """

    generations: tuple[Old, ...] = ()
    held: tuple[str, ...] = ()
    vectors: tuple[OfEmbedder, ...] = ()
    unfinished: tuple[OfEmbedder, ...] = ()
    vectors_stay: str = ""
    files: tuple[Path, ...] = ()
    file_bytes: int = 0
    unused: int = 0
    freed: int = 0
    stopped: bool = False

    @property
    def bytes(self) -> int:
        """That a collection frees, about."""
        generations = sum(old.bytes for old in self.generations)
        vectors = sum(one.bytes for one in self.vectors)
        return generations + vectors + self.file_bytes + self.unused

    def __bool__(self) -> bool:
        return bool(self.generations or self.vectors or self.files)


def find_garbage(
    store: Path, generations: Generations, *, keep: int = KEEP, unfinished: bool = False
) -> Garbage:
    """What ``collect`` would remove. Changes nothing.

    Args:
        store: The store's folder.
        generations: Where its generations are kept.
        keep: How many of the newest stay; the current one stays in any case.
        unfinished: Take the vectors of indexings that never published anything, too.

    Raises:
        NoStoreError: There is no store at this path.
    """
    store = store.absolute()
    with closing(connect(store)) as connection, storage_errors(store):
        old, held = generations.find_old(keep=keep)
        listed = generations.listed()
        staying = [generation for generation in listed if generation.id not in old]
        if not isinstance(generations, LocalGenerations):
            staying += list_generations(store)
        stay = why_vectors_stay(connection, generations, staying)
        gone = [generation for generation in listed if generation.id in old]
        unneeded, begun = find_unneeded(connection, staying, gone)
        files = (*find_leftovers(store), *find_unused(store, connection))
        return Garbage(
            generations=tuple(Old(name, size_of(store / GENERATIONS / name)) for name in old),
            held=tuple(held),
            vectors=() if stay else (*unneeded, *(begun if unfinished else ())),
            unfinished=() if stay or unfinished else begun,
            vectors_stay=stay if unneeded or (begun and unfinished) else "",
            files=files,
            file_bytes=sum(map(size_of, files)),
            unused=read_unused(connection),
        )


def why_vectors_stay(
    connection: sqlite3.Connection, generations: Generations, staying: Iterable[Generation]
) -> str:
    """Why it cannot be told whose vectors are needed; empty if it can."""
    known = [generation.manifest for generation in staying]
    if not known:
        return "no generation is left that would say which are needed"
    unread = [generation.id for generation in staying if generation.manifest is None]
    if unread:
        return f"the generation '{unread[0]}' cannot be read, and may be of any weights"
    if isinstance(generations, LocalGenerations) and read_fact(connection, IDENTITY) is not None:
        return (
            "the store was published to a Milvus server, whose generations may need them: "
            "say where it is, with --engine milvus"
        )
    return ""


def find_unneeded(
    connection: sqlite3.Connection, staying: Iterable[Generation], gone: Iterable[Generation]
) -> tuple[tuple[OfEmbedder, ...], tuple[OfEmbedder, ...]]:
    """The vectors of embedders that no staying generation is of: once published, and never."""
    needed, published = prints(staying), prints(gone)
    once: list[OfEmbedder] = []
    never: list[OfEmbedder] = []
    for number, name, dim, marked in connection.execute(
        "SELECT embedder, fingerprint, dim, published FROM embedders ORDER BY embedder"
    ).fetchall():
        if name in needed:
            continue
        living, removed = count_rows(connection, number)
        size = living * (4 * dim + BESIDE) + removed * BESIDE
        found = OfEmbedder(name, living + removed, size)
        (once if marked or name in published else never).append(found)
    return tuple(once), tuple(never)


def prints(generations: Iterable[Generation]) -> set[str]:
    """The fingerprints of generations, as far as they can be read."""
    return {one.manifest.fingerprint for one in generations if one.manifest is not None}


def find_leftovers(store: Path) -> list[Path]:
    """What crashes left half-made; what a process makes at this moment, too."""
    return [
        *(store / GENERATIONS).glob(f"{STAGING}*"),
        *find_begun(store),
        *store.glob(f"{CURRENT}.tmp"),
    ]


def collect(
    store: Path,
    generations: Generations,
    *,
    keep: int = KEEP,
    unfinished: bool = False,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
    should_stop: Callable[[], bool] = lambda: False,
    files: FileSystem | None = None,
) -> Garbage:
    """Remove old generations, then vectors that none needs, then files, and give room back.

    Args:
        store: The store's folder.
        generations: See ``find_garbage``.
        keep: See ``find_garbage``.
        unfinished: See ``find_garbage``.
        progress: Told how many of the rows of ``items.sqlite`` have been looked at, of how many.
        should_stop: Asked between steps; True ends the collection early.
        files: The steps on the disk.

    Returns:
        What was removed.

    Raises:
        NoStoreError: There is no store at this path.
        StoreBusyError: The store is being written.
        StoreFullError: There is no room even for removing; the next collection goes on.
    """
    store = store.absolute()
    connect(store).close()
    files = files or LocalFileSystem()
    with open_writer(store) as writer:
        size = size_of_database(store)
        old = find_garbage(store, generations, keep=keep).generations
        removed = set(generations.remove_old(writer, keep=keep))
        # Now, because a process may have begun to answer from an old one, which then has stayed.
        found = find_garbage(store, generations, keep=keep, unfinished=unfinished)
        dropped: list[OfEmbedder] = []
        for one in found.vectors:
            if not writer.drop_embedder(one.fingerprint, progress, should_stop):
                break
            dropped.append(one)
        remove_files(store, found.files, files)
        if not should_stop():
            writer.give_back(should_stop)
        removed_now = tuple(one for one in old if one.id in removed)
        within = max(0, size - size_of_database(store))
        return replace(
            found,
            generations=removed_now,
            vectors=tuple(dropped),
            freed=sum(one.bytes for one in removed_now) + found.file_bytes + within,
            stopped=should_stop(),
        )


def remove_files(store: Path, paths: Iterable[Path], files: FileSystem) -> None:
    """Remove leftovers: under both locks, the caller's too, so that they are none in the making."""
    with exclusive(store, PUBLISHER, wait=PUBLISHER_WAIT), storage_errors(store):
        for path in paths:
            if path.is_dir():
                files.remove_tree(path)
            else:
                path.unlink(missing_ok=True)


def size_of_database(store: Path) -> int:
    """Bytes of ``items.sqlite`` and of what SQLite keeps beside it."""
    return sum(size_of(path) for path in store.glob(f"{DATABASE}*"))


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder; 0 if there is none (any more)."""
    try:
        if path.is_dir():
            return sum(part.stat().st_size for part in path.rglob("*") if part.is_file())
        return path.stat().st_size
    except FileNotFoundError:
        return 0
