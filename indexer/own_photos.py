"""Photos that came without a catalogue: kept in the store itself, named by their content.

    store/photos/9f/9f86d081....jpg      store:photos/9f/9f86d081....jpg in items.sqlite

Written beside, handed to the disk and renamed, so a file that is there is whole; the same photo
for two items is one file. An item's row in ``items.sqlite`` is written after its photo and removed
before it: a crash may leave a photo that nobody names, never an item without its photo. Whoever
keeps or drops photos holds the store's writer lock meanwhile, so that none is dropped that another
process is about to name.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from uuid import uuid4

from indexer.database import storage_errors
from indexer.filesystem import FileSystem, LocalFileSystem
from indexer.own_places import HEX, OWN, PHOTOS, find_own, own_place

BEGUN = ".part"


def keep_photo(
    store: Path, data: bytes, suffix: str, *, files: FileSystem | None = None
) -> tuple[Path, str]:
    """Keep a photo; one that is kept already stays as it is.

    Args:
        store: The store's folder.
        data: The photo's file.
        suffix: Of its kind, as ``.jpg``.
        files: The steps on the disk.

    Returns:
        Its path, and the SHA-256 by which it is named.

    Raises:
        StoreFullError: No space is left; nothing was kept.
    """
    files = files or LocalFileSystem()
    sha256 = hashlib.sha256(data).hexdigest()
    target = store.absolute() / PHOTOS / sha256[:2] / f"{sha256}{suffix}"
    if target.is_file():
        return target, sha256
    with storage_errors(store):
        files.make_directory(target.parent)
        begun = target.with_name(f"{uuid4().hex}{BEGUN}")
        try:
            files.write(begun, data)
            files.replace(begun, target)
        finally:
            begun.unlink(missing_ok=True)
        files.sync(target.parent)
    return target, sha256


def find_begun(store: Path) -> list[Path]:
    """Photos of the store that a crash left half-written."""
    return list((store / PHOTOS).glob(f"{HEX * 2}/{HEX * 32}{BEGUN}"))


def find_unused(store: Path, connection: sqlite3.Connection) -> list[Path]:
    """The photos of the store that no item names: a crash left them, or a copy put back."""
    kept = {path.stem: path for path in find_own(store.absolute())}
    if not kept:
        return []
    named = connection.execute(
        "SELECT sha256, uri FROM items "
        "WHERE deleted = 0 AND sha256 IN (SELECT value FROM json_each(?))",
        (json.dumps(list(kept)),),
    )
    for name, uri in named:
        if name in kept and uri == own_place(store, str(kept[name])):
            del kept[name]
    return sorted(kept.values())


def drop_unused(store: Path, connection: sqlite3.Connection, uris: Iterable[str]) -> None:
    """Remove those photos of the store that no item names any more; others are left alone."""
    places = {uri: own_place(store, uri) for uri in uris}
    for uri, place in places.items():
        if not place.startswith(OWN):
            continue
        row = connection.execute(
            "SELECT 1 FROM items WHERE uri = ? AND deleted = 0 LIMIT 1", (place,)
        ).fetchone()
        if row is None:
            Path(uri).unlink(missing_ok=True)
