"""Immutable indexes and the one small file that says which of them answers.

    store/generations/<id>/  index.faiss, vectors.bin, map.json, manifest.json
    store/CURRENT            the id, one line

A generation is made in a staging folder, handed to the disk, renamed, and then ``CURRENT`` is
replaced in one step. Whatever step a crash comes before, the old generation or the new one
answers, never a mixture. A rollback is the last step alone.
"""

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from indexer.clock import Clock, utc_now
from indexer.database import connect, storage_errors
from indexer.errors import (
    GenerationCorruptError,
    NoStoreError,
    StoreFullError,
    UnknownGenerationError,
    VectorsGoneError,
)
from indexer.filesystem import FileSystem, LocalFileSystem
from indexer.leases import unless_held
from indexer.locks import PUBLISHER, exclusive
from indexer.manifest import MANIFEST, Contents, Manifest, check_files, hash_files, read_manifest
from indexer.reading import count_indexed, find_embedder, read_change
from indexer.store import StoreWriter

CURRENT = "CURRENT"
GENERATIONS = "generations"
INDEX = "index.faiss"
STAGING = ".staging-"
ID = re.compile(r"^(\d{8}T\d{6}Z)-([0-9a-f]{4})$")
TICKS = 1 << 16
KNOWN = "generation "  # what names of facts begin with, an id each
# A rollback checks every file before it switches: seconds for a large index.
PUBLISHER_WAIT = 60.0


@dataclass(frozen=True, slots=True)
class Generation:
    """A published index.

    Attributes:
        id: UTC time of its making and a fraction of the second: sorts by age.
        path: Its folder; None if it is a collection of a Milvus server.
        manifest: What it says of itself; None if that is unreadable (``verify`` says why).
        current: Whether it is the one that answers.
    """

    id: str
    path: Path | None
    manifest: Manifest | None
    current: bool


def new_id(store: Path, clock: Clock = utc_now) -> str:
    """An id that sorts after every generation there is, even if the clock was set back."""
    return id_after(max(list_ids(store), default=""), clock)


def id_after(newest: str, clock: Clock) -> str:
    """An id of now, or the next one after ``newest`` if that is later."""
    now = clock().astimezone(UTC)
    generation_id = f"{now:%Y%m%dT%H%M%SZ}-{now.microsecond * TICKS // 1_000_000:04x}"
    return generation_id if generation_id > newest else next_id(newest)


