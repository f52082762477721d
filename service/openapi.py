"""The API's description, as served at ``/openapi.json`` and kept in ``tests/golden``."""

import json
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from service.errors import (
    PROBLEM_JSON,
    KeyRequiredError,
    NoDecoderError,
    RoleTooLowError,
    ServiceError,
)
from service.keys import role_needed
from service.schemas import ExplainOptions, ItemQuery, Problem, SearchOptions

REF = "#/components/schemas/{model}"
DESCRIPTION = (
    "Errors are `application/problem+json` (RFC 9457); each kind has a `type` of its own. Every "
    "answer carries `X-Request-Id`, under which the server's log knows the request."
)
# Which errors an operation can answer, by the first segments of its path.
UPLOAD_STATUSES = (400, 408, 413, 415, 422, 429, 503, 504)
STATUSES: dict[str, tuple[int, ...]] = {
    "/v1/search": (404, *UPLOAD_STATUSES),
    "/v1/embed": UPLOAD_STATUSES,
    "/v1/explain": (400, 408, 413, 415, 422, 429, 501, 503, 504),
    "/v1/items": (404, 429, 503, 504),
    "/v1/generations": (503, 504),
    "/readyz": (503, 504),
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
        # The framework's own shape of an error, which is never sent.
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        for path, operations in described["paths"].items():
            for method, operation in operations.items():
                describe_errors(path, operation["responses"])
                describe_key(path, method, operation)
        described["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        described["components"]["schemas"] = dict(sorted(schemas.items()))
        app.openapi_schema = described
    return app.openapi_schema


def extra_schemas() -> dict[str, Any]:
    """Schemas of what is read by hand: bodies and problems."""
    schemas: dict[str, Any] = {}
    for model in (ItemQuery, Problem):
        schema = model.model_json_schema(ref_template=REF)
        schemas.update(schema.pop("$defs", {}))
        schemas[model.__name__] = schema
    image = {
        "type": "string",
        "format": "binary",
        "description": "The file: JPEG, PNG or WebP.",
    }
    for name, description, options in (
        ("SearchForm", "A photo and how to search with it.", SearchOptions),
        ("ExplainForm", "A photo and how to explain it.", ExplainOptions),
    ):
        fields = options.model_json_schema(ref_template=REF)["properties"]
        schemas[name] = form(description, {"image": image, **fields})
    schemas["ImageForm"] = form("A photo.", {"image": image})
    return schemas


def form(description: str, properties: dict[str, Any]) -> dict[str, Any]:
    """The schema of a form with a file field ``image``."""
    return {
        "type": "object",
        "title": description,
        "properties": properties,
        "required": ["image"],
        "additionalProperties": False,
    }


def describe_errors(path: str, responses: dict[str, Any]) -> None:
    """Put an operation's problems in place of what the framework supposes."""
    responses.pop("422", None)
    titles: dict[int, list[str]] = {}
    for error in ServiceError.__subclasses__():
        if error is NoDecoderError and path != "/v1/explain":
            continue  # the others of its status are everyone's
        titles.setdefault(error.status, []).append(f"{error.title} (`{error.slug}`)")
    for prefix, statuses in STATUSES.items():
        if path.startswith(prefix):
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
