"""Every operation of the description has a method of the Python clients, with all its options."""

import inspect
import json
import re
from pathlib import Path

import httpx
import pytest

from service.client import Client

DESCRIPTION = json.loads((Path(__file__).parents[1] / "golden" / "openapi.json").read_text("utf-8"))
SCHEMAS = DESCRIPTION["components"]["schemas"]
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, operations in DESCRIPTION["paths"].items()
    for method, operation in operations.items()
}
# What each method is called with. Those that make no call of their own: a call is sent by them.
SENDERS = {"send", "start", "wait", "close"}
CALLED = {
    "search": [b"photo"],
    "search_batch": [[b"photo"]],
    "embed": [b"photo"],
    "explain": [b"photo"],
    "explain_sheet": [b"photo"],
    "explain_item": ["a"],
    "explain_item_sheet": ["a"],
    "item": ["a"],
    "item_image": ["a"],
    "put_item": ["a", b"photo"],
    "change_item": ["a", {}],
    "delete_item": ["a"],
    "write_items": [],
    "welcome": [],
    "alive": [],
    "healthy": [],
    "ready": [],
    "metrics": [],
    "generations": [],
    "activate": ["one"],
    "facets": [],
    "catalogue_map": [],
    "models": [],
    "model": ["vae"],
    "samples": ["vae"],
    "completions": ["vae", b"photo"],
    "enlargements": ["multiscale", b"small"],
    "reconstructions": ["vae", [b"photo"]],
    "interpolations": ["vae"],
    "arithmetic": ["vae", [1]],
    "frames": ["draw"],
    "likelihoods": ["vae", [b"photo"]],
    "complete_sketch": ["sketch_rnn", "M 0 0"],
    "reconstruct_sketches": ["sketch_rnn", ["M 0 0"]],
    "interpolate_sketches": ["sketch_rnn", ["M 0 0"]],
    "add_sketches": ["sketch_rnn", ["M 0 0"]],
    "reindex": [],
    "collect": [],
    "jobs": [],
    "job": ["j"],
    "cancel": ["j"],
    "result": ["j"],
    "events": ["j"],
}
# What the client calls otherwise than the API does, and what it decides itself.
NAMES = {"image": {"photo", "photos", "items", "small"}, "mask": {"mask"}, "format": set()}


def operation_of(name: str) -> str:
    """The operation that a method of the client calls, by what it sends."""
    sent: list[str] = []

    def note(request: httpx.Request) -> httpx.Response:
        sent.append(f"{request.method} {request.url.raw_path.decode().partition('?')[0]}")
        return httpx.Response(418, json={})

    with Client("http://niteru.test", transport=httpx.MockTransport(note)) as client:
        outcome = getattr(client, name)
        with pytest.raises(Exception, match="418"):
            list(outcome(*CALLED[name]))
    (line,) = sent
    # Of two that fit, "/v1/items/batch" and "/v1/items/{item_id}", the one with fewer names.
    fitting = [one for one in OPERATIONS if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", one), line)]
    return min(fitting, key=lambda one: one.count("{"), default=f"{line}, which is no operation")


def methods() -> set[str]:
    return {name for name in vars(Client) if not name.startswith("_")} - SENDERS


def test_every_operation_has_a_method_and_every_method_an_operation():
    assert methods() == set(CALLED)
    called = {name: operation_of(name) for name in CALLED}
    assert set(called.values()) == set(OPERATIONS)


def options_of(operation) -> set[str]:
    """The options that an operation takes, wherever they may stand."""
    found = {one["name"] for one in operation.get("parameters", []) if one["in"] == "query"}
    for media in operation.get("requestBody", {}).get("content", {}).values():
        for schema in media["schema"].get("anyOf", [media["schema"]]):
            name = schema.get("$ref", "").rpartition("/")[2]
            found |= set(SCHEMAS.get(name, {}).get("properties", {}))
    return found


@pytest.mark.parametrize("name", sorted(CALLED))
def test_every_option_of_an_operation_can_be_given(name):
    taken = set(inspect.signature(getattr(Client, name)).parameters)
    lacking = {
        option
        for option in options_of(OPERATIONS[operation_of(name)])
        if not taken & NAMES.get(option, {option}) and NAMES.get(option) != set()
    }
    assert lacking == set()
