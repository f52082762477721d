"""Decoding in processes of their own: a photo can cost one of them, never the server.

A decoder is C code that reads what strangers send. In a thread, a fault in it ends the server, and
a photo made to be slow keeps its thread for ever. A process can be killed and started again.
"""

import json
import logging
import math
import os
import queue
import select
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol, cast

import numpy as np

from models.images import Crop, ImageError, Preprocessing, read_mask
from models.images.preprocessing import Pixels
from service.decode_worker import BUFFER, PIXELS, READY, Order, read, write

logger = logging.getLogger(__name__)

ROOT = Path(__file__).parents[1]
START_SECONDS = 60.0


class Decoder(Protocol):
    """Reads the image files that strangers send; raises ``models.images.ImageError``."""

    def read(
        self, data: bytes, preprocessing: Preprocessing, *, crop: Crop | None = None
    ) -> Pixels:
        """A photo, or a part of it, decoded and fitted: (H, W, C) uint8."""

    def read_mask(self, data: bytes, photo: bytes, preprocessing: Preprocessing) -> Pixels:
        """A mask, fitted as its photo is: (H, W) uint8."""

    def read_small(
        self, data: bytes, preprocessing: Preprocessing, sides: tuple[int, ...]
    ) -> Pixels:
        """A small picture as it is: (s, s, C) uint8, s being one of the sides."""


class DecoderHere:
    """Decodes in the process and the thread that ask.

    Args:
        max_pixels: Most pixels of an image.
    """

    def __init__(self, max_pixels: int) -> None:
        self.max_pixels = max_pixels

    def read(
        self, data: bytes, preprocessing: Preprocessing, *, crop: Crop | None = None
    ) -> Pixels:
        """See ``Decoder``."""
        return preprocessing.read(data, max_pixels=self.max_pixels, crop=crop)

    def read_mask(self, data: bytes, photo: bytes, preprocessing: Preprocessing) -> Pixels:
        """See ``Decoder``."""
        return read_mask(data, photo, preprocessing, max_pixels=self.max_pixels)

    def read_small(
        self, data: bytes, preprocessing: Preprocessing, sides: tuple[int, ...]
    ) -> Pixels:
        """See ``Decoder``."""
        return preprocessing.read_small(data, sides, max_pixels=self.max_pixels)


class WorkerDiedError(Exception):
    """The process ended in the middle of a photo."""


