"""What can go wrong with a request, and how it is told: always ``application/problem+json``.

    ServiceError
    ├── MalformedBodyError      400  the form cannot be read
    ├── KeyRequiredError        401  no key, or one that is not known
    ├── RoleTooLowError         403  the key may not do this
    ├── UnknownItemError        404  no such item (any more)
    ├── UnknownJobError         404  no such job (any more)
    ├── PhotoMissingError       404  the item is there, its photo is not
    ├── UnknownGenerationError  404  no such generation
    ├── UnknownModelError       404  no such model
    ├── UnknownWeightsError     404  the model has no weights of that name
    ├── SlowUploadError         408  the body did not arrive in time
    ├── ReindexRunningError     409  the catalogue is being indexed already
    ├── ReindexFailedError      409  the catalogue or the store stands in the way
    ├── ReindexInterruptedError 409  the server ended while it indexed
    ├── StoreBusyError          409  the store is being written
    ├── UnfitGenerationError    409  the generation is damaged, or of other weights
    ├── NoWeightsError          409  the model has no weights at all
    ├── NoResultError           409  the job has not made anything (yet)
    ├── UploadTooLargeError     413  more bytes than accepted
    ├── UnsupportedFormatError  415  neither an accepted image nor an accepted kind of body
    ├── InvalidRequestError     422  a setting of the request is wrong
    ├── UnusableImageError      422  empty, damaged, too many pixels or too slow
    ├── NoDecoderError          422  the model does not draw from a vector
    ├── UrlRefusedError         422  the address of a photo is not one that is fetched from
    ├── UnableModelError        422  the model cannot do what is asked of it
    ├── OverloadedError         429  as many requests as allowed are being worked on
    ├── TooManyRequestsError    429  the client has asked too often
    ├── InternalError           500  a fault of the server
    ├── UrlFailedError          502  the photo did not come from its address
    ├── CannotExplainError      501  the server has nothing that draws: no weights, or no torch
    ├── CannotGenerateError     501  the server has nothing that runs models: no torch
    ├── CannotReindexError      501  the server was told of no catalogue
    ├── NotReadyError           503  there is no index to search yet
    ├── StoreUnavailableError   503  the store cannot be read at the moment
    ├── ShuttingDownError       503  the server is about to end
    └── TookTooLongError        504  the work did not end in time

An error is raised where it is found and knows nothing of HTTP but its status. Problems follow RFC
9457: ``type``, ``title``, ``status``, ``detail``, ``instance`` and, as extensions, ``request_id``
and what the error adds.
"""

import http
from collections.abc import Mapping
from typing import ClassVar

from fastapi import Request
from fastapi.responses import JSONResponse
from starlette.requests import HTTPConnection

PROBLEM_JSON = "application/problem+json"
TYPE_PREFIX = "urn:niteru:problem:"
REQUEST_ID = "request_id"
ARRIVED = "arrived"  # in a request's state: when, in seconds of time.perf_counter


