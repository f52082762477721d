"""A folder of photos and a manifest elsewhere, where fsspec reaches: s3, gs, az and others."""

import shutil
import tempfile
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Literal

from indexer.catalogues.directory import SUFFIXES, UNREADABLE
from indexer.catalogues.listing import list_folder
from indexer.catalogues.photos import read_photo
from indexer.catalogues.places import join, name_of, open_file, remote_errors
from indexer.errors import CatalogueError
from indexer.masking import mask
from indexer.protocols import Entry


@dataclass(frozen=True, slots=True)
class RemoteCatalogue:
    """All photos below a remote folder, folder by folder in the order of their names.

    As ``DirectoryCatalogue``: an item's id is its path from the folder without the ending, and
    names that begin with a dot are skipped.
    """

    url: str

    @property
    def name(self) -> str:
        """The folder's URL."""
        return mask(self.url)

    def __iter__(self) -> Iterator[Entry]:
        """The entries.

        Raises:
            CatalogueError: Two photos would have one id, or a folder cannot be listed.
        """
        yield from self._walk(self.url, "", {})

    def read(self, entry: Entry) -> bytes:
        """The bytes of an entry's photo. Raises OSError if they cannot be read."""
        return read_photo(entry.uri)

    def _walk(self, folder: str, prefix: str, taken: dict[str, str]) -> Iterator[Entry]:
        found = list_folder(folder)
        for file in found.files:
            inside = PurePosixPath(name_of(folder, prefix + file.name))
            if inside.suffix.lower() not in SUFFIXES:
                continue
            item_id, url = str(inside.with_suffix("")), join(folder, file.name)
            if item_id not in taken:
                taken[item_id] = url
                yield Entry(item_id, url, status=file.status)
            elif taken[item_id] != url:  # a page of links may name one photo several times
                raise CatalogueError(
                    f"'{taken[item_id]}' and '{url}' would both be the item '{item_id}': an id is "
                    "the path without its ending. Rename one of them."
                )
        for file in found.files:
            inside = PurePosixPath(name_of(folder, prefix + file.name))
            item_id, url = str(inside.with_suffix("")), join(folder, file.name)
            if inside.suffix.lower() in UNREADABLE and item_id not in taken:
                taken[item_id] = url
                yield Entry(item_id, url, status=file.status)
        for name in found.folders:
            yield from self._walk(join(folder, name), f"{prefix}{name}/", taken)


class RemoteFile:
    """A remote file as it was when it was opened: whoever reads it again sees the same.

    Raises:
        CatalogueError: It cannot be read.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        folder = Path(tempfile.mkdtemp(prefix="niteru-"))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self.copy = folder / "copy"
        try:
            with remote_errors(url), open_file(url) as source, self.copy.open("wb") as copy:
                shutil.copyfileobj(source, copy)
        except OSError as error:
            raise CatalogueError(f"'{url}' cannot be read: {error.strerror or error}.") from error

    def __str__(self) -> str:
        return self.url

    def open(self, mode: Literal["rb"], /) -> IO[bytes]:
        """It, from its beginning. Raises OSError if it cannot be read."""
        return self.copy.open(mode)
