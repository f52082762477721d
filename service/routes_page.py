"""``/`` and ``/docs`` for people: the page, the API to try out, and the files they are made of.

Every file comes from this server: a script of somebody else's could read the key that a browser
keeps for this origin, and a server without a way to the internet shows its API all the same.
"""

from importlib.util import find_spec
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
DOCS_POLICY = POLICY + "; style-src 'self' 'unsafe-inline'"  # Swagger UI sets styles by itself


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
    return show("index.html", POLICY, headers)


@router.get("/docs", include_in_schema=False)
async def docs() -> Response:
    """Show the API, to be tried out."""
    return show("docs.html", DOCS_POLICY, {"Cache-Control": "no-cache"})


def show(name: str, policy: str, headers: dict[str, str]) -> HTMLResponse:
    """A page of ours, and what a browser may load with it."""
    guards = {
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return HTMLResponse((FOLDER / name).read_bytes(), headers=headers | guards)


def page_files() -> StaticFiles:
    """The page's styles and modules, with ETags; a browser asks whether they have changed."""
    return PageFiles(directory=FOLDER)


def swagger_files() -> StaticFiles:
    """Swagger UI, as a package brings it.

    Raises:
        RuntimeError: The package is not there.
    """
    found = find_spec("fastapi_offline")
    if found is None or found.origin is None:
        raise RuntimeError("fastapi-offline is not installed, so /docs has nothing to show.")
    return PageFiles(directory=Path(found.origin).parent / "static")


class PageFiles(StaticFiles):
    """Files that a browser keeps and asks about each time, so that all are of one version."""

    def file_response(self, *given: object, **named: object) -> Response:
        """The file, or 304."""
        response = super().file_response(*given, **named)  # type: ignore[arg-type]
        response.headers["Cache-Control"] = "no-cache"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response
