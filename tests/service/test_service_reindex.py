"""``POST /v1/reindex``: the index is brought up to date, followed, cancelled, and interrupted."""

import json
import shutil
import threading
from pathlib import Path

import pytest

from indexer.engines.choice import EngineChoice
from indexer.generations import current
from indexer.locks import WRITER, exclusive
from service.app import create_app, open_engine
from service.reindexing import LOCK, MARKER
from service.settings import Settings
from tests.service.conftest import draw


class Slow:
    """An embedder that waits before each batch until it is let go."""

    def __init__(self, embedder):
        self.dim, self.fingerprint = embedder.dim, embedder.fingerprint
        self.preprocessing = embedder.preprocessing
        self.embedder = embedder
        self.begun, self.go = threading.Event(), threading.Event()

    def embed(self, pixels):
        if threading.current_thread().name.startswith("intake"):
            self.begun.set()
            self.go.wait(20)
        return self.embedder.embed(pixels)


@pytest.fixture
def catalogue(folder, tmp_path):
    """A folder with the photos of the fixtures: item ``3`` is the fourth of them."""
    shutil.copytree(folder, tmp_path / "photos")
    return tmp_path / "photos"


@pytest.fixture
def indexing(serve, embedder, catalogue, tmp_path):
    """Starts a service over a store that may be empty: ``indexing(embedder=...)``."""

    def start(*, embedder=embedder, **given):
        given = {"store": tmp_path / "store", "catalogue": catalogue, **given}
        return serve(engine=open_engine(Settings(**given), embedder), embedder=embedder, **given)

    return start


def follow(client, job):
    """The job after its end, and its events."""
    events = [
        json.loads(line.removeprefix("data: "))
        for line in client.get(job["events"]).text.splitlines()
        if line.startswith("data: ")
    ]
    return client.get(job["url"]).json(), events


def test_an_empty_store_is_filled_and_searched_without_a_restart(
    indexing, catalogue, photos, check_problem
):
    client = indexing()
    data = photos["hats/03"]
    check_problem(client.post("/v1/search", content=data), 503, "not-ready")
    started = client.post("/v1/reindex")
    assert started.status_code == 202
    job = started.json()
    assert started.headers["location"] == job["url"]
    assert (job["kind"], job["subject"]) == ("reindex", "photos")
    after, events = follow(client, job)
    assert after["state"] == "done"
    assert {"embed", "build", "publish"} <= {event.get("stage") for event in events}
    report = client.get(after["result"]).json()
    assert (report["published"], report["embedded"]) == (True, len(photos))
    assert (report["items"], report["left_out"]) == (len(photos), 0)
    found = client.post("/v1/search?limit=1", content=data).json()
    assert found["items"][0]["id"] == str(list(photos).index("hats/03"))
    assert found["generation"] == report["generation"]
    assert not (client.app.state.niteru.settings.store / MARKER).exists()


def test_only_what_changed_is_embedded_and_what_is_gone_is_pruned(indexing, catalogue, picture):
    client = indexing()
    follow(client, client.post("/v1/reindex").json())
    (catalogue / "0.png").unlink()
    (catalogue / "new.png").write_bytes(picture(99))
    (catalogue / "broken.png").write_bytes(picture(98)[:200])
    after, _ = follow(client, client.post("/v1/reindex", json={"prune": True}).json())
    report = client.get(after["result"]).json()
    assert (report["embedded"], report["pruned"], report["left_out"]) == (1, 1, 1)
    assert report["failures"] == ["broken"]
    assert str(catalogue) not in json.dumps(report)
    assert client.get("/v1/items/new").status_code == 200
    assert client.get("/v1/items/0").status_code == 404


