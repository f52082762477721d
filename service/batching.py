"""Joins what is asked for at the same time into one call: embeddings, and the searches after them.

There is no waiting for a batch to fill: a lone query is answered at once, and those that arrive
while batches are being worked on form the next one. The queue needs no bound of its own, because
the number of requests that are worked on has one (``Admission``).
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from types import TracebackType
from typing import Generic, NamedTuple, Self, TypeVar

from service.errors import OverloadedError

Asked = TypeVar("Asked")
Made = TypeVar("Made")


class Done(NamedTuple, Generic[Made]):
    """What came of a request, and the seconds its batch took."""

    made: Made
    seconds: float


class Batcher(Generic[Asked, Made]):
    """Does what is asked for at the same time in one go, several things at a time.

    A batch that fails is done again one by one, so that what is wrong with one thing is told to
    nobody else; unless the error is of a kind that holds for all of them.

    Args:
        work: From B things asked for, the B things made; in order.
        executor: Where ``work`` runs.
        max_batch: The largest B.
        at_once: Batches that are worked on at the same time.
        common: Errors that do not depend on what was asked for.
        note: Told the B of each batch.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Asked]], Sequence[Made]],
        executor: Executor,
        *,
        max_batch: int,
        at_once: int = 1,
        common: tuple[type[Exception], ...] = (),
        note: Callable[[float], None] = lambda _: None,
    ) -> None:
        self.note = note
        self.work = work
        self.executor = executor
        self.max_batch = max_batch
        self.at_once = at_once
        self.common = common
        self.waiting: deque[tuple[Asked, asyncio.Future[Done[Made]]]] = deque()
        self.workers: set[asyncio.Task[None]] = set()

    async def ask(self, thing: Asked) -> Done[Made]:
        """What is made of a thing, alone or among others."""
        answer: asyncio.Future[Done[Made]] = asyncio.get_running_loop().create_future()
        self.waiting.append((thing, answer))
        if len(self.workers) < self.at_once:
            self.workers.add(asyncio.create_task(self._work()))
        return await answer

    async def _work(self) -> None:
        try:
            while batch := self._next_batch():
                self.note(len(batch))
                await self._answer(batch)
        finally:  # and not later: another event loop may be the next that asks
            self.workers -= {asyncio.current_task()}

    async def _answer(self, batch: Sequence[tuple[Asked, asyncio.Future[Done[Made]]]]) -> None:
        things = [thing for thing, _ in batch]
        run = asyncio.wrap_future(self.executor.submit(self._timed, things))
        await asyncio.wait([run])
        error = run.exception()
        made, seconds = run.result() if error is None else ([error] * len(batch), 0.0)
        for (_, answer), one in zip(batch, made, strict=True):
            if answer.cancelled():
                continue
            if isinstance(one, BaseException):
                answer.set_exception(one)
            else:
                answer.set_result(Done(one, seconds))

    def _timed(self, things: Sequence[Asked]) -> tuple[Sequence[Made | BaseException], float]:
        started = time.perf_counter()
        made = self._made(things)
        return made, time.perf_counter() - started

    def _made(self, things: Sequence[Asked]) -> Sequence[Made | BaseException]:
        """What is made of each thing, or why nothing is."""
        try:
            return self.work(things)
        except Exception as error:  # noqa: BLE001, whose request it is will raise it
            if len(things) == 1 or isinstance(error, self.common):
                return [error] * len(things)
            return [made for thing in things for made in self._made([thing])]

    def _next_batch(self) -> list[tuple[Asked, asyncio.Future[Done[Made]]]]:
        batch: list[tuple[Asked, asyncio.Future[Done[Made]]]] = []
        while self.waiting and len(batch) < self.max_batch:
            thing, answer = self.waiting.popleft()
            if not answer.cancelled():  # a request that was given up is not worth the work
                batch.append((thing, answer))
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
