"""Puts the service together and runs it. Nothing exists before ``create_app`` is called."""

import json
import logging
import math
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Literal, get_type_hints

import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from indexer.errors import GenerationError, IndexerError, StoreError
from indexer.protocols import Embedder, Engine
from service import (
    routes_catalogue,
    routes_collect,
    routes_enlarge,
    routes_explain,
    routes_generate,
    routes_generations,
    routes_items,
    routes_jobs,
    routes_models,
    routes_page,
    routes_probes,
    routes_reindex,
    routes_search,
    routes_sketches,
    routes_write,
)
from service.awaited import AwaitedEngine
from service.binding import check_address
from service.direct import Shortcut
from service.ending import Ending
from service.errors import (
    REQUEST_ID,
    ServiceError,
    StoreUnavailableError,
    service_problem,
    status_problem,
)
from service.gate import PREFIX, Gate, Note
from service.keys import KeyCheck, Keys, read_keys
from service.openapi import document
from service.rates import RateLimit
from service.schemas_search import SearchOptions
from service.server import Bounded, Server, end_of_process
from service.settings import Settings, unknown_variables
from service.state import State
from service.succession import Succession
from service.uploads import invalid

logger = logging.getLogger(__name__)

API_VERSION = "1"
# What a page of another origin may read beside what it always may.
EXPOSED = ["X-Request-Id", "Location", "Retry-After", "ETag", "RateLimit", "RateLimit-Policy"]


def create_app(settings: Settings, *, embedder: Embedder, engine: Engine) -> FastAPI:
    """Build the web application.

    Args:
        settings: See ``service.settings``.
        embedder: Embeds the queries.
        engine: Holds the items; closed when the application shuts down.

    Raises:
        FingerprintMismatchError: The engine's vectors were made by another embedder.
        service.keys.KeysError: The settings' keys are none.
    """
    listed = None if settings.api_keys is None else settings.api_keys.get_secret_value()
    keys = read_keys(listed, settings.api_keys_file)
    state = State.of(settings, embedder, engine)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        app.state.niteru.close()

    app = FastAPI(
        title="niteru",
        version=API_VERSION,
        summary="Finds the items of a catalogue that look like a photo.",
        lifespan=lifespan,
        docs_url=None,  # the framework's is made of files of another server
        redoc_url=None,
        redirect_slashes=False,  # an id may end in a slash
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.niteru = state

    def seat(successor: State) -> None:
        app.state.niteru = successor

    state.succession = Succession(state, seat=seat, open_engine=open_engine)
    add_routes(app)
    add_error_answers(app)
    add_layers(app, settings, keys, note=state.metrics.note_request, ending=state.ending)
    app.openapi = lambda: document(app)  # type: ignore[method-assign]
    return app


def add_routes(app: FastAPI) -> None:
    """Let the application answer its calls, and serve the files of its pages."""
    routers = (
        routes_search.router,
        routes_explain.router,
        routes_write.router,
        routes_items.router,
        routes_catalogue.router,
        routes_generations.router,
        routes_models.router,
        routes_generate.router,
        routes_enlarge.router,
        routes_sketches.router,
        routes_jobs.router,
        routes_collect.router,
        routes_reindex.router,
    )
    for router in routers:
        app.include_router(router, prefix=PREFIX)
    app.include_router(routes_probes.router)
    app.include_router(routes_page.router)
    app.mount("/page/swagger", routes_page.swagger_files())
    app.mount("/page", routes_page.page_files())


def add_layers(
    app: FastAPI, settings: Settings, keys: Keys | None, *, note: Note, ending: Ending
) -> None:
    """Put around the application what every request goes through, the innermost first."""
    app.add_middleware(Shortcut, routes=routes_search.router.routes, prefix=PREFIX)
    if settings.rate_limit is not None:
        app.add_middleware(RateLimit, per_minute=settings.rate_limit, keyed=keys is not None)
    if keys is not None:
        app.add_middleware(KeyCheck, keys=keys)
    app.add_middleware(
        Gate,
        max_upload_bytes=settings.max_upload_bytes,
        request_timeout=settings.request_timeout,
        note=note,
        ending=ending,
    )
    if settings.cors_origins:
        # Around all: a browser asks for permission before it sends a key, and a page may read why
        # something was refused, whoever refused it.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "X-API-Key", "X-Request-Id", "Prefer"],
            expose_headers=EXPOSED,
        )


