"""Work that may take longer than a request: jobs, one after the other in a lane of their own.

A lane is a thread of low priority with a bounded queue, so that neither searches nor jobs of
another kind wait for it. A job says how far it is and what it has made so far, can be stopped, and
is remembered for a while after its end. Nothing here knows what the work is.
"""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime

from service.errors import (
    OverloadedError,
    ServiceError,
    ShuttingDownError,
    UnknownJobError,
)
from service.job import Job, Result, StoppedError
from service.priority import lower_priority

logger = logging.getLogger(__name__)

PATIENCE = 20.0  # seconds: a step of a job, such as eight pictures
Work = Callable[[Job], Result]


class Jobs:
    """All jobs of a server.

    Args:
        waiting: How many may wait in a lane while another runs.
        keep: How many are remembered after their end, the newest.
        keep_bytes: And how much their results may take together.
        patience: Seconds that a job may take to stop when all are closed.
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
        patience: float = PATIENCE,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.waiting, self.keep, self.keep_bytes = waiting, keep, keep_bytes
        self.patience, self.clock = patience, clock
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}  # in the order in which they came
        self._futures: dict[str, Future[None]] = {}
        self._lanes: dict[str, ThreadPoolExecutor] = {}
        self.closed = False

    def submit(self, kind: str, subject: str, work: Work, *, lane: str = "models") -> Job:
        """Let work be done when its turn comes.

        Raises:
            OverloadedError: As many jobs as allowed stand in the lane.
            ShuttingDownError: No more work is begun.
        """
        if self.closed:
            raise ShuttingDownError
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
                f"There is no job '{job_id[:100]}' (any more) of this server. The last "
                "ones stand at /v1/jobs."
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

    def begin_no_more(self) -> None:
        """Take no more work on, and stop what no request waits for."""
        self.closed = True
        for job in self.newest():
            if not job.ended and not job.awaited:
                job.stop()

    def close(self) -> None:
        """Stop all jobs and wait until they have, but not for ever."""
        self.closed = True
        for job in self.newest():
            if not job.ended:
                job.stop()
        with self._lock:
            lanes, futures = list(self._lanes.values()), list(self._futures.values())
        for lane in lanes:
            lane.shutdown(wait=False, cancel_futures=True)
        late = wait(futures, timeout=self.patience).not_done
        for lane in lanes:
            lane.shutdown(wait=not late)

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
