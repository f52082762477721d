"""From entries to records: what changed is read, decoded and embedded, the rest is left alone.

An ``Intake`` is used by several threads at once: reading, Pillow and the embedder let go of the
interpreter while they work, so a thread for each core keeps all cores busy.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock

import numpy as np

from indexer.catalogues.photos import photo_status
from indexer.catalogues.places import is_remote
from indexer.database import ReaderPool
from indexer.errors import EmbedderError
from indexer.generations import Clock, utc_now
from indexer.protocols import Catalogue, Embedder, Entry, Item, Pixels, Vectors
from indexer.reading import Known, dump_attributes, find_embedder, find_known, find_photos
from indexer.report import Failure
from indexer.store import Record, check_vector
from models.images import ImageError

# A file written so lately may be written again within the same tick of its time of modification,
# so its time is not remembered and the next run compares its hash instead.
FRESH_SECONDS = 2.0
# More than can be waiting for a commit; a few megabytes.
RECENT = 4096

Stamp = tuple[int, int] | tuple[None, None]


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
class Photo:
    """A photo whose vector is not known yet."""

    entry: Entry
    sha256: str
    stamp: Stamp
    pixels: Pixels


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
        batch = Batch()
        photos: list[Photo] = []
        with self.pool.read() as connection:
            found = find_embedder(connection, self.embedder.fingerprint)
            names = [entry.id for entry in entries]
            known = find_known(connection, found[0] if found else None, names)
        for entry in entries:
            try:
                self._compare(entry, known.get(entry.id), batch, photos)
            except (OSError, ImageError, UnicodeEncodeError) as error:
                batch.failures.append(Failure(entry.id, entry.uri, explain(error)))
        self._embed(photos, batch)
        return batch

    def _compare(
        self, entry: Entry, known: Known | None, batch: Batch, photos: list[Photo]
    ) -> None:
        """Settle an entry, or add its photo to those that have to be embedded."""
        attributes = dump_attributes(entry.attributes)
        (entry.id + entry.uri + attributes).encode()  # SQLite stores nothing else than UTF-8
        stamp = stamp_of(entry.uri, self.clock)
        same = known is not None and (known.uri, known.attributes) == (entry.uri, attributes)
        if (
            known is not None
            and stamp[0] is not None
            and (known.uri, known.size, known.mtime_ns) == (entry.uri, *stamp)
            and known.vector_sha256 == known.sha256
        ):
            self._keep(entry, known.sha256, stamp, batch, same=same, stamped=True)
            return
        data = self.catalogue.read(entry)
        sha256 = hashlib.sha256(data).hexdigest()
        if known is not None and known.vector_sha256 == known.sha256 == sha256:
            stamped = (known.size, known.mtime_ns) == stamp
            self._keep(entry, sha256, stamp, batch, same=same, stamped=stamped)
        elif (vector := self._find_vector(sha256)) is not None:
            batch.records.append(record_of(entry, sha256, vector, stamp))
            batch.reused += 1
        else:
            pixels = self.embedder.preprocessing.read(data)
            photos.append(Photo(entry, sha256, stamp, pixels))

    def _keep(
        self, entry: Entry, sha256: str, stamp: Stamp, batch: Batch, *, same: bool, stamped: bool
    ) -> None:
        """Settle an entry whose vector stays."""
        if not (same and stamped):
            batch.records.append(record_of(entry, sha256, None, stamp))
        if same:
            batch.unchanged += 1
        else:
            batch.described += 1

    def _find_vector(self, sha256: str) -> Vectors | None:
        """The vector of an equal photo, whatever item it shows."""
        with self.lock:
            if sha256 in self.recent:
                return self.recent[sha256]
        with self.pool.read() as connection:
            found = find_embedder(connection, self.embedder.fingerprint)
            if found is None:
                return None
            return find_photos(connection, *found, [sha256]).get(sha256)

    def _remember(self, vectors: Mapping[str, Vectors]) -> None:
        with self.lock:
            self.recent.update(vectors)
            while len(self.recent) > RECENT:
                del self.recent[next(iter(self.recent))]

    def _embed(self, photos: Sequence[Photo], batch: Batch) -> None:
        """Make records of photos; equal ones are embedded once."""
        pixels = {photo.sha256: photo.pixels for photo in photos}
        if not pixels:
            return
        vectors = embed_checked(self.embedder, np.stack(list(pixels.values())))
        by_hash = dict(zip(pixels, vectors, strict=True))
        seen: set[str] = set()
        for photo in photos:
            vector = by_hash[photo.sha256]
            try:
                check_vector(vector, photo.entry.id)
            except EmbedderError as error:
                batch.failures.append(Failure(photo.entry.id, photo.entry.uri, str(error)))
                continue
            batch.records.append(record_of(photo.entry, photo.sha256, vector, photo.stamp))
            if photo.sha256 in seen:
                batch.reused += 1
            else:
                batch.embedded += 1
            seen.add(photo.sha256)
        self._remember({sha256: by_hash[sha256] for sha256 in seen})


def make_record(entry: Entry, data: bytes, embedder: Embedder) -> Record:
    """Decode and embed one photo, ready for ``indexer.store.upsert``.

    Raises:
        models.images.ImageError: The bytes are not a usable image.
        EmbedderError: The embedder gave no usable vector.
    """
    pixels = embedder.preprocessing.read(data)
    vector = embed_checked(embedder, pixels[np.newaxis])[0]
    check_vector(vector, entry.id)
    return record_of(entry, hashlib.sha256(data).hexdigest(), vector, (None, None))


def record_of(entry: Entry, sha256: str, vector: Vectors | None, stamp: Stamp) -> Record:
    """An entry as the store takes it."""
    item = Item(entry.id, entry.uri, sha256, entry.attributes)
    return Record(item, vector, size=stamp[0], mtime_ns=stamp[1])


def embed_checked(embedder: Embedder, pixels: Pixels) -> Vectors:
    """(B, H, W, C) -> (B, dim), refusing an embedder that gives anything else."""
    vectors = embedder.embed(pixels)
    if vectors.shape != (len(pixels), embedder.dim) or vectors.dtype != np.float32:
        raise EmbedderError(
            f"The embedder '{embedder.fingerprint}' gave {vectors.dtype} of shape "
            f"{vectors.shape}; expected float32 of shape ({len(pixels)}, {embedder.dim})."
        )
    return vectors


def stamp_of(uri: str, clock: Clock) -> Stamp:
    """Size and version of a photo, nothing if there is none or it was written just now."""
    try:
        status = photo_status(uri)
    except (OSError, ValueError):  # it is gone, a zero byte: reading it says what is wrong
        return (None, None)
    now = clock().timestamp()
    if not is_remote(uri) and status.version / 1e9 > now - FRESH_SECONDS:
        return (None, None)
    return (status.size, status.version)


def explain(error: OSError | ImageError | UnicodeEncodeError) -> str:
    """Why a photo cannot be used, for the report."""
    if isinstance(error, UnicodeEncodeError):
        return "its name or its attributes are no valid Unicode; rename it"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)
