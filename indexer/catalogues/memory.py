"""A catalogue from a list: the stand-in behind the ``Catalogue`` seam."""

import errno
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from indexer.catalogues.photos import read_photo
from indexer.protocols import Entry


@dataclass(frozen=True, slots=True)
class MemoryCatalogue:
    """Entries from a list, photos from a mapping.

    Attributes:
        entries: In the order they are given out; ids unique.
        photos: Bytes by uri; None reads files.
        name: What the catalogue is called.
    """

    entries: Sequence[Entry]
    photos: Mapping[str, bytes] | None = None
    name: str = "memory"

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def read(self, entry: Entry) -> bytes:
        """The bytes of an entry's photo. Raises OSError if there are none."""
        if self.photos is None:
            return read_photo(entry.uri)
        if entry.uri not in self.photos:
            raise FileNotFoundError(errno.ENOENT, "no such photo", entry.uri)
        return self.photos[entry.uri]
