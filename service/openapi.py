"""The API's description, as served at ``/openapi.json`` and kept in ``tests/golden``."""

import json
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from service.cropping import MOST_CROPS
from service.errors import (
    PROBLEM_JSON,
    CannotExplainError,
    CannotGenerateError,
    CannotReindexError,
    CollectingFailedError,
    KeyRequiredError,
    NoDecoderError,
    NoResultError,
    NoWeightsError,
    PhotoMissingError,
    ReindexFailedError,
    ReindexInterruptedError,
    ReindexRunningError,
    RoleTooLowError,
    ServiceError,
    StoreBusyError,
    UnableModelError,
    UnfitGenerationError,
    UnknownGenerationError,
    UnknownItemError,
    UnknownJobError,
    UnknownModelError,
    UnknownWeightsError,
    UnusableImageError,
    UrlFailedError,
    UrlRefusedError,
)
from service.keys import role_needed
from service.openapi_forms import REF, form_schemas, one_of
from service.queries import FOR, NEGATIVES, POSITIVES
from service.schemas import EmbedUrlQuery, ExplainUrlQuery, Problem
from service.schemas_items import BatchItem, BatchOptions, ItemOptions
from service.schemas_jobs import CollectOptions, CollectResponse, ReindexOptions, ReindexResponse
from service.schemas_models import (
    ArithmeticOptions,
    FrameOptions,
    InterpolationOptions,
    SampleOptions,
)
from service.schemas_search import (
    EXAMPLES,
    BatchSearchOptions,
    ExamplesQuery,
    ItemQuery,
    UrlQuery,
)
from service.schemas_sketches import (
    SketchArithmeticQuery,
    SketchCompletionQuery,
    SketchInterpolationQuery,
    SketchReconstructionQuery,
)

