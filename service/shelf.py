"""Items put, changed and taken away over HTTP, without a catalogue; no HTTP in here.

What returns is on the disk, and the next search sees it. The photo is kept by the store itself
(``indexer.own_photos``), so indexing a catalogue again neither loses nor doubles such items.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import indexer.errors
from indexer.own_photos import drop_unused, keep_photo
from indexer.protocols import Engine, Item, Scalar, Vectors
from indexer.store import Record, StoreWriter, change_store
from service.errors import NotReadyError, StoreBusyError
from service.image_errors import image_type

Result = TypeVar("Result")

WAIT = 2.0  # seconds for another process that writes a few items
SUFFIXES = {"image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp"}


@dataclass(frozen=True, slots=True)
class Put:
    """An item to store.

    Attributes:
        id: Its id.
        attributes: What the shop says of it.
        photo: The bytes of its file.
        vector: (dim,) of the photo.
    """

    id: str
    attributes: Mapping[str, Scalar]
    photo: bytes
    vector: Vectors


class Shelf:
    """Writes items of one store. All methods are safe to call from several threads.

    Args:
        store: The store's folder.
        engine: Over the same store; says what is there.
        fingerprint: Of the embedder that made the vectors.
        refresh: Lets the engine see what was published meanwhile: it may have been opened before
            there was anything.
    """

    def __init__(
        self, store: Path, engine: Engine, *, fingerprint: str, refresh: Callable[[], None]
    ) -> None:
        self.store = store
        self.refresh = refresh
        self.engine = engine
        self.fingerprint = fingerprint
        self._writing = threading.Lock()

    def put(self, puts: Sequence[Put]) -> list[bool]:
        """Store items, all of them or none: for each whether it is new.

        Raises:
            StoreBusyError: Another process writes, for instance an indexing.
            NotReadyError: Nothing has been indexed yet.
            indexer.errors.StoreFullError: No space is left; nothing was stored.
        """

        def write(writer: StoreWriter) -> list[bool]:
            before = self.engine.get([put.id for put in puts])
            records = [Record(self._item(put), put.vector) for put in puts]
            writer.upsert(records, fingerprint=self.fingerprint)
            self._drop(writer, before)
            return [item is None for item in before]

        return self._alone(write)

    def describe(self, changes: Mapping[str, Mapping[str, Scalar]]) -> list[bool]:
        """Replace the attributes of items: for each id whether there is such an item.

        Raises:
            StoreBusyError, NotReadyError: See ``put``.
        """

        def write(writer: StoreWriter) -> list[bool]:
            found = self.engine.get(list(changes))
            records = [
                Record(Item(item.id, item.uri, item.sha256, dict(changes[item.id])), None)
                for item in found
                if item is not None
            ]
            if records:
                writer.upsert(records, fingerprint=self.fingerprint)
            return [item is not None for item in found]

        return self._alone(write)

    def delete(self, ids: Sequence[str]) -> list[bool]:
        """Take items away: for each id whether there was such an item.

        Raises:
            StoreBusyError, NotReadyError: See ``put``.
        """

        def write(writer: StoreWriter) -> list[bool]:
            found = self.engine.get(list(ids))
            writer.delete(item.id for item in found if item is not None)
            self._drop(writer, found)
            return [item is not None for item in found]

        return self._alone(write)

    def _item(self, put: Put) -> Item:
        suffix = SUFFIXES[image_type(put.photo) or "image/jpeg"]
        path, sha256 = keep_photo(self.store, put.photo, suffix)
        return Item(put.id, str(path), sha256, dict(put.attributes))

    def _drop(self, writer: StoreWriter, items: Sequence[Item | None]) -> None:
        """Remove photos of the store that only these items named."""
        uris = (item.uri for item in items if item is not None)
        drop_unused(self.store, writer.connection, uris)

    def _alone(self, write: Callable[[StoreWriter], Result]) -> Result:
        """One after the other in this process, so that they wait and are not refused."""
        self.refresh()
        with self._writing:
            try:
                with change_store(self.store, wait=WAIT) as writer:
                    return write(writer)
            except indexer.errors.StoreBusyError as error:
                raise StoreBusyError(
                    "Another process is writing to the store, for instance an indexing. Nothing "
                    "was changed; ask again when it has ended.",
                    headers={"Retry-After": "10"},
                ) from error
            except indexer.errors.NoStoreError as error:
                raise NotReadyError(
                    "Nothing has been indexed yet, so there is no index to put items into. Run: "
                    "niteru index CATALOGUE --store STORE with the store of this server; it is "
                    "taken up without a restart.",
                    headers={"Retry-After": "30"},
                ) from error