def test_what_is_asked_of_the_index_is_remembered(indexing, tmp_path):
    client = indexing()

    def reindex(**given):
        after, _ = follow(client, client.post("/v1/reindex", **given).json())
        report = client.get(after["result"]).json()
        return report["published"], report["recall_asked"], report["memory_asked"]

    assert reindex(json={"recall": 0.9, "memory": "2GB"}) == (True, 0.9, 2 * 10**9)
    assert reindex() == (False, 0.9, 2 * 10**9)
    assert reindex(params={"memory": "5000000"}) == (True, 0.9, 5 * 10**6)
    assert reindex(json={"memory": 6_000_000}) == (True, 0.9, 6 * 10**6)
    assert reindex(params={"recall": 0.99, "memory": "any"}) == (True, 0.99, None)
    assert current(tmp_path / "store").manifest.asked.recall == 0.99


def test_memory_is_asked_of_faiss_only(serve, check_problem):
    client = serve()
    state = client.app.state.niteru
    state.reindexer.catalogue = "photos"
    state.reindexer.choice = EngineChoice("milvus")
    problem = check_problem(
        client.post("/v1/reindex", json={"memory": "2GB"}), 422, "invalid-request"
    )
    assert problem["errors"][0]["field"] == "memory"


def test_a_server_without_a_catalogue_says_so(client, check_problem):
    problem = check_problem(client.post("/v1/reindex"), 501, "cannot-reindex")
    assert "NITERU_CATALOGUE" in problem["detail"]


FIRST_CALLS = {
    "PUT": ("PUT", "/v1/items/new", {"content": draw(77)}, 201),
    "PATCH": ("PATCH", "/v1/items/3", {"json": {"attributes": {"n": 1}}}, 200),
    "DELETE": ("DELETE", "/v1/items/3", {}, 204),
    "batch": ("POST", "/v1/items/batch", {"json": {"delete": ["3"]}}, 200),
    "item": ("GET", "/v1/items/3", {}, 200),
    "image": ("GET", "/v1/items/3/image", {}, 200),
    "facets": ("GET", "/v1/facets", {}, 200),
    "map": ("GET", "/v1/map", {}, 200),
    "search": ("POST", "/v1/search", {"json": {"item_id": "3"}}, 200),
    "examples": ("POST", "/v1/search", {"json": {"positives": ["3"]}}, 200),
}


@pytest.mark.parametrize("name", FIRST_CALLS)
def test_the_first_call_after_the_first_run_is_answered_whatever_it_is(
    indexing, check_problem, name
):
    """However seldom the server looks for a new generation."""
    method, path, given, status = FIRST_CALLS[name]
    client = indexing(refresh_interval=3600)
    check_problem(client.request(method, path, **given), 503, "not-ready")
    assert follow(client, client.post("/v1/reindex").json())[0]["state"] == "done"
    assert client.request(method, path, **given).status_code == status


def test_options_are_checked(indexing, check_problem):
    client = indexing()
    for given, status, slug in (
        ({"json": {"catalogue": "/etc"}}, 422, "invalid-request"),
        ({"params": {"prune": "perhaps"}}, 422, "invalid-request"),
        ({"json": {"recall": 1.5}}, 422, "invalid-request"),
        ({"json": {"memory": "much"}}, 422, "invalid-request"),
        ({"json": {"memory": 0}}, 422, "invalid-request"),
        ({"params": {"memory": "0GB"}}, 422, "invalid-request"),
        ({"params": {"memory": "9" * 400 + "GB"}}, 422, "invalid-request"),
        ({"json": {"memory": "10000000000GB"}}, 422, "invalid-request"),
        ({"json": {"memory": 2**63}}, 422, "invalid-request"),
        ({"content": b"x"}, 415, "unsupported-format"),
    ):
        check_problem(client.post("/v1/reindex", **given), status, slug)
    assert client.get("/v1/jobs").json()["jobs"] == []
    told = check_problem(client.post("/v1/reindex?memory=much"), 422, "invalid-request")
    assert told["errors"] == [
        {"field": "memory", "message": "expected a whole number of bytes from 1, or 2GB, say, or "
         "any; found 'much'."}
    ]  # fmt: skip


