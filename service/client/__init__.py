"""A client of the HTTP API. It needs httpx and nothing else of what niteru needs."""

from service.client import (
    calls_items,
    calls_jobs,
    calls_models,
    calls_search,
    calls_server,
    calls_sketches,
)
from service.client.awaiting import AsyncClient
from service.client.blocking import Client
from service.client.calls_items import Write
from service.client.errors import (
    ClientError,
    ConflictError,
    InvalidRequestError,
    JobError,
    KeyRefusedError,
    NoAnswerError,
    NotFoundError,
    OverloadedError,
    ProblemError,
    ServerError,
    UnavailableError,
    UnexpectedAnswerError,
)
from service.client.retrying import Retry

__all__ = [
    "AsyncClient",
    "Client",
    "ClientError",
    "ConflictError",
    "InvalidRequestError",
    "JobError",
    "KeyRefusedError",
    "NoAnswerError",
    "NotFoundError",
    "OverloadedError",
    "ProblemError",
    "Retry",
    "ServerError",
    "UnavailableError",
    "UnexpectedAnswerError",
    "Write",
    "calls_items",
    "calls_jobs",
    "calls_models",
    "calls_search",
    "calls_server",
    "calls_sketches",
]
