"""Photos at URLs in other calls than a search: their vectors, what those kept, parts of a batch."""

from indexer.engines.exact import ExactEngine
from indexer.torch_embedder import TorchEmbedder
from tests.sites import HOST, answer


def test_a_vector_of_a_photo_at_a_url_is_that_of_the_upload(fetching, site, photos, check_problem):
    site.answers["/a.jpg"] = [answer(photos["hats/03"])]
    client = fetching()
    named = {"url": f"http://{HOST}:{site.port}/a.jpg", "crop": [0, 0, 0.5, 1]}

    told = client.post("/v1/embed", json=named)

    assert told.status_code == 200, told.text
    uploaded = client.post("/v1/embed?crop=0,0,0.5,1", content=photos["hats/03"]).json()
    assert told.json()["vector"] == uploaded["vector"]
    assert told.json()["timings_ms"]["receive"] > 0
    for wrong in ({"crop": "1,2"}, {"limit": 3}, {"crop": None, "crop_unit": "pixels"}):
        check_problem(client.post("/v1/embed", json=named | wrong), 422, "invalid-request")
    assert len(site.asked) == 1  # wrong options are told before anything is fetched


def test_a_photo_at_a_url_is_explained(
    fetching, site, photos, make_weights, tmp_path, check_problem
):
    weights = make_weights(tmp_path / "weights")
    learned = TorchEmbedder.load(weights)
    items = []
    engine = ExactEngine(items, dim=learned.dim, fingerprint=learned.fingerprint, generation="one")
    site.answers["/a.jpg"] = [answer(photos["hats/03"])]
    client = fetching(embedder=learned, engine=engine, weights=str(weights))
    named = {"url": f"http://{HOST}:{site.port}/a.jpg", "draws": 2, "nearest": 0, "seed": 3}
    asked = {"accept": "application/json"}

    told = client.post("/v1/explain", json=named, headers=asked)

    assert told.status_code == 200, told.text
    by_upload = client.post(
        "/v1/explain?draws=2&nearest=0&seed=3", content=photos["hats/03"], headers=asked
    )
    assert told.json() == by_upload.json()
    check_problem(client.post("/v1/explain", json=named | {"draws": 99}), 422, "invalid-request")
    assert len(site.asked) == 1
    named["url"] += "/none"
    check_problem(client.post("/v1/explain", json=named), 502, "url-failed")


def test_photos_at_urls_are_parts_of_a_batch(fetching, site, photos):
    """Each with a status of its own, also one that may not be fetched; photos and items beside."""
    site.answers["/a.jpg"] = [answer(photos["hats/03"])]
    site.answers["/page"] = [answer(b"<!doctype html>")]
    site.answers["/huge"] = [answer(b"x" * 300_000)]
    client = fetching(max_upload_bytes=200_000)
    at = f"http://{HOST}:{site.port}"
    urls = [f"{at}/a.jpg", f"{at}/none", f"{at}/page", "file:///etc/passwd", f"{at}/huge"]
    urls.append(f"http://private.example:{site.port}/")
    client.app.state.niteru.fetcher.resolve.known["private.example"] = ["10.0.0.1"]

    told = client.post(
        "/v1/search/batch",
        data={"urls": urls, "item_ids": "bags/01", "limit": "2"},
        files=[("image", ("a", photos["hats/04"]))],
    )

    answers = told.json()["answers"]
    assert [one["query"] for one in answers] == ["0", *urls, "bags/01"]
    assert [one["status"] for one in answers] == [200, 200, 502, 415, 422, 413, 422, 200]
    uploaded = client.post("/v1/search?limit=2", content=photos["hats/03"]).json()
    assert answers[1]["items"] == uploaded["items"]
    assert "scheme 'file'" in answers[4]["detail"]
    assert "not a public one" in answers[6]["detail"]


def test_a_batch_fetches_a_few_at_once_and_leaves_others_their_turn(fetching, site, photos):
    for number in range(12):
        site.answers[f"/{number}.jpg"] = [0.05, answer(photos["hats/03"])]
    client = fetching(at_once=4)
    urls = [f"http://{HOST}:{site.port}/{number}.jpg" for number in range(12)]

    told = client.post("/v1/search/batch", json={"urls": urls, "limit": 1}).json()

    assert [one["status"] for one in told["answers"]] == [200] * 12
    assert len({str(one["items"]) for one in told["answers"]}) == 1


