"""Fetching a photo from an address that a client names, which a server does for nobody else.

Whoever may name an address may try to reach what only this server can: its own ports, the network
behind it, a cloud's metadata. So a name is resolved once, every address it has must be a public
one, and the connection is made to an address that was checked, not to the name. No redirect is
followed, no proxy asked, and time, bytes and the number of fetches are bounded.
"""

import asyncio
import ipaddress
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NamedTuple, Protocol
from urllib.parse import SplitResult, urlsplit

import h11

from service.addresses import Address, is_public
from service.batching import Admission
from service.errors import UploadTooLargeError, UrlFailedError, UrlRefusedError
from service.negotiation import whole_number

logger = logging.getLogger(__name__)

PORTS = {"http": 80, "https": 443}
CONNECT_SECONDS = 5.0  # for all addresses of a host together
CHUNK = 1 << 14
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Resolver(Protocol):
    """Finds the addresses of a host; raises OSError."""

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Its addresses as text, the one to try first at the front."""


class Connector(Protocol):
    """Connects to an address; raises OSError, of which ``ssl.SSLError`` is one."""

    async def __call__(self, address: str, port: int, *, tls_name: str | None) -> Streams:
        """A connection; with TLS, to a host of that name, if one is given."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Where a fetch may go.

    Attributes:
        allows: Whether an address may be connected to.
        ports: The ports that may be.
    """

    allows: Callable[[Address], bool] = is_public
    ports: frozenset[int] = frozenset(PORTS.values())


class Target(NamedTuple):
    """A URL in its parts."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def host_header(self) -> str:
        """What the server is told it was asked as."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"


async def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses that the system knows of a host."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[4][0]) for address in found))


class DirectConnector:
    """Connects without any proxy.

    Args:
        context: Whose certificates are trusted; without it, the system's.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.context = context or ssl.create_default_context()

    async def __call__(self, address: str, port: int, *, tls_name: str | None) -> Streams:
        """A connection to an address, which is no name any more."""
        context = None if tls_name is None else self.context
        return await asyncio.open_connection(address, port, ssl=context, server_hostname=tls_name)


