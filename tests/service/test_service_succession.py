"""A running server goes over to other weights with the generation that they made."""

import json
import shutil
import time

import pytest

from indexer.generations import activate
from indexer.torch_embedder import TorchEmbedder
from service import succession
from service.app import open_engine
from service.settings import Settings
from tests.service.conftest import draw


@pytest.fixture
def shop(tmp_path, make_weights, publish, entries, monkeypatch):
    """A folder with weights ``one`` and ``two`` below ``weights/``, and a store of ``one``'s."""
    for seed, name in enumerate(("one", "two")):
        make_weights(tmp_path / "weights" / name, seed=seed)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(succession, "AGAIN", 0.0)
    publish(tmp_path / "store", entries, load(tmp_path, "one"))
    return tmp_path


def load(shop, name):
    return TorchEmbedder.load(shop / "weights" / name)


@pytest.fixture
def serving(serve, shop):
    """Starts a server with the weights ``one``."""

    def start(**given):
        given = {"store": shop / "store", "weights": "weights/one", "runtime": "torch", **given}
        one = load(shop, "one")
        return serve(engine=open_engine(Settings(**given), one), embedder=one, **given)

    return start


def until(client, ready, seconds=30.0):
    """Search until an answer is as expected; every answer until then is one."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        told = client.post("/v1/search", json={"item_id": "hats/03"})
        assert told.status_code == 200, told.text
        if ready(told.json()):
            return told.json()
        time.sleep(0.02)
    pytest.fail(f"still {told.json()}")


def test_a_generation_of_other_weights_is_taken_up_with_them(
    serving, shop, publish, entries, photos
):
    client, other = serving(), serving()
    before = client.get("/readyz").json()
    old = client.app.state.niteru

    published = publish(shop / "store", entries, load(shop, "two"))

    for each in (client, other):  # as several workers over one store
        until(each, lambda told: told["generation"] == published)
        told = each.get("/readyz").json()
        assert (told["status"], told["generation"]) == ("ready", published)
        assert told["fingerprint"] == load(shop, "two").fingerprint != before["fingerprint"]
        assert (
            each.post("/v1/embed", content=photos["hats/03"]).json()["fingerprint"]
            == (told["fingerprint"])
        )
        found = each.post("/v1/search?limit=1", content=photos["hats/03"]).json()["items"][0]
        assert (found["id"], found["score"]) == ("hats/03", pytest.approx(1, abs=1e-5))
    asked = {"headers": {"accept": "application/json"}, "content": photos["hats/03"]}
    assert client.post("/v1/explain?draws=1", **asked).json()["fingerprint"] == told["fingerprint"]
    put = client.request("PUT", "/v1/items/new", content=photos["hats/03"] + b"more")
    assert put.status_code == 201
    assert b"niteru_items %d.0" % (len(entries) + 1) in client.get("/metrics").content
    # A request that had begun ends with the pair that it had begun with.
    answer = old.searcher.probe()
    assert answer.generation == before["generation"]
    assert old.searcher.embedder.fingerprint == before["fingerprint"]


def test_no_vector_meets_an_index_of_other_weights(serving, shop, publish, entries, photos):
    """While it goes over, every photo finds itself; by another pair it would find anything."""
    client = serving()
    published = publish(shop / "store", entries, load(shop, "two"))
    calls = [
        {"method": "POST", "url": "/v1/search?limit=1", "content": photos[name]}
        for name in ("hats/03", "bags/01", "shoes/02", "hats/05")
    ]
    seen = set()
    ends = time.monotonic() + 30
    while published not in seen and time.monotonic() < ends:
        for call, answer in zip(calls, client.together(calls), strict=True):
            told = answer.json()
            assert answer.status_code == 200, answer.text
            assert photos[told["items"][0]["id"]] == call["content"]
            assert told["items"][0]["score"] == pytest.approx(1, abs=1e-5)
            seen.add(told["generation"])
    assert len(seen) == 2


def test_the_catalogue_is_indexed_with_other_weights_over_http(
    serving, shop, folder, check_problem, photos
):
    client = serving(catalogue=folder)
    for name in ("none", str(shop / "weights" / "two"), "../weights/two"):
        problem = check_problem(
            client.post("/v1/reindex", json={"weights": name}), 404, "unknown-weights"
        )
        assert {"one", "two"} <= set(problem["weights"])

    told = {"attributes": '{"price": 3}'}  # of no catalogue, and not to be lost for that
    assert client.request("PUT", "/v1/items/new", content=draw(77), params=told).status_code == 201
    job = client.post("/v1/reindex", json={"weights": "two", "prune": True}).json()
    lines = client.get(job["events"]).text.splitlines()
    ended = json.loads(lines[-2].removeprefix("data: "))

    assert ended["state"] == "done"
    report = client.get(job["url"] + "/result").json()
    assert (report["published"], report["embedded"]) == (True, len(photos) + 1)
    ends = time.monotonic() + 30
    while client.get("/readyz").json()["generation"] != report["generation"]:
        assert time.monotonic() < ends
    assert client.get("/readyz").json()["fingerprint"] == load(shop, "two").fingerprint
    found = client.post("/v1/search?limit=1", content=draw(77)).json()["items"][0]
    assert (found["id"], found["attributes"]) == ("new", {"price": 3})
    # The next run is by the weights that serve now.
    again = client.post("/v1/reindex").json()
    client.get(again["events"])
    assert client.get(again["url"] + "/result").json()["embedded"] == 0


def test_going_back_is_going_back_to_the_weights(serving, shop, publish, entries, photos):
    client = serving()
    first = client.get("/readyz").json()
    published = publish(shop / "store", entries, load(shop, "two"))
    until(client, lambda told: told["generation"] == published)

    told = client.post(f"/v1/generations/{first['generation']}/activate").json()

    assert [one["id"] for one in told["generations"] if one["serving"]] == [first["generation"]]
    assert told["refused"] is None
    assert client.get("/readyz").json() == first
    client.post(f"/v1/generations/{published}/activate")
    assert client.get("/readyz").json()["generation"] == published


def test_weights_that_are_not_there_yet_are_waited_for(
    serving, shop, publish, entries, check_problem
):
    client = serving()
    first = client.get("/readyz").json()
    two = load(shop, "two")
    published = publish(shop / "store", entries, two)
    activate(shop / "store", first["generation"])
    (shop / "weights" / "two").rename(shop / "aside")
    check_problem(client.post(f"/v1/generations/{published}/activate"), 409, "unfit-generation")
    activate(shop / "store", published)

    told = client.get("/readyz").json()
    assert (told["status"], told["generation"]) == ("degraded", first["generation"])
    assert "weights/" in told["refused"]
    shutil.copytree(shop / "aside", shop / "weights" / "later")
    until(client, lambda told: told["generation"] == published)
    assert client.get("/readyz").json()["status"] == "ready"
    assert client.app.state.niteru.settings.weights.endswith("later")
