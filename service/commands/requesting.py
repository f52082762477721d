"""Asking a running server, as any client would."""

import json
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

TIMEOUT = 30.0


class AnswerError(ValueError):
    """A server answered something else than 200."""


def fetch(
    address: str, method: str, path: str, body: bytes | None = None, *, timeout: float = TIMEOUT
) -> tuple[int, bytes]:
    """One request: status and body.

    Args:
        address: ``http://host:port``.
        method: Of the request.
        path: With its query.
        body: Bytes of an image, if any.
        timeout: Seconds to wait for an answer.

    Raises:
        ConnectionError: Nobody listens there, or not in time.
    """
    connection = HTTPConnection(address.removeprefix("http://").rstrip("/"), timeout=timeout)
    try:
        headers = {} if body is None else {"Content-Type": "application/octet-stream"}
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, response.read()
    except OSError as error:
        raise ConnectionError(
            f"No answer from {address}: {error}. Start a server with: niteru serve --store STORE"
        ) from error
    finally:
        connection.close()


def search(address: str, photo: Path, limit: int) -> tuple[list[dict[str, Any]], float]:
    """Search with a photo: the items found, best first, and the milliseconds it took.

    Raises:
        AnswerError: The server refused, with what it said.
    """
    data = photo.read_bytes()
    started = time.perf_counter()
    status, body = fetch(address, "POST", f"/v1/search?limit={limit}", data)
    milliseconds = 1000 * (time.perf_counter() - started)
    if status != 200:
        raise AnswerError(
            f"{address} answered {status} to {photo}: {body.decode(errors='replace')}"
        )
    items: list[dict[str, Any]] = json.loads(body)["items"]
    return items, milliseconds
