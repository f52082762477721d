"""Searching over HTTP, by photo and by item."""

import hashlib
import json

import numpy as np
import pytest

from indexer.errors import FingerprintMismatchError
from indexer.protocols import Hit
from service.searcher import Searcher
from service.selection import Selection


def expected(vectors, query, limit, without=()):
    """Brute force over the fixtures: ids by score, then by id."""
    scores = {item_id: float(query @ vector) for item_id, vector in vectors.items()}
    ordered = sorted((-score, item_id) for item_id, score in scores.items())
    return [item_id for _, item_id in ordered if item_id not in without][:limit]


def ids(response):
    assert response.status_code == 200, response.text
    return [item["id"] for item in response.json()["items"]]


def test_a_form_finds_the_item_and_its_neighbours(each_client, engine, photos, vectors):
    response = each_client.post(
        "/v1/search", files={"image": ("me.png", photos["hats/03"])}, data={"limit": "5"}
    )

    assert ids(response) == expected(vectors, vectors["hats/03"], 5)
    answer = response.json()
    assert answer["items"][0] == {
        "id": "hats/03",
        "score": pytest.approx(1.0, abs=1e-6),
        "collapsed": [],
        "sha256": hashlib.sha256(photos["hats/03"]).hexdigest(),
        "attributes": {"number": 11},
        "image": "/v1/items/hats/03/image",
    }
    assert answer["generation"] == engine.generation
    assert answer["total"] == len(photos)


@pytest.mark.parametrize(
    "content_type", ["image/png", "image/jpeg", "application/octet-stream", "IMAGE/PNG; x=y", None]
)
def test_a_bare_body_gives_the_same_as_a_form(each_client, photos, vectors, content_type):
    headers = {} if content_type is None else {"content-type": content_type}

    response = each_client.post("/v1/search?limit=4", content=photos["bags/01"], headers=headers)

    assert ids(response) == expected(vectors, vectors["bags/01"], 4)


def test_an_item_finds_its_neighbours_but_not_itself(each_client, vectors):
    response = each_client.post("/v1/search", json={"item_id": "hats/03", "limit": 4})

    assert ids(response) == expected(vectors, vectors["hats/03"], 4, without={"hats/03"})
    steps = response.json()["timings_ms"]
    assert steps["embed"] == steps["decode"] == 0


def test_excluded_ids_do_not_shorten_the_answer(each_client, photos, vectors):
    without = set(expected(vectors, vectors["hats/03"], 2))
    form = {"limit": "3", "exclude": sorted(without), "exact": "true"}

    by_form = each_client.post("/v1/search", files={"image": ("a", photos["hats/03"])}, data=form)
    by_query = each_client.post(
        "/v1/search", params={"limit": 3, "exclude": sorted(without)}, content=photos["hats/03"]
    )
    by_item = each_client.post(
        "/v1/search", json={"item_id": "hats/03", "limit": 3, "exclude": sorted(without)}
    )

    answer = expected(vectors, vectors["hats/03"], 3, without=without)
    assert ids(by_form) == ids(by_query) == ids(by_item) == answer


def test_query_and_json_options_meet(each_client, vectors):
    response = each_client.post("/v1/search?limit=2", json={"item_id": "hats/03"})

    assert ids(response) == expected(vectors, vectors["hats/03"], 2, without={"hats/03"})


def test_limit_has_a_default_and_may_exceed_the_catalogue(serve, photos):
    client = serve(default_limit=6)

    assert len(ids(client.post("/v1/search", content=photos["hats/03"]))) == 6
    assert len(ids(client.post("/v1/search?limit=1000", content=photos["hats/03"]))) == len(photos)


def test_timings_cover_every_step_and_add_up(each_client, photos):
    steps = each_client.post("/v1/search", content=photos["hats/03"]).json()["timings_ms"]

    total = steps.pop("total")
    assert set(steps) == {"receive", "decode", "queue", "embed", "search", "fetch"}
    assert all(steps[step] > 0 for step in ("decode", "embed", "search", "fetch"))
    assert 0 < sum(steps.values()) <= total + 0.01  # each is rounded


def test_jpeg_and_webp_of_an_item_find_it(client, picture):
    for kind in ("JPEG", "WEBP"):
        assert ids(client.post("/v1/search?limit=1", content=picture(3, kind=kind))) == ["bags/03"]


