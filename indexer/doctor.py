"""What is wrong with a store, and what to do about it. Looks at everything, changes nothing.

Each check is a function from an open store to its findings; ``examine`` runs them all. A finding
is an ``error`` if something cannot be answered or trusted, a ``warning`` if it will cost something
one day, and a ``note`` if it is good to know.
"""

import fcntl
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from indexer.catalogues.photos import read_photo
from indexer.database import DATABASE, connect
from indexer.errors import GenerationError, IndexerError, NoStoreError
from indexer.garbage import find_garbage, find_leftovers, size_of
from indexer.generations import (
    CURRENT,
    GENERATIONS,
    INDEX,
    check_vectors,
    current,
    list_ids,
    read_current,
    verify,
)
from indexer.layout import read_layout
from indexer.locks import PUBLISHER, WRITER, read_pid
from indexer.manifest import Manifest
from indexer.masking import mask
from indexer.own_photos import find_unused
from indexer.own_places import PHOTOS
from indexer.publishing import Generations, LocalGenerations
from indexer.reading import count_items, count_vectors, find_embedder, has_changed
from indexer.weights_at_hand import find_made_with

Severity = Literal["error", "warning", "note"]
MUCH = 50_000_000  # unused bytes of items.sqlite that are worth a word
LOOKED_AT = 200  # photos of items, evenly spaced, that are tried to be read


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about a store.

    Attributes:
        severity: How bad it is.
        what: What was found.
        advice: What to do; empty for a note that asks for nothing.
    """

    severity: Severity
    what: str
    advice: str = ""


Check = Callable[[Path, sqlite3.Connection], Iterator[Finding]]


def examine(
    store: Path, *, fingerprint: str | None = None, checks: Sequence[Check] | None = None
) -> list[Finding]:
    """Every check of a store.

    Args:
        store: The store's folder.
        fingerprint: Of the weights that will embed the queries; None leaves that check out.
        checks: Others than those of a store whose generations are folders.

    Returns:
        Findings, the worst first.

    Raises:
        NoStoreError: There is no store at this path.
    """
    try:
        connection = connect(store)
    except NoStoreError:
        raise
    except IndexerError as error:
        return [Finding("error", str(error))]  # it says what to do
    try:
        chosen = CHECKS if checks is None else checks
        found = [finding for check in chosen for finding in _of(check, store, connection)]
        if fingerprint is not None:
            found += check_weights(store, fingerprint)
    finally:
        connection.close()
    order: tuple[Severity, ...] = ("error", "warning", "note")
    return sorted(found, key=lambda finding: order.index(finding.severity))


def _of(check: Check, store: Path, connection: sqlite3.Connection) -> list[Finding]:
    """A check's findings; what keeps it from looking is one of them."""
    try:
        return list(check(store, connection))
    except GenerationError as error:
        if check is not check_generations:
            return []  # told by that one
        return [Finding("error", str(error), f"niteru index CATALOGUE --store {store}")]
    except (IndexerError, sqlite3.DatabaseError, OSError) as error:
        return [
            Finding(
                "error",
                f"{check.__name__.removeprefix('check_')} could not be checked: {error}",
                "Restore items.sqlite from a backup, or index the catalogue into a new store.",
            )
        ]


def check_database(store: Path, connection: sqlite3.Connection) -> Iterator[Finding]:
    """Pages, references and counts of ``items.sqlite``."""
    damage = [row[0] for row in connection.execute("PRAGMA integrity_check(5)") if row[0] != "ok"]
    damage += [str(row) for row in connection.execute("PRAGMA foreign_key_check").fetchmany(5)]
    if damage:
        yield Finding(
            "error",
            f"{DATABASE} is damaged: {'; '.join(damage)}.",
            "Restore it from a backup, or index the catalogue into a new store.",
        )
        return
    items = count_items(connection)
    embedders = connection.execute("SELECT embedder, fingerprint FROM embedders").fetchall()
    told = ", ".join(f"{count_vectors(connection, e):,} vectors of {name}" for e, name in embedders)
    size = sum(path.stat().st_size for path in store.glob(f"{DATABASE}*"))
    yield Finding("note", f"{items:,} items; {told or 'no vectors'}; {size / 1e6:,.1f} MB.")


