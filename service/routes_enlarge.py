"""``POST /v1/models/{name}/enlargements``: a small picture made large."""

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from service.forms import read_files
from service.routes_generate import DRAWN, body, chance, check_count, choose, missing
from service.routes_jobs import answer
from service.schemas_models import EnlargementOptions
from service.sheets import Drawing
from service.state import Shared
from service.strict import StrictRoute

if TYPE_CHECKING:  # it imports torch
    from service.brush import Brush

router = APIRouter(tags=["models"], route_class=StrictRoute)


@router.post(
    "/models/{name}/enlargements",
    summary="Make a small picture large",
    openapi_extra=body(form="EnlargementForm"),
    response_class=Response,
    responses=DRAWN,
)
async def enlargements(
    request: Request, name: str, state: Shared, options: Annotated[EnlargementOptions, Query()]
) -> Response:
    """Draw large pictures of a small one, whose pixels stay as they are: every so many is known.

    It is never resized; `enlarges` of the weights says which sides it may have.
    """
    with state.admission:
        sent = await read_files(request, options, {"image": 1})
        given = sent.options
        check_count(state, "n", given.n)
        (data,) = sent.files.get("image") or (missing("image"),)
        chosen = await choose(state, name, given, "enlarge")
        small = await state.run(lambda: state.studio.read_small(chosen.weights, data))

    def make(brush: "Brush") -> Drawing:
        from service.drawing import draw_enlargements

        return draw_enlargements(brush, small, given.n)

    job = state.studio.submit("enlargements", *chosen, make, **chance(given))
    return await answer(request, state, job, given.format)