def test_photos_at_urls_are_examples(fetching, site, photos):
    for name in ("hats/01", "hats/02", "bags/03"):
        site.answers[f"/{name}"] = [answer(photos[name])]
    at = f"http://{HOST}:{site.port}"
    client = fetching()
    named = {
        "positive_urls": [f"{at}/hats/01"],
        "positives": ["bags/03"],
        "negative_urls": [f"{at}/hats/02"],
        "exclude": ["hats/01", "hats/02"],
        "limit": 5,
    }
    expected = client.post(
        "/v1/search",
        json={"positives": ["hats/01", "bags/03"], "negatives": ["hats/02"], "limit": 5},
    ).json()["items"]

    for sent in ({"json": named}, {"data": named, "files": {"limit": (None, "5")}}):
        if "data" in sent:
            sent["data"] = {key: value for key, value in named.items() if key != "limit"}
        told = client.post("/v1/search", **sent)
        assert told.status_code == 200, told.text
        assert told.json()["items"] == expected
        assert told.json()["timings_ms"]["receive"] > 0
    assert len(site.asked) == 4


def test_each_example_at_a_url_has_its_own_crop(fetching, site, photos):
    for name in ("hats/01", "hats/02"):
        site.answers[f"/{name}"] = [answer(photos[name])]
    at = f"http://{HOST}:{site.port}"
    client = fetching()
    boxes = [[0, 0, 0.5, 1], "0.5,0,1,1"]
    named = {"positive_urls": [f"{at}/hats/01"], "negative_urls": [f"{at}/hats/02"], "limit": 5}
    files = [("positives", ("a", photos["hats/01"])), ("negatives", ("b", photos["hats/02"]))]
    sent = {"crop": ["0,0,0.5,1", boxes[1]], "limit": "5"}
    expected = client.post("/v1/search", files=files, data=sent).json()["items"]

    told = client.post("/v1/search", json={**named, "crop": boxes})

    assert told.status_code == 200, told.text
    assert told.json()["items"] == expected
    alone = {"positive_urls": named["positive_urls"], "limit": 5}
    one = client.post("/v1/search", json={**alone, "crop": boxes[0]}).json()["items"]
    by_upload = client.post("/v1/search?limit=5&crop=0,0,0.5,1", content=photos["hats/01"])
    assert one == by_upload.json()["items"]


def test_what_is_wrong_with_examples_at_urls_is_told_before_any_is_fetched(
    fetching, serve, site, photos, check_problem
):
    url = f"http://{HOST}:{site.port}/a.jpg"
    site.answers["/a.jpg"] = [answer(photos["hats/03"])]
    client = fetching()
    for wrong, told in (
        ({"negative_urls": [url]}, "positives: found 0"),
        ({"positive_urls": [url] * 17}, "at most 16"),
        ({"positive_urls": [url] * 9, "positives": ["hats/01"] * 8}, "found 17 photos and items"),
        ({"positive_urls": [url], "limit": 1001}, "at most 1000"),
        ({"positive_urls": [url], "crop": [[0, 0, 1, 1], [0, 0, 1, 1]]}, "found 2 for 1 photos"),
        ({"positive_urls": [url], "crop": [0, 0, 1]}, "expected four numbers"),
        ({"positive_urls": [url], "crop": [True, 0, 1, 1]}, "crop"),
        ({"positive_urls": [url], "item_id": "hats/01"}, "item_id"),
        ({"positive_urls": [url], "url": url}, "positive_urls"),
    ):
        problem = check_problem(client.post("/v1/search", json=wrong), 422, "invalid-request")
        assert told in problem["detail"]
    assert not site.asked
    none = client.post("/v1/search", json={"positive_urls": [url, f"{url}/none"]})
    check_problem(none, 502, "url-failed")
    refused = serve().post("/v1/search", json={"positive_urls": [url]})
    check_problem(refused, 422, "url-refused")