def next_id(generation_id: str) -> str:
    """The smallest id that sorts after ``generation_id``."""
    match = ID.match(generation_id)
    assert match is not None
    if (tick := int(match[2], 16) + 1) < TICKS:
        return f"{match[1]}-{tick:04x}"
    second = datetime.strptime(match[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp() + 1
    return f"{datetime.fromtimestamp(second, UTC):%Y%m%dT%H%M%SZ}-0000"


def list_ids(store: Path) -> list[str]:
    """The ids of all generations, oldest first; staging folders and strangers are left out."""
    folder = store / GENERATIONS
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if ID.match(path.name))


def read_current(store: Path) -> str | None:
    """The id in ``CURRENT``, None if nothing was published yet.

    Raises:
        GenerationCorruptError: ``CURRENT`` holds something else than an id.
    """
    try:
        text = (store / CURRENT).read_text("ascii").strip()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        text = "bytes that are no text"
    if not ID.match(text):
        raise GenerationCorruptError(
            f"'{store / CURRENT}' holds {text[:40]!r} instead of the id of a generation. "
            f"Choose one of {', '.join(list_ids(store)) or 'none'} with: "
            f"niteru rollback ID --store {store}"
        )
    return text


def current(store: Path) -> Generation | None:
    """The generation that answers, None if nothing was published yet.

    Raises:
        GenerationCorruptError: ``CURRENT`` is damaged or names a generation that is not usable.
    """
    generation_id = read_current(store)
    if generation_id is None:
        return None
    folder = store / GENERATIONS / generation_id
    return Generation(generation_id, folder, read_manifest(folder), current=True)


def list_generations(store: Path) -> list[Generation]:
    """All generations, oldest first; a damaged one has no manifest.

    Raises:
        NoStoreError: There is no store at this path.
    """
    connect(store).close()
    try:
        answering = read_current(store)
    except GenerationCorruptError:
        answering = None  # the list is what one needs to repair it
    return [describe(store, generation_id, answering) for generation_id in list_ids(store)]


def describe(store: Path, generation_id: str, answering: str | None) -> Generation:
    """A generation as it is on the disk."""
    folder = store / GENERATIONS / generation_id
    try:
        manifest = read_manifest(folder)
    except GenerationCorruptError:
        manifest = None
    return Generation(generation_id, folder, manifest, current=generation_id == answering)


def verify(store: Path, generation_id: str, *, trust: bool = False) -> Manifest:
    """Check every file of a generation against its manifest.

    With ``trust``, large files are not read again that were found sound and have not changed since.

    Raises:
        UnknownGenerationError: There is no generation of this id.
        GenerationCorruptError: Truncated, altered or foreign; says which file and how.
    """
    folder = store / GENERATIONS / generation_id
    if not ID.match(generation_id) or not folder.is_dir():
        raise UnknownGenerationError(
            f"The store '{store}' has no generation '{generation_id}'. "
            f"There is: {', '.join(list_ids(store)) or 'none'}."
        )
    manifest = read_manifest(folder)
    if INDEX not in manifest.files:
        raise GenerationCorruptError(
            f"The manifest of generation '{generation_id}' names no {INDEX}."
        )
    check_files(folder, manifest, trust=trust)
    return manifest


def activate(store: Path, generation_id: str, *, files: FileSystem | None = None) -> Generation:
    """Let another generation answer: rollback, or forward again.

    Raises:
        UnknownGenerationError: There is no generation of this id.
        GenerationCorruptError: Its files do not pass ``verify``; ``CURRENT`` stays as it was.
        VectorsGoneError: The store does not hold what it indexes; the same.
        StoreBusyError: Another process publishes at this very moment.
    """
    if not store.is_dir():
        raise NoStoreError(store)
    with exclusive(store, PUBLISHER, wait=PUBLISHER_WAIT), storage_errors(store):
        manifest = verify(store, generation_id)
        with closing(connect(store)) as connection:
            check_vectors(connection, manifest)
        point_current(store, generation_id, files or LocalFileSystem())
    return Generation(generation_id, store / GENERATIONS / generation_id, manifest, current=True)


def check_vectors(connection: sqlite3.Connection, manifest: Manifest) -> None:
    """Whether ``items.sqlite`` still knows every vector that a generation indexes.

    Raises:
        VectorsGoneError: They were collected, or an older copy of it was put back.
    """
    check_known(connection, manifest)
    found = find_embedder(connection, manifest.fingerprint)
    there = 0 if found is None else count_indexed(connection, found[0], manifest)
    if there != manifest.count:
        raise VectorsGoneError(
            f"Generation '{manifest.id}' indexes {manifest.count:,} vectors of the weights "
            f"'{manifest.fingerprint}', and items.sqlite holds {there:,} of them: they were "
            "collected after its kind had no generation any more (niteru gc), or it is damaged or "
            "another store's. Index the catalogue again with these weights: niteru index CATALOGUE "
            "--store STORE --weights WEIGHTS"
        )


def note_publishing(writer: StoreWriter, generation_id: str) -> None:
    """Let ``items.sqlite`` know of a generation before it answers; see ``is_known``."""
    writer.remember(f"{KNOWN}{generation_id}", "published")


def is_known(connection: sqlite3.Connection, manifest: Manifest) -> bool:
    """Whether a generation was made from this ``items.sqlite``, and not from a later one.

    An older copy that was put back has not heard of what was published since. Its change number is
    behind at first, and catches up with whatever is written to it: then its rows have the numbers
    of others, which the generation indexes. Generations from before this was noted are believed.
    """
    if read_change(connection) < manifest.change:
        return False
    first, own = connection.execute(
        "SELECT min(name), max(name = ?1) FROM facts WHERE name >= ?2 AND name < ?2 || 'a'",
        (f"{KNOWN}{manifest.id}", KNOWN),
    ).fetchone()
    return first is None or bool(own) or f"{KNOWN}{manifest.id}" < first


def check_known(connection: sqlite3.Connection, manifest: Manifest) -> None:
    """Refuse a generation of a later ``items.sqlite``.

    Raises:
        VectorsGoneError: An older copy of it was put back.
    """
    if not is_known(connection, manifest):
        raise VectorsGoneError(
            f"Generation '{manifest.id}' was built at change {manifest.change} of an items.sqlite "
            f"that was here; this one is at change {read_change(connection)} and does not know of "
            "it: an older copy was put back. Build a generation that fits it with: niteru index "
            "CATALOGUE --store STORE"
        )


def point_current(store: Path, generation_id: str, files: FileSystem) -> None:
    """Replace ``CURRENT`` in one step."""
    temporary = store / f"{CURRENT}.tmp"
    files.write(temporary, f"{generation_id}\n".encode())
    files.replace(temporary, store / CURRENT)
    files.sync(store)


def publish(
    store: Path,
    build: Callable[[Path], Contents],
    *,
    generation_id: str | None = None,
    clock: Clock = utc_now,
    files: FileSystem | None = None,
) -> Generation:
    """Make a generation and let it answer. The caller holds the store's writer lock.

    Args:
        store: The store's folder.
        build: Writes the index at the path it is given, and what else it likes beside it, and says
            what it holds.
        generation_id: From ``new_id``; None takes a new one.
        clock: The time, with its zone.
        files: The steps on the disk.

    Raises:
        StoreFullError: No space is left; the current generation is as it was.
        StoreBusyError: A rollback did not end in time.
    """
    files = files or LocalFileSystem()
    folder = store / GENERATIONS
    generation_id = generation_id or new_id(store, clock)
    with storage_errors(store):
        files.make_directory(folder)
        clear_staging(store, files)
        staging = folder / f"{STAGING}{generation_id}"
        files.make_directory(staging)
        try:
            manifest = fill_staging(staging, build, generation_id, clock, files)
        except (OSError, StoreFullError):
            files.remove_tree(staging)  # a half-written index is what fills the disk
            raise
        with exclusive(store, PUBLISHER, wait=PUBLISHER_WAIT):
            files.replace(staging, folder / generation_id)
            files.sync(folder)
            point_current(store, generation_id, files)
    return Generation(generation_id, folder / generation_id, manifest, current=True)


def fill_staging(
    staging: Path,
    build: Callable[[Path], Contents],
    generation_id: str,
    clock: Clock,
    files: FileSystem,
) -> Manifest:
    """Write the index and its manifest and hand both to the disk."""
    contents = build(staging / INDEX)
    written = sorted(path for path in staging.iterdir() if path.name != MANIFEST)
    for path in written:
        files.sync(path)
    manifest = Manifest(
        **contents.model_dump(),
        id=generation_id,
        created=clock().astimezone(UTC).isoformat(timespec="seconds"),
        niteru=niteru_version(),
        files=hash_files(written),
    )
    files.write(staging / MANIFEST, manifest.dump())
    files.sync(staging)
    return manifest


def clear_staging(store: Path, files: FileSystem) -> None:
    """Remove what a crash left half-made or half-removed."""
    for path in (store / GENERATIONS).glob(f"{STAGING}*"):
        files.remove_tree(path)


def find_old(store: Path, *, keep: int) -> list[str]:
    """The ids of all but the newest ``keep`` generations, without the current one."""
    if keep < 1:
        raise ValueError(f"keep must be at least 1; found {keep}.")
    answering = read_current(store)
    return [name for name in list_ids(store)[:-keep] if name != answering]


def remove_old(writer: StoreWriter, *, keep: int, files: FileSystem | None = None) -> list[str]:
    """Remove all but the newest ``keep`` generations that no process answers from.

    Returns:
        The ids removed; never the current one's.
    """
    files = files or LocalFileSystem()
    folder = writer.store / GENERATIONS
    removed = []
    with exclusive(writer.store, PUBLISHER, wait=PUBLISHER_WAIT), storage_errors(writer.store):
        for name in find_old(writer.store, keep=keep):
            with unless_held(folder / name) as free:
                if not free:
                    continue
                manifest = describe(writer.store, name, None).manifest
                if manifest is not None:
                    writer.mark_published(manifest.fingerprint)
                # Out of the list in one step first: a crash cannot leave half a generation in it.
                files.replace(folder / name, folder / f"{STAGING}{name}")
                files.remove_tree(folder / f"{STAGING}{name}")
            removed.append(name)
    return removed


def garbage_collect(store: Path, *, keep: int = 3, files: FileSystem | None = None) -> list[str]:
    """Remove what no generation of a store needs; see ``indexer.garbage.collect``.

    Returns:
        The ids of the generations removed.
    """
    from indexer.garbage import collect  # noqa: PLC0415 - it is made of what stands here
    from indexer.publishing import LocalGenerations  # noqa: PLC0415

    generations = LocalGenerations(store, files=files or LocalFileSystem())
    return [old.id for old in collect(store, generations, keep=keep, files=files).generations]


def niteru_version() -> str:
    """The installed version."""
    try:
        return version("niteru")
    except PackageNotFoundError:  # run from a checkout
        return "unreleased"
