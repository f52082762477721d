"""``GET /v1/facets`` and ``GET /v1/map`` over both engines."""

import json

from indexer.engines import faiss_engine
from indexer.engines.faiss_engine import FaissEngine
from indexer.reading_filters import find_facets
from service.awaited import AwaitedEngine


def test_facets_are_counted_and_filtered(each_client, photos):
    told = each_client.get("/v1/facets?most=3").json()
    assert told["total"] == len(photos)
    (number,) = told["attributes"]
    assert (number["key"], number["items"], number["distinct"]) == (
        "number", len(photos), len(photos)
    )  # fmt: skip
    assert len(number["values"]) == 3
    where = json.dumps({"must": [{"key": "number", "range": {"lt": 2}}]})
    told = each_client.get("/v1/facets", params={"filter": where}).json()
    assert told["total"] == 2
    assert told["attributes"][0]["values"] == [
        {"value": 0, "items": 1}, {"value": 1, "items": 1}
    ]  # fmt: skip


def test_wrong_options_are_refused(client, check_problem):
    refused = client.get("/v1/facets?filter={")
    assert "filter" in check_problem(refused, 422, "invalid-request")["detail"]
    refused = client.get("/v1/facets?mots=3")
    assert "Did you mean 'most'?" in check_problem(refused, 422, "invalid-request")["detail"]


def test_the_map_names_photos_that_can_be_seen(each_client, photos):
    told = each_client.get("/v1/map").json()
    assert sorted(place["id"] for place in told["places"]) == sorted(photos)
    assert told["generation"]
    for place in told["places"][:5]:
        assert each_client.get(place["image"]).status_code == 200


def test_without_an_index_there_is_nothing_to_count(serve, tmp_path, embedder, check_problem):
    awaited = AwaitedEngine(
        lambda: FaissEngine.open(tmp_path / "none"), fingerprint=embedder.fingerprint
    )
    client = serve(engine=awaited)
    check_problem(client.get("/v1/facets"), 503, "not-ready")
    check_problem(client.get("/v1/map"), 503, "not-ready")


def test_facets_are_counted_once_and_anew_after_every_change(
    serve, tmp_path, publish, entries, embedder, picture, monkeypatch
):
    counted = []

    def find(connection, number, where, most):
        counted.append((where, most))
        return find_facets(connection, number, where, most)

    monkeypatch.setattr(faiss_engine, "find_facets", find)
    store = tmp_path / "shop"
    publish(store, entries, embedder)
    client = serve(engine=FaissEngine.open(store), store=store)
    low = {"filter": '{"must": [{"key": "number", "range": {"lt": 5}}]}'}

    def told(**params):
        return client.get("/v1/facets", params=params).json()

    first, few = told(), told(**low)
    assert (told(), told(**low)) == (first, few)
    assert len(counted) == 2
    told(most=3)
    assert len(counted) == 3
    for method, path, given, items, total in (
        ("PUT", "/v1/items/new?attributes={%22number%22:1}", {"content": picture(77)},
         len(entries) + 1, 6),
        ("PATCH", "/v1/items/new", {"json": {"attributes": {"number": 9}}}, len(entries) + 1, 5),
        ("DELETE", "/v1/items/hats/03", {}, len(entries), 5),
    ):  # fmt: skip
        assert client.request(method, path, **given).status_code < 300
        whole = told(most=200)["attributes"][0]
        assert (told()["total"], whole["items"]) == (items, items)
        assert told(**low)["total"] == total
        assert told(**low)["attributes"][0]["items"] == total
        by_value = {one["value"]: one["items"] for one in whole["values"]}
        assert by_value[9] == (1 if method == "PUT" else 2)
    before = len(counted)
    assert told(**low) == told(**low)
    assert len(counted) == before
