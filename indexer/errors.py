"""Everything the indexer refuses, in one tree.

    IndexerError
    ├── CatalogueError            a manifest or directory that cannot be read as a catalogue
    │   └── NothingToIndexError   an empty catalogue, or one without a single usable photo
    ├── EmbedderError             an embedder that breaks its promise (shape, finite, length)
    ├── WorkersError              other processes that read and embed ended early, or cannot start
    ├── QueryError                a search that cannot be answered as asked
    │   └── UnknownAttributeError no item has the attribute
    ├── StoreError
    │   ├── NoStoreError          no store there
    │   ├── StoreBusyError        another process (``pid``) is writing
    │   ├── StoreVersionError     written by a newer niteru, or not by niteru at all
    │   ├── StoreCorruptError     the database file is damaged
    │   ├── StoreFullError        no space left on the device
    │   └── MilvusError           the Milvus server cannot be reached, or refuses
    ├── GenerationError
    │   ├── NoGenerationError     nothing was published yet
    │   ├── UnknownGenerationError  no generation of that id
    │   ├── GenerationCorruptError  truncated, altered or foreign files
    │   └── VectorsGoneError      its vectors are no more in the store
    └── FingerprintMismatchError  vectors of other weights than the embedder's

A message says what was found, what was expected and what to do. An unreadable photo is no error
here: it is a ``Failure`` in the report of the run.
"""

from pathlib import Path

from indexer.masking import mask


class IndexerError(Exception):
    """Anything the indexer refuses."""


class CatalogueError(IndexerError):
    """The catalogue cannot be read; the message names the file and the line, if there is one.

    Passwords and keys in URLs are masked in it, whatever it was made of.
    """

    def __init__(self, message: str) -> None:
        super().__init__(mask(message))


class NothingToIndexError(CatalogueError):
    """The catalogue is empty or none of its photos can be used; the store is as it was."""


class EmbedderError(IndexerError):
    """An embedder returned something else than (B, dim) finite float32 rows of unit length."""


class WorkersError(IndexerError):
    """Workers in other processes ended early or cannot start; what was stored before is kept."""


class QueryError(IndexerError):
    """A query of the wrong shape, not finite, not of unit length, or a limit below 1."""


class UnknownAttributeError(QueryError):
    """No item has the attribute that items are to be grouped by; says which there are."""


class StoreError(IndexerError):
    """The store cannot be used."""


class NoStoreError(StoreError):
    """There is no store at this path."""

    def __init__(self, store: Path) -> None:
        super().__init__(
            f"There is no niteru store at '{store}'. "
            f"Make one with: niteru index CATALOGUE --store {store}"
        )
        self.store = store


class StoreBusyError(StoreError):
    """Another process is writing; ``pid`` is its id, None if it cannot be told."""

    def __init__(self, store: Path, pid: int | None) -> None:
        who = "another process" if pid is None else f"process {pid}"
        super().__init__(
            f"The store '{store}' is being written by {who}; one writer at a time. "
            "Wait until it has finished, or stop it: what it has stored so far is kept."
        )
        self.store, self.pid = store, pid


class StoreVersionError(StoreError):
    """The store was written by a newer version, or is another program's file."""


class StoreCorruptError(StoreError):
    """``items.sqlite`` is damaged or no database."""


class StoreFullError(StoreError):
    """No space is left on the device; everything committed before is kept."""


class MilvusError(StoreError):
    """The Milvus server cannot be reached or refuses; ``code`` is its number for the reason."""

    def __init__(self, message: str, *, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class GenerationError(IndexerError):
    """A generation cannot be used."""


class NoGenerationError(GenerationError):
    """The store has no current generation."""

    def __init__(self, store: Path) -> None:
        super().__init__(
            f"The store '{store}' has no published generation. "
            f"Make one with: niteru index CATALOGUE --store {store}"
        )
        self.store = store


class UnknownGenerationError(GenerationError):
    """There is no generation of this id."""


class GenerationCorruptError(GenerationError):
    """A file of the generation is missing, truncated, altered or not ours."""


class VectorsGoneError(GenerationError):
    """The store holds the vectors of the generation no more: collected, or an older copy."""


class FingerprintMismatchError(IndexerError):
    """The index and the embedder come from different weights or another preprocessing."""

    def __init__(self, *, found: str, expected: str, where: str, at: Path | None = None) -> None:
        there = "" if at is None else f" (they are in '{at}')"
        super().__init__(
            f"{where} holds vectors of the embedder '{found}', but the embedder in use is "
            f"'{expected}': their vectors cannot be compared. Use the weights that made the index"
            f"{there}, or index the catalogue again with these: niteru index CATALOGUE "
            "--store STORE --weights WEIGHTS"
        )
        self.found, self.expected = found, expected
