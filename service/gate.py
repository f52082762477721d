"""What happens to every request before the framework sees it: an id, a size limit, a time limit.

This is plain ASGI, around the framework: whatever reads a body, and whatever the route, its bytes
are counted as they arrive.

A body may be refused before it has arrived completely. Closing the connection on a client that is
still sending would destroy the answer on its way, so what still comes is thrown away for a while.
"""

import asyncio
import logging
import re
import time
import uuid
from collections.abc import Callable
from contextlib import suppress

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.ending import Ending
from service.errors import (
    ARRIVED,
    REQUEST_ID,
    InternalError,
    ServiceError,
    SlowUploadError,
    TookTooLongError,
    UploadTooLargeError,
    service_problem,
)
from service.negotiation import whole_number

logger = logging.getLogger(__name__)

REQUEST_ID_HEADER = "x-request-id"
LINGER_SECONDS = 5.0
LOGGED = 1000  # letters of a path
PREFIX = "/v1"
ENDLESS = "/events"  # the end of a path whose answer lasts as long as a job
# A client's own id is taken over only if it cannot break a log line.
Note = Callable[[str, str | None, int, float], None]  # method, route, status, seconds
PLAIN_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")


class Gate:
    """ASGI middleware; see the module."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_upload_bytes: int,
        request_timeout: float,
        note: Note = lambda *_: None,
        ending: Ending | None = None,
    ) -> None:
        self.app = app
        self.ending = ending
        self.note = note
        self.max_upload_bytes = max_upload_bytes
        self.request_timeout = request_timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through to the app, or answer it here."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        method = scope["method"]
        if method == "HEAD" and not scope["path"].endswith(ENDLESS):
            # The framework's routes do not answer it, and monitors ask with it whether all is well.
            scope = {**scope, "method": "GET"}
        exchange = Exchange(
            scope, receive, send, self.max_upload_bytes, self.ending, bare=method == "HEAD"
        )
        try:
            await self.answer(exchange)
        finally:
            seconds = time.perf_counter() - started
            # 499: the client left before there was an answer.
            self.note(method, route_of(scope), exchange.status or 499, seconds)
            logger.info(
                "%s %s -> %s in %.1f ms [%s]",
                method,
                # Quoted, because a path may hold a line break.
                ascii(scope["path"][:LOGGED]),
                exchange.status,
                1000 * seconds,
                exchange.request_id,
                extra={"told": exchange.told(method, seconds)},
            )

    async def answer(self, exchange: "Exchange") -> None:
        """Run the app under the limits."""
        try:
            exchange.check_declared_size()
            async with asyncio.timeout(self.request_timeout) as exchange.deadline:
                await self.app(exchange.scope, exchange.receive, exchange.send)
        except UploadTooLargeError as error:
            await exchange.refuse(error)
        except TimeoutError:
            if exchange.deadline is None or not exchange.deadline.expired():
                raise
            await exchange.refuse(self.late(body_complete=exchange.body_complete))
        # Whatever it is: the framework's own handler stands outside of this and of CORS, so that a
        # page could not read its answer, and neither id nor count would be of it.
        except Exception:
            if exchange.status is not None:
                raise  # half an answer: the connection is closed
            logger.exception("[%s] Unforeseen error", exchange.request_id)
            await exchange.refuse(InternalError())
        await exchange.finish()

    def late(self, *, body_complete: bool) -> ServiceError:
        """Whose fault it was that the time ran out."""
        if body_complete:
            return TookTooLongError(
                f"The answer was not ready after {self.request_timeout:g} s. Try again later.",
                headers={"Retry-After": "5"},
            )
        return SlowUploadError(
            f"The body had not arrived completely after {self.request_timeout:g} s. "
            "Send a smaller image or use a faster connection."
        )


def route_of(scope: Scope) -> str | None:
    """The pattern of the route that answered, None if none did."""
    path: str | None = getattr(scope.get("route"), "path", None)
    if path is None or path.startswith(PREFIX) or not scope["path"].startswith(f"{PREFIX}/"):
        return path
    return PREFIX + path  # a newer framework tells the pattern below the prefix


class Exchange:
    """One request and its answer, watched on their way through; a ``bare`` one has no body."""

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        max_upload_bytes: int,
        ending: Ending | None = None,
        *,
        bare: bool = False,
    ) -> None:
        self.bare = bare
        self.scope = scope
        self.ending = ending
        self.max_upload_bytes = max_upload_bytes
        self.deadline: asyncio.Timeout | None = None
        self.status: int | None = None
        self.received = 0
        self._receive = receive
        self._send = send
        self._unfinished = False
        headers = Headers(scope=scope)
        self.body_complete = (
            "transfer-encoding" not in headers and headers.get("content-length", "0") == "0"
        )
        given = headers.get(REQUEST_ID_HEADER, "")
        self.request_id = given if PLAIN_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})[REQUEST_ID] = self.request_id
        scope["state"][ARRIVED] = time.perf_counter()

    def told(self, method: str, seconds: float) -> dict[str, object]:
        """What a log for machines says of it beside the line."""
        return {
            "request_id": self.request_id,
            "method": method,
            "path": self.scope["path"][:LOGGED],
            "route": route_of(self.scope),
            "status": self.status,
            "milliseconds": round(1000 * seconds, 3),
            "received_bytes": self.received,
        }

    def check_declared_size(self) -> None:
        """Refuse a body that announces itself as too large, before any of it is read."""
        declared = whole_number(Headers(scope=self.scope).get("content-length", ""))
        if declared is not None and declared > self.max_upload_bytes:
            raise self.too_large(f"{declared:,} bytes were announced")

    def too_large(self, found: str) -> UploadTooLargeError:
        """The error for a body over the limit."""
        return UploadTooLargeError(
            f"{found}; at most {self.max_upload_bytes:,} are accepted. "
            "Send a smaller copy of the image.",
            extensions={"max_upload_bytes": self.max_upload_bytes},
        )

    async def receive(self) -> Message:
        """Pass a message on, counting the bytes of the body."""
        message = await self._receive()
        if message["type"] == "http.request":
            self.received += len(message.get("body", b""))
            self.body_complete = not message.get("more_body", False)
            if self.received > self.max_upload_bytes:
                raise self.too_large(f"More than {self.max_upload_bytes:,} bytes arrived")
        return message

    async def send(self, message: Message) -> None:
        """Pass a message on, with the request's id in its header."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers.setdefault(REQUEST_ID_HEADER, self.request_id)
            if self.ending is not None and self.ending.begun:
                headers["Connection"] = "close"  # the client is to go on elsewhere
            # From here on the speed is the client's: a large photo may take its time.
            if self.deadline is not None:
                with suppress(RuntimeError):  # the time ran out just now
                    self.deadline.reschedule(None)
        elif not self.body_complete and not message.get("more_body", False):
            self._unfinished = True  # until ``finish``: the client is still sending
            message = {**message, "more_body": True}
        if self.bare and message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await self._send(message)

    async def refuse(self, error: ServiceError) -> None:
        """Answer with a problem, unless an answer is already on its way."""
        if self.status is None:
            response = service_problem(HTTPConnection(self.scope), error)
            await response(self.scope, self._receive, self.send)

    async def finish(self) -> None:
        """End an answer that came before the end of the body, once the client has sent it."""
        if not self._unfinished:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while not self.body_complete:
                    message = await self._receive()
                    self.body_complete = not message.get("more_body", False)
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})
