"""What an upload can get wrong: each is told with its status, its type and what to do."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

FORM = "multipart/form-data; boundary=b"


def part(name, data, *, filename=None):
    file = f'; filename="{filename}"' if filename else ""
    head = f'--b\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
    return head.encode() + data + b"\r\n"


def header_of_png(width, height):
    """A PNG that says its size and holds nothing: 60 bytes, whatever the size."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize("path", ["/v1/search", "/v1/embed"])
def test_empty_uploads(client, check_problem, path):
    for given in (
        {"content": b"", "headers": {"content-type": "image/jpeg"}},
        {"content": b""},
        {"files": {"image": ("a.jpg", b"")}},
    ):
        problem = check_problem(client.post(path, **given), 422, "unusable-image")
        assert problem["reason"] == "empty"
        assert problem["detail"].startswith("The image is empty: 0 bytes were received.")


@pytest.mark.parametrize(
    "data",
    [
        b"GIF89a" + bytes(50),
        b"<svg/>",
        b"%PDF-1.7",
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
        b"\0" * 100,
        b"?",
    ],
)
def test_what_is_no_accepted_image(client, check_problem, data):
    response = client.post("/v1/search", content=data, headers={"content-type": "image/jpeg"})

    problem = check_problem(response, 415, "unsupported-format")
    assert problem["accepted"] == ["image/jpeg", "image/png", "image/webp"]
    assert "Send JPEG, PNG, WEBP." in problem["detail"]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("kept", [14, 0.3, 0.9])
def test_truncated_images(client, check_problem, picture, kind, kept):
    whole = picture(1, kind=kind)
    data = whole[: kept if kept > 1 else int(len(whole) * kept)]

    problem = check_problem(client.post("/v1/search", content=data), 422, "unusable-image")

    assert problem["reason"] == "corrupt"


def test_too_many_pixels_are_refused_from_the_header(client, serve, check_problem, picture):
    bomb = header_of_png(20_000, 20_000)
    problem = check_problem(client.post("/v1/search", content=bomb), 422, "unusable-image")
    assert problem["reason"] == "too_many_pixels"
    assert "50,000,000" in problem["detail"]

    small = serve(max_pixels=160 * 120 - 1)
    problem = check_problem(small.post("/v1/search", content=picture(0)), 422, "unusable-image")
    assert "160 x 120 = 19,200" in problem["detail"]
    assert serve(max_pixels=160 * 120).post("/v1/search", content=picture(0)).status_code == 200


def test_odd_but_honest_images_are_accepted(client):
    ramp = np.linspace(0, 65535, 64 * 64).astype(np.uint16).reshape(64, 64)
    pictures = {
        "16 bits": Image.fromarray(ramp),
        "alpha": Image.new("RGBA", (30, 40), (200, 10, 10, 0)),
        "palette": Image.new("P", (30, 40)),
        "one pixel": Image.new("RGB", (1, 1)),
        "thin": Image.new("L", (4000, 1)),
    }
    for name, image in pictures.items():
        file = io.BytesIO()
        image.save(file, "PNG")
        assert client.post("/v1/search", content=file.getvalue()).status_code == 200, name
    file = io.BytesIO()
    Image.new("CMYK", (30, 40), (0, 90, 90, 0)).save(file, "JPEG")
    assert client.post("/v1/search", content=file.getvalue()).status_code == 200


@pytest.mark.parametrize("path", ["/v1/search", "/v1/embed"])
def test_content_types_that_are_not_read(client, check_problem, picture, path):
    for kind in ("text/plain", "application/xml", "video/mp4", "multipart/mixed; boundary=b"):
        response = client.post(path, content=picture(0), headers={"content-type": kind})
        problem = check_problem(response, 415, "unsupported-format")
        assert f"The Content-Type is '{kind.partition(';')[0]}'" in problem["detail"]
        assert "multipart/form-data" in problem["detail"]


