"""What the two clients share beside the calls: settings, requests, and the errors of sending."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import httpx

from service.client.calls import Call
from service.client.calls_jobs import job_path
from service.client.errors import ClientError, JobError, NoAnswerError, problem_of
from service.client.results import Job
from service.client.retrying import Retry, not_reached

T = TypeVar("T")
ADDRESS = "http://127.0.0.1:8000"
# The server gives an answer 30 s, and shows every 15 s that a stream is alive.
TIMEOUT = httpx.Timeout(60.0, connect=5.0)
RETRY = Retry()
BROKEN_STREAM = httpx.RemoteProtocolError("the events ended before the job did")


@dataclass(frozen=True, slots=True)
class Settings:
    """How a client sends.

    Attributes:
        address: Where the server is, with the prefix that a proxy may put before it.
        key: One of the server's keys, None for a server without.
        timeout: Seconds for each step of a request, or one of httpx's own.
        retry: Whether and when to try again.
        chance: Gives numbers from 0 to 1, so that many clients do not come back at once.
    """

    address: str
    key: str | None = field(repr=False)
    timeout: float | httpx.Timeout
    retry: Retry
    chance: Callable[[], float]

    def of_httpx(self) -> dict[str, Any]:
        """What httpx is told of it."""
        headers = {"User-Agent": "niteru-client"}
        if self.key is not None:
            headers["Authorization"] = f"Bearer {self.key}"
        return {"base_url": self.address, "headers": headers, "timeout": self.timeout}

    def pause(
        self, call: Call[Any], outcome: httpx.Response | httpx.RequestError, made: int
    ) -> float | None:
        """Seconds to wait before the call is made again, None if it is not."""
        return self.retry.pause(outcome, made, repeatable=call.repeatable, chance=self.chance)


def request(http: httpx.Client | httpx.AsyncClient, call: Call[Any]) -> httpx.Request:
    """The request of a call; a new one for each attempt."""
    sent: dict[str, Any] = {"params": dict(call.query) or None, "headers": dict(call.headers)}
    if call.files:
        sent |= {"data": dict(call.form), "files": list(call.files)}
    elif call.json is not None:
        sent["json"] = call.json
    return http.build_request(call.method, call.path, **sent)


def without_wait(call: Call[T]) -> Call[T]:
    """The same call, answered with a job at once."""
    headers: Mapping[str, str] = {**call.headers, "Prefer": "respond-async"}
    return replace(call, headers=headers, waits=False)


def events_request(http: httpx.Client | httpx.AsyncClient, job_id: str, last: int) -> httpx.Request:
    """Ask for the events of a job after this one."""
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": str(last)} if last else {})
    return http.build_request("GET", f"{job_path(job_id)}/events", headers=headers)


def answered(outcome: httpx.Response | httpx.RequestError, address: str) -> httpx.Response:
    """The answer, if there is one.

    Raises:
        NoAnswerError: There is none.
    """
    if isinstance(outcome, httpx.RequestError):
        raise no_answer(outcome, address) from outcome
    return outcome


def stream_failed(outcome: httpx.Response | httpx.RequestError, address: str) -> ClientError:
    """The error for events that could not be followed to the end."""
    if isinstance(outcome, httpx.RequestError):
        return no_answer(outcome, address)
    return problem_of(outcome)


def no_answer(error: httpx.RequestError, address: str) -> NoAnswerError:
    """The error for a request without an answer."""
    told = str(error) or type(error).__name__
    if not_reached(error):
        return NoAnswerError(
            f"{address} could not be reached: {told}. Does niteru serve run there?",
            perhaps_done=False,
        )
    return NoAnswerError(f"{address} broke off: {told}.", perhaps_done=True)


def finished(job: Job) -> Job:
    """The job itself, if it is done.

    Raises:
        JobError: It failed or was cancelled.
    """
    if job.state != "done":
        raise JobError(job)
    return job


def in_time(job_id: str, now: float, until: float | None) -> None:
    """Raise ``TimeoutError`` for a job that takes longer than was to be waited."""
    if until is not None and now >= until:
        raise TimeoutError(
            f"The job {job_id} has not ended yet; it goes on. cancel({job_id!r}) ends it."
        )
