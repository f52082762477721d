"""A folder of photos on another machine, as fsspec knows it: s3, gs, az and others."""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from indexer.catalogues.directory import SUFFIXES
from indexer.catalogues.photos import read_photo
from indexer.catalogues.places import list_files, open_file
from indexer.errors import CatalogueError
from indexer.protocols import Entry


@dataclass(frozen=True, slots=True)
class RemoteCatalogue:
    """All photos below a remote folder, in the order of their names.

    As ``DirectoryCatalogue``: an item's id is its path from the folder without the ending, and
    names that begin with a dot are skipped.
    """

    url: str

    @property
    def name(self) -> str:
        """The folder's URL."""
        return self.url

    def __iter__(self) -> Iterator[Entry]:
        """The entries.

        Raises:
            CatalogueError: Two photos would have one id, or the folder cannot be listed.
        """
        root = self.url.rstrip("/") + "/"
        taken: dict[str, str] = {}
        for url in list_files(self.url):
            inside = PurePosixPath(url.removeprefix(root))
            hidden = any(part.startswith(".") for part in inside.parts)
            if hidden or inside.suffix.lower() not in SUFFIXES:
                continue
            item_id = str(inside.with_suffix(""))
            if item_id in taken:
                raise CatalogueError(
                    f"'{taken[item_id]}' and '{url}' would both be the item '{item_id}': an id is "
                    "the path without its ending. Rename one of them."
                )
            taken[item_id] = url
            yield Entry(item_id, url)

    def read(self, entry: Entry) -> bytes:
        """The bytes of an entry's photo. Raises OSError if they cannot be read."""
        return read_photo(entry.uri)


def fetch(url: str) -> Path:
    """A copy of a remote file, of the same name; it goes with the process's temporary folder.

    Raises:
        CatalogueError: It cannot be read.
    """
    target = Path(tempfile.mkdtemp(prefix="niteru-")) / PurePosixPath(url).name
    try:
        with open_file(url) as source, target.open("wb") as copy:
            shutil.copyfileobj(source, copy)
    except OSError as error:
        shutil.rmtree(target.parent, ignore_errors=True)
        raise CatalogueError(f"'{url}' cannot be read: {error.strerror or error}.") from error
    return target
