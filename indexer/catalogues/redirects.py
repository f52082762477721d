"""Where a web server's redirect may lead: to the host that was named, and nowhere else.

Who keeps a host decides where its redirects lead, and this machine reaches more than they do.
"""

from typing import Any
from urllib.parse import urljoin, urlsplit

PORTS = {"http": 80, "https": 443}


class RedirectError(Exception):
    """A redirect to another host than the one that was asked."""


def stays(url: str, target: str) -> bool:
    """Whether a redirect leads to the same host: the same port, or from http on to https."""
    try:
        before, after = _place(url), _place(target)
    except ValueError:  # a port that is none
        return False
    return after == before or (before, after) == (
        ("http", before[1], PORTS["http"]),
        ("https", before[1], PORTS["https"]),
    )


def _place(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port of a URL."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or PORTS.get(parts.scheme)


async def open_session(**settings: Any) -> Any:
    """A session of aiohttp as fsspec wants it, that follows redirects within a host only."""
    import aiohttp  # noqa: PLC0415 - an extra, which fsspec has imported by now

    async def check(_: Any, __: Any, told: Any) -> None:
        headers = told.response.headers
        target = urljoin(str(told.url), headers.get("Location") or headers.get("URI") or "")
        if not stays(str(told.url), target):
            told.response.close()
            raise RedirectError(
                f"it redirects to another host, '{target}', which was not named. Write the address "
                "at the end of the redirect instead"
            )

    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(check)
    return aiohttp.ClientSession(trace_configs=[trace], **settings)


def find_redirect(error: BaseException) -> RedirectError | None:
    """The refused redirect that an error comes from, if it does."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, RedirectError):
        cause = cause.__cause__ or cause.__context__
    return cause