def check_generations(store: Path, connection: sqlite3.Connection) -> Iterator[Finding]:
    """``CURRENT``, every file of every generation, and whether its vectors are there."""
    ids, answering = list_ids(store), None
    try:
        answering = read_current(store)
    except IndexerError as error:
        yield Finding("error", str(error), f"niteru rollback ID --store {store}")
    if not ids:
        yield Finding(
            "warning", "Nothing was published yet.", f"niteru index CATALOGUE --store {store}"
        )
    elif answering is None and not (store / CURRENT).is_file():
        advice = f"niteru rollback {ids[-1]} --store {store}"
        yield Finding("error", "CURRENT is missing, so no generation answers.", advice)
    elif answering is not None and answering not in ids:
        advice = f"niteru rollback {ids[-1]} --store {store}"
        yield Finding("error", f"CURRENT names '{answering}', which is not there.", advice)
    for generation in ids:
        try:
            check_vectors(connection, verify(store, generation))
            read_layout(store / GENERATIONS / generation)
        except IndexerError as error:
            answers = generation == answering
            yield Finding("error" if answers else "warning", str(error))
    if answering in ids:
        yield Finding("note", f"{len(ids)} generations; '{answering}' answers.")


def check_index(store: Path, connection: sqlite3.Connection) -> Iterator[Finding]:
    """How far the index that answers is behind the items."""
    generation = current(store)
    if generation is None or generation.manifest is None:
        return
    manifest = generation.manifest
    found = find_embedder(connection, manifest.fingerprint)
    if found is None:
        yield Finding(
            "error",
            f"The generation that answers is of the weights '{manifest.fingerprint}', of which "
            f"{DATABASE} holds no vectors.",
            f"niteru index CATALOGUE --store {store}",
        )
        return
    embedder = found[0]
    yield tell_asked(manifest)
    yield tell_weights(store, manifest.fingerprint)
    yield from find_without_vector(store, connection, embedder)
    if has_changed(connection, embedder, change=manifest.change, row=manifest.last_row):
        pending = connection.execute(
            "SELECT count(*) FROM vectors WHERE embedder = ? AND removed IS NULL AND row > ?",
            (embedder, manifest.last_row),
        ).fetchone()[0]
        gone = connection.execute(
            "SELECT count(*) FROM vectors WHERE embedder = ? AND removed > ? AND row <= ?",
            (embedder, manifest.change, manifest.last_row),
        ).fetchone()[0]
        share = max(pending, gone) / max(manifest.count, 1)
        yield Finding(
            "warning" if share > 0.2 else "note",
            f"{pending:,} items are not in the built index yet, and found by a scan beside it; "
            f"{gone:,} of those in it were changed or deleted since, and are passed over.",
            f"niteru index CATALOGUE --store {store}" if share > 0.2 else "",
        )


def tell_asked(manifest: Manifest) -> Finding:
    """What was asked of the index that answers, and what it reaches."""
    asked = manifest.asked
    told = f"recall@10 {asked.recall:g}"
    if asked.memory is not None:
        told += f" within {asked.memory / 1e6:,.1f} MB"
    size = sum(file.bytes for name, file in manifest.files.items() if name == INDEX)
    takes = f" and takes {size / 1e6:,.1f} MB" if size else ""
    return Finding(
        "note",
        f"Asked for was {told}: {manifest.index} reached {manifest.recall_at_10:.3f}{takes}.",
    )


def tell_weights(store: Path, fingerprint: str) -> Finding:
    """Whether a server that is started here finds the weights of the index that answers."""
    folder = find_made_with(store, fingerprint)
    if folder is not None:
        return Finding("note", f"The weights of the index are in '{folder}'.")
    return Finding(
        "note",
        f"The weights of the index, '{fingerprint}', are neither below weights/ here nor where "
        "they were.",
        "A server that is started here needs them: put them below weights/.",
    )


def find_without_vector(
    store: Path, connection: sqlite3.Connection, embedder: int
) -> Iterator[Finding]:
    """Whether there are items that the embedder which answers has no vector of."""
    without = count_items(connection) - count_vectors(connection, embedder)
    if without > 0:
        yield Finding(
            "warning",
            f"{without:,} items have no vector of the weights that answer, and cannot be found.",
            f"niteru index CATALOGUE --store {store}",
        )


def check_leftovers(store: Path, connection: sqlite3.Connection) -> Iterator[Finding]:
    """What crashes have left, and locks that are held."""
    left = find_leftovers(store)
    for name in (WRITER, PUBLISHER):
        holder = _holder(store / name)
        if holder is not None:
            what = {WRITER: "written", PUBLISHER: "published to"}[name]
            yield Finding("note", f"The store is being {what} by process {holder}.")
            return  # what is half made may be under way
    if left:
        size = sum(map(size_of, left))
        yield Finding(
            "warning",
            f"{len(left)} half-made files or folders of a crash, {size / 1e6:,.1f} MB: "
            f"{', '.join(path.name for path in left[:3])}.",
            f"niteru gc --store {store}",
        )
    unused = find_unused(store, connection)
    if unused:
        size = sum(map(size_of, unused))
        yield Finding(
            "note",
            f"{len(unused)} photos in {PHOTOS}/ of no item, {size / 1e6:,.1f} MB.",
            f"niteru gc --store {store}",
        )


