"""Items and their photos: every id can be reached, and no file but the item's own."""

import hashlib
import io
import os
from urllib.parse import quote

import httpx
import numpy as np
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image

from indexer.protocols import Item
from service.links import item_path


def test_an_item_is_read_by_its_id(each_client, photos):
    response = each_client.get("/v1/items/hats/03")

    assert response.status_code == 200
    assert response.json() == {
        "id": "hats/03",
        "sha256": hashlib.sha256(photos["hats/03"]).hexdigest(),
        "attributes": {"number": 11},
        "image": "/v1/items/hats/03/image",
    }
    assert each_client.get("/v1/items/hats%2F03").json() == response.json()


def test_every_id_has_a_path_of_its_own(each_client, photos):
    for number, (item_id, photo) in enumerate(photos.items()):
        item = each_client.get(item_path(item_id))
        assert item.status_code == 200, item_id
        assert item.json()["id"] == item_id
        assert item.json()["attributes"] == {"number": number}
        image = each_client.get(item.json()["image"])
        assert image.status_code == 200, item_id
        assert image.content == photo


def test_links_of_a_search_lead_to_the_photos(each_client, photos):
    found = each_client.post("/v1/search?limit=100", content=photos["hats/03"]).json()["items"]

    assert len(found) == len(photos)
    for item in found:
        assert each_client.get(item["image"]).content == photos[item["id"]]


def test_an_escaped_slash_tells_an_item_from_a_photo(each_client, photos):
    assert each_client.get("/v1/items/shoes%2Fimage").json()["id"] == "shoes/image"
    assert each_client.get("/v1/items/shoes%2Fimage/image").content == photos["shoes/image"]
    problem = each_client.get("/v1/items/shoes/image").json()
    assert problem["status"] == 404
    assert "For the item 'shoes/image' ask /v1/items/shoes%2Fimage." in problem["detail"]


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12))
@example(".")
@example("..")
@hypothesis_settings(max_examples=200, deadline=None)
def test_a_path_survives_what_clients_do_to_it(item_id):
    url = httpx.URL("http://niteru.test").join(item_path(item_id))

    prefix = "/v1/items/"
    assert url.path == prefix + item_id
    if item_id.endswith("/image"):
        assert not url.raw_path.endswith(b"/image")


def test_ids_of_a_name_only_are_not_escaped_more_than_needed():
    assert item_path("shoes/canvas low") == "/v1/items/shoes/canvas%20low"
    assert item_path("image") == "/v1/items/image"
    assert item_path("../x") == "/v1/items/..%2Fx"


def test_unknown_items(each_client, check_problem):
    for path, item_id in (
        ("/v1/items/hats/99", "hats/99"),
        ("/v1/items/hats/99/image", "hats/99"),
        ("/v1/items/", ""),
        ("/v1/items/hats/03/", "hats/03/"),
        ("/v1/items/%00%FF", "\0\ufffd"),
        ("/v1/items/%2E%2E%2Fhats", "../hats"),
    ):
        problem = check_problem(each_client.get(path), 404, "unknown-item")
        assert problem["item_id"] == item_id
        assert repr(item_id) in problem["detail"]


def test_no_path_reads_a_file_that_is_no_item(client, folder):
    for path in (str(folder / "0.png"), "/etc/passwd", "../../etc/passwd", "file:///etc/passwd"):
        assert client.get(f"/v1/items/{quote(path, safe='')}/image").status_code == 404


def test_a_photo_says_what_it_is_and_may_be_kept(serve, photos):
    client = serve(photo_max_age=120)

    photo = client.get("/v1/items/hats/03/image")

    assert photo.headers["content-type"] == "image/png"
    assert photo.headers["cache-control"] == "public, max-age=120"
    keyed = serve(photo_max_age=120, api_keys="search:0123456789abcdef")
    asked = keyed.get("/v1/items/hats/03/image", headers={"X-API-Key": "0123456789abcdef"})
    assert asked.headers["cache-control"] == "private, max-age=120"
    assert photo.headers["x-content-type-options"] == "nosniff"
    etag = photo.headers["etag"]
    assert etag == f'"{hashlib.sha256(photos["hats/03"]).hexdigest()}"'
    for header in (etag, f'"other", W/{etag}', "*"):
        again = client.get("/v1/items/hats/03/image", headers={"if-none-match": header})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == etag
    other = client.get("/v1/items/hats/03/image", headers={"if-none-match": '"other"'})
    assert other.content == photos["hats/03"]


