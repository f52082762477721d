"""``POST /v1/models/{name}/samples``: every format, the limits, and jobs for what takes longer."""

import base64
import io
import json
import logging
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import models
from models.training.checkpoint import load_weights

GOLDEN = Path(__file__).parents[1] / "golden" / "openapi.json"
SCHEMAS = json.loads(GOLDEN.read_text("utf-8"))["components"]["schemas"]
JSON = {"accept": "application/json"}
PICTURES = [n for n in models.available() if models.create(n).modality == "pixels"]
ASYNC = {"prefer": "respond-async"}


def picture_in(data):
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def decoded(text):
    return picture_in(base64.b64decode(text, validate=True))


@pytest.mark.parametrize("name", PICTURES)
def test_every_model_draws(artist, gallery, name):
    """What is answered is what the model draws in this process, number for number."""
    told = artist.post(f"/v1/models/{name}/samples", json={"n": 3, "seed": 5}, headers=JSON).json()
    assert set(told) == set(SCHEMAS["DrawingResponse"]["properties"])
    weights = load_weights(gallery / "weights" / name)
    assert (told["model"], told["weights"], told["seed"]) == (name, name, 5)
    assert told["fingerprint"] == weights.fingerprint
    drawn = weights.model.sample(3, generator=torch.Generator().manual_seed(5))
    expected = ((drawn + 1) * 127.5).round().permute(0, 2, 3, 1).numpy()
    for text, picture in zip(told["pictures"], expected, strict=True):
        assert np.array_equal(decoded(text), np.broadcast_to(picture, (*picture.shape[:2], 3)))


def test_pictures_of_another_side(artist, check_problem):
    for name, side in (("pixelcnn", 7), ("pixelrnn", 6), ("pixelcnn_pp", 8)):
        told = artist.post(f"/v1/models/{name}/samples?n=1&size={side}", headers=JSON).json()
        assert decoded(told["pictures"][0]).shape == (side, side, 3)
    same = artist.post("/v1/models/vae/samples?n=1&size=8", headers=JSON)
    assert same.json() == artist.post("/v1/models/vae/samples?n=1", headers=JSON).json()
    refused = artist.post("/v1/models/vae/samples?n=1&size=9")
    assert "one size" in check_problem(refused, 422, "model-cannot")["detail"]
    refused = artist.post("/v1/models/pixelcnn_pp/samples?n=1&size=7")
    assert "multiple of 2" in check_problem(refused, 422, "model-cannot")["detail"]
    refused = artist.post("/v1/models/pixelcnn/samples?n=1&size=129")
    assert check_problem(refused, 422, "invalid-request")["limit"] == 128


def test_the_same_in_every_format(artist):
    asked = {"n": 5, "seed": 1}
    told = artist.post("/v1/models/vae/samples", json=asked, headers=JSON).json()
    single = [decoded(text) for text in told["pictures"]]
    sheet = artist.post("/v1/models/vae/samples", json=asked)
    assert sheet.headers["content-type"] == "image/png"
    whole = picture_in(sheet.content)
    assert whole.shape == (2 * 10 + 2, 3 * 10 + 2, 3)  # 5 of 8 x 8, with gaps of 2
    for number, picture in enumerate(single):
        top, left = (2 + 10 * place for place in divmod(number, 3))
        assert np.array_equal(whole[top : top + 8, left : left + 8], picture)
    packed = artist.post("/v1/models/vae/samples?format=zip", json=asked)
    assert packed.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(packed.content)) as archive:
        assert archive.namelist() == [f"{number:03}.png" for number in range(5)]
        for name, picture in zip(archive.namelist(), single, strict=True):
            assert np.array_equal(picture_in(archive.read(name)), picture)
    preferred = artist.post(
        "/v1/models/vae/samples", json=asked, headers={"accept": "application/zip"}
    )
    assert preferred.content == packed.content
    forced = artist.post("/v1/models/vae/samples?format=grid", json=asked, headers=JSON)
    assert forced.content == sheet.content
    alone = picture_in(artist.post("/v1/models/vae/samples?n=1&seed=1").content)
    assert alone.shape == (8, 8, 3)


def test_seed_temperature_and_number_matter(artist):
    def draw(**asked):
        return artist.post("/v1/models/pixelvae/samples", json=asked).content

    usual = draw(n=2, seed=1)
    assert draw(n=2, seed=1, temperature=1.0) == usual
    assert draw(n=2, seed=2) != usual
    assert draw(n=2, seed=1, temperature=0.01) != usual
    assert len(artist.post("/v1/models/vae/samples", headers=JSON).json()["pictures"]) == 16


