"""``crop``: only a part of a photo counts, over HTTP as if it had been cut out by hand."""

import io
import json

import numpy as np
import pytest
from PIL import Image, ImageOps

BOX = "0.25,0.25,0.75,0.75"


def saved(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def upright(data):
    with Image.open(io.BytesIO(data)) as image:
        return ImageOps.exif_transpose(image).convert("RGB")


def cut(data, box):
    return saved(upright(data).crop(box), "PNG")


@pytest.fixture
def turned(photos):
    """A photo of 160 x 120 pixels as a JPEG that EXIF turns to 120 x 160."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(upright(photos["hats/03"]), "JPEG", exif=exif, quality=95)


@pytest.fixture
def surrounded(photos):
    """The photo of an item, small, in the middle of another one."""
    around = upright(photos["bags/01"]).resize((320, 240))
    around.paste(upright(photos["hats/03"]), (80, 60))
    return saved(around, "PNG")


def vector(response):
    assert response.status_code == 200, response.text
    return np.float32(response.json()["vector"])


@pytest.mark.parametrize("decoders", [0, 1])
def test_the_vector_is_that_of_the_part_cut_out_by_hand(serve, turned, decoders):
    client = serve(decoders=decoders)
    box = (30, 20, 110, 90)
    expected = vector(client.post("/v1/embed", content=cut(turned, box)))
    asked = {"crop": "30,20,110,90", "crop_unit": "pixels"}
    fractions = {"crop": f"{30 / 120},{20 / 160},{110 / 120},{90 / 160}"}
    image = {"image": ("a.jpg", turned)}

    for response in (
        client.post("/v1/embed", params=asked, content=turned),
        client.post("/v1/embed", data=asked, files=image),
        client.post("/v1/embed", params=fractions, content=turned),
        client.post("/v1/embed?crop_unit=pixels", data={"crop": asked["crop"]}, files=image),
    ):
        np.testing.assert_array_equal(vector(response), expected)
    assert not np.array_equal(vector(client.post("/v1/embed", content=turned)), expected)


def test_an_item_in_a_scene_is_found_by_its_box(each_client, surrounded):
    found = []
    for params in ({}, {"crop": BOX}, {"crop": "80,60,240,180", "crop_unit": "pixels"}):
        answer = each_client.post("/v1/search", params={"limit": 1, **params}, content=surrounded)
        found.append((answer.json()["items"][0]["id"], answer.json()["items"][0]["score"]))

    assert found[1][0] == found[2][0] == "hats/03"
    assert found[1][1] == found[2][1] == pytest.approx(1, abs=1e-6)
    assert found[0][1] < 0.99


def test_searches_that_share_a_batch_keep_their_own_parts(client, surrounded):
    boxes = [BOX, "0,0,0.5,0.5", "0.5,0.5,1,1"]
    calls = [
        {"method": "POST", "url": f"/v1/search?limit=3&crop={box}", "content": surrounded}
        for box in boxes
    ]
    alone = [client.post(call["url"], content=surrounded).json()["items"] for call in calls]

    together = [response.json()["items"] for response in client.together(calls)]

    assert together == alone
    assert alone[0] != alone[1] != alone[2]


def test_a_batch_crops_every_photo_and_a_wrong_box_fails_only_its_own(client, surrounded, photos):
    files = [("image", ("a", surrounded)), ("image", ("b", photos["bags/05"]))]
    both = client.post("/v1/search/batch?limit=2", data={"crop": BOX}, files=files).json()
    asked = {"crop": "80,60,240,180", "crop_unit": "pixels"}
    one = client.post("/v1/search/batch?limit=2", data=asked, files=files).json()

    for answer, photo in zip(both["answers"], (surrounded, photos["bags/05"]), strict=True):
        alone = client.post(f"/v1/search?limit=2&crop={BOX}", content=photo).json()
        assert answer["items"] == alone["items"]
    assert [answer["status"] for answer in one["answers"]] == [200, 422]
    assert one["answers"][0]["items"] == both["answers"][0]["items"]
    assert "160 x 120 pixels upright" in one["answers"][1]["detail"]


@pytest.mark.parametrize(
    ("crop", "unit", "found"),
    [
        ("80,60,200,100", "pixels", "right <= 120 and 0 <= top < bottom <= 160"),
        ("0,0,120,160", None, "The unit is fractions unless pixels are asked for"),
        ("0.5,0,0.5,1", "fractions", "no part of the photo"),
        ("0.9,0,0.1,1", None, "no part of the photo"),
        ("0.5,0.5,0.5001,1", None, "less than a pixel of the photo"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/search", "/v1/embed"])
def test_a_box_that_is_none_names_the_size_of_the_photo(
    client, turned, check_problem, path, crop, unit, found
):
    params = {"crop": crop} | ({} if unit is None else {"crop_unit": unit})

    problem = check_problem(
        client.post(path, params=params, content=turned), 422, "invalid-request"
    )

    assert "120 x 160 pixels upright" in problem["detail"]
    assert found in problem["detail"]
    assert problem["errors"][0]["field"] == "crop"


@pytest.mark.parametrize(
    ("params", "field", "found"),
    [
        ({"crop": "1,2,3"}, "crop", "left,top,right,bottom"),
        ({"crop": "a,0,1,1"}, "crop", "left,top,right,bottom"),
        ({"crop": "nan,0,1,1"}, "crop", "left,top,right,bottom"),
        ({"crop": "0,0,1.5,2", "crop_unit": "pixels"}, "crop", "whole numbers"),
        ({"crop": BOX, "crop_unit": "percent"}, "crop_unit", "'fractions' or 'pixels'"),
        ({"crop_unit": "pixels"}, "crop_unit", "there is none"),
        ({"crop": "0," * 200}, "crop", "at most 200 characters"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/search", "/v1/embed", "/v1/search/batch"])
def test_what_is_no_crop_is_told(client, photos, check_problem, path, params, field, found):
    files = {"image": ("a", photos["hats/03"])}

    problem = check_problem(client.post(path, params=params, files=files), 422, "invalid-request")

    assert found in problem["detail"]
    assert problem["errors"][0]["field"].endswith(field)


@pytest.mark.parametrize(
    ("path", "body", "found"),
    [
        ("/v1/search", {"item_id": "hats/03", "crop": BOX}, "as it was indexed, whole"),
        ("/v1/search", {"item_id": "hats/03", "crop": [0, 0, 0.5, 1]}, "as it was indexed, whole"),
        ("/v1/search", {"item_id": "hats/03", "crop_unit": "pixels"}, "as it was indexed, whole"),
        ("/v1/search", {"positives": ["hats/03"], "crop": BOX}, "as it was indexed, whole"),
        ("/v1/search/batch", {"item_ids": ["hats/03"], "crop": BOX}, "as they were indexed"),
    ],
)
def test_items_have_no_crop(client, check_problem, path, body, found):
    problem = check_problem(client.post(path, json=body), 422, "invalid-request")

    assert found in problem["detail"]
    in_query = {name: value for name, value in body.items() if name.startswith("crop")}
    rest = {name: value for name, value in body.items() if name not in in_query}
    if isinstance(body.get("crop"), str):
        again = client.post(path, params=in_query, content=json.dumps(rest).encode(),
                            headers={"content-type": "application/json"})  # fmt: skip
        assert check_problem(again, 422, "invalid-request")["detail"] == problem["detail"]


def test_a_batch_of_photos_and_items_has_no_crop(client, photos, check_problem):
    sent = {"files": {"image": ("a", photos["hats/03"])}, "data": {"item_ids": "hats/02"}}

    problem = check_problem(
        client.post(f"/v1/search/batch?crop={BOX}", **sent), 422, "invalid-request"
    )

    assert "as they were indexed, whole" in problem["detail"]


def examples(**named):
    return [(field, (f"{n}.png", data)) for field, several in named.items()
            for n, data in enumerate(several)]  # fmt: skip


def found(response):
    assert response.status_code == 200, response.text
    return response.json()["items"]


def test_one_photo_among_items_has_the_crop(client, surrounded, photos):
    by_hand = cut(surrounded, (80, 60, 240, 180))
    expected = client.post(
        "/v1/search?limit=4", files=examples(positives=[by_hand]), data={"negatives": "bags/05"}
    )
    whole = client.post(
        "/v1/search?limit=4", files=examples(positives=[surrounded]), data={"negatives": "bags/05"}
    )

    for field in ("image", "positives"):
        for params, form in (
            ({}, {"crop": BOX}),
            ({"crop": BOX}, {}),
            ({"crop": "80,60,240,180"}, {"crop_unit": "pixels"}),
        ):
            answer = client.post(
                "/v1/search?limit=4", params={"limit": 4, **params},
                files=examples(**{field: [surrounded]}), data={"negatives": "bags/05", **form},
            )  # fmt: skip
            assert found(answer) == found(expected)
    assert found(whole) != found(expected)


def test_of_several_photos_each_has_its_own_crop(client, surrounded, turned, photos):
    """In the order image, positives, negatives, wherever they stand in the form."""
    boxes = {"image": (80, 60, 240, 180), "positives": (30, 20, 110, 90), "negatives": None}
    sent = {"image": surrounded, "positives": turned, "negatives": photos["bags/05"]}
    by_hand = {field: cut(sent[field], box) if box else sent[field] for field, box in boxes.items()}
    expected = client.post(
        "/v1/search?limit=4", files=examples(**{name: [data] for name, data in by_hand.items()})
    )
    crops = [",".join(map(str, box)) if box else "" for box in boxes.values()]

    for order in (["image", "positives", "negatives"], ["negatives", "positives", "image"]):
        answer = client.post(
            "/v1/search?limit=4", files=examples(**{field: [sent[field]] for field in order}),
            data={"crop": crops, "crop_unit": "pixels"},
        )  # fmt: skip
        assert found(answer) == found(expected)


@pytest.mark.parametrize(
    ("crops", "told"),
    [
        ([BOX], "found 1 for 2 photos; expected one for each, in the order image, positives"),
        ([BOX] * 3, "found 3 for 2 photos"),
        ([BOX, "1,2,3"], "found '1,2,3'; expected four"),
        ([BOX, "0,0,2,2"], "Photo 2 of 2: crop: '0,0,2,2' in fractions is no part of the photo"),
        ([BOX] * 33, "at most 32 items"),
    ],
)
def test_crops_that_do_not_go_with_the_photos_are_told(client, photos, check_problem, crops, told):
    files = examples(positives=[photos["hats/03"], photos["hats/02"]])

    answer = client.post("/v1/search", files=files, data={"crop": crops})

    problem = check_problem(answer, 422, "invalid-request")
    assert told in problem["detail"]
    assert problem["errors"][0]["field"] == "crop"


def test_a_unit_without_a_crop_is_told_of_examples_too(client, photos, check_problem):
    answer = client.post(
        "/v1/search?crop_unit=pixels", files=examples(positives=[photos["hats/03"]])
    )
    assert "there is none" in check_problem(answer, 422, "invalid-request")["detail"]


def test_which_of_several_photos_is_damaged_is_told(client, photos, check_problem):
    files = examples(positives=[photos["hats/03"], photos["hats/02"][:300]])
    problem = check_problem(client.post("/v1/search", files=files), 422, "unusable-image")
    assert problem["detail"].startswith("Photo 2 of 2: ")
    assert problem["reason"] == "corrupt"
