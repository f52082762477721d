"""``/v1/jobs``: what takes longer than a request, how far it is, what it has made."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict

from service.errors import ARRIVED, REQUEST_ID, TYPE_PREFIX, ServiceError, ShuttingDownError
from service.job import Job
from service.keys import ROLE, too_low
from service.negotiation import Patience, whole_number
from service.reindexing import LANE as STORE_LANE
from service.rendering import render
from service.routes_search import BINARY
from service.schemas import Problem
from service.schemas_jobs import JobResponse, JobsResponse
from service.schemas_models import Format
from service.state import Shared, State
from service.strict import StrictRoute

router = APIRouter(tags=["jobs"], route_class=StrictRoute)

HEARTBEAT = 15.0  # seconds without news after which a stream shows that it is alive
MOST_OF_A_REQUEST = 0.8  # of its time, that may pass in waiting
STREAM: dict[str, Any] = {
    "text/event-stream": {
        "schema": {
            "type": "object",
            "description": "One event. Lines that begin with a colon show that the server lives.",
            "properties": {
                "id": {"type": "string", "description": "Its number, for `Last-Event-ID`."},
                "event": {
                    "type": "string",
                    "enum": ["state", "progress", "partial", "picture", "end"],
                },
                "data": {"type": "string", "contentMediaType": "application/json"},
            },
            "required": ["id", "event", "data"],
        }
    }
}
RESULTS: dict[str, Any] = {
    "image/png": BINARY,
    "image/svg+xml": {"schema": {"type": "string"}},
    "application/zip": BINARY,
    "application/json": {
        "schema": {
            "anyOf": [
                {"$ref": f"#/components/schemas/{name}"}
                for name in (
                    "DrawingResponse",
                    "SketchesResponse",
                    "LikelihoodsResponse",
                    "ReindexResponse",
                    "CollectResponse",
                )
            ]
        }
    },
}


class ResultOptions(BaseModel):
    """How to answer. Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid")

    format: Format | None = None


@router.get("/jobs", summary="All jobs")
async def get_jobs(request: Request, state: Shared) -> JobsResponse:
    """List the jobs that are remembered, newest first."""
    return JobsResponse(jobs=[describe(request, job) for job in state.jobs.newest()])


@router.get("/jobs/{job_id}", summary="A job")
async def get_job(request: Request, job_id: str, state: Shared) -> JobResponse:
    """Read how far a job is."""
    return describe(request, state.jobs.get(job_id))


@router.delete("/jobs/{job_id}", summary="Cancel or forget a job")
async def delete_job(request: Request, job_id: str, state: Shared) -> JobResponse:
    """Cancel a job, which ends after its present step; one that has ended is forgotten.

    Who may let a model draw may stop that; what works on the store is stopped with an admin's key.
    """
    job = state.jobs.get(job_id)
    role = request.scope["state"].get(ROLE)
    if role not in (None, "admin") and job.lane == STORE_LANE:
        raise too_low(request.scope, role, "admin")
    state.jobs.cancel(job)
    return describe(request, job)


