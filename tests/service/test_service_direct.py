"""Searches are read and written without the framework, and nobody can tell."""

import json

import pytest
from fastapi import APIRouter

from service import routes_search
from service.direct import DirectRoute
from service.schemas import EmbedResponse, SearchResponse
from service.strict import StrictRoute

ADDRESSES = (
    "/v1/search?limit=3&exclude=hats/03&exclude=bags/01",
    "/v1/search?limit=3&collapse=0.9&exact=true",
    "/v1/search",
)
WRONG = (
    ("limit=0", "limit"),
    ("limit=x", "limit"),
    ("limi=3", "limi"),
    ("limi=3&limi=4", "limi"),
    ("limit=2&limit=4", "limit"),
    ("limit=0&limit=4", "limit"),
    ("crop=0,0,1,1&crop=0,0,1,1", "crop"),
    ("filter={", "filter"),
    ("exclude=", "exclude"),
    ("limit=", "limit"),
)


def usual(client):
    """The framework's own route of the search, beside the direct one."""
    router = APIRouter(route_class=StrictRoute)
    router.add_api_route(
        "/usual", routes_search.search, methods=["POST"], response_model=SearchResponse
    )
    client.app.include_router(router)
    return client


def without_times(answer):
    told = answer.json()
    told.pop("timings_ms", None)
    told.pop("request_id", None)
    told.pop("instance", None)
    return answer.status_code, told


def test_the_calls_that_are_made_often_are_direct():
    direct = {route.path for route in routes_search.router.routes if type(route) is DirectRoute}

    assert {"/search", "/search/batch", "/embed"} <= direct


@pytest.mark.parametrize("address", ADDRESSES)
def test_the_answer_is_that_of_the_framework(client, photos, address):
    usual(client)
    direct = client.post(address, content=photos["bags/05"])
    framework = client.post(address.replace("/v1/search", "/usual"), content=photos["bags/05"])

    assert direct.status_code == 200
    assert without_times(direct) == without_times(framework)
    assert direct.headers["content-type"] == framework.headers["content-type"]


@pytest.mark.parametrize(("query", "field"), WRONG)
def test_so_is_every_refusal(client, photos, query, field):
    usual(client)
    direct = client.post(f"/v1/search?{query}", content=photos["bags/05"])
    framework = client.post(f"/usual?{query}", content=photos["bags/05"])

    assert without_times(direct) == without_times(framework)
    if direct.status_code != 200:
        assert direct.json()["errors"][0]["field"].startswith(field)


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_answer_is_written_as_its_schema_says(each_client, photos, address):
    body = each_client.post(address, content=photos["bags/05"]).content

    assert SearchResponse.model_validate_json(body).model_dump() == json.loads(body)


def test_a_number_that_json_does_not_know_is_null(serve, exact, photos, monkeypatch):
    item = exact.get(["bags/05"])[0]
    monkeypatch.setitem(item.attributes, "price", float("nan"))  # others use the item, too

    answer = serve(engine=exact).post("/v1/search?limit=1", content=photos["bags/05"])

    assert answer.json()["items"][0]["attributes"]["price"] is None


def test_an_embedding_has_all_its_members(client, photos):
    body = client.post("/v1/embed", content=photos["bags/05"]).content

    assert EmbedResponse.model_validate_json(body).model_dump() == json.loads(body)
