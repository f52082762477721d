"""A directory tree of photos: every photo is an item, named by its place in the tree."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from indexer.catalogues.listing import list_folder
from indexer.catalogues.photos import read_photo
from indexer.catalogues.places import suffix_of
from indexer.errors import CatalogueError
from indexer.protocols import Entry

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
# Of photos that cannot be read. They are entries, so that the report names them: who has photos of
# a phone would otherwise miss items and not know why. One beside its readable copy is passed over.
UNREADABLE = frozenset({".heic", ".heif", ".avif", ".gif", ".bmp", ".tif", ".tiff"})

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
        found = list_folder(str(folder))
        status = folder.stat()
        inode = (status.st_dev, status.st_ino)
        if inode in above:
            return
        photos = [file.name for file in found.files if suffix_of(file.name) in SUFFIXES]
        yield from name_photos(folder, prefix, photos)
        copied = {Path(name).stem for name in photos}
        others = [f.name for f in found.files if suffix_of(f.name) in UNREADABLE]
        unread = {Path(name).stem: name for name in others if Path(name).stem not in copied}
        yield from name_photos(folder, prefix, list(unread.values()))
        for name in found.folders:
            yield from self._walk(folder / name, f"{prefix}{name}/", above | {inode})


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