class Worker:
    """One process that decodes.

    Raises:
        RuntimeError: It does not start; its own words are on standard error.
    """

    def __init__(self, max_pixels: int) -> None:
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        # One thread for numpy's own: each reserves memory, which is bounded.
        threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self.process = subprocess.Popen(  # noqa: S603, our own interpreter and module
            [sys.executable, "-m", "service.decode_worker", str(max_pixels)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=BUFFER,
            env={**os.environ, **threads, "PYTHONPATH": path},
            # Ctrl-C is for the server, which lets its workers finish.
            process_group=0,
        )
        self.source = cast("BinaryIO", self.process.stdout)
        self.sink = cast("BinaryIO", self.process.stdin)
        self.answers = select.poll()
        self.answers.register(self.source, select.POLLIN | select.POLLHUP)
        if not self.answers.poll(1000 * START_SECONDS) or read(self.source) != READY:
            self.kill()
            raise RuntimeError("A process that decodes photos does not start; see its lines above.")

    def ask(self, order: Order, files: Sequence[bytes], seconds: float) -> bytes:
        """The answer to an order.

        Raises:
            TimeoutError: There is none in time.
            WorkerDiedError: There will be none.
        """
        try:
            write(self.sink, order.encode(), *files)
        except OSError as error:
            raise WorkerDiedError from error
        if not self.answers.poll(1000 * seconds):
            raise TimeoutError
        answer = read(self.source)
        if answer is None:
            raise WorkerDiedError
        return answer

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.close()

    def close(self) -> None:
        """Let it end: it does when its input ends."""
        try:
            self.sink.close()
        except OSError:  # half a photo was left in the buffer
            logger.debug("A process that decoded ended before it had read all.")
        self.process.wait()
        self.source.close()


class Decoders:
    """Some processes that decode, each started when it is first needed.

    Called from several threads; a call waits for a free process.

    Args:
        max_pixels: Most pixels of an image; bounds the memory of a process too.
        count: How many processes.
        timeout: Seconds that an image may take, a mask and its photo together.
    """

    def __init__(self, *, max_pixels: int, count: int, timeout: float) -> None:
        self.start: Callable[[], Worker] = lambda: Worker(max_pixels)
        self.timeout = timeout
        self.count = count
        # The one that was used last is taken first: its memory is warm, and idle ones never start.
        self.free: queue.LifoQueue[Worker | None] = queue.LifoQueue()
        for _ in range(count):
            self.free.put(None)

    def read(
        self, data: bytes, preprocessing: Preprocessing, *, crop: Crop | None = None
    ) -> Pixels:
        """A photo, or a part of it, decoded and fitted: (H, W, C) uint8.

        Raises:
            models.images.ImageError: It is not a usable image, the crop is no part of it, it takes
                too long, or its decoder failed.
        """
        size, channels = preprocessing.size, preprocessing.channels
        return self._ask(Order(preprocessing, crop), data).reshape(size, size, channels)

    def read_mask(self, data: bytes, photo: bytes, preprocessing: Preprocessing) -> Pixels:
        """A mask, fitted as its photo is: (H, W) uint8.

        Raises:
            models.images.ImageError: As for a photo; or it has other proportions.
        """
        order = Order(preprocessing, mask_bytes=len(data))
        return self._ask(order, data, photo).reshape(preprocessing.size, preprocessing.size)

    def read_small(
        self, data: bytes, preprocessing: Preprocessing, sides: tuple[int, ...]
    ) -> Pixels:
        """A small picture as it is: (s, s, C) uint8, s being one of the sides.

        Raises:
            models.images.ImageError: As for a photo; or it has another size.
        """
        pixels = self._ask(Order(preprocessing, sides=sides), data)
        side = math.isqrt(len(pixels) // preprocessing.channels)
        return pixels.reshape(side, side, preprocessing.channels)

    def warm(self) -> None:
        """Start one process, so that the first photo need not wait for that.

        Raises:
            RuntimeError: It does not start.
        """
        worker = self.free.get()
        try:
            worker = worker or self.start()
        finally:
            self.free.put(worker)

    def _ask(self, order: Order, *files: bytes) -> Pixels:
        """What a process answers, as it comes: (N,) uint8."""
        worker = self.free.get()
        try:
            worker = worker or self.start()
            answer = worker.ask(order, files, self.timeout)
        except (TimeoutError, WorkerDiedError) as error:
            assert worker is not None
            worker.kill()
            status, worker = worker.process.returncode, None
            raise self.lost(error, status) from error
        finally:
            self.free.put(worker)
        kind, rest = answer[:1], answer[1:]
        if kind != PIXELS:
            raise ImageError(*json.loads(rest))
        return np.frombuffer(rest, np.uint8)

    def lost(self, error: Exception, status: int) -> ImageError:
        """What is told of a photo that cost a process."""
        logger.warning("Decoding a photo was given up: %r, status %d.", error, status)
        if isinstance(error, TimeoutError):
            return ImageError(
                "too_slow",
                f"The image could not be decoded within {self.timeout:g} s. Send a smaller copy, "
                "or save it again as a plain JPEG.",
            )
        return ImageError(
            "corrupt",
            "The image made its decoder fail. Save it again as a JPEG or PNG and send that.",
        )

    def close(self) -> None:
        """End all processes; none may be at work."""
        for _ in range(self.count):
            worker = self.free.get_nowait()
            if worker is not None:
                worker.close()
