"""How many requests a client may make: a token bucket for each key, or each address without keys.

A bucket holds as many requests as a client may make at once, and fills at the rate that is allowed
for long. The headers are those of the IETF's draft "RateLimit header fields for HTTP".
"""

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.addresses import behind
from service.errors import TooManyRequestsError, service_problem
from service.keys import digest, key_of, path_of, role_needed

# Buckets that are kept: the longest unused goes first, and would be full by then.
MOST_CLIENTS = 100_000
CUSTOMER_BITS = 64  # of an address of IPv6; a client chooses the others as it likes


class Taken(NamedTuple):
    """What a bucket said to a request.

    Attributes:
        allowed: Whether the request may be made.
        left: Requests that may follow at once.
        seconds: Until one more may: the next if this one was refused.
    """

    allowed: bool
    left: int
    seconds: float


class Buckets:
    """Token buckets by client.

    Args:
        per_minute: Requests that a client may make for long; also the size of its bucket.
        clock: Seconds, never going back.
    """

    def __init__(self, per_minute: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.size = per_minute
        self.per_second = per_minute / 60
        self.clock = clock
        self.filled: OrderedDict[bytes, tuple[float, float]] = OrderedDict()

    def take(self, client: bytes) -> Taken:
        """Take one request out of a client's bucket, if there is one in it."""
        now = self.clock()
        tokens, then = self.filled.pop(client, (float(self.size), now))
        tokens = min(self.size, tokens + (now - then) * self.per_second)
        allowed = tokens >= 1
        tokens -= allowed
        self.filled[client] = tokens, now
        if len(self.filled) > MOST_CLIENTS:
            self.filled.popitem(last=False)
        missing = 1 - tokens % 1 if tokens < self.size else 0.0
        return Taken(allowed, int(tokens), missing / self.per_second)


class RateLimit:
    """ASGI middleware that answers 429 to a client that asks too often.

    Inside the check of keys, so that a stranger's guesses cost the owner of a key nothing. Without
    keys, a client is an address: that of a proxy, unless it is trusted (``service.settings``).
    """

    def __init__(self, app: ASGIApp, *, per_minute: int, keyed: bool) -> None:
        self.app = app
        self.per_minute = per_minute
        self.keyed = keyed
        self.buckets = Buckets(per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through with the headers, or answer it without reading its body."""
        if scope["type"] != "http" or role_needed(scope["method"], path_of(scope)) is None:
            await self.app(scope, receive, send)
            return
        taken = self.buckets.take(self.client(scope))
        told = {
            "RateLimit-Policy": f'"requests";q={self.per_minute};w=60',
            "RateLimit": f'"requests";r={taken.left};t={math.ceil(taken.seconds)}',
        }

        async def send_told(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(told)
            await send(message)

        if taken.allowed:
            await self.app(scope, receive, send_told)
            return
        wait = math.ceil(taken.seconds)
        error = TooManyRequestsError(
            f"More than {self.per_minute} requests a minute were made; "
            f"the next may come in {wait} s.",
            headers={"Retry-After": str(wait)},
        )
        response = service_problem(HTTPConnection(scope), error)
        await response(scope, receive, send_told)

    def client(self, scope: Scope) -> bytes:
        """Whose bucket a request is taken from."""
        key = key_of(Headers(scope=scope)) if self.keyed else None
        if key is not None:
            return digest(key)
        address = scope.get("client")
        return network_of(str(address[0])).encode() if address else b""


def network_of(text: str) -> str:
    """What stands for a client's address: of IPv6 the network, which is one customer's."""
    try:
        address = behind(ipaddress.ip_address(text))
    except ValueError:  # whatever a proxy says
        return text
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(ipaddress.IPv6Network((address, CUSTOMER_BITS), strict=False))
