"""Web pages by their origin, as a browser names them in the header ``Origin`` (RFC 6454)."""

import re
from urllib.parse import urlsplit

ANY = "*"
PORTS = {"http": 80, "https": 443}
FORM = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")


def check_origin(text: str) -> str:
    """An origin itself, or ``*``, if a browser can send it.

    Raises:
        ValueError: It never would, so that nothing would be allowed; says what it would send.
    """
    if text == ANY:
        return text
    usual = usual_form(text)
    if usual != text:
        meant = f" Browsers send '{usual}'" if usual else ""
        raise ValueError(
            f"'{text}' is no origin: expected SCHEME://HOST or SCHEME://HOST:PORT as browsers "
            f"send it, without a path, or '{ANY}' for all.{meant}"
        )
    return text


def usual_form(text: str) -> str | None:
    """The origin that a browser would send for such an address, None if it is none."""
    try:
        parts = urlsplit(text.strip().lower())
        port = parts.port
    except ValueError:
        return None
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    shown = "" if port in (None, PORTS.get(parts.scheme)) else f":{port}"
    usual = f"{parts.scheme}://{host}{shown}"
    return usual if host and FORM.fullmatch(usual) else None