@router.get(
    "/jobs/{job_id}/events",
    summary="Follow a job",
    response_class=StreamingResponse,
    responses={200: {"description": "Events until its end.", "content": STREAM}},
)
async def get_events(request: Request, job_id: str, state: Shared) -> StreamingResponse:
    """Stream what happens to a job, from its beginning, or from after the header `Last-Event-ID`.

    Events are `state`, `progress` (`done`, `total`, `stage`), `picture` (`number`, and `picture`, a
    PNG in Base64), `partial` (`pictures` from `number` on as far as they are drawn, grey where they
    are not) and, last, `end` with the job.
    """
    job = state.jobs.get(job_id)
    last = whole_number(request.headers.get("last-event-id", ""))
    return StreamingResponse(
        stream(request, job, last or 0),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


@router.get(
    "/jobs/{job_id}/result",
    summary="What a job has made",
    response_class=Response,
    responses={
        200: {
            "description": "As the call would have been answered at once.",
            "content": RESULTS,
        }
    },
)
async def get_result(
    request: Request, job_id: str, state: Shared, options: Annotated[ResultOptions, Query()]
) -> Response:
    """Read the result of a job that is done; one that failed is answered with its error."""
    result = state.jobs.get(job_id).answer()
    accept = request.headers.get("accept", "")
    return await state.run(lambda: render(result, options.format, accept))


async def answer(request: Request, state: State, job: Job, wanted: Format | None) -> Response:
    """The result of a job if it comes in time, and otherwise the job itself, with 202.

    What is answered at once leaves no job behind.
    """
    patience = Patience.of(request.headers.getlist("prefer"))
    passed = time.perf_counter() - request.scope["state"][ARRIVED]
    left = max(0.0, MOST_OF_A_REQUEST * state.settings.request_timeout - passed)
    seconds = patience.seconds(usual=state.settings.job_wait, most=left)
    try:
        ended = seconds > 0 and await job.wait(seconds)
        if not ended and state.ending.begun:
            # The job ends with the server, so this is the only answer there will be.
            ended = await job.wait(max(0.0, left - seconds))
            if not ended:
                state.jobs.cancel(job)
                raise ShuttingDownError
    except asyncio.CancelledError:  # the request was given up, so nobody waits for this
        state.jobs.cancel(job)
        raise
    headers = patience.applied()
    if not ended:
        told = describe(request, job)
        headers |= {"Location": told.url, "Retry-After": "1"}
        return JSONResponse(told.model_dump(mode="json"), 202, headers)
    state.jobs.forget(job)
    result, accept = job.answer(), request.headers.get("accept", "")
    response = await state.run(lambda: render(result, wanted, accept))
    response.headers.update(headers)
    return response


async def stream(request: Request, job: Job, after: int) -> AsyncIterator[str]:
    """A job's events as they go over the wire."""
    async for event in job.follow(after, beat=HEARTBEAT):
        if event is None:
            yield ": still here\n\n"
            continue
        data: Mapping[str, Any] = event.data
        if event.kind == "end":
            data = describe(request, job).model_dump(mode="json")
        yield f"id: {event.number}\nevent: {event.kind}\ndata: {json.dumps(data)}\n\n"


def json_or_nothing(options: type[BaseModel]) -> dict[str, Any]:
    """How a call is described whose options may stand in a body of JSON instead of the query."""
    schema = {"$ref": f"#/components/schemas/{options.__name__}"}
    return {"requestBody": {"required": False, "content": {"application/json": {"schema": schema}}}}


def describe(request: Request, job: Job) -> JobResponse:
    """A job as it goes over the wire."""
    path = f"{request.scope.get('root_path', '')}/v1/jobs/{job.id}"
    return JobResponse(
        id=job.id,
        kind=job.kind,
        subject=job.subject,
        state=job.state,
        done=job.done,
        total=job.total,
        stage=job.stage,
        created=job.created.isoformat(),
        started=job.started.isoformat() if job.started else None,
        finished=job.finished.isoformat() if job.finished else None,
        problem=problem_of(request, job, path),
        url=path,
        events=f"{path}/events",
        result=f"{path}/result" if job.state == "done" else None,
    )


def problem_of(request: Request, job: Job, path: str) -> Problem | None:
    """Why a job failed; what is our fault is told in the log alone."""
    if job.error is None:
        return None
    told = request.scope.get("state", {}).get(REQUEST_ID)
    error = job.error
    if not isinstance(error, ServiceError):
        return Problem(
            type=f"{TYPE_PREFIX}internal-error",
            title="The server failed",
            status=500,
            detail="This is a fault of the server. Its log says more under the id of this job.",
            instance=path,
            request_id=told,
        )
    return Problem.model_validate(
        {
            "type": TYPE_PREFIX + error.slug,
            "title": error.title,
            "status": error.status,
            "detail": error.detail,
            "instance": path,
            "request_id": told,
            **error.extensions,
        }
    )
