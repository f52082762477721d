"""The service over Milvus: opened by its settings, the same calls, and a server that goes away."""

import time
from contextlib import closing

import pytest
from pydantic import ValidationError

from indexer.catalogues.memory import MemoryCatalogue
from indexer.pipeline import index_catalogue
from service.app import open_engine
from service.settings import Settings
from tests.milvus_lite import INSTALLED, MilvusLite


@pytest.fixture(scope="module")
def lite(tmp_path_factory):
    """A server of this module's own, which may be killed."""
    if not INSTALLED:
        pytest.skip("milvus-lite is not installed; it comes with the extra 'dev'")
    server = MilvusLite(tmp_path_factory.mktemp("served") / "data")
    yield server
    server.kill()


@pytest.fixture
def given(lite, tmp_path, request, monkeypatch):
    """The settings of a server over it, under a name of the test's own."""
    name = f"s{abs(hash(request.node.name))}"
    monkeypatch.setenv("NITERU_ENGINE", "milvus")
    return {"store": tmp_path / "store", "milvus_uri": lite.uri, "milvus_name": name}


def index(given, entries, embedder):
    settings = Settings(**given)
    with closing(settings.engine_choice().generations(settings.store)) as generations:
        return index_catalogue(
            MemoryCatalogue(entries), settings.store, embedder, workers=1, batch=8,
            generations=generations,
        ).generation  # fmt: skip


def found(client, photo, **options):
    response = client.post("/v1/search", params=options, content=photo)
    assert response.status_code == 200, response.text
    return response.json()


def test_the_calls_are_those_over_any_engine(serve, given, entries, embedder, photos, picture):
    client = serve(engine=open_engine(Settings(**given), embedder), **given)
    assert client.get("/readyz").status_code == 503
    assert client.get("/v1/generations").json()["generations"] == []
    first = index(given, entries[:8], embedder)
    asked = entries[3].id
    answer = found(client, photos[asked], limit=3)
    assert (answer["items"][0]["id"], answer["total"], answer["generation"]) == (asked, 8, first)

    new = picture(77)
    put = client.request("PUT", "/v1/items/new", files={"image": ("a.png", new)},
                         data={"attributes": '{"sale": true}'})  # fmt: skip
    assert put.status_code == 201
    where = '{"must": [{"key": "sale", "match": true}]}'
    assert [item["id"] for item in found(client, new, filter=where)["items"]] == ["new"]
    assert client.get("/v1/facets").json()["total"] == 9
    assert len(client.get("/v1/map").json()["places"]) == 8
    assert client.request("DELETE", "/v1/items/new").status_code == 204
    assert found(client, new)["total"] == 8
    assert "niteru_items_not_indexed 0.0" in client.get("/metrics").text

    second = index(given, entries, embedder)
    assert found(client, photos[asked])["generation"] == second
    listed = client.get("/v1/generations").json()["generations"]
    assert [(g["id"], g["current"], g["serving"]) for g in listed] == [
        (second, True, True), (first, False, False),
    ]  # fmt: skip
    assert client.post(f"/v1/generations/{first}/activate").status_code == 200
    back = found(client, photos[asked])
    assert (back["generation"], back["total"]) == (first, len(entries))
    assert client.post("/v1/generations/20200101T000000Z-0000/activate").status_code == 404


def test_the_server_indexes_into_milvus_itself(serve, given, folder, embedder):
    given = {**given, "catalogue": folder}
    client = serve(engine=open_engine(Settings(**given), embedder), **given)
    job = client.post("/v1/reindex").json()
    assert client.get(job["events"]).status_code == 200  # until its end
    told = client.get(f"{job['url']}/result").json()
    assert told["published"]
    assert client.get("/readyz").json()["generation"] == told["generation"]
    assert not (given["store"] / "generations").exists()


def test_while_milvus_is_away_searches_are_503_and_then_answered_again(
    serve, given, lite, entries, embedder, photos, check_problem, monkeypatch
):
    monkeypatch.setattr("indexer.engines.choice.SEARCH_SECONDS", 1.0)
    monkeypatch.setattr("indexer.engines.choice.SEARCH_PAUSES", ())
    index(given, entries[:8], embedder)
    client = serve(engine=open_engine(Settings(**given), embedder), **given)
    asked = entries[2].id
    assert found(client, photos[asked])["items"][0]["id"] == asked
    lite.kill()
    try:
        problem = check_problem(
            client.post("/v1/search", content=photos[asked]), 503, "store-unavailable"
        )
        assert lite.uri not in str(problem)
        assert client.get("/metrics").status_code == 200
        assert client.get("/livez").status_code == 200
    finally:
        lite.start()
    give_up = time.monotonic() + 30  # the connection is mended in growing pauses
    while True:
        response = client.post("/v1/search", content=photos[asked])
        if response.status_code == 200 or time.monotonic() > give_up:
            break
        time.sleep(0.2)
    assert response.json()["items"][0]["id"] == asked


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"milvus_uri": "items.db"}, "milvus-lite server"),
        ({"milvus_name": "a-b"}, "letters, digits and underscores"),
        ({"engine": "pinecone"}, "engine"),
    ],
)
def test_settings_that_lead_nowhere_are_refused(tmp_path, wrong, told):
    with pytest.raises(ValidationError, match=told):
        Settings(store=tmp_path, **wrong)


def test_the_token_is_not_shown(tmp_path):
    settings = Settings(store=tmp_path, engine="milvus", milvus_token="root:secret")
    assert "secret" not in repr(settings)
    assert "secret" not in repr(settings.engine_choice())
    assert settings.engine_choice().token == "root:secret"
