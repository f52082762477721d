"""Joins the embeddings that are asked for at the same time into one call.

There is no waiting for a batch to fill: a lone query is embedded at once, and those that arrive
while a batch is being embedded form the next one. The queue needs no bound of its own, because
the number of requests that are worked on has one (``Admission``).
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np

from indexer.protocols import Pixels, Vectors
from service.errors import OverloadedError


class Embedded(NamedTuple):
    """A vector (dim,) and the seconds its batch took."""

    vector: Vectors
    seconds: float


class Batcher:
    """Embeds single images of one shape, several at a time.

    Args:
        embed: (B, H, W, C) uint8 -> (B, dim) float32; run by the executor, one call at a time.
        executor: Where ``embed`` runs.
        max_batch: The largest B.
        note: Told the B of each call.
    """

    def __init__(
        self,
        embed: Callable[[Pixels], Vectors],
        executor: Executor,
        *,
        max_batch: int,
        note: Callable[[float], None] = lambda _: None,
    ) -> None:
        self.note = note
        self.embed_batch = embed
        self.executor = executor
        self.max_batch = max_batch
        self.waiting: deque[tuple[Pixels, asyncio.Future[Embedded]]] = deque()
        self.worker: asyncio.Task[None] | None = None

    async def embed(self, pixels: Pixels) -> Embedded:
        """(H, W, C) uint8 -> (dim,) float32, and how long its batch took."""
        answer: asyncio.Future[Embedded] = asyncio.get_running_loop().create_future()
        self.waiting.append((pixels, answer))
        if self.worker is None or self.worker.done():
            self.worker = asyncio.create_task(self._work())
        return await answer

    async def _work(self) -> None:
        while batch := self._next_batch():
            stacked = np.stack([pixels for pixels, _ in batch])
            self.note(len(batch))
            run = asyncio.wrap_future(self.executor.submit(self._timed, stacked))
            await asyncio.wait([run])
            error = run.exception()
            for row, (_, answer) in enumerate(batch):
                if answer.cancelled():
                    continue
                if error is not None:
                    answer.set_exception(error)
                else:
                    vectors, seconds = run.result()
                    answer.set_result(Embedded(vectors[row], seconds))

    def _timed(self, pixels: Pixels) -> tuple[Vectors, float]:
        started = time.perf_counter()
        vectors = self.embed_batch(pixels)
        return vectors, time.perf_counter() - started

    def _next_batch(self) -> list[tuple[Pixels, asyncio.Future[Embedded]]]:
        batch: list[tuple[Pixels, asyncio.Future[Embedded]]] = []
        while self.waiting and len(batch) < self.max_batch:
            pixels, answer = self.waiting.popleft()
            if not answer.cancelled():  # a request that was given up is not worth the work
                batch.append((pixels, answer))
        return batch


class Admission:
    """Counts the requests that are being worked on: ``with admission: ...``.

    Raises:
        OverloadedError: On entering, when ``limit`` of them are.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.active = 0

    def __enter__(self) -> Self:
        if self.active >= self.limit:
            raise OverloadedError(
                f"{self.active} requests are being worked on, which is the most this server "
                "takes on at once. Try again in a second.",
                headers={"Retry-After": "1"},
            )
        self.active += 1
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.active -= 1
