"""Work that may take longer than a request: jobs, one after the other in a lane of their own.

A lane is a thread of low priority with a bounded queue, so that neither searches nor jobs of
another kind wait for it. A job says how far it is and what it has made so far, can be stopped, and
is remembered for a while after its end. Nothing here knows what the work is.
"""

import asyncio
import logging
import os
import sys
import threading
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple, Protocol

from service.errors import NoResultError, OverloadedError, ServiceError, UnknownJobError

logger = logging.getLogger(__name__)

JobState = Literal["waiting", "running", "cancelling", "done", "failed", "cancelled"]
ENDED = ("done", "failed", "cancelled")
EVENTS = 256  # that are remembered of each job, for followers that come late
NICENESS = 10  # of 19: searches go first, and a busy machine still lets a lane go on


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
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                async for _ in self.follow():
                    pass
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


Work = Callable[[Job], Result]


class Jobs:
    """All jobs of a server.

    Args:
        waiting: How many may wait in a lane while another runs.
        keep: How many are remembered after their end, the newest.
        keep_bytes: And how much their results may take together.
        clock: The time, with its zone.

    Attributes:
        closed: Whether no more work is begun, and what runs is stopped because of that.
    """

    def __init__(
        self,
        *,
        waiting: int,
        keep: int = 64,
        keep_bytes: int = 64 * 2**20,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.waiting, self.keep, self.keep_bytes, self.clock = waiting, keep, keep_bytes, clock
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}  # in the order in which they came
        self._futures: dict[str, Future[None]] = {}
        self._lanes: dict[str, ThreadPoolExecutor] = {}
        self.closed = False

    def submit(self, kind: str, subject: str, work: Work, *, lane: str = "models") -> Job:
        """Let work be done when its turn comes.

        Raises:
            OverloadedError: As many jobs as allowed stand in the lane.
        """
        job = Job(kind, subject, lane=lane, clock=self.clock)
        with self._lock:
            standing = sum(j.lane == lane and not j.ended for j in self._jobs.values())
            if standing > self.waiting:
                raise OverloadedError(
                    f"{standing} jobs are running or waiting, which is the most this server takes "
                    "on at once. Try again in some seconds.",
                    headers={"Retry-After": "5"},
                )
            self._jobs[job.id] = job
            if lane not in self._lanes:
                self._lanes[lane] = ThreadPoolExecutor(
                    1, thread_name_prefix=f"niteru-{lane}", initializer=lower_priority
                )
            self._futures[job.id] = self._lanes[lane].submit(self._run, job, work)
        return job

    def get(self, job_id: str) -> Job:
        """The job of that id.

        Raises:
            UnknownJobError: There is none (any more).
        """
        with self._lock:
            job = self._jobs.get(job_id)
        if job is None:
            raise UnknownJobError(
                f"There is no job '{job_id[:100]}' (any more). The last ones stand at /v1/jobs."
            )
        return job

    def newest(self) -> list[Job]:
        """All jobs that are remembered, newest first."""
        with self._lock:
            return list(reversed(self._jobs.values()))

    def cancel(self, job: Job) -> None:
        """Stop a job; one that has ended is forgotten."""
        if job.ended:
            self.forget(job)
            return
        job.stop()
        with self._lock:
            future = self._futures.get(job.id)
        if future is not None:
            future.cancel()  # its place in the queue is free for another

    def forget(self, job: Job) -> None:
        """Let go of a job and its result."""
        with self._lock:
            self._jobs.pop(job.id, None)
            self._futures.pop(job.id, None)

    def remember(self, job: Job) -> None:
        """Take in a job that ended elsewhere."""
        with self._lock:
            self._jobs[job.id] = job

    def close(self) -> None:
        """Stop all jobs and wait until they have."""
        self.closed = True
        for job in self.newest():
            if not job.ended:
                job.stop()
        with self._lock:
            lanes = list(self._lanes.values())
        for lane in lanes:
            lane.shutdown(cancel_futures=True)

    def _run(self, job: Job, work: Work) -> None:
        if not job.begin():
            return
        try:
            result = work(job)
        except StoppedError:
            job.end("cancelled")
        except ServiceError as error:
            job.end("failed", error=error)
        except Exception as error:
            logger.exception("Job %s (%s, %s) failed", job.id, job.kind, job.subject)
            job.end("failed", error=error)
        else:
            job.end("done", result=result)
        self._forget_oldest()

    def _forget_oldest(self) -> None:
        """Keep the newest ended jobs, as many as there is room for."""
        room, memory = self.keep, self.keep_bytes
        for job in self.newest():
            if not job.ended:
                continue
            room -= 1
            memory -= job.result.nbytes if job.result is not None else 0
            if room < 0 or memory < 0:
                self.forget(job)


def lower_priority() -> None:
    """Let searches go first; on Linux each thread has a priority of its own."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
