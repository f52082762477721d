"""The description against the service: what it allows is made up, sent, and the answers compared.

Whether all that the description allows is accepted is not asked: how many pictures may be drawn,
for instance, is a setting, and bytes that are no photo are refused.
"""

import json
import os
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from indexer.engines.faiss_engine import FaissEngine
from indexer.torch_embedder import TorchEmbedder
from service.app import create_app
from service.settings import Settings
from tests.service.conftest import Client, draw

schemathesis = pytest.importorskip("schemathesis", reason="the extra dev has schemathesis")
jsonschema = pytest.importorskip("jsonschema_rs", reason="it comes with schemathesis")
requests = pytest.importorskip("requests", reason="it comes with schemathesis")
from schemathesis import GenerationMode  # noqa: E402 - only where it is installed
from schemathesis.checks import CHECKS, load_all_checks  # noqa: E402

DESCRIPTION = json.loads((Path(__file__).parents[1] / "golden" / "openapi.json").read_text("utf-8"))
OPERATIONS = [
    found.ok() for found in schemathesis.openapi.from_dict(DESCRIPTION).get_all_operations()
]
FITTING, WRONG = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
EXAMPLES = {FITTING: 8, WRONG: 6}
ANSWERS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
PHOTOS = [draw(1, kind="JPEG"), draw(2), draw(3, kind="WEBP"), draw(4)[:300]]
BOUNDED = settings(
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module", autouse=True)
def generators():
    """Photos where a file is asked for."""
    load_all_checks()
    some = st.sampled_from(PHOTOS)
    schemathesis.openapi.format("binary", some)
    for kind in ("image/jpeg", "image/png", "image/webp", "application/octet-stream"):
        schemathesis.openapi.media_type(kind, some | st.binary(max_size=40))


@pytest.fixture(scope="module")
def served(tmp_path_factory, gallery, publish, entries, folder):
    """A service that can do everything, in small."""
    store = tmp_path_factory.mktemp("described") / "store"
    weights = gallery / "weights" / "pixelvae"
    learned = TorchEmbedder.load(weights)
    publish(store, entries, learned)
    given = {"store": store, "catalogue": folder, "weights": str(weights), "decoders": 0}
    bounds = {"max_pictures": 4, "max_side": 16, "job_wait": 2, "threads": 2}
    engine = FaissEngine.open(store, fingerprint=learned.fingerprint)
    app = create_app(Settings(**given, **bounds), embedder=learned, engine=engine)
    before = Path.cwd()
    os.chdir(gallery)
    client = Client(app)
    yield client
    client.close()
    os.chdir(before)


def names_of(client):
    """What really is there, for paths: made-up names alone would all be 404."""
    listed = client.get("/v1/jobs").json()["jobs"]
    generations = client.get("/v1/generations").json()["generations"]
    return {
        "name": ["vae", "pixelcnn", "draw", "gan", "pixelvae", "sketch_rnn"],
        "item_id": ["hats/03", "hats/04", "shoes/image", "image", "a b/ü%2F?#&+"],
        "job_id": [job["id"] for job in listed] or ["none"],
        "generation_id": [generation["id"] for generation in generations],
    }


def send(client, case):
    """Send a case as it is, and answer what came back."""
    told = case.as_transport_kwargs(base_url="http://niteru.test")
    known = ("method", "url", "headers", "params", "data", "json", "files", "cookies")
    made = requests.Request(**{name: told[name] for name in known if name in told}).prepare()
    body = made.body.encode() if isinstance(made.body, str) else made.body
    return client.request(made.method, made.url, headers=dict(made.headers), content=body)


def is_form(case):
    """Whether the body has nothing but texts, in which `{}` and `0` are as good as any."""
    return case.media_type == "multipart/form-data"


def cases():
    """Each operation with what fits, and with what does not where there is something to say."""
    last = sorted(OPERATIONS, key=lambda operation: operation.method.upper() == "DELETE")
    for operation in last:
        for mode in (FITTING, WRONG):
            if mode is FITTING or operation.body or operation.query:
                name = f"{operation.method.upper()} {operation.path} {mode.value}"
                yield pytest.param(operation, mode, id=name)


@pytest.mark.parametrize(("operation", "mode"), list(cases()))
def test_answers_are_as_described(operation, mode, served):
    statuses = set()

    @settings(BOUNDED, max_examples=EXAMPLES[mode])
    @given(operation.as_strategy(generation_mode=mode), st.data())
    def run(case, data):
        if mode is FITTING:
            for name, known in names_of(served).items():
                if name in (case.path_parameters or {}) and data.draw(st.booleans()):
                    case.path_parameters[name] = quote(data.draw(st.sampled_from(known)), safe="")
        answer = send(served, case)
        statuses.add(answer.status_code)
        names = [*ANSWERS]
        if mode is WRONG and not is_form(case):
            names.append("negative_data_rejection")
        case.validate_response(answer, checks=CHECKS.get_by_names(names))

    run()
    assert statuses


def test_events_of_a_job_are_as_described(served):
    started = served.post("/v1/models/vae/samples?n=2", headers={"prefer": "respond-async"}).json()
    (operation,) = (one for one in OPERATIONS if one.path.endswith("/events"))
    case = operation.Case(path_parameters={"job_id": started["id"]})
    answer = send(served, case)
    assert "event: end" in answer.text
    case.validate_response(answer, checks=CHECKS.get_by_names(ANSWERS))


def validator(name):
    """A schema of the description by its name."""
    schemas = DESCRIPTION["components"]["schemas"]
    return jsonschema.validator_for(
        {"$ref": f"#/components/schemas/{name}", "components": {"schemas": schemas}}
    )


ITEM = "/v1/items/hats/03"


@pytest.mark.parametrize(
    ("method", "path", "schema", "body", "fits"),
    [
        ("POST", "/v1/search", "ExamplesQuery", {"limit": 3}, False),
        ("POST", "/v1/search", "ExamplesQuery", {"positives": []}, False),
        ("POST", "/v1/search", "ExamplesQuery", {"positives": ["hats/03"] * 17}, False),
        ("POST", "/v1/search", "ExamplesQuery", {"positives": ["hats/03"]}, True),
        ("POST", "/v1/search", "ItemQuery", {"item_id": "hats/03", "filter": {"must": []}}, True),
        ("POST", "/v1/search", "ItemQuery", {"item_id": "hats/03", "filter": "{}"}, True),
        ("POST", "/v1/search", "ItemQuery", {"item_id": "hats/03", "filter": []}, False),
        ("POST", "/v1/search", "ItemQuery", {"item_id": "hats/03", "limit": "3"}, False),
        ("POST", "/v1/search/batch", "BatchSearchOptions", {"item_ids": ["hats/03"]}, True),
        ("PATCH", ITEM, "ItemOptions", {"attributes": {"price": 3, "note": None}}, True),
        ("PATCH", ITEM, "ItemOptions", {"attributes": '{"price": 3}'}, True),
        ("PATCH", ITEM, "ItemOptions", {"attributes": {"sizes": [1]}}, False),
        ("POST", "/v1/items/batch", "BatchOptions", {}, False),
        ("POST", "/v1/items/batch", "BatchOptions", {"delete": ["none"]}, True),
        ("POST", "/v1/items/batch", "BatchOptions",
         {"items": [{"id": "hats/03", "attributes": {"n": 1}}]}, True),
        ("POST", "/v1/reindex", "ReindexOptions", {"prune": 0}, False),
    ],
)  # fmt: skip
def test_the_description_and_the_service_agree_on_a_body(served, method, path, schema, body, fits):
    assert validator(schema).is_valid(body) is fits
    served.request("PUT", ITEM, content=PHOTOS[0])
    answer = served.request(method, path, json=body)
    assert (answer.status_code < 300) is fits, answer.text
    assert fits or answer.status_code == 422


def test_a_form_without_a_photo_fits_neither(served, check_problem):
    boundary = {"content-type": "multipart/form-data; boundary=b"}
    for path, schema in (("/v1/search", "SearchForm"), ("/v1/items/batch", "BatchForm")):
        assert not validator(schema).is_valid({})
        answer = served.post(path, content=b"--b--\r\n", headers=boundary)
        check_problem(answer, 422, "invalid-request")
