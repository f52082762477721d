"""Who may do what: keys with roles, checked before a byte of a body is read.

A key has one of three roles, each of which may do what those before it may: ``search`` asks,
``write`` changes items, ``admin`` does the rest. A server without keys asks nobody for one, and
listens on loopback only (``service.settings``).
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import KeyRequiredError, RoleTooLowError, ServiceError, service_problem

Role = Literal["search", "write", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
# What a bearer token may hold (RFC 6750), long enough that it cannot be guessed.
KEY = re.compile(r"[A-Za-z0-9._~+/-]{16,}=*")
FORM = "ROLE:KEY with a ROLE of search, write or admin and a KEY of 16 or more letters and digits"

# Without a key: whether it lives, and what it can do. Monitors and browsers ask for these.
OPEN = frozenset({"/", "/livez", "/healthz", "/readyz", "/docs", "/openapi.json"})
PAGE = "/page"  # its files hold nothing of the catalogue
READING = ("GET", "HEAD", "OPTIONS")
# What a search key may POST to, and what a write key may change; all else is for admins.
ASKING = ("/v1/search", "/v1/embed", "/v1/explain", "/v1/models")
ITEMS = "/v1/items"
JOBS = "/v1/jobs"  # whose key starts one may stop it; which of them, its route looks at
ROLE = "role"  # in a request's state, where keys are asked for


class KeysError(ValueError):
    """Keys that cannot be read as such; the message does not repeat them."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Roles by the SHA-256 of their keys: the keys themselves are not kept."""

    roles: Mapping[bytes, Role]

    def role_of(self, key: str) -> Role | None:
        """The role of a key, None for a stranger's; takes as long for every key."""
        asked, found = digest(key), None
        for known, role in self.roles.items():
            if hmac.compare_digest(asked, known):
                found = role
        return found


def digest(key: str) -> bytes:
    """What is kept of a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def read_keys(listed: str | None, file: Path | None) -> Keys | None:
    """The keys of a setting and of a file together, None if neither is given.

    Args:
        listed: ``ROLE:KEY`` with commas between them.
        file: One ``ROLE:KEY`` a line; empty lines and those that begin with ``#`` are skipped.

    Raises:
        KeysError: One is no ``ROLE:KEY``, one is there twice, or there is none.
        OSError: The file cannot be read.
    """
    if listed is None and file is None:
        return None
    entries: list[tuple[str, str]] = []
    if listed is not None:
        parts = (part.strip() for part in listed.split(","))
        entries += [(f"entry {n} of NITERU_API_KEYS", part) for n, part in enumerate(parts, 1)]
    if file is not None:
        lines = (line.strip() for line in file.read_text("utf-8").splitlines())
        entries += [
            (f"line {n} of '{file}'", line)
            for n, line in enumerate(lines, 1)
            if line and not line.startswith("#")
        ]
    if not entries:
        raise KeysError(f"There is no key in '{file}'; expected lines of {FORM}.")
    return Keys(roles(entries))


def roles(entries: Iterable[tuple[str, str]]) -> dict[bytes, Role]:
    """Roles by digest, from pairs of where an entry stands and what it says."""
    found: dict[bytes, Role] = {}
    for where, entry in entries:
        role, _, key = entry.partition(":")
        if role not in ROLES or not KEY.fullmatch(key):
            raise KeysError(f"There is no key at {where}; expected {FORM}.")
        if digest(key) in found:
            raise KeysError(f"The key at {where} stands there twice. Give it one role.")
        found[digest(key)] = role
    return found


def path_of(scope: Scope) -> str:
    """What a request asks for, without the prefix under which the application stands."""
    path, prefix = str(scope["path"]), str(scope.get("root_path", ""))
    return path.removeprefix(prefix) if prefix and within(path, (prefix,)) else path


def role_needed(method: str, path: str) -> Role | None:
    """The least role that may make a call, None if anybody may."""
    if method in READING and (path in OPEN or within(path, (PAGE,))):
        return None
    if path == "/metrics":
        return "admin"
    if method in READING or within(path, ASKING) or within(path, (JOBS,)):
        return "search"
    return "write" if within(path, (ITEMS,)) else "admin"


def within(path: str, places: Iterable[str]) -> bool:
    """Whether a path is one of these or below it."""
    return any(path == place or path.startswith(f"{place}/") for place in places)


def key_of(headers: Headers) -> str | None:
    """The key that a request carries: ``Authorization: Bearer KEY`` or ``X-API-Key: KEY``."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    return headers.get("x-api-key")


class KeyCheck:
    """ASGI middleware that lets a call through only with a key for it."""

    def __init__(self, app: ASGIApp, *, keys: Keys) -> None:
        self.app = app
        self.keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it without reading its body."""
        if scope["type"] == "http":
            refusal = self.refusal(scope)
            if refusal is not None:
                response = service_problem(HTTPConnection(scope), refusal)
                await response(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def refusal(self, scope: Scope) -> ServiceError | None:
        """Why a request may not be made, None if it may."""
        needed = role_needed(scope["method"], path_of(scope))
        if needed is None:
            return None
        key = key_of(Headers(scope=scope))
        role = None if key is None else self.keys.role_of(key)
        scope.setdefault("state", {})[ROLE] = role
        if role is None:
            found = "There is no key with the request" if key is None else "The key is not known"
            return KeyRequiredError(
                f"{found}; expected one with the role '{needed}'. "
                "Send it as 'Authorization: Bearer KEY'.",
                headers={"WWW-Authenticate": 'Bearer realm="niteru"'},
            )
        if ROLES.index(role) < ROLES.index(needed):
            return too_low(scope, role, needed)
        return None


def too_low(scope: Scope, role: Role, needed: Role) -> RoleTooLowError:
    """The error for a call that a key's role may not make."""
    return RoleTooLowError(
        f"The key has the role '{role}'; {scope['method']} {scope['path'][:200]} needs "
        f"'{needed}'. Use a key with that role.",
        extensions={"role": role, "needed": needed},
    )
