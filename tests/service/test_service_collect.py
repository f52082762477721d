"""``POST /v1/generations/collect``: what no index needs goes, and searches go on meanwhile."""

import sqlite3
from contextlib import closing

import pytest

from indexer.database import DATABASE, connect
from indexer.embedders import ColourLayoutEmbedder
from indexer.engines.faiss_engine import FaissEngine
from indexer.generations import activate, list_ids
from indexer.locks import WRITER, exclusive
from indexer.reading import find_embedder


@pytest.fixture
def store(tmp_path):
    return tmp_path / "store"


@pytest.fixture
def old(embedder):
    return ColourLayoutEmbedder(grid=2)


@pytest.fixture
def made(store, publish, entries, embedder, old):
    """Generations of a store that has gone over to other weights."""
    return [publish(store, entries[:5], old), publish(store, entries[:9], embedder)]


def collect(client, **given):
    """The job after its end, and its result."""
    started = client.post("/v1/generations/collect", **given)
    assert started.status_code == 202, started.text
    job = started.json()
    assert started.headers["location"] == job["url"]
    assert job["kind"] == "collect"
    client.get(job["events"])  # until its end
    after = client.get(job["url"]).json()
    return after, client.get(after["result"]).json() if after["result"] else None


def test_a_dry_run_tells_and_a_collection_removes(
    serve, store, made, entries, photos, embedder, old
):
    client = serve(engine=FaissEngine.open(store), store=store)
    _, told = collect(client, json={"keep": 1, "dry_run": True})
    assert told["dry_run"]
    assert [one["id"] for one in told["generations"]] == made[:1]
    (vectors,) = told["vectors"]
    assert (vectors["fingerprint"], vectors["vectors"]) == (old.fingerprint, 5)
    assert told["freed"] == 0
    assert list_ids(store) == made

    _, done = collect(client, params={"keep": "1"})
    assert done["generations"] == told["generations"]
    assert done["vectors"] == told["vectors"]
    assert done["freed"] > 0
    assert list_ids(store) == made[1:]
    with closing(connect(store)) as connection:
        assert find_embedder(connection, old.fingerprint) is None
    photo = photos[entries[7].id]
    found = client.post("/v1/search?limit=1", content=photo).json()
    assert found["items"][0]["id"] == entries[7].id


def test_what_this_server_answers_from_stays(serve, store, made, entries, photos, embedder, old):
    """The newer index is of weights that it does not have: it goes on with the older one."""
    activate(store, made[0])
    client = serve(engine=FaissEngine.open(store), store=store, embedder=old)
    activate(store, made[1])
    assert client.get("/readyz").json()["status"] == "degraded"
    _, done = collect(client, json={"keep": 1})
    assert done["held"] == made[:1]
    assert done["generations"] == done["vectors"] == []
    found = client.post("/v1/search?limit=1", content=photos[entries[3].id]).json()
    assert found["items"][0]["id"] == entries[3].id
    assert found["generation"] == made[0]


def test_a_store_that_is_written_is_left_alone(serve, store, made):
    client = serve(engine=FaissEngine.open(store), store=store)
    with exclusive(store, WRITER):
        after, _ = collect(client, json={"keep": 1})
    assert after["state"] == "failed"
    assert after["problem"]["type"] == "urn:niteru:problem:store-busy"
    assert list_ids(store) == made


def test_a_store_that_cannot_be_used_is_told_without_paths(serve, store, made):
    client = serve(engine=FaissEngine.open(store), store=store)
    (store / "CURRENT").write_text("nonsense")
    after, _ = collect(client)
    assert after["problem"]["type"] == "urn:niteru:problem:collecting-failed"
    assert str(store) not in after["problem"]["detail"]


@pytest.mark.parametrize("given", [{"keep": 0}, {"keep": "many"}, {"dryrun": True}])
def test_what_cannot_be_asked_for(serve, store, made, check_problem, given):
    client = serve(engine=FaissEngine.open(store), store=store)
    check_problem(client.post("/v1/generations/collect", json=given), 422, "invalid-request")
    assert list_ids(store) == made


def test_a_rollback_to_vectors_that_are_gone_is_refused(
    serve, store, publish, entries, embedder, check_problem
):
    first = publish(store, entries[:5], embedder)
    second = publish(store, entries[:9], embedder)
    client = serve(engine=FaissEngine.open(store), store=store)
    with closing(sqlite3.connect(store / DATABASE)) as connection, connection:
        connection.execute("DELETE FROM vectors WHERE row = 3")
    answer = client.post(f"/v1/generations/{first}/activate")
    check_problem(answer, 409, "unfit-generation")
    assert "no more" in answer.json()["detail"]
    assert client.get("/readyz").json()["generation"] == second
