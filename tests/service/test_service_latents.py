"""Completions, reconstructions, interpolations, arithmetic: what is drawn, and what is refused."""

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image

from models.images import ImageError, Preprocessing, read_mask
from models.nn.latent import spherical
from models.training.checkpoint import load_weights
from service.errors import InvalidRequestError
from service.known import known_by_mask, known_rows

JSON = {"accept": "application/json"}
LATENT = ("autoencoder", "info_vae", "pixelvae", "vae")


def decoded(text):
    with Image.open(io.BytesIO(base64.b64decode(text, validate=True))) as image:
        return np.asarray(image)


def png(pixels, mode=None):
    file = io.BytesIO()
    Image.fromarray(pixels, mode).save(file, "PNG")
    return file.getvalue()


def files(**named):
    """File fields: one, or several of a name."""
    return [
        (field, (f"{number}.png", data))
        for field, several in named.items()
        for number, data in enumerate(several if isinstance(several, list) else [several])
    ]


def pixels_of(pictures):
    """(B, C, h, w) in [-1, 1] -> uint8 arrays as they are answered."""
    values = ((pictures.clamp(-1, 1) + 1) * 127.5).round().permute(0, 2, 3, 1).to(torch.uint8)
    return [np.broadcast_to(v, (*v.shape[:2], 3)) for v in values.numpy()]


@pytest.fixture(scope="module")
def loaded(gallery):
    folders = (gallery / "weights").iterdir()
    return {folder.name: load_weights(folder) for folder in folders}


def latent_of(weights, photo):
    seen = weights.preprocessing.read(photo)
    x = torch.tensor(seen).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.inference_mode():
        return weights.model.latent(x)


# -- completions -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["pixelcnn", "pixelrnn"])
def test_known_rows_come_back_and_the_rest_is_drawn(artist, loaded, photos, name):
    asked = {"files": files(image=photos["hats/03"]), "headers": JSON}
    told = artist.post(f"/v1/models/{name}/completions?rows=2&n=3", **asked).json()
    seen = loaded[name].preprocessing.read(photos["hats/03"])  # 4 x 4
    shown = decoded(told["photos"][0])
    assert np.array_equal(shown[:2], seen[:2])
    assert (shown[2:] == 128).all()
    levels = np.round(np.round(seen / 255 * 7) / 7 * 255)  # the tiny model tells 8 apart
    drawn = [decoded(picture) for picture in told["pictures"]]
    assert len(drawn) == 3
    for picture in drawn:
        assert np.abs(picture[:2] - levels[:2]).max() <= 1
    assert any(not np.array_equal(drawn[0][2:], other[2:]) for other in drawn[1:])
    again = artist.post(f"/v1/models/{name}/completions?rows=2&n=3", **asked).json()
    assert again == told
    sheet = artist.post(
        f"/v1/models/{name}/completions", files=files(image=photos["hats/03"]), data={"rows": "2"}
    )
    assert sheet.headers["content-type"] == "image/png"


def test_without_a_known_row_it_is_a_sample(artist, photos):
    asked = {"n": "2", "seed": "4"}
    free = artist.post("/v1/models/pixelcnn/samples", params=asked, headers=JSON).json()
    told = artist.post(
        "/v1/models/pixelcnn/completions", content=photos["hats/03"], headers=JSON,
        params=asked | {"rows": "0"},
    ).json()  # fmt: skip
    assert told["pictures"] == free["pictures"]


def test_a_mask_in_any_order_for_a_model_that_draws_in_any(artist):
    """MADE knows the right half of a picture of 8 x 8 and draws the left one."""
    rng = np.random.default_rng(0)
    bits = np.repeat(rng.integers(0, 2, (8, 8, 1)) * 255, 3, 2).astype(np.uint8)
    mask = np.zeros((8, 8), np.uint8)
    mask[:, 4:] = 255
    told = artist.post(
        "/v1/models/made/completions?n=2",
        files=files(image=png(bits), mask=png(mask)),
        headers=JSON,
    ).json()
    for text in told["pictures"]:
        assert np.array_equal(decoded(text)[:, 4:], bits[:, 4:])
        assert set(np.unique(decoded(text))) <= {0, 255}
    assert (decoded(told["photos"][0])[:, :4] == 128).all()


