"""What the description shows is sent to a service, which takes it; what it shows fits itself."""

import csv
import io
import json
from pathlib import Path

import pytest
from PIL import Image

from indexer.catalogues.memory import MemoryCatalogue
from indexer.engines.faiss_engine import FaissEngine
from indexer.pipeline import index_catalogue
from indexer.protocols import Entry
from indexer.torch_embedder import TorchEmbedder
from service.app import create_app
from service.schemas import ITEM_EXAMPLE, URL_EXAMPLE
from service.settings import Settings
from tests.service.conftest import Client, draw

DESCRIPTION = json.loads((Path(__file__).parents[1] / "golden" / "openapi.json").read_text("utf-8"))
SCHEMAS = DESCRIPTION["components"]["schemas"]
NAMES = (ITEM_EXAMPLE["id"], "shoes/boot-3", "shoes/canvas-high-2", "bags/tote-1")
# A model that can do what a call asks for.
ABLE = {"frames": "draw", "completions": "pixelcnn", "enlargements": "multiscale"}
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><path d="M 0 0 L 40 40 L 80 0"/></svg>'


@pytest.fixture(scope="module")
def shop(tmp_path_factory, make_weights):
    """A service with the items, the models and the URL that the examples name."""
    folder = tmp_path_factory.mktemp("shop")
    weights = folder / "weights"
    for name in ("pixelvae", "vae", "draw", "multiscale", "sketch_rnn"):
        make_weights(weights / name, name=name)
    make_weights(weights / "pixelcnn", name="pixelcnn", changes={"size": 16})
    embedder = TorchEmbedder.load(weights / "pixelvae")
    entries = []
    with (folder / "items.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "path", "category", "price"])
        for number, name in enumerate(NAMES):
            (folder / f"{number}.png").write_bytes(draw(number))
            rows.writerow([name, f"{number}.png", "shoes", 20 + number])
            told = {"category": "shoes", "price": 20 + number}
            entries.append(Entry(name, str(folder / f"{number}.png"), told))
    store = folder / "store"
    index_catalogue(MemoryCatalogue(entries), store, embedder, workers=1, batch=8)
    app = create_app(
        Settings(
            store=store, catalogue=str(folder / "items.csv"), weights=str(weights / "pixelvae"),
            decoders=0, threads=2, job_wait=100.0, request_timeout=150.0, fetch_urls=True,
        ),
        embedder=embedder,
        engine=FaissEngine.open(store, fingerprint=embedder.fingerprint),
    )  # fmt: skip
    client = Client(app)
    yield client
    client.close()


class OnePhoto:
    """Fetches what the examples name, from nowhere."""

    async def fetch(self, url):
        assert url == URL_EXAMPLE
        return draw(0)


@pytest.fixture
def served(shop, monkeypatch, tmp_path_factory):
    """The same, where its weights are, with a web of one photo."""
    monkeypatch.chdir(shop.app.state.niteru.settings.store.parent)
    monkeypatch.setattr(shop.app.state.niteru, "fetcher", OnePhoto())
    for number, name in enumerate(NAMES):  # an example before may have deleted or changed it
        path = f"/v1/items/{name}"
        told = {"attributes": json.dumps({"category": "shoes", "price": 20 + number})}
        assert shop.request("PUT", path, content=draw(number), params=told).is_success
    return shop


def schemas_of(schema):
    """The schemas of the description that may stand there."""
    for one in schema.get("anyOf", [schema]):
        if "$ref" in one:
            yield SCHEMAS[one["$ref"].rpartition("/")[2]]


def bodies():
    """Every operation with each example of a body that it takes."""
    for path, operations in DESCRIPTION["paths"].items():
        for method, operation in operations.items():
            for kind, content in operation.get("requestBody", {}).get("content", {}).items():
                for schema in schemas_of(content["schema"]):
                    for example in schema["examples"]:
                        name = f"{method.upper()} {path} {kind}"
                        yield pytest.param(method, path, kind, schema, example, id=name)


def is_file(schema):
    return schema.get("format") == "binary" or any(map(is_file, schema.get("anyOf", ())))


def file_of(name, seed):
    """A drawing, a small picture, or a photo: what its name says."""
    if name.endswith(".svg"):
        return SVG
    if name != "small.png":
        return draw(seed)
    file = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(file, "PNG")
    return file.getvalue()


def form_of(schema, example, text):
    """A form as it is sent: names of files become files."""
    parts = []
    for name, value in example.items():
        known = schema["properties"].get(name, schema["additionalProperties"])
        several = known.get("type") == "array"
        for one in value if several else [value]:
            if is_file(known["items"] if several else known):
                parts.append((name, (one, file_of(one, len(parts)))))
            else:
                parts.append((name, (None, text(one))))
    return parts


def text(value):
    return value if isinstance(value, str) else json.dumps(value)


@pytest.mark.parametrize(("method", "path", "kind", "schema", "example"), list(bodies()))
def test_an_example_of_a_body_is_taken(served, method, path, kind, schema, example):
    model = ABLE.get(path.rpartition("/")[2], "vae")
    called = path.format(
        item_id=ITEM_EXAMPLE["id"], name="sketch_rnn" if "/sketches/" in path else model
    )
    sent = {"json": example} if kind == "application/json" else {
        "files": form_of(schema, example, text)
    }  # fmt: skip
    answer = served.request(method, called, **sent)
    assert answer.is_success, answer.text
    told = json.loads(answer.text) if "json" in answer.headers["content-type"] else {}
    for one in [*told.get("answers", []), *told.get("items", [])]:
        assert one.get("status", 200) in {200, 201, 204}, one
    if path == "/v1/reindex":
        assert served.get(told["events"]).text.count("event: end") == 1


def shown(node, path=()):
    """Every schema with examples of its own, anywhere in the description, with its place."""
    if isinstance(node, dict):
        if isinstance(node.get("examples"), list) and path[-1:] != ("properties",):
            yield "/".join(map(str, path)), node
        for key, value in node.items():
            if key != "examples":
                yield from shown(value, (*path, key))
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from shown(value, (*path, number))


@pytest.mark.parametrize(("place", "schema"), list(shown(DESCRIPTION)))
def test_an_example_fits_its_schema(place, schema):
    jsonschema = pytest.importorskip("jsonschema_rs", reason="it comes with schemathesis")
    checked = jsonschema.validator_for(schema | {"components": {"schemas": SCHEMAS}})
    for example in schema["examples"]:
        checked.validate(example)


def parameters():
    """Every operation with each parameter that has an example."""
    for path, operations in DESCRIPTION["paths"].items():
        for method, operation in operations.items():
            for parameter in operation.get("parameters", ()):
                for schema in (parameter["schema"], *parameter["schema"].get("anyOf", ())):
                    for example in schema.get("examples", ()):
                        name = f"{method.upper()} {path} {parameter['name']}"
                        yield pytest.param(method, path, parameter["name"], example, id=name)


@pytest.mark.parametrize(("method", "path", "name", "example"), list(parameters()))
def test_an_example_of_a_parameter_is_taken(served, method, path, name, example):
    called = path.format(item_id=ITEM_EXAMPLE["id"])
    sent = {"params": {name: example}}
    if path == "/v1/search/batch":
        sent["files"] = [("image", ("a.png", draw(1)))]
    elif method != "patch" and path != "/v1/reindex":
        sent["content"] = draw(1)
    answer = served.request(method, called, **sent)
    assert answer.is_success, answer.text
    if path == "/v1/reindex":
        assert served.get(answer.json()["events"]).text.count("event: end") == 1


def test_all_kinds_of_examples_are_among_them():
    kinds = [param.values[2] for param in bodies()]
    assert kinds.count("application/json") > 15
    assert kinds.count("multipart/form-data") > 15
    assert len(list(parameters())) > 5
    assert len(list(shown(DESCRIPTION))) > 70
