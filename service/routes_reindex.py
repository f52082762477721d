"""``POST /v1/reindex``: bring the index up to date with the catalogue, as a job."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from indexer.demands import Demands
from service.forms import read_options
from service.job import Job
from service.routes_jobs import describe, json_or_nothing
from service.schemas_jobs import JobResponse, ReindexOptions
from service.state import Shared, State
from service.strict import StrictRoute

router = APIRouter(tags=["generations"], route_class=StrictRoute)


@router.post(
    "/reindex",
    status_code=202,
    summary="Index the catalogue again",
    openapi_extra=json_or_nothing(ReindexOptions),
    response_class=Response,
    responses={202: {"model": JobResponse, "description": "The job that does it."}},
)
async def reindex(
    request: Request, state: Shared, options: Annotated[ReindexOptions, Query()]
) -> Response:
    """Embed what is new or has changed in the server's catalogue and publish an index of it.

    It goes on where an earlier run was cancelled or interrupted. Searches are answered from the
    present index until the new one is published, and from the new one from then on. With other
    `weights` all photos are embedded anew, and the server goes over to these with their index.
    `recall` and `memory` are remembered with the index that was made for them: for others it is
    built again even if no photo has changed, and later runs ask for the same.
    """
    with state.admission:
        given = await read_options(request, options)
    told = describe(request, await state.run(lambda: start(state, given)))
    return JSONResponse(told.model_dump(mode="json"), 202, {"Location": told.url})


def start(state: State, options: ReindexOptions) -> Job:
    """Begin the job."""
    demands = Demands(options.recall, options.memory)
    return state.reindexer.submit(prune=options.prune, weights=options.weights, demands=demands)
