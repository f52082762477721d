"""Many searches in one request: each answered as it would have been alone."""

import pytest


def images(*photos):
    return [("image", (f"{n}", photo)) for n, photo in enumerate(photos)]


def test_each_is_answered_as_alone(each_client, photos):
    names = ["hats/03", "bags/01", "shoes/image"]
    options = {"limit": "4", "collapse": "0.9999"}

    response = each_client.post(
        "/v1/search/batch",
        files=images(*(photos[name] for name in names)),
        data={**options, "item_ids": ["hats/02", "hats/04"]},
    )

    assert response.status_code == 200, response.text
    answers = response.json()["answers"]
    assert [answer["query"] for answer in answers] == ["0", "1", "2", "hats/02", "hats/04"]
    alone = [each_client.post("/v1/search", params=options, content=photos[n]) for n in names]
    alone += [each_client.post("/v1/search", params=options, json={"item_id": name})
              for name in ("hats/02", "hats/04")]  # fmt: skip
    for answer, single in zip(answers, alone, strict=True):
        assert answer["status"] == 200
        told = single.json()
        found = [(item["id"], item["collapsed"]) for item in answer["items"]]
        assert found == [(item["id"], item["collapsed"]) for item in told["items"]]
        assert (answer["total"], answer["generation"]) == (told["total"], told["generation"])
    assert response.json()["timings_ms"]["embed"] > 0


def test_a_bad_one_fails_no_other(each_client, photos):
    response = each_client.post(
        "/v1/search/batch?limit=1",
        files=images(photos["hats/03"], b"no image", photos["bags/01"][:150], b""),
        data={"item_ids": "nobody"},
    )

    answers = response.json()["answers"]
    assert [answer["status"] for answer in answers] == [200, 415, 422, 422, 404]
    assert "0 bytes were received" in answers[3]["detail"]
    assert answers[0]["items"][0]["id"] == "hats/03"
    assert all(answer["detail"] and not answer["items"] for answer in answers[1:])


def test_items_alone_come_as_json(each_client):
    response = each_client.post("/v1/search/batch", json={"item_ids": ["hats/03"], "limit": 2})

    (answer,) = response.json()["answers"]
    assert answer["status"] == 200
    assert len(answer["items"]) == 2


@pytest.mark.parametrize(
    ("sent", "word"),
    [
        ({"json": {"item_ids": []}}, "0 photos, 0 URLs and 0 items"),
        ({"json": {"item_ids": ["a"] * 65}}, "item_ids"),
        ({"json": {"item_ids": ["a"], "limit": 100_000}}, "limit"),
        ({"json": {"item_ids": ["a"], "limi": 1}}, "Did you mean 'limit'"),
    ],
)
def test_what_is_wrong_for_all_is_a_problem(client, check_problem, sent, word):
    problem = check_problem(client.post("/v1/search/batch", **sent), 422, "invalid-request")
    assert word in problem["detail"]


def test_too_many_photos_are_refused(client, photos, check_problem):
    response = client.post("/v1/search/batch", files=images(*[photos["hats/03"]] * 65))
    assert "at most 64" in check_problem(response, 422, "invalid-request")["detail"]
