"""``/healthz``, ``/livez``, ``/readyz`` and ``/metrics``."""

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, Response

from service.errors import NotReadyError
from service.metrics import MEDIA_TYPE
from service.schemas import Alive, Ready
from service.state import Shared
from service.strict import WholeRoute

router = APIRouter(tags=["probes"], route_class=WholeRoute)


@router.get("/healthz", summary="Is the process alive?", operation_id="healthz")
@router.get("/livez", summary="Is the process alive?", operation_id="livez")
async def alive() -> Alive:
    """Answer at once, without touching weights or index."""
    return Alive()


@router.get("/readyz", summary="Can it answer a search?")
async def ready(state: Shared) -> Ready:
    """Embed an empty picture and search with it: ready means that both answered.

    A server that is about to end is not ready, though it still answers.
    """
    state.ending.check()
    searcher = state.searcher
    try:
        answer = await state.probe()
    except NotReadyError as error:
        if searcher.refused is None:
            raise
        raise NotReadyError(
            f"{error.detail} What was indexed so far is not served: {searcher.refused}",
            headers=error.headers,
        ) from error
    return Ready(
        status="ready" if searcher.refused is None else "degraded",
        generation=answer.generation,
        items=answer.total,
        fingerprint=searcher.embedder.fingerprint,
        refused=searcher.refused,
    )


@router.get(
    "/metrics",
    summary="Counts and times, for Prometheus",
    operation_id="metrics",
    response_class=PlainTextResponse,
)
async def metrics(state: Shared) -> Response:
    """Answer what happened since the start of this process, in Prometheus' text format."""
    return Response(await state.run(state.metrics.render), media_type=MEDIA_TYPE)
