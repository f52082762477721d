"""A set of photos and what is known of each: the item, its class, who sent it, who lives there."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from indexer.evaluation.errors import PhotoSetError, UnreadablePhotoError
from indexer.protocols import Pixels
from models.images import ImageError, Preprocessing

Strings = npt.NDArray[np.str_]


class ImageSource(Protocol):
    """Photos by number; hashable by identity, so that decoded pixels can be kept for it."""

    def __len__(self) -> int: ...

    def read(self, row: int, preprocessing: Preprocessing) -> Pixels:
        """Photo ``row`` as (size, size, channels) uint8. Safe to call from several threads."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class FileImages:
    """Photos in files."""

    paths: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, row: int, preprocessing: Preprocessing) -> Pixels:
        """Decode a file. Raises UnreadablePhotoError naming it."""
        path = self.paths[row]
        try:
            return preprocessing.read(path.read_bytes())
        except (ImageError, OSError) as error:
            raise UnreadablePhotoError(
                f"The photo '{path}' cannot be used: {error} "
                "A measure leaves nothing out: repair the file, or take it out of the set."
            ) from error


@dataclass(frozen=True, slots=True, eq=False)
class ArrayImages:
    """Photos in memory.

    Attributes:
        pixels: (N, H, W) uint8 grey.
    """

    pixels: Pixels

    def __len__(self) -> int:
        return len(self.pixels)

    def read(self, row: int, preprocessing: Preprocessing) -> Pixels:
        """Fit a photo as if it had been read from a file."""
        return preprocessing.apply(Image.fromarray(self.pixels[row]))


@dataclass(frozen=True, slots=True, eq=False)
class PhotoSet:
    """Photos and what is known of them; an empty string means unknown, None that nobody knows.

    Attributes:
        name: What the set is called in a report.
        images: The photos, N of them, at least one.
        keys: (N,) where each photo is from: equal keys are the same photo, which is never an
            answer to itself.
        ids: (N,) the photos' names in the set.
        items: (N,) the item on each photo; in queries, the item that should be found.
        labels: (N,) its class.
        senders: (N,) who took the photo of the item.
        owners: (N,) whose background was put behind the item.
        factors: (N,) what was changed to make this query.
    """

    name: str
    images: ImageSource
    keys: Strings
    ids: Strings
    items: Strings | None = None
    labels: Strings | None = None
    senders: Strings | None = None
    owners: Strings | None = None
    factors: Strings | None = None

    def __post_init__(self) -> None:
        """Refuse an empty set and columns of different lengths."""
        if not len(self.images):
            raise PhotoSetError(f"The photo set '{self.name}' is empty; expected photos.")
        for column in ("keys", "ids", "items", "labels", "senders", "owners", "factors"):
            values: Strings | None = getattr(self, column)
            if values is not None and len(values) != len(self.images):
                raise PhotoSetError(
                    f"The photo set '{self.name}' has {len(self.images)} photos, but "
                    f"{len(values)} {column}; expected one for each."
                )

    def __len__(self) -> int:
        return len(self.images)


def known(values: list[str]) -> Strings | None:
    """The values as an array, None if every one of them is empty."""
    return np.array(values, dtype=np.str_) if any(values) else None