class Fetcher:
    """Fetches photos, a few at a time.

    Args:
        max_bytes: Most bytes of a photo.
        seconds: That a fetch may take, from resolving to the last byte.
        at_once: Fetches that may be under way; one more is refused.
        policy: Where they may go.
        resolve: Finds addresses; the system does if nobody says.
        connect: Connects to one; without it, directly.
    """

    def __init__(
        self,
        *,
        max_bytes: int,
        seconds: float,
        at_once: int,
        policy: Policy | None = None,
        resolve: Resolver = resolve,
        connect: Connector | None = None,
    ) -> None:
        self.max_bytes = max_bytes
        self.seconds = seconds
        self.policy = policy or Policy()
        self.resolve = resolve
        self.connect = connect or DirectConnector()
        self.admission = Admission(at_once)

    async def fetch(self, url: str) -> bytes:
        """The bytes at a URL, whatever they are.

        Raises:
            UrlRefusedError: It is not a URL that may be fetched.
            UrlFailedError: There is no such host, it does not answer in time, or not with 200.
            UploadTooLargeError: There are more bytes than accepted.
            OverloadedError: As many fetches as allowed are under way.
        """
        target = read_url(url, self.policy.ports)
        with self.admission:
            try:
                async with asyncio.timeout(self.seconds):
                    addresses = await self._addresses(target)
                    async with self._connection(target, addresses) as streams:
                        return await self._get(target, *streams)
            except TimeoutError as error:
                raise UrlFailedError(
                    f"url: '{target.host}' did not send the photo in time: {CONNECT_SECONDS:g} s "
                    f"to connect, {self.seconds:g} s in all. Try again later, or send the photo "
                    "itself."
                ) from error
            except (OSError, h11.RemoteProtocolError) as error:
                logger.info("Fetching from '%s' failed: %r", target.host, error)
                raise UrlFailedError(
                    f"url: the connection to '{target.host}' broke off, or what came is no HTTP. "
                    "Try again later, or send the photo itself."
                ) from error

    async def _addresses(self, target: Target) -> list[str]:
        """The addresses of the host, all of which may be connected to."""
        try:
            found = list(await self.resolve(target.host, target.port))
        except (OSError, UnicodeError) as error:
            raise UrlFailedError(
                f"url: there is no host '{target.host}', or its address cannot be found now."
            ) from error
        for text in found:
            # All of them: whoever owns a name may give it a public and a private address.
            if not self.policy.allows(ipaddress.ip_address(text)):
                logger.warning("Refused to fetch from '%s', which is %s.", target.host, text)
                raise UrlRefusedError(
                    f"url: '{target.host}' has an address that is not a public one. "
                    "Send the photo itself."
                )
        return found

    @asynccontextmanager
    async def _connection(self, target: Target, addresses: Sequence[str]) -> AsyncIterator[Streams]:
        """A connection to the first of these addresses that accepts one."""
        name = target.host if target.scheme == "https" else None
        streams: Streams | None = None
        failure = OSError("The host has no address.")
        async with asyncio.timeout(CONNECT_SECONDS):
            for address in addresses:
                try:
                    streams = await self.connect(address, target.port, tls_name=name)
                    break
                except OSError as error:
                    failure = error
        if streams is None:
            raise failure
        try:
            yield streams
        finally:
            streams[1].transport.abort()  # nothing more is expected, nor waited for

    async def _get(
        self, target: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bytes:
        """Ask for the photo and read it."""
        http = h11.Connection(h11.CLIENT)
        request = h11.Request(
            method="GET",
            target=target.path,
            headers=[
                ("Host", target.host_header), ("User-Agent", "niteru"), ("Accept", "image/*"),
                ("Accept-Encoding", "identity"), ("Connection", "close"),
            ],
        )  # fmt: skip
        writer.write((http.send(request) or b"") + (http.send(h11.EndOfMessage()) or b""))
        await writer.drain()
        data = bytearray()
        while True:
            event = http.next_event()
            if event is h11.NEED_DATA:
                http.receive_data(await reader.read(CHUNK))
                await asyncio.sleep(0)  # what has come already is read without a pause
            elif isinstance(event, h11.Response):
                self._check(target, event)
            elif isinstance(event, h11.Data):
                data += event.data
                if len(data) > self.max_bytes:
                    raise self._too_large(f"more than {self.max_bytes:,} bytes came")
            elif isinstance(event, h11.EndOfMessage):
                return bytes(data)
            elif not isinstance(event, h11.InformationalResponse):
                raise OSError(f"The other end goes on with {event!r}.")

    def _check(self, target: Target, response: h11.Response) -> None:
        """Refuse an answer that is not the photo, before more of it is read."""
        headers = dict(response.headers)
        if 300 <= response.status_code < 400:
            raise UrlFailedError(
                f"url: '{target.host}' answered {response.status_code}, which points elsewhere. "
                "Redirects are not followed: send the address at their end."
            )
        encoding = headers.get(b"content-encoding", b"identity").decode("latin-1")
        if response.status_code != 200 or encoding.lower() != "identity":
            found = f"{response.status_code}" if response.status_code != 200 else f"as {encoding!r}"
            raise UrlFailedError(
                f"url: '{target.host}' answered {found}; expected 200 and the bytes of a photo."
            )
        length = whole_number(headers.get(b"content-length", b"").decode("latin-1"))
        if length is not None and length > self.max_bytes:
            raise self._too_large(f"{length:,} bytes were announced")

    def _too_large(self, found: str) -> UploadTooLargeError:
        return UploadTooLargeError(
            f"url: {found}; at most {self.max_bytes:,} are accepted. Name a smaller photo.",
            extensions={"max_upload_bytes": self.max_bytes},
        )


def read_url(url: str, ports: frozenset[int]) -> Target:
    """The parts of a URL that may be fetched.

    Raises:
        UrlRefusedError: It may not be, whatever its host is.
    """
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise UrlRefusedError(
            "url: it has characters that a URL may not have. Escape them with %, and write the "
            "host in ASCII (xn--...)."
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UrlRefusedError(f"url: it cannot be read: {error}.") from error
    if parts.scheme not in PORTS or not parts.hostname:
        raise UrlRefusedError(
            f"url: found the scheme '{parts.scheme[:20]}' and the host '{parts.hostname or ''}'; "
            "expected https://HOST/PATH or http://HOST/PATH."
        )
    if parts.username is not None or parts.password is not None:
        raise UrlRefusedError(
            "url: it holds a user or a password, which are not sent. Leave it out."
        )
    port = PORTS[parts.scheme] if port is None else port
    if port not in ports:
        listed = " or ".join(map(str, sorted(ports)))
        raise UrlRefusedError(f"url: found the port {port}; expected {listed}.")
    return Target(parts.scheme, parts.hostname, port, path_of(parts))


def path_of(parts: SplitResult) -> str:
    """What is asked for: the path and the query, without what is for browsers only."""
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