# A crop as JSON may have it.
SIDES = {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4}
DESCRIPTION = (
    "Errors are `application/problem+json` (RFC 9457); each kind has a `type` of its own. Every "
    "answer carries `X-Request-Id`, under which the server's log knows the request."
)
# Which errors an operation can answer, by the first segments of its path; $ ends one.
UPLOAD_STATUSES = (400, 408, 413, 415, 422, 429, 503, 504)
STATUSES: dict[str, tuple[int, ...]] = {
    "/v1/": (422,),  # a query string with what a call does not have
    "/v1/search": (404, *UPLOAD_STATUSES),
    "/v1/search$": (502,),
    "/v1/embed": (502, *UPLOAD_STATUSES),
    "/v1/explain": (400, 408, 413, 415, 422, 429, 501, 502, 503, 504),
    "/v1/items": (404, 429, 503, 504),
    "/v1/items/{item_id}/explain": (501,),
    "/v1/generations": (503, 504),
    "/v1/generations/{generation_id}": (404, 409),
    "/v1/generations/collect": (408, 413, 415, 429),
    "/v1/facets": (503, 504),
    "/v1/map": (503, 504),
    "/v1/models": (501, 504),
    "/v1/models/{name}": (404, 501, 504),
    "/v1/models/{name}/": (400, 404, 408, 409, 413, 415, 422, 429, 501, 504),
    "/v1/jobs/": (404, 504),
    "/v1/jobs/{job_id}/result": (404, 409, 422, 501, 504),
    "/v1/reindex": (404, 408, 409, 413, 415, 422, 429, 501, 504),
    "/readyz": (503, 504),
}
# Beside these, of calls that change items.
WRITES: dict[str, tuple[int, ...]] = {
    "post": (400, 408, 409, 413, 415, 422),
    "put": (400, 408, 409, 413, 415, 422),
    "patch": (408, 409, 413, 415, 422),
    "delete": (409,),
}
# Errors that only calls with these prefixes answer; the others of their status are everyone's.
MODELS, ONE_MODEL = "/v1/models", "/v1/models/{name}/"
EXPLAINS = ("/v1/explain", "/v1/items/{item_id}/explain")
ONLY: dict[type[ServiceError], tuple[str, ...]] = {
    UnknownItemError: ("/v1/search", "/v1/items"),
    PhotoMissingError: ("/v1/search", "/v1/items"),
    UrlRefusedError: ("/v1/search", "/v1/embed", "/v1/explain"),
    UrlFailedError: ("/v1/search$", "/v1/embed", "/v1/explain"),
    UnusableImageError: (
        "/v1/search",
        "/v1/embed",
        "/v1/explain",
        "/v1/items",
        ONE_MODEL,
        "/v1/jobs/{job_id}/result",
    ),
    NoDecoderError: EXPLAINS,
    CannotExplainError: EXPLAINS,
    StoreBusyError: ("/v1/items", "/v1/generations/{generation_id}", "/v1/jobs/"),
    UnknownGenerationError: ("/v1/generations/{generation_id}",),
    UnfitGenerationError: ("/v1/generations/{generation_id}",),
    UnknownModelError: (MODELS,),
    UnknownWeightsError: (ONE_MODEL, "/v1/reindex"),
    NoWeightsError: (ONE_MODEL,),
    UnknownJobError: ("/v1/jobs/",),
    ReindexRunningError: ("/v1/reindex",),
    ReindexFailedError: ("/v1/jobs/",),
    CollectingFailedError: ("/v1/jobs/",),
    ReindexInterruptedError: ("/v1/jobs/",),
    CannotReindexError: ("/v1/reindex",),
    NoResultError: (ONE_MODEL, "/v1/jobs/"),
    UnableModelError: (ONE_MODEL, "/v1/jobs/"),
    CannotGenerateError: (MODELS, "/v1/jobs/"),
}


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of the application, made once."""
    if app.openapi_schema is None:
        described = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            description=DESCRIPTION,
            routes=app.routes,
        )
        schemas = described["components"]["schemas"]
        schemas.update(extra_schemas())
        restore_examples(schemas, BaseModel)
        # The framework's own shape of an error, which is never sent.
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        for path, operations in described["paths"].items():
            for method, operation in operations.items():
                describe_errors(path, method, operation["responses"])
                describe_key(path, method, operation)
        described["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        described["components"]["schemas"] = dict(sorted(schemas.items()))
        app.openapi_schema = described
    return app.openapi_schema


def restore_examples(schemas: dict[str, Any], parent: type[BaseModel]) -> None:
    """Put back what is null in an example, which the framework leaves out of what it describes."""
    for model in parent.__subclasses__():
        extra = model.model_config.get("json_schema_extra")
        if model.__module__.startswith("service.") and isinstance(extra, dict):
            schema = schemas.get(model.__name__, {})
            if "examples" in schema:
                schema["examples"] = extra["examples"]
        restore_examples(schemas, model)


def extra_schemas() -> dict[str, Any]:
    """Schemas of what is read by hand: bodies and problems."""
    schemas: dict[str, Any] = {}
    bodies: tuple[type[BaseModel], ...] = (
        ItemQuery, UrlQuery, ExamplesQuery, Problem, SampleOptions, InterpolationOptions,
        ArithmeticOptions, FrameOptions, SketchCompletionQuery, SketchReconstructionQuery,
        SketchInterpolationQuery, SketchArithmeticQuery, ReindexOptions, ReindexResponse,
        CollectOptions, CollectResponse, ItemOptions, BatchOptions, BatchSearchOptions,
        EmbedUrlQuery, ExplainUrlQuery,
    )  # fmt: skip
    for model in bodies:
        schema = model.model_json_schema(ref_template=REF)
        schemas.update(schema.pop("$defs", {}))
        schemas[model.__name__] = schema
    for model in (
        ItemOptions, BatchItem, ItemQuery, UrlQuery, ExamplesQuery, BatchSearchOptions,
        EmbedUrlQuery, ExplainUrlQuery,
    ):  # fmt: skip
        allow_objects(schemas[model.__name__]["properties"])
    schemas |= form_schemas()
    one_of(schemas["BatchOptions"], "items", "delete")
    examples = schemas["ExamplesQuery"]
    one_of(examples, *FOR)
    for named in examples["anyOf"]:
        named["properties"] = {name: {"minItems": 1} for name in named["required"]}
    for name in (POSITIVES, NEGATIVES):
        examples["properties"][name] |= {"maxItems": EXAMPLES}
    crop = examples["properties"]["crop"]
    crop["anyOf"] = [{"type": "string"}, SIDES, {"type": "null"}, {
        "type": "array", "items": {"anyOf": [crop.pop("items"), SIDES]}, "maxItems": MOST_CROPS,
    }]  # fmt: skip
    for name in ("type", "maxItems"):
        del crop[name]
    return schemas


def allow_objects(properties: dict[str, Any]) -> None:
    """Say that what is text in a query or a form may be an object in JSON."""
    scalar = {"type": ["string", "number", "boolean", "null"]}
    objects = {
        "attributes": {"type": "object", "additionalProperties": scalar},
        "filter": {"type": "object"},
        "crop": SIDES,
    }
    for name in objects.keys() & properties.keys():
        field = properties[name]
        if field.get("type") == "array":  # several crops, which are told apart elsewhere
            continue
        texts = field.pop("anyOf", None) or [{"type": field.pop("type")}]
        field["anyOf"] = [*texts, objects[name]]


def describe_errors(path: str, method: str, responses: dict[str, Any]) -> None:
    """Put an operation's problems in place of what the framework supposes."""
    responses.pop("422", None)
    titles: dict[int, list[str]] = {}
    for error in ServiceError.__subclasses__():
        if not f"{path}$".startswith(ONLY.get(error, ("",))):
            continue
        titles.setdefault(error.status, []).append(f"{error.title} (`{error.slug}`)")
    writes = {"/v1/items": WRITES[method]} if method in WRITES else {}
    for prefix, statuses in (*STATUSES.items(), *writes.items()):
        if f"{path}$".startswith(prefix):
            for status in statuses:
                responses[str(status)] = problem_response("; or: ".join(titles[status]))
    responses["500"] = problem_response("The server failed (`internal-error`)")


def describe_key(path: str, method: str, operation: dict[str, Any]) -> None:
    """Say that an operation needs a key where the server has keys."""
    needed = role_needed(method.upper(), path)
    if needed is None:
        return
    operation["security"] = [{}, {"key": []}]
    for error in (KeyRequiredError, RoleTooLowError):
        operation["responses"][str(error.status)] = problem_response(
            f"{error.title} (`{error.slug}`); the role needed is `{needed}`"
        )


def problem_response(description: str) -> dict[str, Any]:
    """A response with a problem."""
    schema = {"$ref": REF.format(model=Problem.__name__)}
    return {"description": description, "content": {PROBLEM_JSON: {"schema": schema}}}


def render(app: FastAPI) -> str:
    """The document as it is committed."""
    return json.dumps(document(app), indent=2, ensure_ascii=False) + "\n"
