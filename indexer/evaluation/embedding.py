"""Embedding photo sets: decoded by several threads, once for all embedders that prepare alike."""

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from indexer.errors import EmbedderError
from indexer.evaluation.neighbours import unit_rows
from indexer.evaluation.photos import ImageSource, PhotoSet
from indexer.protocols import Embedder, Pixels, Vectors
from models.images import Preprocessing

BATCH = 256

# What is being done, how much of it is done, how much there is.
Progress = Callable[[str, int, int], None]


def ignore_progress(step: str, done: int, total: int) -> None:
    """A progress callback for those who do not want to know."""


class PixelCache:
    """Decoded photos, kept for the next embedder of the same preprocessing while there is room.

    Args:
        max_bytes: What is kept at most; sets beyond it are decoded again for every embedder.
        workers: Threads that decode; by default one for each processor.
    """

    def __init__(self, *, max_bytes: int = 2 << 30, workers: int | None = None) -> None:
        self.max_bytes = max_bytes
        self.workers = workers or os.cpu_count() or 1
        self._kept: dict[tuple[ImageSource, Preprocessing], Pixels] = {}

    def batches(self, photos: PhotoSet, preprocessing: Preprocessing) -> Iterator[Pixels]:
        """The photos in order, (B, size, size, channels) uint8 at a time.

        Raises:
            UnreadablePhotoError: A photo cannot be decoded.
        """
        key = (photos.images, preprocessing)
        kept = self._kept.get(key)
        if kept is not None:
            for start in range(0, len(kept), BATCH):
                yield kept[start : start + BATCH]
            return
        shape = (len(photos), preprocessing.size, preprocessing.size, preprocessing.channels)
        used = sum(pixels.nbytes for pixels in self._kept.values())
        store = np.empty(shape, np.uint8) if used + _bytes(shape) <= self.max_bytes else None
        start = 0
        for batch in self._decode(photos.images, preprocessing):
            if store is not None:
                store[start : start + len(batch)] = batch
                start += len(batch)
            yield batch
        if store is not None:
            self._kept[key] = store

    def _decode(self, images: ImageSource, preprocessing: Preprocessing) -> Iterator[Pixels]:
        """Decode two batches ahead of the one that is being embedded."""
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="decode")
        ahead: deque[list[Future[Pixels]]] = deque()
        try:
            for start in range(0, len(images), BATCH):
                rows = range(start, min(start + BATCH, len(images)))
                ahead.append([pool.submit(images.read, row, preprocessing) for row in rows])
                if len(ahead) > 2:
                    yield np.stack([future.result() for future in ahead.popleft()])
            while ahead:
                yield np.stack([future.result() for future in ahead.popleft()])
        finally:
            pool.shutdown(cancel_futures=True)


def _bytes(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape, dtype=np.int64))


def embed_photos(
    embedder: Embedder,
    photos: PhotoSet,
    cache: PixelCache,
    *,
    step: str = "",
    progress: Progress = ignore_progress,
) -> Vectors:
    """The vectors of all photos: (N, dim) float32, scaled to unit length.

    Raises:
        UnreadablePhotoError: A photo cannot be decoded.
        EmbedderError: The embedder returned another shape, or values that are not finite.
    """
    vectors = np.empty((len(photos), embedder.dim), np.float32)
    done = 0
    for batch in cache.batches(photos, embedder.preprocessing):
        found = embedder.embed(batch)
        expected = (len(batch), embedder.dim)
        if found.shape != expected or not np.isfinite(found).all():
            what = "values that are not finite" if found.shape == expected else f"{found.shape}"
            raise EmbedderError(
                f"The embedder {embedder.fingerprint} returned {what} for the photos from "
                f"'{photos.ids[done]}' on; expected {expected} finite numbers. Train it again or "
                "use other weights."
            )
        vectors[done : done + len(batch)] = found
        done += len(batch)
        progress(step, done, len(photos))
    return unit_rows(vectors)