def check_garbage(store: Path, _: sqlite3.Connection) -> Iterator[Finding]:
    """What nobody needs any more."""
    yield from tell_garbage(store, LocalGenerations(store), f"niteru gc --store {store}")


def tell_garbage(store: Path, generations: Generations, command: str) -> Iterator[Finding]:
    """What can be collected by a command, and what is kept for a rollback alone."""
    found = find_garbage(store, generations)
    what = [f"{one.vectors:,} vectors of '{one.fingerprint}'" for one in found.vectors]
    if found.generations:
        what.insert(0, f"{len(found.generations)} old generations")
    size = found.bytes - found.file_bytes
    if what or found.unused > MUCH:
        told = f"{'; '.join(what)}: nothing needs them" if what else f"{DATABASE} has unused room"
        yield Finding("note", f"{told}, about {size / 1e6:,.1f} MB.", command)
    if found.vectors_stay:
        yield Finding("note", f"Vectors cannot be collected: {found.vectors_stay}.")
    for one in found.unfinished:
        yield Finding(
            "note",
            f"{one.vectors:,} vectors of '{one.fingerprint}' are of an indexing that has published "
            f"nothing yet, about {one.bytes / 1e6:,.1f} MB.",
            f"niteru index CATALOGUE --store {store} --weights ITS_WEIGHTS goes on with it; "
            f"{command} --unfinished drops them",
        )
    kept = find_garbage(store, generations, keep=1)
    spare = [one for one in kept.vectors if one not in found.vectors]
    if spare:
        size = sum(one.bytes for one in spare)
        yield Finding(
            "note",
            f"The vectors of {', '.join(repr(one.fingerprint) for one in spare)} are kept for a "
            f"rollback alone, about {size / 1e6:,.1f} MB.",
            f"{command} --keep 1, if nobody will go back",
        )


def check_photos(_: Path, connection: sqlite3.Connection) -> Iterator[Finding]:
    """Whether photos of items can still be read, by a sample."""
    uris = [row[0] for row in connection.execute("SELECT place(uri) FROM items WHERE deleted = 0")]
    step = max(1, len(uris) // LOOKED_AT)
    looked = uris[::step]
    missing = []
    for uri in looked:
        try:
            read_photo(uri)
        except OSError:
            missing.append(uri)
    if missing:
        share = f"{len(missing)} of {len(looked)} photos looked at"
        yield Finding(
            "error" if len(missing) == len(looked) else "warning",
            f"{share} cannot be read, such as '{mask(missing[0])}'. "
            "Such items are found, not shown.",
            "Are the photos where the catalogue says, and is their disk mounted? If they are gone "
            "for good: niteru index CATALOGUE --prune",
        )


def check_space(store: Path, _: sqlite3.Connection) -> Iterator[Finding]:
    """Whether there is room for one more generation and as much again for the database."""
    free = shutil.disk_usage(store).free
    index = max((size_of(path) for path in (store / GENERATIONS).glob("*")), default=0)
    needed = index + (store / DATABASE).stat().st_size // 4
    if free < needed:
        yield Finding(
            "error",
            f"{free / 1e6:,.0f} MB are free, and the next indexing may need {needed / 1e6:,.0f}.",
            "Free some space, or keep fewer generations.",
        )


def check_weights(store: Path, fingerprint: str) -> list[Finding]:
    """Whether the index that answers was made with the weights that will ask."""
    try:
        generation = current(store)
    except IndexerError:
        return []  # told by another check
    if generation is None or generation.manifest is None:
        return []
    return [compare_weights(store, generation.manifest.fingerprint, fingerprint)]


def compare_weights(store: Path, made: str, fingerprint: str) -> Finding:
    """Whether two fingerprints are one: of the weights of an index, and of those that will ask."""
    if made == fingerprint:
        return Finding("note", f"The index was made with these weights ({fingerprint}).")
    return Finding(
        "error",
        f"The index was made with '{made}', and the weights given are '{fingerprint}'.",
        f"Give the weights it was made with, or: niteru index CATALOGUE --store {store} "
        "--weights WEIGHTS",
    )


CHECKS: tuple[Check, ...] = (
    check_database,
    check_generations,
    check_index,
    check_leftovers,
    check_garbage,
    check_photos,
    check_space,
)


def _holder(lock: Path) -> int | None:
    """The process that holds a lock file, None if nobody does."""
    try:
        descriptor = os.open(lock, os.O_RDWR)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return read_pid(descriptor) or 0
    finally:
        os.close(descriptor)
    return None
