"""Everything that a call of the client can raise, in one tree.

ClientError
├── ProblemError              the server answered with an error (RFC 9457)
│   ├── KeyRefusedError       401, 403  no key, an unknown one, or one that may not do this
│   ├── NotFoundError         404       no such item, generation, model, weights or job
│   ├── ConflictError         409       the store is busy, a job is not done, ...
│   ├── InvalidRequestError   400, 405, 408, 413, 415, 422  what was sent cannot be used
│   ├── OverloadedError       429       too many requests; ``retry_after`` says when to come back
│   ├── UnavailableError      503, 504  nothing is indexed yet, or it took too long
│   └── ServerError           any other: the server failed, or lacks what the call needs (501)
├── JobError                  a job ended without a result
├── NoAnswerError             the server could not be reached, or broke off
└── UnexpectedAnswerError     the answer is none of this API's
"""

import json
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from service.client.results import Job

TYPE_PREFIX = "urn:niteru:problem:"
MEMBERS = ("type", "title", "status", "detail", "instance", "request_id")


class ClientError(Exception):
    """Whatever a call of the client raises, but for ``TypeError`` and what reading a file does."""


class ProblemError(ClientError):
    """The server answered with an error.

    Attributes:
        slug: The kind of error, as service/README.md lists them.
        status: The status of HTTP.
        title: The kind of error in words.
        detail: What was found, what was expected, what to do.
        request_id: Under which the server's log knows the request; None if nobody said.
        retry_after: Seconds after which to try again, None if the server does not say.
        extensions: Further members of the problem, such as ``errors`` or ``limit``.
    """

    def __init__(
        self,
        *,
        slug: str,
        status: int,
        title: str,
        detail: str,
        request_id: str | None = None,
        retry_after: float | None = None,
        extensions: Mapping[str, Any] | None = None,
    ) -> None:
        told = f"{status} {slug}: {detail}"
        super().__init__(told if request_id is None else f"{told} [{request_id}]")
        self.slug, self.status, self.title, self.detail = slug, status, title, detail
        self.request_id, self.retry_after = request_id, retry_after
        self.extensions = dict(extensions or {})


class KeyRefusedError(ProblemError):
    """The request carries no key, an unknown one, or one that may not do this."""


class NotFoundError(ProblemError):
    """There is no such item, generation, model, weights or job."""


class ConflictError(ProblemError):
    """What is there does not allow it now."""


class InvalidRequestError(ProblemError):
    """What was sent cannot be used."""


class OverloadedError(ProblemError):
    """Too many requests, of this client or of all."""


class UnavailableError(ProblemError):
    """The server cannot answer now."""


class ServerError(ProblemError):
    """The server failed, or lacks what the call needs."""


class JobError(ClientError):
    """A job ended without a result.

    Attributes:
        job: How it ended; ``job.problem`` says why, if it failed.
    """

    def __init__(self, job: "Job") -> None:
        why = "it was cancelled" if job.problem is None else job.problem.detail
        super().__init__(f"The job {job.id} ({job.kind}, {job.subject}) is {job.state}: {why}")
        self.job = job


class NoAnswerError(ClientError):
    """There was no answer.

    Attributes:
        perhaps_done: Whether the server may have done what was asked: False if it was not reached.
    """

    def __init__(self, message: str, *, perhaps_done: bool) -> None:
        super().__init__(message)
        self.perhaps_done = perhaps_done


class UnexpectedAnswerError(ClientError):
    """The answer is none of this API's: another program at that address, or an older server."""


BY_STATUS: dict[int, type[ProblemError]] = {
    400: InvalidRequestError,
    401: KeyRefusedError,
    403: KeyRefusedError,
    404: NotFoundError,
    405: InvalidRequestError,
    408: InvalidRequestError,
    409: ConflictError,
    413: InvalidRequestError,
    415: InvalidRequestError,
    422: InvalidRequestError,
    429: OverloadedError,
    503: UnavailableError,
    504: UnavailableError,
}


def problem_of(response: httpx.Response) -> ProblemError:
    """The error that an answer tells of; what a proxy says in words of its own becomes one too."""
    status = response.status_code
    told = members(response)
    kind = str(told.get("type", ""))
    slug = kind.removeprefix(TYPE_PREFIX) if kind.startswith(TYPE_PREFIX) else phrase(status)
    detail = told.get("detail") or response.text[:500] or "The answer says no more."
    request_id = told.get("request_id") or response.headers.get("x-request-id")
    return BY_STATUS.get(status, ServerError)(
        slug=slug,
        status=status,
        title=str(told.get("title", slug)),
        detail=str(detail),
        request_id=None if request_id is None else str(request_id),
        retry_after=retry_after(response.headers),
        extensions={name: value for name, value in told.items() if name not in MEMBERS},
    )


def members(response: httpx.Response) -> dict[str, Any]:
    """The members of a problem, none if the answer is no such thing."""
    try:
        told = json.loads(response.content)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def phrase(status: int) -> str:
    """A status in words with dashes: ``bad-gateway``."""
    try:
        return HTTPStatus(status).phrase.lower().replace(" ", "-")
    except ValueError:
        return "unknown"


def retry_after(headers: httpx.Headers) -> float | None:
    """Seconds until the server wants to be asked again (RFC 9110, 10.2.3); None if it says none.

    A date counts from the answer's own ``Date``, whatever the clock of this machine says.
    """
    given = headers.get("retry-after", "").strip()
    if given.isdecimal():
        return float(given)
    try:
        until, since = (parsedate_to_datetime(text) for text in (given, headers.get("date", "")))
        return max(0.0, (until - since).total_seconds())
    except (ValueError, TypeError):  # no date, or one of the two without a zone
        return None