def test_a_mask_that_a_model_cannot_follow_is_refused_in_its_words(
    artist, photos, check_problem, picture
):
    mask = np.zeros((120, 160), np.uint8)
    mask[60:] = 255
    refused = artist.post(
        "/v1/models/pixelcnn/completions",
        files=files(image=photos["hats/03"], mask=png(mask)),
    )
    problem = check_problem(refused, 422, "model-cannot")
    assert "row by row" in problem["detail"]
    assert "complete" in problem["abilities"]


def test_a_mask_is_fitted_as_its_photo_is():
    """A photo of 2 : 1 in a square of 8: two rows above and below, which follow the rim."""
    preprocessing = Preprocessing(size=8)
    photo = png(np.zeros((40, 80, 3), np.uint8))
    mask = np.zeros((20, 40), np.uint8)
    mask[:10] = 255
    known = known_by_mask(read_mask(png(mask), photo, preprocessing))
    assert known[:4].all()
    assert not known[4:].any()
    tall = png(np.zeros((80, 40, 3), np.uint8))
    left = known_by_mask(read_mask(png(np.ascontiguousarray(mask.T)), tall, preprocessing))
    assert np.array_equal(left, known.T)


def test_masks_and_rows_that_say_nothing_are_refused():
    white, photo = png(np.full((8, 8), 255, np.uint8)), png(np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(InvalidRequestError, match="all of it is white"):
        known_by_mask(read_mask(white, photo, Preprocessing(size=8), max_pixels=100))
    wide = png(np.zeros((8, 16), np.uint8))
    with pytest.raises(ImageError, match="16 x 8 pixels, and the photo 8 x 8") as foreign:
        read_mask(wide, photo, Preprocessing(size=8), max_pixels=200)
    assert foreign.value.reason == "proportions"
    for rows in (8, -1):
        with pytest.raises(InvalidRequestError, match="expected 0 to 7"):
            known_rows(rows, 8)


@pytest.mark.parametrize(
    ("given", "status", "slug", "found"),
    [
        ({"params": {"rows": "2"}, "data": {"n": "1"}}, 415, "unsupported-format", "file fields"),
        ({"params": {"rows": "4"}}, 422, "invalid-request", "expected 0 to 3"),
        ({"params": {}}, 422, "invalid-request", "found neither"),
        ({"params": {"rows": "1", "n": "65"}}, 422, "invalid-request", "at most 64"),
        ({"params": {"rows": "1", "weights": "x"}}, 404, "unknown-weights", "pixelcnn"),
        ({"params": {"rows": "1", "row": "1"}}, 422, "invalid-request", "Did you mean 'rows'?"),
    ],
)
def test_completions_refuse(artist, photos, check_problem, given, status, slug, found):
    sent = {} if "data" in given else {"files": files(image=photos["hats/03"])}
    response = artist.post("/v1/models/pixelcnn/completions", **sent, **given)
    assert found in check_problem(response, status, slug)["detail"]


def test_forms_refuse_what_does_not_belong(artist, photos, check_problem):
    image = photos["hats/03"]
    for given, slug, found in (
        ({"files": files(image=[image, image])}, "invalid-request", "at most 1"),
        ({"files": files(image=image, photo=image)}, "invalid-request", "no file field 'photo'"),
        ({"files": files(mask=image)}, "invalid-request", "no file 'image'"),
        ({"files": files(image=image), "data": {"mask": "x"}}, "invalid-request", "put @"),
        ({"files": files(image=b"")}, "unusable-image", "0 bytes"),
        ({"files": files(image=image[:200])}, "unusable-image", "damaged"),
        ({"files": files(image=image, mask=image[:200])}, "unusable-image", "damaged"),
    ):
        refused = artist.post("/v1/models/pixelcnn/completions", **given)
        if refused.status_code == 422 and "neither" in refused.json()["detail"]:
            refused = artist.post("/v1/models/pixelcnn/completions?rows=1", **given)
        assert found in check_problem(refused, 422, slug)["detail"], given
    gif = artist.post("/v1/models/pixelcnn/completions?rows=1", content=b"GIF89a" + bytes(50))
    check_problem(gif, 415, "unsupported-format")
    broken = artist.post(
        "/v1/models/pixelcnn/completions",
        content=b"--x\r\n",
        headers={"content-type": "multipart/form-data; boundary=x"},
    )
    check_problem(broken, 400, "malformed-body")


# -- latent vectors --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LATENT)
def test_photos_are_drawn_again(artist, loaded, photos, name):
    weights = loaded[name]
    sent = [photos["hats/03"], photos["bags/01"]]
    asked = {"files": files(image=sent), "headers": JSON}
    told = artist.post(f"/v1/models/{name}/reconstructions?mean=true", **asked).json()
    z = torch.cat([latent_of(weights, photo) for photo in sent])
    with torch.inference_mode():
        expected = pixels_of(weights.model.outline(z))
    for text, picture in zip(told["pictures"], expected, strict=True):
        assert np.abs(decoded(text).astype(int) - picture).max() <= 1
    for text, photo in zip(told["photos"], sent, strict=True):
        assert np.array_equal(decoded(text), weights.preprocessing.read(photo))
    drawn = artist.post(f"/v1/models/{name}/reconstructions", **asked).json()
    assert (drawn["pictures"] == told["pictures"]) == (name == "autoencoder")
    sheet = artist.post(f"/v1/models/{name}/reconstructions", files=files(image=sent))
    with Image.open(io.BytesIO(sheet.content)) as image:
        assert image.size == (2 * 18 + 2, 2 * 18 + 2)  # the photos above what was drawn


def test_the_way_between_two_seeds(artist, loaded):
    told = artist.post(
        "/v1/models/vae/interpolations",
        json={"seeds": [3, 4], "steps": 5, "mean": True},
        headers=JSON,
    ).json()
    model = loaded["vae"].model
    a, b = (model.draw_latent(1, generator=torch.Generator().manual_seed(s)) for s in (3, 4))
    with torch.inference_mode():
        z = torch.cat([spherical(a, b, share) for share in (0, 0.25, 0.5, 0.75, 1)])
        expected = pixels_of(model.outline(z))
    for text, picture in zip(told["pictures"], expected, strict=True):
        assert np.abs(decoded(text).astype(int) - picture).max() <= 1
    assert told["photos"] == []
    sheet = artist.post("/v1/models/vae/interpolations", json={"seeds": [3, 4]})
    with Image.open(io.BytesIO(sheet.content)) as image:
        assert image.size == (8 * 10 + 2, 12)


def test_the_way_between_two_photos_begins_and_ends_with_them(artist, photos):
    sent = [photos["hats/03"], photos["bags/01"]]
    told = artist.post(
        "/v1/models/pixelvae/interpolations?mean=true&steps=3", files=files(image=sent),
        headers=JSON,
    ).json()  # fmt: skip
    ends = artist.post(
        "/v1/models/pixelvae/reconstructions?mean=true", files=files(image=sent), headers=JSON
    ).json()
    assert [told["pictures"][0], told["pictures"][-1]] == ends["pictures"]
    sheet = artist.post("/v1/models/pixelvae/interpolations?steps=3", files=files(image=sent))
    with Image.open(io.BytesIO(sheet.content)) as image:
        assert image.size == (5 * 18 + 2, 20)  # a photo, three steps, a photo
    drawn = artist.post("/v1/models/pixelvae/interpolations", json={"seeds": [5, 5], "steps": 3},
                        headers=JSON).json()  # fmt: skip
    assert len(set(drawn["pictures"])) == 1  # only the vector changes, and here it does not


@pytest.mark.parametrize("name", LATENT)
def test_a_minus_b_plus_c(artist, loaded, photos, name):
    a, b, c = (photos[f"hats/0{number}"] for number in (1, 2, 3))
    told = artist.post(
        f"/v1/models/{name}/arithmetic?mean=true", files=files(plus=[a, c], minus=b), headers=JSON
    ).json()
    weights = loaded[name]
    za, zb, zc = (latent_of(weights, photo) for photo in (a, b, c))
    with torch.inference_mode():
        (expected,) = pixels_of(weights.model.outline(za - zb + zc))
    assert np.abs(decoded(told["pictures"][0]).astype(int) - expected).max() <= 1
    assert len(told["photos"]) == 3


def test_arithmetic_of_seeds_and_of_both(artist, photos):
    same = artist.post(
        "/v1/models/vae/arithmetic", json={"plus": [1, 2], "minus": [2], "mean": True}, headers=JSON
    ).json()
    alone = artist.post(
        "/v1/models/vae/arithmetic?mean=true", json={"plus": [1]}, headers=JSON
    ).json()
    assert np.abs(
        decoded(same["pictures"][0]).astype(int) - decoded(alone["pictures"][0])
    ).max() <= 1  # fmt: skip
    both = artist.post(
        "/v1/models/vae/arithmetic?n=3", files=files(plus=photos["hats/03"]),
        data={"plus": "7", "minus": "8"}, headers=JSON,
    ).json()  # fmt: skip
    assert len(both["pictures"]) == 3
    assert len(both["photos"]) == 1


@pytest.mark.parametrize("name", ["made", "pixelcnn", "pixelrnn"])
def test_models_without_a_vector_say_so(artist, photos, check_problem, name):
    for call, given in (
        ("reconstructions", {"files": files(image=photos["hats/03"])}),
        ("interpolations", {"json": {"seeds": [1, 2]}}),
        ("arithmetic", {"json": {"plus": [1]}}),
    ):
        problem = check_problem(artist.post(f"/v1/models/{name}/{call}", **given), 422,
                                "model-cannot")  # fmt: skip
        assert "latent vector" in problem["detail"]
        assert "vae" in problem["detail"]
        assert problem["abilities"][0] == "sample"


def test_ends_and_terms_are_counted(artist, photos, check_problem, drawing):
    image = photos["hats/03"]
    for call, given, found in (
        ("interpolations", {"files": files(image=image)}, "found 1 files and 0 seeds"),
        ("interpolations", {"json": {}}, "found 0 files and 0 seeds"),
        ("interpolations", {"json": {"seeds": [1]}}, "at least 2"),
        ("interpolations", {"json": {"seeds": [1, 2], "steps": 1}}, "greater than or equal to 2"),
        ("interpolations", {"json": {"seeds": [1, 2], "steps": 65}}, "at most 64"),
        (
            "interpolations",
            {"files": files(image=[image, image]), "params": {"seeds": ["1", "2"]}},
            "found 2 files and 2 seeds",
        ),
        ("arithmetic", {"json": {}}, "found 0 'plus' and 0 'minus'"),
        ("arithmetic", {"json": {"plus": [1, 2]}}, "found 2 'plus' and 0 'minus'"),
        ("reconstructions", {"files": files(photo=image)}, "no file field 'photo'"),
        ("reconstructions", {"files": files(image=[image] * 65)}, "at most 64"),
    ):
        refused = artist.post(f"/v1/models/vae/{call}", **given)
        problem = check_problem(refused, 422, "invalid-request")
        assert found in problem["detail"], (call, problem["detail"])


def test_a_model_trained_without_a_mean_picture_says_so(
    serve, make_weights, tmp_path, monkeypatch, photos, check_problem
):
    monkeypatch.chdir(tmp_path)
    make_weights(tmp_path / "weights" / "mine", name="pixelvae", changes={"auxiliary": 0.0})
    client = serve(job_wait=20)
    sent = {"files": files(image=photos["hats/03"])}
    refused = client.post("/v1/models/pixelvae/reconstructions?mean=true", **sent)
    assert "without a mean picture" in check_problem(refused, 422, "model-cannot")["detail"]
    assert client.post("/v1/models/pixelvae/reconstructions", **sent).status_code == 200
