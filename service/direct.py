"""Calls that are made often, without the framework's detours.

The framework takes a query string apart field by field, and reads every answer again before it is
written: of a search that is a third of what the server does beside decoding, embedding and
searching. Here both are one call of pydantic's. The description of the call is the framework's as
before, and so is every refusal: what pydantic refuses goes the usual way and is refused there.
"""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, get_type_hints

from fastapi import Request
from fastapi.responses import Response
from pydantic import BaseModel, ValidationError
from starlette.datastructures import QueryParams

from service.strict import StrictRoute, check_query, lists_of

MEDIA_TYPE = "application/json"


class DirectRoute(StrictRoute):
    """A route whose call takes ``request``, ``state`` and ``options``, those of the query string.

    The call answers a model of what goes over the wire, or a response that holds it already.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers a request."""
        call: Callable[..., Awaitable[BaseModel | Response]] = self.endpoint
        options = get_type_hints(self.endpoint)["options"]
        known, several = frozenset(options.model_fields), lists_of(options)
        usual = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                given = options.model_validate(members(request.query_params, several))
            except ValidationError:
                return await usual(request)  # which says what is wrong
            check_query(request.query_params, known, several)
            answer = await call(request=request, state=request.app.state.niteru, options=given)
            if isinstance(answer, Response):
                return answer
            return Response(answer.model_dump_json(), media_type=MEDIA_TYPE)

        return handle


def members(query: QueryParams, several: frozenset[str]) -> dict[str, object]:
    """A query string as the model reads it; what stands there twice is refused elsewhere."""
    return {name: query.getlist(name) if name in several else query[name] for name in query}
