"""Paths and query strings that are read strictly.

A path is that of a route as a whole or not at all. The framework's patterns take no line break into
an id, and pass over one at a path's end: ``a%0A`` was the item ``a``, and ``/metrics%0A`` what
``/metrics`` is, for a key that may not see it.

What is unknown in a query string, or stands there twice, is refused. The framework refuses unknown
names only where a call has options, and of a name that stands there twice it takes the last.
``GET /v1/jobs?state=done`` would be answered with all jobs, and ``?limit=5&limit=50`` with one of
the two: both look right, and are not what was asked.
"""

from collections.abc import Callable, Coroutine
from typing import Any, get_args, get_origin, get_type_hints

from fastapi import Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.datastructures import QueryParams
from starlette.routing import Match
from starlette.types import Scope

from service.errors import InvalidRequestError
from service.uploads import once

# Stands for a line break where a path is compared; half of a surrogate pair is in no path.
BREAK = "\udc0a"


class WholeRoute(APIRoute):
    """A route whose path ends where the path that is asked for ends, whatever ids hold."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether a request is this route's, and what its path names."""
        path: str = scope["path"]
        if "\n" not in path:
            return super().matches(scope)
        found, child = super().matches({**scope, "path": path.replace("\n", BREAK)})
        if "path_params" in child:
            named = child["path_params"].items()
            child["path_params"] = {name: value.replace(BREAK, "\n") for name, value in named}
        return found, child


class StrictRoute(WholeRoute):
    """A route whose query string holds its ``options`` and nothing else, each of them once."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers a request."""
        options = get_type_hints(self.endpoint).get("options")
        known = frozenset() if options is None else frozenset(options.model_fields)
        several = frozenset() if options is None else lists_of(options)
        usual = super().get_route_handler()

        async def handle(request: Request) -> Response:
            check_query(request.query_params, known, several)
            return await usual(request)

        return handle


def lists_of(model: type[BaseModel]) -> frozenset[str]:
    """The fields of a model that may stand in a query string several times."""
    return frozenset(
        name
        for name, field in model.model_fields.items()
        if list in (get_origin(field.annotation), *map(get_origin, get_args(field.annotation)))
    )


def check_query(query: QueryParams, known: frozenset[str], several: frozenset[str]) -> None:
    """Refuse a query string with a name twice, or with any where a call has no options.

    Unknown names beside options are left to those, which propose the nearest.

    Raises:
        InvalidRequestError: See above.
    """
    for name in query:
        if not known:
            raise InvalidRequestError(
                f"{name[:200]}: There is no such parameter. This call's query string has none.",
                extensions={"errors": [{"field": name[:200], "message": "no such parameter"}]},
            )
        if name in known - several:
            once(name, query.getlist(name), "query string")
