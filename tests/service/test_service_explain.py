"""``POST /v1/explain``: a picture or data, its refusals, and that searches go on beside it."""

import asyncio
import base64
import hashlib
import io
import json
import shutil
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import models
from indexer.engines.exact import ExactEngine
from indexer.protocols import Item
from indexer.torch_embedder import TorchEmbedder
from models.training.weights import CONFIG
from service.app import open_engine
from service.links import item_path
from service.routes_explain import prefers_json, quality
from service.settings import Settings

GOLDEN = Path(__file__).parents[1] / "golden" / "openapi.json"
JSON = {"accept": "application/json"}
SIDE, LEFT = 128, 158


@pytest.fixture(scope="module")
def weights(make_weights, tmp_path_factory):
    return make_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def learned(weights):
    return TorchEmbedder.load(weights)


@pytest.fixture(scope="module")
def items(learned, entries, photos):
    """The catalogue, embedded by the model that explains."""
    return [
        (
            Item(e.id, e.uri, hashlib.sha256(photos[e.id]).hexdigest(), e.attributes),
            learned.embed(learned.preprocessing.read(photos[e.id])[np.newaxis])[0],
        )
        for e in entries
    ]


@pytest.fixture
def explaining(serve, learned, items, weights):
    """Starts a service that can explain."""

    def start(**given):
        engine = ExactEngine(
            items, dim=learned.dim, fingerprint=learned.fingerprint, generation="one"
        )
        return serve(**{"engine": engine, "embedder": learned, "weights": str(weights), **given})

    return start


@pytest.fixture
def able(explaining):
    return explaining()


def picture_in(text):
    with Image.open(io.BytesIO(base64.b64decode(text, validate=True))) as image:
        assert image.format == "PNG"
        return np.asarray(image)


def test_the_answer_is_one_picture(able, photos):
    asked = {"files": {"image": ("a.png", photos["hats/03"])}}
    first = able.post("/v1/explain", **asked)
    assert first.status_code == 200, first.text
    assert first.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(first.content)) as sheet:
        assert sheet.size == (LEFT + 5 * (SIDE + 6), 6 + 2 * (SIDE + 38))
    assert able.post("/v1/explain", **asked).content == first.content
    other = able.post("/v1/explain", **asked, params={"seed": "1"})
    assert other.content != first.content


