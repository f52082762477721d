"""Paths of items. Ids may hold slashes and anything else; every id has a path that is its own.

A slash of an id may be written as it is or as ``%2F``. Only three kinds of ids need the latter:
those with an empty segment or one of dots, because clients rewrite such paths, and those that end
in ``/image`` or ``/explain``, because a plain one asks for the photo, or for what was kept of it.
"""

from urllib.parse import quote

from fastapi import Request

ITEMS = "/v1/items"
IMAGE, EXPLAIN = "image", "explain"


def item_path(item_id: str) -> str:
    """The path of an item, from the root of the service."""
    segments = item_id.split("/")
    rewritten = any(segment in ("", ".", "..") for segment in segments)
    ambiguous = len(segments) > 1 and segments[-1] in (IMAGE, EXPLAIN)
    quoted = quote(item_id, safe="" if rewritten or ambiguous else "/")
    if item_id in (".", ".."):  # a segment of dots is a way up, even in a single segment
        quoted = quoted.replace(".", "%2E")
    return f"{ITEMS}/{quoted}"


def image_link(request: Request, item_id: str) -> str:
    """The path of an item's photo, below the prefix that a proxy may have put before ours."""
    return image_below(request.scope.get("root_path", ""), item_id)


def image_below(prefix: str, item_id: str) -> str:
    """The path of an item's photo below a prefix that a proxy has put before ours, or ``""``."""
    return f"{prefix}{item_path(item_id)}/{IMAGE}"


def asks_for(what: str, request: Request) -> bool:
    """Whether a path that ends in ``/image`` means the photo: its last slash is not escaped."""
    # Decoded, the two cannot be told apart; a server that keeps no raw path means the photo.
    end = f"/{what}".encode()
    raw: bytes = request.scope.get("raw_path") or end
    return raw.partition(b"?")[0].endswith(end)
