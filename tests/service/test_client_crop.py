"""The Python client searches with parts of photos, alone and among examples."""

import pytest


@pytest.fixture
def asked(ask, client):
    return ask(client)


def ids(found):
    return [hit.id for hit in found.items]


def test_a_part_of_a_photo_is_searched_with(asked, client, photos):
    """The same part by fractions and by pixels; the photos are 160 x 120."""
    data, part = photos["hats/03"], {"crop": [40, 30, 120, 90], "crop_unit": "pixels"}
    expected = client.post("/v1/search?crop=0.25,0.25,0.75,0.75&limit=3", content=data).json()[
        "items"
    ]

    for by in (part, {"crop": (0.25, 0.25, 0.75, 0.75)}):
        found = asked.search(data, limit=3, **by)
        assert [(hit.id, hit.score) for hit in found.items] == [
            (item["id"], item["score"]) for item in expected
        ]
        (one,) = asked.search_batch([data], limit=3, **by).answers
        assert [hit.id for hit in one.items] == ids(found)
    assert asked.embed(data, **part).vector != asked.embed(data).vector


def test_parts_of_photos_among_examples_are_searched_with(asked, client, photos):
    liked, disliked = photos["hats/03"], photos["bags/05"]
    boxes = [(40, 30, 120, 90), None]
    form = {"crop": ["40,30,120,90", ""], "crop_unit": "pixels", "positives": "hats/01"}
    files = [("positives", ("a", liked)), ("negatives", ("b", disliked))]
    expected = client.post("/v1/search?limit=3", files=files, data=form).json()["items"]

    found = asked.search(
        positives=["hats/01", liked], negatives=[disliked], crop=boxes, crop_unit="pixels", limit=3
    )
    assert [(hit.id, hit.score) for hit in found.items] == [
        (item["id"], item["score"]) for item in expected
    ]
    one = asked.search(positives=[liked], crop=(0.25, 0.25, 0.75, 0.75), limit=3)
    same = asked.search(positives=[liked], crop=[boxes[0]], crop_unit="pixels", limit=3)
    assert one.items == same.items == asked.search(liked, crop=boxes[0], crop_unit="pixels",
                                                   limit=3).items  # fmt: skip
