"""``/`` for people: the page, and the files it is made of."""

from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from fastapi.staticfiles import StaticFiles

from service.negotiation import JSON, best_of
from service.schemas import Welcome
from service.strict import WholeRoute

router = APIRouter(tags=["probes"], route_class=WholeRoute)

FOLDER = Path(__file__).parent / "page"
HTML = "text/html"
# Nothing but our own files, and pictures that the page has made itself.
POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)


@router.get(
    "/",
    summary="What this is",
    response_model=Welcome,
    responses={
        200: {
            "description": "The page for a browser, where to go on for a program.",
            "content": {HTML: {"schema": {"type": "string"}}},
        }
    },
)
async def welcome(request: Request) -> Response:
    """Show the page to a browser, and tell a program where to go on."""
    headers = {"Vary": "Accept", "Cache-Control": "no-cache"}
    if best_of(request.headers.get("accept", ""), (JSON, HTML)) == JSON:
        return Response(Welcome().model_dump_json(), media_type=JSON, headers=headers)
    headers |= {
        "Content-Security-Policy": POLICY,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return HTMLResponse((FOLDER / "index.html").read_bytes(), headers=headers)


def page_files() -> StaticFiles:
    """The page's styles and modules, with ETags; a browser asks whether they have changed."""
    return PageFiles(directory=FOLDER)


class PageFiles(StaticFiles):
    """Files that a browser keeps and asks about each time, so that all are of one version."""

    def file_response(self, *given: object, **named: object) -> Response:
        """The file, or 304."""
        response = super().file_response(*given, **named)  # type: ignore[arg-type]
        response.headers["Cache-Control"] = "no-cache"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response
