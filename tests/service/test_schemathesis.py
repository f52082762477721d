"""The API against its own description, by requests that schemathesis makes up: none is answered
with something that is not described, and none with an error of the server.
"""

import json
import warnings
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from indexer.engines.faiss_engine import FaissEngine
from service.app import create_app
from service.settings import Settings
from tests.service.listening import listening

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it asks jsonschema for what will be gone one day
    schemathesis = pytest.importorskip(
        "schemathesis", reason="schemathesis is not installed: pip install '.[dev]'"
    )

EXAMPLES = 12  # of each call
# A schema cannot say that bytes are a photo, or that one of two members has to be there: what it
# lets pass may well be refused. That the refusal is a described one, is checked.
BEYOND_A_SCHEMA = import_module("schemathesis.specs.openapi.checks").positive_data_acceptance
# The embedder of this server comes from no weights, so that it cannot draw: 501, as described.
WITHOUT_DECODER = "/v1/explain"
NO_SERVER_ERROR = schemathesis.checks.not_a_server_error
GOLDEN = Path(__file__).parents[1] / "golden" / "openapi.json"
CALLS = [
    (method.upper(), path)
    for path, calls in json.loads(GOLDEN.read_text("utf-8"))["paths"].items()
    for method in calls
]


@pytest.fixture(scope="module")
def api(tmp_path_factory, publish, entries, embedder, folder):
    """The description of a server with a store of its own, which the requests may change."""
    store = tmp_path_factory.mktemp("schemathesis") / "store"
    publish(store, entries, embedder)
    given = Settings(
        store=store, catalogue=folder, refresh_interval=0, decoders=0, job_wait=0.0, max_jobs=2
    )
    app = create_app(given, embedder=embedder, engine=FaissEngine.open(store))
    with listening(app) as address:
        yield schemathesis.openapi.from_url(f"{address}openapi.json")


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_the_api_does_what_its_description_says(api, method, path):
    excluded = [BEYOND_A_SCHEMA, *([NO_SERVER_ERROR] if path == WITHOUT_DECODER else [])]

    @given(case=api[path][method].as_strategy())
    @settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    def run(case):
        case.call_and_validate(excluded_checks=excluded)

    run()
