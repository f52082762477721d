"""What the indexer is made of: four narrow seams, with the real thing and its stand-in as peers.

Nothing here imports torch, FAISS or a web framework, so a reader sees the shape of the house
without its plumbing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from indexer.stamps import Status
from models.images import Preprocessing

if TYPE_CHECKING:
    from indexer.filters import Filter

Vectors = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]
Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a catalogue: where an item's photo is and what the shop says of it.

    Attributes:
        id: The shop's own identifier, unique in the catalogue.
        uri: Path of the photo (absolute, or a URL).
        attributes: Any further columns of the manifest.
        status: What tells that the photo is as it was, if the catalogue has told it already.
    """

    id: str
    uri: str
    attributes: Mapping[str, Scalar] = field(default_factory=dict)
    status: Status | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Item:
    """An indexed item: an entry and the hash of the photo it was embedded from."""

    id: str
    uri: str
    sha256: str
    attributes: Mapping[str, Scalar] = field(default_factory=dict)


class Hit(NamedTuple):
    """An answer: higher scores are closer; the score is a cosine in [-1, 1]."""

    id: str
    score: float


class Facet(NamedTuple):
    """What an attribute of the items holds.

    Attributes:
        items: How many items have it.
        distinct: How many different values it has.
        values: The most frequent of them, each with how many items have it.
    """

    items: int
    distinct: int
    values: list[tuple[Scalar, int]]


class Place(NamedTuple):
    """An item on the map of a catalogue: ``x`` and ``y`` from 0 to 1."""

    id: str
    x: float
    y: float


class Catalogue(Protocol):
    """A source of entries that can be read again from its beginning."""

    @property
    def name(self) -> str:
        """What the catalogue is called, for instance its path."""
        ...

    def __iter__(self) -> Iterator[Entry]: ...

    def read(self, entry: Entry) -> bytes:
        """The bytes of an entry's photo. Raises OSError if they cannot be read."""
        ...


class Embedder(Protocol):
    """Images in, vectors out; equal fingerprints mean comparable vectors."""

    @property
    def dim(self) -> int:
        """Numbers in a vector."""
        ...

    @property
    def fingerprint(self) -> str:
        """Hash of weights, preprocessing and version."""
        ...

    @property
    def preprocessing(self) -> Preprocessing:
        """What makes pixels of a photo's bytes."""
        ...

    def embed(self, pixels: Pixels) -> Vectors:
        """(B, H, W, C) uint8 -> (B, dim) float32 of unit length, each row independent of the rest.

        Safe to call from several threads at once.
        """
        ...


class Engine(Protocol):
    """Answers nearest-neighbour queries over the published items of a store.

    Search effort is an argument of the call, never state of the index, so that concurrent
    searches cannot disturb one another.
    """

    @property
    def fingerprint(self) -> str:
        """The embedder's whose queries can be answered."""
        ...

    @property
    def generation(self) -> str:
        """The id of the generation that answers."""
        ...

    def __len__(self) -> int:
        """How many items can be found."""
        ...

    @property
    def pending(self) -> int:
        """How many of these are not in the built index yet, and are searched beside it."""
        ...

    def search(
        self,
        queries: Vectors,
        limit: int,
        *,
        exact: bool = False,
        exclude: Sequence[str] = (),
        where: "Filter | None" = None,
    ) -> list[list[Hit]]:
        """For each row of ``queries`` (B, dim) the ``limit`` nearest items, best first.

        Only items that ``where`` lets pass are answered, and it never shortens the answer.
        """
        ...

    def count(self, where: "Filter | None" = None) -> int:
        """How many items can be found and pass a filter."""
        ...

    def facets(self, where: "Filter | None" = None, *, most: int = 20) -> dict[str, Facet]:
        """Of each attribute of the items that pass a filter, what it holds: by its name.

        Values with equal counts stand in the order of their JSON; at most ``most`` of each. Where
        counting takes long, they may be of a little earlier.
        """
        ...

    def attributes(self, *, sought: str | None = None) -> frozenset[str]:
        """The names of the attributes that items have, null being none.

        Costs nearly nothing once it was asked, unlike ``facets``. A name may be told for as long as
        the engine is open after the last item that had it is gone. Whoever only seeks one says so:
        if it is there, others may be left out.
        """
        ...

    def layout(self) -> list[Place]:
        """Where items stand on a map of the catalogue: those that look alike beside each other.

        A sample where there are many; none where no map was made.
        """
        ...

    def get(self, ids: Sequence[str]) -> list[Item | None]:
        """The items with these ids, None where there is none (any more)."""
        ...

    def vectors(self, ids: Sequence[str]) -> list[Vectors | None]:
        """The vectors (dim,) of these items, None where there is none (any more)."""
        ...

    def refresh(self) -> bool:
        """Take up a newly published generation; True if there was one."""
        ...

    def close(self) -> None:
        """Let go of files and memory."""
        ...
