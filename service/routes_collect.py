"""``POST /v1/generations/collect``: remove what no generation needs, as a job."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from service.collecting import submit
from service.forms import read_options
from service.routes_jobs import describe, json_or_nothing
from service.schemas_jobs import CollectOptions, JobResponse
from service.state import Shared
from service.strict import StrictRoute

router = APIRouter(tags=["generations"], route_class=StrictRoute)


@router.post(
    "/generations/collect",
    status_code=202,
    summary="Collect garbage",
    openapi_extra=json_or_nothing(CollectOptions),
    response_class=Response,
    responses={202: {"model": JobResponse, "description": "The job that does it."}},
)
async def collect(
    request: Request, state: Shared, options: Annotated[CollectOptions, Query()]
) -> Response:
    """Remove old indexes, vectors of weights that have no index left, and leftovers of crashes.

    What a kept index needs stays, and so does what any server on this machine answers from. With
    `dry_run` nothing is removed, and the result of the job tells what would be.
    """
    with state.admission:
        given = await read_options(request, options)
    settings = state.settings
    job = submit(settings.store, settings.engine_choice(), state.jobs, given)
    told = describe(request, job)
    return JSONResponse(told.model_dump(mode="json"), 202, {"Location": told.url})