def put(exact, vectors, path, item_id="new"):
    exact.upsert([(Item(item_id, str(path), "0" * 64), vectors["hats/03"])])


def test_the_content_type_is_of_the_bytes_not_of_the_name(
    client, exact, vectors, picture, tmp_path
):
    for kind in ("JPEG", "WEBP"):
        path = tmp_path / f"{kind}.png"
        path.write_bytes(picture(1, kind=kind))
        put(exact, vectors, path)
        assert client.get("/v1/items/new/image").headers["content-type"] == f"image/{kind.lower()}"


def test_a_photo_that_changed_has_another_etag(client, exact, vectors, picture, tmp_path):
    path = tmp_path / "photo.png"
    put(exact, vectors, path)
    tags = set()
    for seed in (1, 2):
        path.write_bytes(picture(seed))
        tags.add(client.get("/v1/items/new/image").headers["etag"])
    assert len(tags) == 2


def test_photos_that_cannot_be_sent(client, exact, vectors, check_problem, tmp_path):
    (tmp_path / "secret.txt").write_text("the password")
    (tmp_path / "empty.png").touch()
    os.mkfifo(tmp_path / "pipe.png")
    for name, reason in (
        ("gone.png", "cannot be read any more"),
        ("pipe.png", "cannot be read any more"),
        (".", "cannot be read any more"),
        ("zero\0byte.png", "cannot be read any more"),
        ("x" * 5000, "cannot be read any more"),
        ("secret.txt", "is no image"),
        ("empty.png", "is no image"),
    ):
        put(exact, vectors, f"{tmp_path}/{name}")
        problem = check_problem(client.get("/v1/items/new/image"), 404, "photo-missing")
        assert reason in problem["detail"]
        assert str(tmp_path) not in problem["detail"]
        assert client.get("/v1/items/new").status_code == 200


def test_an_item_deleted_between_search_and_fetch_is_left_out(serve, exact, photos):
    class Vanishing:
        def __getattr__(self, name):
            return getattr(exact, name)

        def __len__(self):
            return len(exact)

        def get(self, ids):
            return [None, *exact.get(ids)[1:]]

    found = serve(engine=Vanishing()).post("/v1/search?limit=3", content=photos["hats/03"]).json()

    assert len(found["items"]) == 2
    assert "hats/03" not in [item["id"] for item in found["items"]]
    assert np.all(np.diff([item["score"] for item in found["items"]]) <= 0)


def test_a_small_photo_is_a_jpeg_of_that_side_with_a_tag_of_its_own(each_client, check_problem):
    whole = each_client.get("/v1/items/hats/03/image")
    small = each_client.get("/v1/items/hats/03/image?side=40")
    assert small.headers["content-type"] == "image/jpeg"
    with Image.open(io.BytesIO(small.content)) as picture:
        assert picture.size == (40, 30)  # of 160 x 120
    assert small.headers["etag"] != whole.headers["etag"]
    known = {"if-none-match": small.headers["etag"]}
    assert each_client.get("/v1/items/hats/03/image?side=40", headers=known).status_code == 304
    assert each_client.get("/v1/items/hats/03/image?side=41", headers=known).status_code == 200
    with Image.open(
        io.BytesIO(each_client.get("/v1/items/hats/03/image?side=1000").content)
    ) as picture:
        assert picture.size == (160, 120)  # nothing is enlarged
    refused = each_client.get("/v1/items/hats/03/image?side=4")
    assert "side" in check_problem(refused, 422, "invalid-request")["detail"]