def test_what_curl_sends_by_default_is_told_how_to_do_it(client, check_problem, picture):
    kind = "application/x-www-form-urlencoded"
    response = client.post("/v1/search", content=picture(0), headers={"content-type": kind})

    problem = check_problem(response, 415, "unsupported-format")
    assert "-F image=@photo.jpg" in problem["detail"]


def test_embed_takes_no_item(client, check_problem):
    check_problem(client.post("/v1/embed", json={"item_id": "a"}), 422, "invalid-request")


@pytest.mark.parametrize(
    ("content_type", "body", "found"),
    [
        ("multipart/form-data", b"x", "Missing boundary"),
        (FORM, b"this is no form", "Invalid multipart data"),
        (FORM, b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n", '"name"'),
        (
            FORM,
            b"".join(part("image", b"x", filename=f"{n}") for n in range(40)) + b"--b--",
            "many",
        ),
        (FORM, part("limit", b"1" * 2**21) + b"--b--\r\n", "exceeded maximum size"),
        (FORM, b"".join(part(f"f{n}", b"") for n in range(2001)) + b"--b--\r\n", "Too many fields"),
    ],
)
def test_forms_that_cannot_be_read(client, check_problem, content_type, body, found):
    response = client.post("/v1/search", content=body, headers={"content-type": content_type})

    problem = check_problem(response, 400, "malformed-body")
    assert found in problem["detail"]
    assert "curl -F image=@photo.jpg" in problem["detail"]


def test_forms_without_their_image(client, check_problem, picture):
    def refused(**given):
        return check_problem(client.post("/v1/search", **given), 422, "invalid-request")["detail"]

    assert "file 'photo'; expected one file field 'image'" in refused(files={"photo": b"x"})
    text = refused(files=[("image", (None, "photo.jpg"))])
    assert "text 'image'" in text
    assert "put @ before the file's name" in text
    twice = refused(files=[("image", ("a", picture(0))), ("image", ("b", picture(1)))])
    assert "file 'image', file 'image'" in twice
    assert "and no other file" in refused(files={"image": ("a", picture(0)), "mask": ("b", b"x")})
    empty = client.post("/v1/search", content=b"--b--\r\n", headers={"content-type": FORM})
    assert "no fields" in check_problem(empty, 422, "invalid-request")["detail"]


def test_options_of_a_search_are_none_of_embed(client, check_problem, picture):
    given = {"files": {"image": ("a", picture(0))}, "data": {"limit": "3"}}

    problem = check_problem(client.post("/v1/embed", **given), 422, "invalid-request")

    assert "limit: There is no such parameter. Known: crop, crop_unit." in problem["detail"]


@pytest.mark.parametrize(
    ("limit", "found"),
    [
        ("0", "limit: Input should be greater than or equal to 1; found '0'."),
        ("-3", "limit: Input should be greater than or equal to 1; found '-3'."),
        (
            "many",
            "unable to parse string as an integer; found 'many'.",
        ),
        ("1.5", "found '1.5'."),
        ("1001", "limit: 1001 items were asked for; at most 1000 are answered at once."),
        ("9" * 5000, "limit: "),
    ],
)
def test_a_limit_out_of_range(client, check_problem, picture, limit, found):
    form = {"files": {"image": ("a", picture(0))}, "data": {"limit": limit}}
    for response in (
        client.post("/v1/search", **form),
        client.post("/v1/search", params={"limit": limit}, content=picture(0)),
    ):
        problem = check_problem(response, 422, "invalid-request")
        assert found in problem["detail"]
        assert problem["errors"][0]["field"] == "limit"
        assert len(response.content) < 1000


@pytest.mark.parametrize(
    ("member", "value", "found"),
    [
        ("limit", 0, "greater than or equal to 1; found '0'."),
        ("limit", 1001, "1001 items were asked for; at most 1000 are answered at once."),
        ("limit", 1.5, "found '1.5'."),
        # Texts are for forms and queries, which have nothing else.
        ("limit", "5", "a valid integer; found '5'."),
        ("exact", 1, "a valid boolean; found '1'."),
        ("exact", "true", "a valid boolean; found 'true'."),
        ("score_threshold", "0.5", "a valid number; found '0.5'."),
        ("exclude", "hats/02", "a valid array; found 'hats/02'."),
    ],
)
def test_json_holds_what_the_description_says(client, check_problem, member, value, found):
    given = {"item_id": "hats/01", member: value}
    problem = check_problem(client.post("/v1/search", json=given), 422, "invalid-request")
    assert found in problem["detail"]
    assert problem["errors"][0]["field"] == member


def test_settings_that_do_not_exist_are_refused_with_the_nearest(client, check_problem, picture):
    form = {"files": {"image": ("a", picture(0))}, "data": {"limti": "3"}}
    for response in (
        client.post("/v1/search", **form),
        client.post("/v1/search?limti=3", content=picture(0)),
        client.post("/v1/search", json={"item_id": "hats/01", "limti": 3}),
    ):
        problem = check_problem(response, 422, "invalid-request")
        assert "limti: There is no such parameter. Did you mean 'limit'?" in problem["detail"]


def test_a_field_that_is_no_list_is_sent_once(client, check_problem, picture):
    several = [("image", ("a", picture(0))), ("positives", ("b", picture(1)))]
    for files in (several[:1], several):
        for field in ("limit", "crop_unit", "filter"):
            data = {field: ["1", "1"], "exclude": ["a", "b"]}
            refused = client.post("/v1/search", files=files, data=data)
            problem = check_problem(refused, 422, "invalid-request")
            assert f"{field}: It stands 2 times in the form. Send it once." in problem["detail"]
            assert problem["errors"][0]["field"] == field
    twice = client.post("/v1/search", files=several[:1], data={"crop": ["0,0,1,1"] * 2})
    check_problem(twice, 422, "invalid-request")


def test_a_setting_sent_twice_is_refused(client, check_problem, picture):
    form = {"files": {"image": ("a", picture(0))}, "data": {"limit": "3"}}
    for response in (
        client.post("/v1/search?limit=4", **form),
        client.post("/v1/search?limit=4", json={"item_id": "hats/01", "limit": 3}),
    ):
        problem = check_problem(response, 422, "invalid-request")
        assert "'limit' stands both in the query string and in the body" in problem["detail"]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"{", "Invalid JSON"),
        (b"", "Invalid JSON"),
        (b"[]", "found '[]'"),
        (
            b"{}",
            "There is nothing to search with; expected one of 'item_id', 'url', or 'positives'",
        ),
        (b'{"limit": 3}', "There is nothing to search with"),
        (b'{"item": "a"}', "item: There is no such parameter."),
        (b'{"item_idd": "a"}', "Did you mean 'item_id'?"),
        (b'{"item_id": "a", "url": "http://b.example"}', "There is item_id and url to search with"),
        (b'{"url": "http://b.example", "negatives": ["a"]}', "There is negatives and url"),
        (b'{"item_id": "hats/01", "filter": "{"}', "filter: The filter is no JSON"),
        (b'{"item_id": ""}', "item_id: String should have at least 1 character"),
        (b'{"item_id": 7}', "item_id: Input should be a valid string; found '7'."),
        (b'{"item_id": "\\ud800"}', "Invalid JSON"),
        (b'{"item_id": "\xff"}', "Invalid JSON"),
        (b"[" * 100_000, "Invalid JSON"),
    ],
)
def test_json_that_names_no_item(client, check_problem, body, found):
    response = client.post("/v1/search", content=body, headers={"content-type": "application/json"})

    assert found in check_problem(response, 422, "invalid-request")["detail"]


def test_an_unknown_item(client, check_problem):
    problem = check_problem(
        client.post("/v1/search", json={"item_id": "hats/99"}), 404, "unknown-item"
    )

    assert problem["item_id"] == "hats/99"
    assert problem["detail"] == "There is no item 'hats/99' in the generation being served."
