"""A directory tree of photos: every photo is an item, named by its place in the tree."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from indexer.catalogues.photos import read_photo
from indexer.errors import CatalogueError
from indexer.protocols import Entry

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})

Inode = tuple[int, int]


@dataclass(frozen=True, slots=True)
class DirectoryCatalogue:
    """All photos below ``root``, folder by folder in the order of their names.

    Files and folders whose name begins with a dot are skipped. Links to folders are followed,
    except back into a folder one is in already. An item's id is its path from ``root`` with
    slashes and without the ending.
    """

    root: Path

    @property
    def name(self) -> str:
        """The folder's path."""
        return str(self.root)

    def __iter__(self) -> Iterator[Entry]:
        """The entries.

        Raises:
            CatalogueError: Two photos would have one id, or a folder cannot be listed.
        """
        yield from self._walk(self.root, "", frozenset())

    def read(self, entry: Entry) -> bytes:
        """The bytes of an entry's photo. Raises OSError if they cannot be read."""
        return read_photo(entry.uri)

    def _walk(self, folder: Path, prefix: str, above: frozenset[Inode]) -> Iterator[Entry]:
        status = folder.stat()
        inode = (status.st_dev, status.st_ino)
        if inode in above:
            return
        folders, photos = list_folder(folder)
        yield from name_photos(folder, prefix, photos)
        for name in folders:
            yield from self._walk(folder / name, f"{prefix}{name}/", above | {inode})


def list_folder(folder: Path) -> tuple[list[str], list[str]]:
    """The names of the folders and of the photos in a folder, each sorted."""
    folders, photos = [], []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    folders.append(entry.name)
                elif Path(entry.name).suffix.lower() in SUFFIXES:
                    photos.append(entry.name)
    except OSError as error:
        raise CatalogueError(
            f"The folder '{folder}' cannot be listed: {error.strerror}. Make it readable, or "
            "move it out of the catalogue: a part left out unnoticed would look like deleted items."
        ) from error
    return sorted(folders), sorted(photos)


def name_photos(folder: Path, prefix: str, photos: list[str]) -> Iterator[Entry]:
    """The entries of one folder; ids can only collide within one."""
    taken: dict[str, str] = {}
    for name in photos:
        item_id = f"{prefix}{Path(name).stem}"
        if item_id in taken:
            raise CatalogueError(
                f"'{folder / taken[item_id]}' and '{folder / name}' would both be the item "
                f"'{item_id}': an id is the path without its ending. Rename one of them."
            )
        taken[item_id] = name
        yield Entry(item_id, str(folder / name))
