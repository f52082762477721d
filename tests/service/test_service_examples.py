"""``POST /v1/search`` with several examples for and against: this one, but like that."""

import numpy as np
import pytest

from service.searcher import Searcher


def unit(vector):
    return vector / np.linalg.norm(vector)


def expected(vectors, query, limit, without=()):
    """Brute force over the fixtures: ids by score, then by id."""
    scores = {item_id: float(query @ vector) for item_id, vector in vectors.items()}
    ordered = sorted((-score, item_id) for item_id, score in scores.items())
    return [item_id for _, item_id in ordered if item_id not in without][:limit]


def ids(response):
    assert response.status_code == 200, response.text
    return [item["id"] for item in response.json()["items"]]


def files(**named):
    return [(field, (f"{n}.png", data)) for field, several in named.items()
            for n, data in enumerate(several)]  # fmt: skip


def test_items_for_and_against(each_client, vectors):
    a, b, c = "hats/01", "hats/02", "bags/03"
    answer = each_client.post(
        "/v1/search", json={"positives": [a, c], "negatives": [b], "limit": 6}
    )
    query = unit(vectors[a] + vectors[c] - vectors[b])
    assert ids(answer) == expected(vectors, query, 6, without={a, b, c})
    found = answer.json()["items"][0]
    assert found["score"] == pytest.approx(float(query @ vectors[found["id"]]), abs=1e-5)
    steps = answer.json()["timings_ms"]
    assert steps["embed"] < steps["total"]


def test_positives_alone_are_their_mean(client, vectors):
    named = ["hats/01", "bags/03", "shoes/05"]
    query = unit(sum(vectors[name] for name in named))
    answer = client.post("/v1/search?limit=4", json={"positives": named})
    assert ids(answer) == expected(vectors, query, 4, without=set(named))
    one = client.post("/v1/search", json={"positives": ["hats/03"], "limit": 5})
    same = client.post("/v1/search", json={"item_id": "hats/03", "limit": 5})
    assert one.json()["items"] == same.json()["items"]


def test_photos_and_items_in_a_form(client, photos, vectors):
    a, b, c = photos["hats/01"], photos["hats/02"], "bags/03"
    answer = client.post(
        "/v1/search",
        files=files(positives=[a], negatives=[b]),
        data={"positives": c, "limit": "6", "exclude": ["hats/01", "hats/02"]},
    )
    query = unit(vectors["hats/01"] + vectors[c] - vectors["hats/02"])
    assert ids(answer) == expected(vectors, query, 6, without={"hats/01", "hats/02", c})
    image = client.post("/v1/search", files=files(image=[a], negatives=[b]), data={"limit": "6"})
    alone = client.post("/v1/search", files=files(positives=[a], negatives=[b]), data={"limit": 6})
    assert image.json()["items"] == alone.json()["items"]
    assert ids(image) == expected(
        vectors, unit(2 * vectors["hats/01"] - vectors["hats/02"]), 6
    )  # a photo is no item: the item it shows is answered


def test_several_photos_are_embedded_in_one_go(serve, exact, embedder, photos):
    counts = []

    class Counting:
        dim, fingerprint, preprocessing = embedder.dim, embedder.fingerprint, embedder.preprocessing

        def embed(self, pixels):
            counts.append(len(pixels))
            return embedder.embed(pixels)

    client = serve(engine=exact, embedder=Counting())
    sent = files(positives=[photos["hats/01"], photos["hats/02"]], negatives=[photos["bags/03"]])
    assert client.post("/v1/search", files=sent).status_code == 200
    assert counts == [3]


def test_each_example_counts_the_same(embedder, exact, vectors):
    searcher = Searcher(embedder, exact, max_pixels=10**6)
    found = searcher.combine(["hats/01", "hats/02", "bags/03"], ["shoes/01", "shoes/02"])
    assert np.linalg.norm(found) == pytest.approx(1, abs=1e-6)
    mean = 2 / 3 * (vectors["hats/01"] + vectors["hats/02"] + vectors["bags/03"])
    by_hand = unit(mean - (vectors["shoes/01"] + vectors["shoes/02"]) / 2)
    np.testing.assert_allclose(found, by_hand, atol=1e-6)


@pytest.mark.parametrize(
    ("asked", "status", "slug", "found"),
    [
        ({"negatives": ["hats/01"]}, 422, "invalid-request", "positives: found 0"),
        ({"positives": []}, 422, "invalid-request", "expected 1 to 16"),
        ({"positives": ["hats/01"] * 17}, 422, "invalid-request", "found 17"),
        ({"positives": ["a"], "negatives": ["b"] * 17}, 422, "invalid-request", "negatives: "),
        ({"positives": [""]}, 422, "invalid-request", "positives.0"),
        ({"positives": "hats/01"}, 422, "invalid-request", "valid array"),
        ({"positives": ["hats/01", "none"]}, 404, "unknown-item", "'none'"),
        ({"positives": ["hats/01"], "item_id": "hats/02"}, 422, "invalid-request", "item_id"),
        ({"positives": ["hats/01"], "limit": 1001}, 422, "invalid-request", "at most 1000"),
        ({"item_id": "positives"}, 404, "unknown-item", "'positives'"),
    ],
)
def test_what_is_wrong_is_told(client, check_problem, asked, status, slug, found):
    problem = check_problem(client.post("/v1/search", json=asked), status, slug)
    assert found in problem["detail"]


def test_examples_that_cancel_out_are_refused(client, serve, embedder, vectors, check_problem):
    from indexer.engines.exact import ExactEngine  # noqa: PLC0415
    from indexer.protocols import Item  # noqa: PLC0415

    vector = vectors["hats/01"]
    items = [(Item("a", "/a", "0" * 64), vector), (Item("b", "/b", "0" * 64), -vector)]
    engine = ExactEngine(items, dim=embedder.dim, fingerprint=embedder.fingerprint)
    opposite = serve(engine=engine).post("/v1/search", json={"positives": ["a", "b"]})
    assert "cancel each other out" in check_problem(opposite, 422, "invalid-request")["detail"]


def test_forms_are_refused_as_others_are(client, photos, check_problem):
    a = photos["hats/01"]
    for given, slug, found in (
        ({"files": files(positives=[a] * 17)}, "invalid-request", "at most 16"),
        ({"files": files(positives=[a], mask=[a])}, "invalid-request", "no file field 'mask'"),
        ({"files": files(negatives=[a])}, "invalid-request", "positives: found 0"),
        ({"files": files(positives=[a[:300]])}, "unusable-image", "damaged"),
        ({"files": files(positives=[b""])}, "unusable-image", "0 bytes"),
        ({"files": files(positives=[a]), "data": {"limti": "1"}}, "invalid-request", "'limit'"),
        ({"files": files(positives=[a]), "data": {"image": "x"}}, "invalid-request", "put @"),
    ):
        refused = client.post("/v1/search", **given)
        assert found in check_problem(refused, 422, slug)["detail"]