def test_the_data_are_those_of_the_picture_and_of_a_search(able, photos):
    data = photos["hats/03"]
    response = able.post("/v1/explain?draws=2&nearest=3", content=data, headers=JSON)
    told = response.json()
    assert response.headers["content-type"] == "application/json"
    described = json.loads(GOLDEN.read_text("utf-8"))["components"]["schemas"]["ExplainResponse"]
    assert set(told) == set(described["properties"]) == set(described["required"])
    found = able.post("/v1/search?limit=3", content=data).json()
    assert told["items"] == found["items"]
    assert told["items"][0]["id"] == "hats/03"
    assert told["generation"] == "one"
    assert told["rate"] > 0
    assert told["fingerprint"].startswith("pixelvae-")
    assert picture_in(told["photo"]).shape == (16, 16, 3)
    shown = [told["outline"], *told["draws"]]
    assert len(shown) == 3
    sheet = able.post("/v1/explain?draws=2&nearest=3", content=data)
    with Image.open(io.BytesIO(sheet.content)) as image:
        whole = np.asarray(image)
    for column, text in enumerate(shown):
        left = LEFT + column * (SIDE + 6)
        tile = whole[6 : 6 + SIDE, left : left + SIDE]
        assert np.array_equal(tile[:: SIDE // 8, :: SIDE // 8], picture_in(text))


def test_an_item_is_explained_as_its_photo_is_and_is_none_of_the_nearest(able, photos):
    asked = {"draws": 2, "nearest": 3, "seed": 5}
    told = able.get("/v1/items/hats/03/explain", params=asked, headers=JSON)
    assert told.status_code == 200, told.text
    sent = {"params": asked, "content": photos["hats/03"], "headers": JSON}
    by_photo = able.post("/v1/explain", **sent).json()
    found = able.post("/v1/search", json={"item_id": "hats/03", "limit": 3}).json()["items"]
    assert told.json() == {**by_photo, "items": found}
    assert "hats/03" not in {item["id"] for item in found}
    sheet = able.get("/v1/items/hats/03/explain", params=asked)
    assert Image.open(io.BytesIO(sheet.content)).format == "PNG"
    assert able.get("/v1/items/hats/03/explain?nearest=0", headers=JSON).json()["items"] == []


def test_what_an_item_cannot_be_explained_with_is_told(able, check_problem):
    check_problem(able.get("/v1/items/none/explain"), 404, "unknown-item")
    for wrong in ("draws=0", "nearest=21", "crop=0,0,1,1", "url=a", "draws=1&draws=2"):
        check_problem(able.get(f"/v1/items/hats/03/explain?{wrong}"), 422, "invalid-request")


def test_an_item_whose_photo_is_gone_or_damaged_is_not_explained(
    able, items, monkeypatch, tmp_path, check_problem
):
    item, _ = next(pair for pair in items if pair[0].id == "hats/03")
    gone, damaged = tmp_path / "gone.png", tmp_path / "damaged.png"
    damaged.write_bytes(Path(item.uri).read_bytes()[:300])
    engine = able.app.state.niteru.searcher.engine
    for path, told in ((gone, "cannot be read any more"), (damaged, "its photo is damaged")):
        here = replace(item, uri=str(path))
        monkeypatch.setattr(engine, "get", lambda ids, here=here: [here for _ in ids])
        answer = able.get("/v1/items/hats/03/explain")
        assert told in check_problem(answer, 404, "photo-missing")["detail"]
        assert str(tmp_path) not in answer.text


def test_an_id_that_ends_in_explain_has_a_path_of_its_own(explaining, learned, items):
    names = ("hats/explain", "explain", "line\nbreak", "explain\n")
    renamed = [(replace(item, id=n), row) for n, (item, row) in zip(names, items, strict=False)]
    engine = ExactEngine(renamed, dim=learned.dim, fingerprint=learned.fingerprint)
    client = explaining(engine=engine)
    for name in names:
        assert client.get(item_path(name)).json()["id"] == name
        answer = client.get(f"{item_path(name)}/explain?draws=1&nearest=0")
        assert answer.headers["content-type"] == "image/png"
    refused = client.get("/v1/items/hats/explain").json()["detail"]
    assert "For the item 'hats/explain' ask /v1/items/hats%2Fexplain." in refused


def test_a_part_of_the_photo_is_explained_and_searched_with(able, photos):
    data = photos["hats/03"]
    with Image.open(io.BytesIO(data)) as image:
        file = io.BytesIO()
        image.crop((0, 0, 80, 60)).save(file, "PNG")
    asked = {"nearest": 3, "crop": "0,0,0.5,0.5"}
    told = able.post("/v1/explain", params=asked, content=data, headers=JSON).json()
    by_hand = able.post("/v1/explain?nearest=3", content=file.getvalue(), headers=JSON).json()
    whole = able.post("/v1/explain?nearest=3", content=data, headers=JSON).json()
    assert told == by_hand
    assert told["photo"] != whole["photo"]
    assert [item["score"] for item in told["items"]] != [item["score"] for item in whole["items"]]


@pytest.mark.parametrize(
    ("accept", "json_first"),
    [
        ("", False),
        ("*/*", False),
        ("application/json", True),
        ("Application/JSON; charset=utf-8", True),
        ("application/json, */*;q=0.1", True),
        ("image/png, application/json", False),
        ("image/*;q=0.5, application/json", True),
        ("application/json;q=0.2, image/*", False),
        ("image/png;q=0, */*", True),
        ("text/html", False),
        ("application/json;q=much", False),
        ("text/html, application/xhtml+xml, image/avif, */*;q=0.8", False),
    ],
)
def test_json_is_for_those_who_prefer_it(accept, json_first):
    assert prefers_json(accept) is json_first
    assert 0 <= quality(accept, "image/png") <= 1


def test_options_stand_in_the_query_or_in_the_form(able, photos, check_problem):
    image = {"files": {"image": ("a.png", photos["hats/03"])}, "headers": JSON}
    told = able.post("/v1/explain?draws=1", **image, data={"nearest": "2", "seed": "9"}).json()
    assert (len(told["draws"]), len(told["items"]), told["seed"]) == (1, 2, 9)
    twice = able.post("/v1/explain?seed=1", **image, data={"seed": "2"})
    assert "stands both" in check_problem(twice, 422, "invalid-request")["detail"]
    for params, data, found in (
        ({"drawz": "1"}, {}, "Did you mean 'draws'? Known: crop, crop_unit, draws, nearest, seed."),
        ({}, {"limit": "1"}, "Known: crop, crop_unit, draws, nearest, seed."),
        ({"draws": "17"}, {}, "less than or equal to 16"),
        ({}, {"draws": "0"}, "greater than or equal to 1"),
        ({"nearest": "21"}, {}, "less than or equal to 20"),
        ({"seed": str(2**64)}, {}, "less than"),
    ):
        wrong = able.post("/v1/explain", **image, params=params, data=data)
        assert found in check_problem(wrong, 422, "invalid-request")["detail"]


def test_options_of_a_search_are_still_told_as_those_of_a_search(able, photos, check_problem):
    wrong = able.post("/v1/search?limi=1", content=photos["hats/03"])
    told = check_problem(wrong, 422, "invalid-request")["detail"]
    assert "Known: crop, crop_unit, limit, offset, " in told


def test_uploads_are_refused_as_those_of_a_search(able, explaining, check_problem, photos):
    for given, status, slug in (
        ({"content": b""}, 422, "unusable-image"),
        ({"content": b"GIF89a" + bytes(50)}, 415, "unsupported-format"),
        ({"content": photos["hats/03"][:300]}, 422, "unusable-image"),
        ({"json": {"item_id": "hats/03"}}, 422, "invalid-request"),
        ({"content": "a=b", "headers": {"content-type": "text/plain"}}, 415, "unsupported-format"),
        ({"data": {"draws": "1"}, "files": {"photo": ("a", b"x")}}, 422, "invalid-request"),
    ):
        check_problem(able.post("/v1/explain", **given), status, slug)
    bounded = explaining(max_upload_bytes=100)
    response = bounded.post("/v1/explain", content=photos["hats/03"])
    check_problem(response, 413, "upload-too-large")


def test_no_more_items_than_a_search_may_answer(explaining, photos):
    client = explaining(max_limit=2, default_limit=1)
    told = client.post("/v1/explain", content=photos["hats/03"], headers=JSON).json()
    assert len(told["items"]) == 2


def test_before_anything_is_indexed_the_vector_can_be_shown(
    explaining, learned, photos, tmp_path, check_problem
):
    settings = Settings(store=tmp_path / "store")
    client = explaining(engine=open_engine(settings, learned))
    check_problem(client.post("/v1/explain", content=photos["hats/03"]), 503, "not-ready")
    told = client.post("/v1/explain?nearest=0", content=photos["hats/03"], headers=JSON).json()
    assert (told["items"], told["generation"]) == ([], None)
    assert len(told["draws"]) == 4


def test_an_item_whose_photo_is_gone_is_grey(explaining, learned, items, photos):
    moved = [(Item(i.id, "/nowhere", i.sha256, i.attributes), vector) for i, vector in items]
    engine = ExactEngine(moved, dim=learned.dim, fingerprint=learned.fingerprint)
    response = explaining(engine=engine).post("/v1/explain", content=photos["hats/03"])
    with Image.open(io.BytesIO(response.content)) as sheet:
        assert sheet.getpixel((LEFT + 64, 6 + SIDE + 38 + 64)) == (225, 225, 225)


def test_a_server_without_weights_says_so(client, photos, check_problem):
    """It embeds by the layout of colours."""
    problem = check_problem(
        client.post("/v1/explain", content=photos["hats/03"]), 501, "cannot-explain"
    )
    assert "colour-layout-" in problem["detail"]
    assert "--weights" in problem["detail"]


def test_weights_that_changed_are_refused(
    explaining, make_weights, photos, tmp_path, check_problem
):
    mine = make_weights(tmp_path / "mine", seed=1)
    client = explaining(weights=str(mine))
    changed = client.post("/v1/explain", content=photos["hats/03"])
    assert "Start it again" in check_problem(changed, 501, "cannot-explain")["detail"]
    (mine / CONFIG).unlink()
    gone = client.post("/v1/explain", content=photos["hats/03"])
    assert str(tmp_path) not in check_problem(gone, 501, "cannot-explain")["detail"]
    assert client.post("/v1/search", content=photos["hats/03"]).status_code == 200


def test_weights_that_are_mended_are_taken_up(explaining, weights, photos, tmp_path):
    client = explaining(weights=str(tmp_path / "mine"))
    asked = {"content": photos["hats/03"]}
    assert client.post("/v1/explain", **asked).status_code == 501
    shutil.copytree(weights, tmp_path / "mine")
    assert client.post("/v1/explain", **asked).status_code == 200
    shutil.rmtree(tmp_path / "mine")
    assert client.post("/v1/explain", **asked).status_code == 200, "loaded once"


def test_a_server_without_torch_says_so(able, photos, check_problem, monkeypatch):
    for name in ("service.explaining", "models.training.checkpoint"):
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    problem = check_problem(
        able.post("/v1/explain", content=photos["hats/03"]), 501, "cannot-explain"
    )
    assert "'torch'" in problem["detail"]


ENCODER = '''"""Mean colours: a model that encodes and cannot draw."""
from dataclasses import dataclass

import torch

from models.training.protocols import GenerativeModel
from models.training.recipe import Preset, Recipe


@dataclass(frozen=True)
class Config:
    size: int = 16
    channels: int = 3


def presets():
    return {"tiny": Preset(Config(), Recipe(steps=1))}


class Model(GenerativeModel):
    embedding_dim = 3

    def __init__(self, config):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(3))

    def players(self):
        return ()

    def sample(self, n, *, generator):
        return torch.zeros(n, 3, 16, 16)

    def embed(self, x):
        return x.mean((2, 3)) * self.scale
'''


def test_a_model_without_a_decoder_is_refused_by_name(
    serve, make_weights, photos, tmp_path, check_problem, monkeypatch
):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "mean_colours.py").write_text(ENCODER)
    monkeypatch.setattr(models, "__path__", [*models.__path__, str(tmp_path / "models")])
    try:
        embedder = TorchEmbedder.load(make_weights(tmp_path / "w", name="mean_colours"))
        engine = ExactEngine(dim=3, fingerprint=embedder.fingerprint)
        client = serve(engine=engine, embedder=embedder, weights=str(tmp_path / "w"))
        response = client.post("/v1/explain", content=photos["hats/03"])
    finally:
        sys.modules.pop("models.mean_colours", None)
    problem = check_problem(response, 422, "no-decoder")
    assert "'mean_colours' has no decoder" in problem["detail"]


def test_a_third_explanation_is_too_many_and_a_search_is_not(able, photos, check_problem):
    busy = able.app.state.niteru.explainer.admission
    with busy, busy:
        refused = able.post("/v1/explain", content=photos["hats/03"])
        assert check_problem(refused, 429, "overloaded")
        assert refused.headers["retry-after"] == "1"
        assert able.post("/v1/search", content=photos["hats/03"]).status_code == 200
    assert able.post("/v1/explain", content=photos["hats/03"]).status_code == 200


def occupy(client):
    """Keep the thread that explains at work until the event that is answered is set."""
    done = threading.Event()
    client.app.state.niteru.explainer._executor.submit(done.wait)
    return done


def test_searches_are_answered_while_an_explanation_waits(able, photos):
    done = occupy(able)

    async def run():
        asked = {"content": photos["hats/03"]}
        explained = asyncio.create_task(able.http.post("/v1/explain", **asked))
        searched = await able.http.post("/v1/search", **asked)
        waited = not explained.done()
        done.set()
        return searched, waited, await explained

    searched, waited, explained = able.runner.run(run())
    assert (searched.status_code, waited, explained.status_code) == (200, True, 200)


def test_an_explanation_that_takes_too_long_is_given_up(explaining, photos, check_problem):
    client = explaining(request_timeout=0.3)
    done = occupy(client)
    try:
        late = client.post("/v1/explain", content=photos["hats/03"])
        check_problem(late, 504, "took-too-long")
    finally:
        done.set()
    assert client.app.state.niteru.explainer.admission.active == 0
