"""Calls that are made often, without the framework's detours.

The framework takes a path to every route in turn, a query string apart field by field, and reads
every answer again before it is written: of a search that is a third of what the server does beside
decoding, embedding and searching. Here a path is looked up, and both others are one call of
pydantic's. The description of the call is the framework's as before, and so is every refusal: what
pydantic refuses goes the usual way and is refused there.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, get_type_hints

from fastapi import Request
from fastapi.responses import Response
from pydantic import BaseModel, ValidationError
from starlette.datastructures import QueryParams
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from service.strict import StrictRoute, check_query, lists_of

MEDIA_TYPE = "application/json"

Answer = Callable[[Request], Awaitable[Response | None]]


class DirectRoute(StrictRoute):
    """A route whose call takes ``request``, ``state`` and ``options``, those of the query string.

    The call answers a model of what goes over the wire, or a response that holds it already.
    """

    def answer(self) -> Answer:
        """What answers a request, or None where its query string is for the framework to refuse."""
        call: Callable[..., Awaitable[BaseModel | Response]] = self.endpoint
        options = get_type_hints(self.endpoint)["options"]
        known, several = frozenset(options.model_fields), lists_of(options)

        async def answer(request: Request) -> Response | None:
            try:
                given = options.model_validate(members(request.query_params, several))
            except ValidationError:
                return None
            check_query(request.query_params, known, several)
            answer = await call(request=request, state=request.app.state.niteru, options=given)
            if isinstance(answer, Response):
                return answer
            return Response(answer.model_dump_json(), media_type=MEDIA_TYPE)

        return answer


class Shortcut:
    """ASGI middleware, the innermost: answers direct routes, and lets everything else through.

    Args:
        app: The framework.
        routes: Those of its routes that are direct are answered here.
        prefix: Of their paths.
    """

    def __init__(self, app: ASGIApp, *, routes: Iterable[BaseRoute], prefix: str) -> None:
        self.app = app
        self.direct = {
            (method, prefix + route.path): (route, route.answer())
            for route in routes
            if isinstance(route, DirectRoute) and not route.param_convertors
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let the framework do it."""
        found = self.direct.get((scope.get("method", ""), scope.get("path", "")))
        if found is None or scope.get("root_path"):
            await self.app(scope, receive, send)
            return
        route, answer = found
        request = Request(scope, receive, send)
        scope["endpoint"] = route.endpoint
        scope["route"] = route  # which is counted, and told in the log
        try:
            response = await answer(request)
        except Exception as error:  # noqa: BLE001, one that is not known is raised again
            response = await refusal(request, error)
        if response is None:
            await self.app(scope, receive, send)
            return
        await response(scope, receive, send)


async def refusal(request: Request, error: Exception) -> Response:
    """What the application answers to an error; one that it does not know is raised again."""
    handlers: dict[Any, Callable[[Request, Exception], Awaitable[Response]]]
    handlers = request.app.exception_handlers
    for kind in type(error).__mro__:
        if kind in handlers:
            return await handlers[kind](request, error)
    raise error


def members(query: QueryParams, several: frozenset[str]) -> dict[str, object]:
    """A query string as the model reads it; what stands there twice is refused elsewhere."""
    return {name: query.getlist(name) if name in several else query[name] for name in query}