def add_error_answers(app: FastAPI) -> None:
    """Answer every error with a problem, the framework's too."""

    @app.exception_handler(ServiceError)
    async def ours(request: Request, error: ServiceError) -> JSONResponse:
        return service_problem(request, error)

    @app.exception_handler(RequestValidationError)
    async def validation(request: Request, error: RequestValidationError) -> JSONResponse:
        # The parameter by which every route takes its options says which ones there are.
        model = get_type_hints(request.scope["endpoint"]).get("options", SearchOptions)
        return service_problem(request, invalid(error.errors(), model))

    @app.exception_handler(HTTPException)
    async def framework(request: Request, error: HTTPException) -> JSONResponse:
        detail = str(error.detail)
        if error.status_code == 404:
            detail = f"There is nothing at '{request.url.path}'. What there is stands at /docs."
        if error.status_code == 405:
            allowed = (error.headers or {}).get("Allow", "another method")
            detail = f"{request.method} is not possible at '{request.url.path}'; use {allowed}."
        return status_problem(request, error.status_code, detail, error.headers)

    @app.exception_handler(StoreError)
    @app.exception_handler(GenerationError)
    async def store(request: Request, error: IndexerError) -> JSONResponse:
        logger.error("[%s] %s: %s", request_id(request), type(error).__name__, error)
        hidden = StoreUnavailableError(
            "The store cannot be read at the moment. The server's log says why, under the "
            "request_id of this answer.",
            headers={"Retry-After": "5"},
        )
        return service_problem(request, hidden)

    @app.exception_handler(ClientDisconnect)
    async def gone(request: Request, _: ClientDisconnect) -> Response:
        logger.info("[%s] The client left while it was sending.", request_id(request))
        return Response(status_code=400)  # read by nobody


def request_id(request: Request) -> str:
    """The id under which the log knows this request."""
    return str(request.scope.get("state", {}).get(REQUEST_ID, "-"))


def open_engine(settings: Settings, embedder: Embedder) -> AwaitedEngine:
    """The engine over the settings' store, waiting for a first generation if there is none.

    Raises:
        FingerprintMismatchError: The store's current generation was made by another embedder.
        indexer.errors.IndexerError: The store or its current generation is damaged, or the Milvus
            server cannot be reached.
        ImportError: The engine that was asked for is not installed.
    """
    choice, fingerprint = settings.engine_choice(), embedder.fingerprint
    return AwaitedEngine(
        lambda: choice.open(settings.store, fingerprint=fingerprint), fingerprint=fingerprint
    )


class JsonLines(logging.Formatter):
    """A line of the log as a JSON object: ``time``, ``level``, ``logger``, ``message``, and more.

    What a call gives as ``extra={"told": {...}}`` stands beside them.
    """

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"time": at, "level": record.levelname, "logger": record.name}
        line |= {"message": record.getMessage(), **getattr(record, "told", {})}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)  # in ASCII: one line, whatever the locale


def plainly_named(record: logging.LogRecord) -> bool:
    """Call the web server's lines its own: it writes all of them, good or bad, as its errors."""
    if record.name == "uvicorn.error":
        record.name = "uvicorn"
    return True


def start_logging(form: Literal["text", "json"] = "text") -> None:
    """Write our own and the web server's lines to standard error, and warnings of everyone."""
    handler = logging.StreamHandler()
    text = logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s")
    handler.addFilter(plainly_named)
    handler.setFormatter(JsonLines() if form == "json" else text)
    logging.basicConfig(handlers=[handler])
    logging.captureWarnings(capture=True)  # else they are lines of another form
    for name in ("service", "indexer", "models", "uvicorn"):
        logging.getLogger(name).setLevel(logging.INFO)
    # It warns of every odd byte in a form; the gate's line says what came of it.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)


def announce(state: State) -> None:
    """Say in the log what is served, or what to run so that something is."""
    generation, store = state.searcher.serving(), state.settings.store
    if generation is None:
        logger.warning(
            "Nothing has been indexed in '%s' yet: searches are answered 503 until this has run: "
            "niteru index CATALOGUE --store %s%s",
            store,
            store,
            "" if state.settings.engine == "faiss" else f" --engine {state.settings.engine}",
        )
    else:
        count = len(state.searcher.engine)
        logger.info("Serving generation %s of '%s', %d items.", generation, store, count)


def run_server(settings: Settings, *, embedder: Embedder, engine: Engine | None = None) -> None:
    """Serve until a signal; what was taken is finished first, see ``service.ending``.

    Args:
        settings: See ``service.settings``.
        embedder: Embeds the queries.
        engine: Holds the items; without it, the one over ``settings.store``.

    Raises:
        FingerprintMismatchError: The index was made with other weights.
        indexer.errors.IndexerError: The store or its current generation is damaged.
        service.binding.AddressError: Nobody can listen there, for instance as somebody does.
    """
    check_address(settings.host, settings.port)
    start_logging(settings.log_format)
    for warning in unknown_variables(os.environ):
        logger.warning("%s", warning)
    app = create_app(
        settings,
        embedder=embedder,
        engine=engine if engine is not None else open_engine(settings, embedder),
    )
    announce(app.state.niteru)
    if app.state.niteru.decoders is not None:
        app.state.niteru.decoders.warm()
    config = uvicorn.Config(
        app,
        http=Bounded,
        host=settings.host,
        port=settings.port,
        log_config=None,  # uvicorn's lines go where ours go
        access_log=False,  # the gate writes one line per request, with its id
        server_header=False,
        # Believed of nobody else: who writes the header decides whose requests are counted.
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        timeout_graceful_shutdown=math.ceil(settings.request_timeout) + 1,
    )
    ending = app.state.niteru.ending
    server = Server(config, ending=ending, drain_seconds=settings.drain_seconds)
    server.run()
    if not server.started:
        sys.exit(1)
    end_of_process()
