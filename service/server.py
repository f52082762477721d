"""Ending a server so that nothing it has taken on is lost.

A signal asks for it. From then on ``/readyz`` is 503, no job is begun, those that nobody waits for
are stopped, and every answer closes its connection. For ``drain_seconds`` requests are still taken,
so that a load balancer can notice. Then the server stops listening: connections that wait to be
accepted are accepted, those that are open have a moment for a request that is on its way, and what
was taken is answered. A second signal ends the process at once, as if there were no handler.

Uvicorn lets the head of a request be as long and as slow as a client likes; here both are bounded.
"""

import asyncio
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.ending import Ending

logger = logging.getLogger(__name__)

SIGNALS = (signal.SIGINT, signal.SIGTERM)
# For requests that were sent over an open connection before their client could know.
LINGER_SECONDS = 0.5
LOOK_SECONDS = 0.05
HEAD_BYTES, HEAD_SECONDS = 1 << 16, 20.0  # of the line and the headers of a request


class Bounded(HttpToolsProtocol):
    """Uvicorn's protocol, which bounds neither the head of a request nor the time it takes."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a request, but not for ever."""
        super().connection_made(transport)
        self.head_bytes: int | None = 0  # of a head that is arriving; None within a body
        self.head_timer = self.loop.call_later(HEAD_SECONDS, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self.head_timer.cancel()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Begin to count, and to wait."""
        self.head_timer.cancel()
        self.head_timer = self.loop.call_later(HEAD_SECONDS, self.timeout_keep_alive_handler)
        if self.head_bytes is None:
            self.head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is there."""
        self.head_timer.cancel()
        self.head_bytes = None
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Read on, unless the head of the request has become too long."""
        if self.head_bytes is not None:
            self.head_bytes += len(data)
        super().data_received(data)
        if self.head_bytes is not None and self.head_bytes > HEAD_BYTES:
            self.send_400_response(f"The head of the request is longer than {HEAD_BYTES:,} bytes.")


class Server(uvicorn.Server):
    """Uvicorn, ending as the module says.

    Args:
        config: Uvicorn's; its ``timeout_graceful_shutdown`` bounds the wait for what was taken.
        ending: Is begun by the first signal.
        drain_seconds: For which requests are still taken from then on.
    """

    def __init__(
        self, config: uvicorn.Config, *, ending: Ending, drain_seconds: float = 0.0
    ) -> None:
        super().__init__(config)
        self.ending = ending
        self.drain_seconds = drain_seconds
        self._asked: float | None = None

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals, and do not raise them again at the end: it has gone as was asked."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {each: signal.signal(each, self.handle_exit) for each in SIGNALS}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Note the first signal; end the process with the second."""
        del frame
        if self._asked is not None:
            signal.signal(sig, signal.SIG_DFL)
            signal.raise_signal(sig)
        # Nothing more here: a handler interrupts whatever runs, a line of the log for instance.
        self._asked = time.monotonic()

    async def on_tick(self, counter: int) -> bool:
        """Whether to stop listening."""
        if await super().on_tick(counter):
            return True
        if self._asked is None:
            return False
        if not self.ending.begun:
            logger.info(
                "Asked to end: what was taken is finished first. A second signal ends it at once."
            )
            self.ending.begin()
        return time.monotonic() - self._asked >= self.drain_seconds

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, and let all that was taken come to its end."""
        if not self.ending.begun:  # another reason than a signal
            self.ending.begin()
        await self._accept_the_last()
        until = time.monotonic() + LINGER_SECONDS
        while self.server_state.connections and time.monotonic() < until:  # noqa: ASYNC110, uvicorn's
            await asyncio.sleep(LOOK_SECONDS)
        await super().shutdown(sockets)

    async def _accept_the_last(self) -> None:
        """Close the listeners, but take the connections that the system has made already.

        For its client such a connection is open; it would be reset if nobody took it.
        """
        spares = [
            socket.socket(fileno=os.dup(listener.fileno()))
            for server in self.servers
            for listener in server.sockets
        ]
        for server in self.servers:
            server.close()
        for spare in spares:
            spare.settimeout(0)
            waiting = []
            with suppress(OSError):  # BlockingIOError when there are no more
                while True:
                    waiting.append(spare.accept()[0])
            spare.close()
            for connection in waiting:
                await self._serve_connection(connection)

    async def _serve_connection(self, connection: socket.socket) -> None:
        """Let uvicorn answer what comes over a connection, as over those it accepted itself."""
        connection.settimeout(0)
        with suppress(OSError):  # it was closed again meanwhile
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: self.config.http_protocol_class(  # type: ignore[call-arg]
                    config=self.config,
                    server_state=self.server_state,
                    app_state=self.lifespan.state,
                ),
                connection,
            )


def end_of_process() -> None:
    """End this process now if work goes on in it that could not be stopped in time.

    Threads are waited for by the interpreter, without a bound. What such work leaves behind is what
    a crash would, and the store outlives that.
    """
    this = threading.current_thread()
    left = [each.name for each in threading.enumerate() if each is not this and not each.daemon]
    if left:
        logger.warning("Ended while %s still worked.", ", ".join(sorted(left)))
        logging.shutdown()
        os._exit(0)
