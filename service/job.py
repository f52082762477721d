"""One piece of work that may take longer than a request, and those who wait for it."""

import asyncio
import threading
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Literal, NamedTuple, Protocol

from service.errors import NoResultError

JobState = Literal["waiting", "running", "cancelling", "done", "failed", "cancelled"]
ENDED = ("done", "failed", "cancelled")
EVENTS = 256  # that are remembered of each job, for followers that come late


class Result(Protocol):
    """What a job has made."""

    @property
    def nbytes(self) -> int:
        """How much memory it takes, roughly."""
        ...


class Event(NamedTuple):
    """What happened to a job: ``state``, ``progress``, ``partial``, ``picture`` or ``end``."""

    number: int
    kind: str
    data: Mapping[str, Any]


class StoppedError(Exception):
    """The job was cancelled while it ran."""


class Job:
    """A piece of work and what has become of it. Safe to use from any thread.

    Args:
        kind: What it does, such as ``samples``.
        subject: What it does it with or to, such as the name of a model.
        lane: Which queue it stands in.
        clock: The time, with its zone.
        job_id: Of a job that is known already; without it, a new one.

    Attributes:
        state: Where it stands; see ``JobState``.
        done, total, stage: How far it is, in whatever is counted, and what is being done.
        result: What it has made, if it is done.
        error: Why it failed, if it has.
        awaited: How many requests wait for its end.
    """

    def __init__(
        self,
        kind: str,
        subject: str,
        *,
        lane: str,
        clock: Callable[[], datetime],
        job_id: str | None = None,
    ) -> None:
        self.id = job_id or uuid.uuid4().hex
        self.kind, self.subject, self.lane = kind, subject, lane
        self.clock = clock
        self.created = clock()
        self.started: datetime | None = None
        self.finished: datetime | None = None
        self.state: JobState = "waiting"
        self.done, self.total, self.stage = 0, 0, ""
        self.result: Result | None = None
        self.error: Exception | None = None
        self._lock = threading.Lock()
        self._events: deque[Event] = deque(maxlen=EVENTS)
        self._number = 0
        self._listeners: set[Callable[[], None]] = set()
        self.awaited = 0

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in ENDED

    # -- for the work --------------------------------------------------------------------------

    def progress(self, done: int, total: int, stage: str = "") -> None:
        """Say how far the work is.

        Raises:
            StoppedError: The job was cancelled; the work is to end.
        """
        self.note(done, total, stage)
        self.check()

    def note(self, done: int, total: int, stage: str = "") -> None:
        """Say how far work is that asks ``stopping`` by itself."""
        self.done, self.total, self.stage = done, total, stage
        self._tell("progress", {"done": done, "total": total, "stage": stage})

    def show(self, data: Mapping[str, Any]) -> None:
        """Show a picture that is ready before the others are."""
        self._tell("picture", data)

    def sketch(self, data: Mapping[str, Any]) -> None:
        """Show what is being drawn, as far as it is; only the last such event is remembered."""
        self._tell("partial", data)

    def check(self) -> None:
        """Raise ``StoppedError`` if the job was cancelled."""
        if self.stopping:
            raise StoppedError

    @property
    def stopping(self) -> bool:
        """Whether the work is to end."""
        return self.state == "cancelling"

    # -- for those who wait --------------------------------------------------------------------

    def answer(self) -> Result:
        """What the job has made.

        Raises:
            NoResultError: It is not done, or was cancelled.
            Exception: What it failed with.
        """
        if self.error is not None:
            raise self.error
        if self.result is None:
            raise NoResultError(
                f"The job is {self.state}, so there is no result"
                f"{'' if self.ended else ' yet; its events say when there is'}."
            )
        return self.result

    async def wait(self, seconds: float) -> bool:
        """Wait for the end, but no longer than this; whether it came."""
        self.awaited += 1
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    async for _ in self.follow():
                        pass
        finally:
            self.awaited -= 1
        return self.ended

    async def follow(
        self, after: int = 0, *, beat: float | None = None
    ) -> AsyncIterator[Event | None]:
        """The events with a number above ``after``, those that are still to come too.

        None where nothing has happened for ``beat`` seconds.
        """
        loop, news = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with suppress(RuntimeError):  # the loop was closed
                loop.call_soon_threadsafe(news.set)

        with self._lock:
            self._listeners.add(wake)
        try:
            while True:
                news.clear()
                with self._lock:
                    found = [event for event in self._events if event.number > after]
                    ended = self.ended
                for event in found:
                    yield event
                    after = event.number
                if ended:
                    return
                try:
                    async with asyncio.timeout(beat):
                        await news.wait()
                except TimeoutError:
                    yield None
        finally:
            with self._lock:
                self._listeners.discard(wake)

    # -- for its lane --------------------------------------------------------------------------

    def begin(self) -> bool:
        """Start, unless it was cancelled while it waited."""
        with self._lock:
            if self.state != "waiting":
                return False
            self.state, self.started = "running", self.clock()
        self._tell("state", {"state": "running"})
        return True

    def stop(self) -> None:
        """Ask it to end; one that only waits has ended with that."""
        with self._lock:
            if self.state == "waiting":
                self._finish("cancelled")
            elif self.state == "running":
                self.state = "cancelling"
                self._append("state", {"state": "cancelling"})
        self._wake()

    def end(
        self,
        state: Literal["done", "failed", "cancelled"],
        *,
        result: Result | None = None,
        error: Exception | None = None,
    ) -> None:
        """Remember how it ended, and tell those who follow."""
        with self._lock:
            self.result, self.error = result, error
            self._finish(state)
        self._wake()

    def _finish(self, state: Literal["done", "failed", "cancelled"]) -> None:
        self.finished = self.clock()
        self._append("end", {"state": state})
        self.state = state  # last: who sees it sees all the rest

    def _tell(self, kind: str, data: Mapping[str, Any]) -> None:
        with self._lock:
            self._append(kind, data)
        self._wake()

    def _append(self, kind: str, data: Mapping[str, Any]) -> None:
        if kind == "partial":
            old = next((event for event in self._events if event.kind == kind), None)
            if old is not None:
                self._events.remove(old)
        self._number += 1
        self._events.append(Event(self._number, kind, data))

    def _wake(self) -> None:
        with self._lock:
            listeners = tuple(self._listeners)
        for wake in listeners:
            wake()
