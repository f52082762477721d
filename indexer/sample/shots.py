"""Taking photos in bulk: in parallel, resumable, each file whole or absent."""

import io
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

from PIL import Image

from indexer.sample.item import Item
from indexer.sample.render import render
from indexer.sample.scene import Scene
from indexer.sample.settings import SampleError, write_atomically

Progress = Callable[[int, int], None]

BATCH = 8  # photos for each task of the pool: short enough for steady progress
JPEG_END, PNG_END = b"\xff\xd9", b"IEND\xaeB`\x82"


@dataclass(frozen=True, slots=True)
class Shot:
    """A photo to be written: what is on it and where it goes."""

    item: Item
    scene: Scene
    size: int
    path: Path
    mask: Path | None = None

    @property
    def done(self) -> bool:
        """Whether its files are there and whole."""
        return ends_with(self.path, JPEG_END) and (
            self.mask is None or ends_with(self.mask, PNG_END)
        )


def take_all(shots: Sequence[Shot], workers: int | None, progress: Progress | None) -> None:
    """Write all shots that are not there yet, in this process or in several."""
    if workers is not None and workers < 1:
        raise SampleError(f"workers is {workers}; give at least 1, or None for all cores.")
    missing = [shot for shot in shots if not shot.done]
    done = len(shots) - len(missing)
    if progress:
        progress(done, len(shots))
    count = min(workers or usable_cores(), -(-len(missing) // BATCH))
    finished = map(take, batches(missing)) if count <= 1 else take_in_pool(missing, count)
    for written in finished:
        done += written
        if progress:
            progress(done, len(shots))


def take_in_pool(shots: Sequence[Shot], workers: int) -> Iterator[int]:
    """Write shots in several processes; yields how many each finished task wrote."""
    # Spawned, not forked: the caller may hold threads (torch, a server) that a fork would freeze.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=spawn) as pool:
        waiting = batches(shots)
        # A few tasks ahead of the workers, so that the queue stays short for any number of shots.
        running: set[Future[int]] = {pool.submit(take, b) for b in islice(waiting, 3 * workers)}
        try:
            while running:
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                running |= {pool.submit(take, batch) for batch in islice(waiting, len(finished))}
                for future in finished:
                    yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def batches(shots: Sequence[Shot]) -> Iterator[Sequence[Shot]]:
    """The shots in tasks."""
    return (shots[start : start + BATCH] for start in range(0, len(shots), BATCH))


def take(shots: Sequence[Shot]) -> int:
    """Render and write shots; returns how many."""
    for shot in shots:
        image, mask = render(shot.item, shot.scene, shot.size)
        if shot.mask is not None:
            write_atomically(shot.mask, encode(mask, "PNG", 0), sync=False)
        write_atomically(shot.path, encode(image, "JPEG", shot.scene.camera.quality), sync=False)
    return len(shots)


def encode(image: Image.Image, form: Literal["JPEG", "PNG"], quality: int) -> bytes:
    """The bytes of an image file."""
    buffer = io.BytesIO()
    if form == "JPEG":
        image.save(buffer, form, quality=quality)
    else:
        image.save(buffer, form, optimize=False)
    return buffer.getvalue()


def ends_with(path: Path, end: bytes) -> bool:
    """Whether the file exists and ends as a whole one does."""
    try:
        with path.open("rb") as stream:
            stream.seek(-len(end), os.SEEK_END)
            return stream.read() == end
    except OSError:  # not there, or shorter than its end
        return False


def usable_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