class ServiceError(Exception):
    """A request that cannot be answered.

    Args:
        detail: What was found, what was expected, what to do.
        headers: Headers of the answer, such as ``Retry-After``.
        extensions: Further members of the problem, as JSON.
    """

    status: ClassVar[int]
    slug: ClassVar[str]
    title: ClassVar[str]

    def __init__(
        self,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        extensions: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.headers = dict(headers or {})
        self.extensions = dict(extensions or {})


class MalformedBodyError(ServiceError):
    """The body is not what its Content-Type says."""

    status, slug, title = 400, "malformed-body", "The body cannot be read"


class KeyRequiredError(ServiceError):
    """The server has keys, and the request carries none of them."""

    status, slug, title = 401, "key-required", "A key is required"


class RoleTooLowError(ServiceError):
    """The key is known, but may not do this."""

    status, slug, title = 403, "role-too-low", "The key may not do this"


class UnknownItemError(ServiceError):
    """No item of that id can be found."""

    status, slug, title = 404, "unknown-item", "There is no such item"

    def __init__(self, item_id: str, *, advice: str = "") -> None:
        super().__init__(
            f"There is no item {item_id!r} in the generation being served.{advice}",
            extensions={"item_id": item_id},
        )


class PhotoMissingError(ServiceError):
    """The item's photo was there when it was indexed and is not now."""

    status, slug, title = 404, "photo-missing", "The photo of the item cannot be read"


class UnknownGenerationError(ServiceError):
    """No generation of that id is in the store."""

    status, slug, title = 404, "unknown-generation", "There is no such generation"


class UnknownModelError(ServiceError):
    """There is no model of that name."""

    status, slug, title = 404, "unknown-model", "There is no such model"


class UnknownWeightsError(ServiceError):
    """The model has weights, but none of that name."""

    status, slug, title = 404, "unknown-weights", "There are no such weights"


class UnknownJobError(ServiceError):
    """No job of that id is remembered."""

    status, slug, title = 404, "unknown-job", "There is no such job"


class NoResultError(ServiceError):
    """The job is not done, or was cancelled."""

    status, slug, title = 409, "no-result", "The job has no result"


class ReindexRunningError(ServiceError):
    """A run is under way; the extension ``job`` is its path."""

    status, slug, title = 409, "reindex-running", "The catalogue is being indexed"


class ReindexFailedError(ServiceError):
    """A run ended early; the log says why, the client need not know paths."""

    status, slug, title = 409, "reindex-failed", "The catalogue could not be indexed"


class ReindexInterruptedError(ServiceError):
    """A run ended with the server it ran in."""

    status, slug, title = 409, "reindex-interrupted", "Indexing was interrupted"


class CollectingFailedError(ServiceError):
    """The store could not be cleared of what nobody needs; the log says why."""

    status, slug, title = 409, "collecting-failed", "The store could not be cleared"


class StoreBusyError(ServiceError):
    """Another process is writing, for longer than was waited."""

    status, slug, title = 409, "store-busy", "The store is being written"


class UnfitGenerationError(ServiceError):
    """The generation cannot answer here: damaged, or made with other weights."""

    status, slug, title = 409, "unfit-generation", "The generation cannot be used"


class NoWeightsError(ServiceError):
    """The model has learned nothing yet; the extension ``train`` is the command that changes it."""

    status, slug, title = 409, "no-weights", "The model has no weights"


class SlowUploadError(ServiceError):
    """The body did not arrive within the time limit."""

    status, slug, title = 408, "slow-upload", "The upload took too long"


class UploadTooLargeError(ServiceError):
    """The body has more bytes than accepted."""

    status, slug, title = 413, "upload-too-large", "The upload is too large"


class UnsupportedFormatError(ServiceError):
    """The bytes are no accepted image, or the Content-Type is no accepted kind of body."""

    status, slug, title = 415, "unsupported-format", "The format is not supported"


class InvalidRequestError(ServiceError, ValueError):
    """A parameter or field is missing, unknown, ill-typed or out of range."""

    status, slug, title = 422, "invalid-request", "The request is not valid"


class UnusableImageError(ServiceError):
    """The image is empty, damaged, too large or too slow to decode; ``reason`` says which."""

    status, slug, title = 422, "unusable-image", "The image cannot be used"


class NoDecoderError(ServiceError, ValueError):
    """The model does not draw from a vector; on the command line too."""

    status, slug, title = 422, "no-decoder", "The model has no decoder"


class UrlRefusedError(ServiceError):
    """Nothing is fetched from there: not a URL of the public web, or the server fetches none."""

    status, slug, title = 422, "url-refused", "The URL is refused"


class UrlFailedError(ServiceError):
    """The host of a URL does not answer, not in time, or not with a photo."""

    status, slug, title = 502, "url-failed", "The photo could not be fetched"


class UnableModelError(ServiceError, ValueError):
    """The model cannot do it; the extension ``abilities`` lists what it can."""

    status, slug, title = 422, "model-cannot", "The model cannot do that"


class OverloadedError(ServiceError):
    """As many requests as allowed are being worked on."""

    status, slug, title = 429, "overloaded", "The server is busy"


class TooManyRequestsError(ServiceError):
    """The client has made more requests than it may."""

    status, slug, title = 429, "too-many-requests", "Too many requests"


class InternalError(ServiceError):
    """A fault of the server; the log says which."""

    status, slug, title = 500, "internal-error", "The server failed"

    def __init__(self) -> None:
        super().__init__(
            "This is a fault of the server. Its log says more under the request_id of this answer."
        )


class CannotExplainError(ServiceError):
    """The server searches, but has nothing that draws: no fitting weights, or no torch."""

    status, slug, title = 501, "cannot-explain", "The server cannot explain"


class CannotGenerateError(ServiceError):
    """The server searches, but has nothing that runs models."""

    status, slug, title = 501, "cannot-generate", "The server cannot run models"


class CannotReindexError(ServiceError):
    """The server knows no catalogue."""

    status, slug, title = 501, "cannot-reindex", "The server cannot index"


class NotReadyError(ServiceError):
    """Nothing has been indexed yet, so nothing can be searched."""

    status, slug, title = 503, "not-ready", "The server is not ready"


class StoreUnavailableError(ServiceError):
    """The store cannot be read; the log says why, the client need not know its paths."""

    status, slug, title = 503, "store-unavailable", "The store cannot be read"


class ShuttingDownError(ServiceError):
    """The server is about to end, and begins nothing new."""

    status, slug, title = 503, "shutting-down", "The server is shutting down"

    def __init__(self) -> None:
        super().__init__(
            "The server is about to end and begins nothing new. Ask again in some seconds: another "
            "one, or this one when it has been started again.",
            headers={"Retry-After": "5"},
        )


class TookTooLongError(ServiceError):
    """The work on a request did not end within the time limit."""

    status, slug, title = 504, "took-too-long", "The request took too long"


def problem(
    connection: HTTPConnection,
    status: int,
    slug: str,
    title: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    extensions: Mapping[str, object] | None = None,
) -> JSONResponse:
    """An RFC 9457 answer about the request that ``connection`` describes."""
    content = {
        "type": TYPE_PREFIX + slug,
        "title": title,
        "status": status,
        "detail": detail,
        "instance": connection.url.path,
        REQUEST_ID: connection.scope.get("state", {}).get(REQUEST_ID),
        **(extensions or {}),
    }
    return JSONResponse(
        content, status_code=status, headers=dict(headers or {}), media_type=PROBLEM_JSON
    )


def service_problem(request: HTTPConnection, error: ServiceError) -> JSONResponse:
    """The answer to an error of our own."""
    return problem(
        request,
        error.status,
        error.slug,
        error.title,
        error.detail,
        headers=error.headers,
        extensions=error.extensions,
    )


def status_problem(
    request: Request, status: int, detail: str, headers: Mapping[str, str] | None
) -> JSONResponse:
    """The answer to an error of the framework: no such route, method not allowed."""
    title = http.HTTPStatus(status).phrase
    slug = title.lower().replace(" ", "-")
    return problem(request, status, slug, title, detail, headers=headers)