def test_one_run_at_a_time_and_searches_go_on(indexing, embedder, photos, check_problem):
    first = indexing()
    follow(first, first.post("/v1/reindex").json())
    slow = Slow(embedder)
    client = indexing(embedder=slow)
    catalogue = Path(client.app.state.niteru.settings.catalogue)
    shutil.copy(catalogue / "3.png", catalogue / "copy.png")
    (catalogue / "3.png").unlink()
    (catalogue / "more.png").write_bytes(photos["hats/03"] + b"\0")
    job = client.post("/v1/reindex").json()
    assert slow.begun.wait(20)
    problem = check_problem(client.post("/v1/reindex"), 409, "reindex-running")
    assert problem["job"] == job["url"]
    assert client.post("/v1/search", content=photos["hats/03"]).status_code == 200
    assert client.get(job["url"]).json()["state"] == "running"
    slow.go.set()
    assert follow(client, job)[0]["state"] == "done"


def test_a_cancelled_run_is_gone_on_with(indexing, embedder, photos):
    """What was embedded before is not embedded again."""
    slow = Slow(embedder)
    client = indexing(embedder=slow)
    job = client.post("/v1/reindex").json()
    assert slow.begun.wait(20)
    assert client.request("DELETE", job["url"]).json()["state"] == "cancelling"
    slow.go.set()
    after, _ = follow(client, job)
    assert after["state"] == "cancelled"
    assert not (client.app.state.niteru.settings.store / MARKER).exists()
    again, _ = follow(client, client.post("/v1/reindex").json())
    report = client.get(again["result"]).json()
    assert report["published"]
    assert report["embedded"] + report["unchanged"] == len(photos)
    assert report["unchanged"] > 0


def test_a_run_that_ends_with_its_server_is_told_of_by_the_next(
    indexing, embedder, photos, check_problem, tmp_path
):
    slow = Slow(embedder)
    settings = Settings(store=tmp_path / "store", catalogue=str(tmp_path / "photos"))
    app = create_app(settings, embedder=slow, engine=open_engine(settings, slow))
    state = app.state.niteru
    job = state.reindexer.submit(prune=False)
    assert slow.begun.wait(20)
    threading.Timer(0.1, slow.go.set).start()
    state.close()
    assert job.state == "cancelled"
    assert (tmp_path / "store" / MARKER).exists()
    client = indexing()
    (told,) = client.get("/v1/jobs").json()["jobs"]
    assert told["id"] == job.id
    assert told["state"] == "failed"
    assert told["problem"]["type"] == "urn:niteru:problem:reindex-interrupted"
    check_problem(client.get(told["url"] + "/result"), 409, "reindex-interrupted")
    after, _ = follow(client, client.post("/v1/reindex").json())
    report = client.get(after["result"]).json()
    assert report["unchanged"] > 0
    assert report["items"] == len(photos)
    assert len(indexing().get("/v1/jobs").json()["jobs"]) == 0  # told once


def test_the_run_of_another_server_is_none_that_was_interrupted(indexing, tmp_path):
    store = tmp_path / "store"
    store.mkdir()
    (store / MARKER).write_text(json.dumps({"job": "theirs", "catalogue": "photos"}))
    with exclusive(store, LOCK):
        assert indexing().get("/v1/jobs").json()["jobs"] == []
    assert (store / MARKER).exists()
    (store / MARKER).write_text("{")
    assert indexing().get("/v1/jobs").json()["jobs"] == []


def test_what_stands_in_the_way_is_told_without_paths(indexing, tmp_path, catalogue, check_problem):
    client = indexing()
    (tmp_path / "store").mkdir()
    with exclusive(tmp_path / "store", WRITER):
        busy, _ = follow(client, client.post("/v1/reindex").json())
    assert "Another process" in busy["problem"]["detail"]
    for path in catalogue.iterdir():
        path.unlink()
    empty, _ = follow(client, client.post("/v1/reindex").json())
    assert empty["problem"]["type"] == "urn:niteru:problem:reindex-failed"
    assert "NothingToIndexError" in empty["problem"]["detail"]
    assert str(tmp_path) not in json.dumps(empty)
    check_problem(client.get(empty["url"] + "/result"), 409, "reindex-failed")
    catalogue.rmdir()
    gone, _ = follow(client, client.post("/v1/reindex").json())
    assert "CatalogueError" in gone["problem"]["detail"]