def test_weights_are_chosen_by_name(drawing, gallery, make_weights, check_problem, tmp_path):
    client = drawing()
    make_weights(gallery / "weights" / "a-second", name="vae", seed=1)
    try:
        assert client.post("/v1/models/vae/samples", headers=JSON).json()["weights"] == "a-second"
        told = client.post("/v1/models/vae/samples?weights=vae", headers=JSON).json()
        assert told["weights"] == "vae"
        served = drawing(weights="vae")
        assert served.post("/v1/models/vae/samples", headers=JSON).json()["weights"] == "vae"
        for wrong in ("b", "made", "../weights/vae", str(gallery / "weights" / "vae")):
            refused = client.post("/v1/models/vae/samples", params={"weights": wrong})
            problem = check_problem(refused, 404, "unknown-weights")
            assert problem["weights"] == ["a-second", "vae"]
    finally:
        for file in (gallery / "weights" / "a-second").iterdir():
            file.unlink()
        (gallery / "weights" / "a-second").rmdir()


def test_weights_that_were_replaced_are_loaded_again(serve, make_weights, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    client = serve(job_wait=20)
    make_weights(tmp_path / "weights" / "mine", name="vae", seed=0)
    first = client.post("/v1/models/vae/samples", headers=JSON).json()
    assert client.post("/v1/models/vae/samples", headers=JSON).json() == first
    make_weights(tmp_path / "weights" / "mine", name="vae", seed=1)
    second = client.post("/v1/models/vae/samples", headers=JSON).json()
    assert second["fingerprint"] != first["fingerprint"]


def test_damaged_weights_are_told_without_paths(serve, make_weights, tmp_path, monkeypatch,
                                                check_problem, caplog):  # fmt: skip
    monkeypatch.chdir(tmp_path)
    client = serve(job_wait=20)
    make_weights(tmp_path / "weights" / "mine", name="vae")
    (tmp_path / "weights" / "mine" / "weights.safetensors").write_bytes(b"no tensors")
    with caplog.at_level(logging.WARNING, logger="service"):
        problem = check_problem(client.post("/v1/models/vae/samples"), 501, "cannot-generate")
    assert str(tmp_path) not in problem["detail"]
    assert "mine" in caplog.text


def test_a_model_without_weights_says_how_to_make_some(serve, tmp_path, monkeypatch, check_problem):
    monkeypatch.chdir(tmp_path)
    problem = check_problem(serve().post("/v1/models/made/samples"), 409, "no-weights")
    assert problem["train"] in problem["detail"]
    assert problem["train"].startswith("niteru train made --data ")


@pytest.mark.parametrize(
    ("path", "given", "status", "slug", "found"),
    [
        ("maed", {}, 404, "unknown-model", "Did you mean 'made'?"),
        ("vae", {"params": {"n": "65"}}, 422, "invalid-request", "at most 64"),
        ("vae", {"params": {"n": "0"}}, 422, "invalid-request", "greater than or equal to 1"),
        ("vae", {"json": {"temperature": 0}}, 422, "invalid-request", "greater than 0"),
        ("vae", {"json": {"temperature": 11}}, 422, "invalid-request", "less than or equal to 10"),
        ("vae", {"json": {"seed": -1}}, 422, "invalid-request", "greater than or equal to 0"),
        ("vae", {"json": {"m": 3}}, 422, "invalid-request", "Known: weights, seed, format, n"),
        ("vae", {"json": {"n": 3}, "params": {"n": "3"}}, 422, "invalid-request", "stands both"),
        ("vae", {"json": [1]}, 422, "invalid-request", "object"),
        ("vae", {"content": b"{"}, 415, "unsupported-format", "application/json"),
        ("vae", {"params": {"format": "gif"}}, 422, "invalid-request", "'zip' or 'svg'"),
        ("autoencoder", {"params": {"temperature": "2"}}, 422, "model-cannot", "no temperature"),
    ],
)
def test_what_is_wrong_is_told(artist, check_problem, path, given, status, slug, found):
    problem = check_problem(artist.post(f"/v1/models/{path}/samples", **given), status, slug)
    assert found in problem["detail"]


def test_the_limit_stands_in_the_problem(drawing, check_problem):
    client = drawing(max_pictures=2)
    problem = check_problem(client.post("/v1/models/vae/samples?n=3"), 422, "invalid-request")
    assert problem["limit"] == 2
    assert client.post("/v1/models/vae/samples?n=2").status_code == 200
