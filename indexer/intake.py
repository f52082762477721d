"""From entries to records: what changed is read, decoded and embedded, the rest is left alone.

An ``Intake`` is used by several threads at once: reading, Pillow and the embedder let go of the
interpreter while they work, so a thread for each core keeps all cores busy. Its three steps are
apart because only the middle one, ``indexer.looking``, can be another machine's.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock

import numpy as np

from indexer.catalogues.photos import photo_status
from indexer.clock import Clock, utc_now
from indexer.database import ReaderPool
from indexer.looking import Seen, Unread, embed_checked, explain, look
from indexer.masking import mask
from indexer.protocols import Catalogue, Embedder, Entry, Item, Vectors
from indexer.reading import Known, dump_attributes, find_embedder, find_known, find_photos
from indexer.report import Failure
from indexer.stamps import UNKNOWN, Stamp
from indexer.store import Record, check_vector

# More than can be waiting for a commit; a few megabytes.
RECENT = 4096


@dataclass
class Batch:
    """What became of some entries.

    Attributes:
        records: To be stored.
        failures: Photos that cannot be used.
        embedded: Photos the embedder looked at.
        reused: Items that took over the vector of an equal photo.
        described: Items of which only the description changed.
        unchanged: Items that are as the store knows them.
    """

    records: list[Record] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    embedded: int = 0
    reused: int = 0
    described: int = 0
    unchanged: int = 0

    @property
    def entries(self) -> int:
        """How many entries were looked at."""
        return self.unchanged + self.described + self.reused + self.embedded + len(self.failures)


@dataclass(frozen=True, slots=True)
class Intake:
    """Compares entries with a store and makes records of what is new.

    Attributes:
        catalogue: Reads the photos.
        embedder: Makes the vectors.
        pool: Reads the store.
        clock: The time, with its zone.
        recent: The last vectors made, by hash of the photo: they may not be committed yet.
    """

    catalogue: Catalogue
    embedder: Embedder
    pool: ReaderPool
    clock: Clock = utc_now
    recent: dict[str, Vectors] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def take(self, entries: Sequence[Entry]) -> Batch:
        """Look at some entries. Photos that cannot be used are failures, not exceptions.

        Raises:
            EmbedderError: The embedder does not give (B, dim) float32.
        """
        batch, unread = self.compare(entries)
        with self._finding() as find:
            seen = look(unread, self.catalogue.read, self.embedder, find)
        self.settle(unread, seen, batch)
        return batch

    def compare(self, entries: Sequence[Entry]) -> tuple[Batch, list[Unread]]:
        """Settle the entries that need no look at their photo; the others are given back."""
        batch = Batch()
        unread: list[Unread] = []
        with self.pool.read() as connection:
            found = find_embedder(connection, self.embedder.fingerprint)
            names = [entry.id for entry in entries]
            known = find_known(connection, found[0] if found else None, names)
        for entry in entries:
            try:
                self._compare(entry, known.get(entry.id), batch, unread)
            except UnicodeEncodeError as error:
                batch.failures.append(failure_of(entry, explain(error)))
        return batch, unread

    def settle(self, unread: Sequence[Unread], seen: Sequence[Seen], batch: Batch) -> None:
        """Make records of photos that were looked at.

        Raises:
            EmbedderError: A photo has to be looked at once more, and the embedder is broken.
        """
        made: dict[str, Vectors] = {}
        for photo, told in zip(unread, seen, strict=True):
            if told.reason is not None:
                batch.failures.append(failure_of(photo.entry, told.reason))
            elif told.sha256 == photo.sha256:
                keep(photo, batch, stamped=photo.stamped)
            elif (vector := self._vector_of(told)) is not None:
                batch.records.append(record_of(photo.entry, told.sha256, vector, photo.stamp))
                batch.embedded += told.embedded
                batch.reused += not told.embedded
                if told.embedded:
                    made[told.sha256] = vector
            else:  # it was taken for a known one, and is not
                again = look([photo], self.catalogue.read, self.embedder, lambda _: None)
                self.settle([photo], again, batch)
        self._remember(made)

    def _compare(
        self, entry: Entry, known: Known | None, batch: Batch, unread: list[Unread]
    ) -> None:
        """Settle an entry, or add it to those whose photos have to be read."""
        attributes = dump_attributes(entry.attributes)
        (entry.id + entry.uri + attributes).encode()  # SQLite stores nothing else than UTF-8
        stamp = stamp_of(entry, self.clock)
        sound = known is not None and known.vector_sha256 == known.sha256
        photo = Unread(
            entry,
            stamp,
            sha256=known.sha256 if known is not None and sound else None,
            same=known is not None and (known.uri, known.attributes) == (entry.uri, attributes),
            stamped=known is not None and (known.size, known.mtime_ns) == stamp,
        )
        if (
            known is not None
            and sound
            and stamp[0] is not None
            and (known.uri, known.size, known.mtime_ns) == (entry.uri, *stamp)
        ):
            keep(photo, batch, stamped=True)
        else:
            unread.append(photo)

    def _vector_of(self, told: Seen) -> Vectors | None:
        """What was made of a photo, or has been made of an equal one."""
        if told.vector is not None:
            return told.vector
        with self._finding() as find:
            return find(told.sha256)

    @contextmanager
    def _finding(self) -> Iterator[Callable[[str], Vectors | None]]:
        """Finds the vector of an equal photo, whatever item it shows, while this is entered.

        The store is asked as it was in the beginning, which costs half of asking it anew for each
        photo; what was made since is among the recent ones.
        """
        with self.pool.read() as connection:
            found = find_embedder(connection, self.embedder.fingerprint)

            def find(sha256: str) -> Vectors | None:
                with self.lock:
                    if sha256 in self.recent:
                        return self.recent[sha256]
                return find_photos(connection, *found, [sha256]).get(sha256) if found else None

            yield find

    def _remember(self, vectors: Mapping[str, Vectors]) -> None:
        with self.lock:
            self.recent.update(vectors)
            while len(self.recent) > RECENT:
                del self.recent[next(iter(self.recent))]


def make_record(entry: Entry, data: bytes, embedder: Embedder) -> Record:
    """Decode and embed one photo, ready for ``indexer.store.upsert``.

    Raises:
        models.images.ImageError: The bytes are not a usable image.
        EmbedderError: The embedder gave no usable vector.
    """
    pixels = embedder.preprocessing.read(data)
    vector = embed_checked(embedder, pixels[np.newaxis])[0]
    check_vector(vector, entry.id)
    return record_of(entry, hashlib.sha256(data).hexdigest(), vector, UNKNOWN)


def keep(photo: Unread, batch: Batch, *, stamped: bool) -> None:
    """Settle an entry whose vector stays."""
    if not (photo.same and stamped):
        assert photo.sha256 is not None
        batch.records.append(record_of(photo.entry, photo.sha256, None, photo.stamp))
    if photo.same:
        batch.unchanged += 1
    else:
        batch.described += 1


def record_of(entry: Entry, sha256: str, vector: Vectors | None, stamp: Stamp) -> Record:
    """An entry as the store takes it."""
    item = Item(entry.id, entry.uri, sha256, entry.attributes)
    return Record(item, vector, size=stamp[0], mtime_ns=stamp[1])


def stamp_of(entry: Entry, clock: Clock) -> Stamp:
    """Size and version of a photo, nothing if there is none or it was written just now."""
    try:
        status = entry.status or photo_status(entry.uri)
    except (OSError, ValueError):  # it is gone, a zero byte: reading it says what is wrong
        return UNKNOWN
    return status.stamp(clock)


def failure_of(entry: Entry, reason: str) -> Failure:
    """A photo that is left out, as it may be told."""
    return Failure(entry.id, mask(entry.uri), reason)