def test_concurrent_searches_equal_serial_ones(each_client, photos):
    calls = [
        {"method": "POST", "url": "/v1/search?limit=5", "content": data} for data in photos.values()
    ]
    serial = [
        ids(each_client.request(**{"path": c["url"], **{k: c[k] for k in ("method", "content")}}))
        for c in calls
    ]

    assert [ids(response) for response in each_client.together(calls)] == serial


def test_embed_answers_the_vector_that_a_search_looks_for(client, photos, vectors, embedder):
    by_body = client.post("/v1/embed", content=photos["hats/03"]).json()
    by_form = client.post("/v1/embed", files={"image": ("a", photos["hats/03"])}).json()

    np.testing.assert_array_equal(np.float32(by_body["vector"]), vectors["hats/03"])
    assert by_form["vector"] == by_body["vector"]
    assert by_body["dim"] == embedder.dim
    assert by_body["fingerprint"] == embedder.fingerprint


def test_the_searcher_alone_answers_the_same(embedder, engine, each_client, photos):
    searcher = Searcher(embedder, engine, max_pixels=10**6)

    answer = searcher.search_image(photos["bags/05"], Selection(3))

    assert [match.item.id for match in answer.matches] == ids(
        each_client.post("/v1/search?limit=3", content=photos["bags/05"])
    )
    assert set(answer.timings) == {"decode", "embed", "search", "fetch"}


def test_a_search_among_others_answers_what_a_lone_one_does(each_client, photos):
    state, batches = each_client.app.state.niteru, []
    state.batcher.note = batches.append
    address = "/v1/search?limit=4&exclude=hats/03"
    lone = each_client.post(address, content=photos["bags/05"]).json()
    assert not batches  # one thread did it all
    with state.admission:  # another request is being worked on
        shared = each_client.post(address, content=photos["bags/05"]).json()

    assert batches == [1]
    assert shared["items"] == lone["items"]
    assert len(lone["items"]) == 4
    assert shared["timings_ms"].keys() == lone["timings_ms"].keys()


def test_weights_that_do_not_fit_are_refused_with_both_fingerprints(serve, exact, embedder):
    other = type(embedder)(grid=2)

    with pytest.raises(FingerprintMismatchError) as refusal:
        serve(embedder=other)

    assert exact.fingerprint in str(refusal.value)
    assert other.fingerprint in str(refusal.value)


class Rounding:
    """The engine in memory, with scores a hair past the range of a cosine, as rounding makes."""

    def __init__(self, engine):
        self.engine = engine

    def __getattr__(self, name):
        return getattr(self.engine, name)

    def __len__(self):
        return len(self.engine)

    def search(self, queries, limit, **options):
        rows = self.engine.search(queries, limit, **options)
        return [[Hit(hit.id, hit.score * 1.0000002) for hit in row] for row in rows]


def test_a_score_never_leaves_the_range_of_a_cosine(serve, exact, photos):
    client = serve(engine=Rounding(exact))

    response = client.post("/v1/search?limit=1", content=photos["hats/03"])

    assert response.json()["items"][0]["score"] == 1.0


@pytest.mark.parametrize("how", ["query", "form", "json", "text in json"])
def test_a_filter_is_kept_to_and_counted(each_client, photos, vectors, how):
    tree = {"must": [{"key": "number", "range": {"lt": 6}}]}
    query = {"filter": json.dumps(tree)}
    if how == "query":
        response = each_client.post("/v1/search", params=query, content=photos["hats/03"])
    elif how == "form":
        files = {"image": ("me.png", photos["hats/03"])}
        response = each_client.post("/v1/search", files=files, data=query)
    else:
        given = tree if how == "json" else json.dumps(tree)
        response = each_client.post("/v1/search", json={"item_id": "hats/03", "filter": given})
    answer = response.json()
    numbers = [item["attributes"]["number"] for item in answer["items"]]
    assert response.status_code == 200, response.text
    assert numbers
    assert max(numbers) < 6
    assert answer["total"] == len(numbers) < len(photos)


@pytest.mark.parametrize("text", ["{", '{"must": [{"key": "a"}]}', "[1]"])
def test_a_filter_that_is_none_is_told_with_its_place(each_client, photos, text):
    response = each_client.post("/v1/search", params={"filter": text}, content=photos["hats/03"])
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "filter"
