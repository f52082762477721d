"""Small pictures made large over HTTP: taken as they are, the same as the model's own."""

import io
import json

import numpy as np
import pytest
import torch
from PIL import Image

from models.training.checkpoint import load_weights
from models.training.weights import CONFIG
from tests.service.test_service_latents import decoded, files, pixels_of, png

JSON = {"accept": "application/json"}
CALL = "/v1/models/multiscale/enlargements"
LEVELS = 8  # of the tiny model


def small(side, channels=3):
    """A picture of the model's levels, made of noise: any resizing would show."""
    level = np.random.default_rng(side).integers(0, LEVELS, (side, side, channels))
    return np.round(level / (LEVELS - 1) * 255).astype(np.uint8)


def tensor(pixels):
    return torch.tensor(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1


@pytest.mark.parametrize("decoders", [0, 1])
@pytest.mark.parametrize("side", [2, 4])
def test_what_is_drawn_is_what_the_model_makes_of_it(drawing, gallery, side, decoders):
    pixels = small(side)
    asked = {"params": {"n": 3, "seed": 7}, "headers": JSON}
    told = drawing(decoders=decoders).post(CALL, files=files(image=png(pixels)), **asked).json()
    assert np.array_equal(decoded(told["photos"][0]), pixels)
    model = load_weights(gallery / "weights" / "multiscale").model
    with torch.inference_mode():
        made = model.enlarge(
            tensor(pixels).expand(3, -1, -1, -1), generator=torch.Generator().manual_seed(7)
        )
    drawn = [decoded(picture) for picture in told["pictures"]]
    for found, expected in zip(drawn, pixels_of(made), strict=True):
        assert np.array_equal(found, expected)
        step = 8 // side
        assert np.abs(found[::step, ::step].astype(int) - pixels).max() <= 1  # rounded to levels
    assert not np.array_equal(drawn[0], drawn[1])


def test_a_bare_body_and_a_sheet(artist):
    sheet = artist.post(f"{CALL}?n=3", content=png(small(4)))
    assert sheet.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(sheet.content)) as image:
        assert image.size == (2 * (8 + 2) + 2,) * 2  # the small one, enlarged to be seen, and three


@pytest.mark.parametrize("shape", [(8, 8), (3, 3), (4, 2), (1, 1), (120, 160)])
def test_another_size_is_refused_with_the_sizes_that_there_are(drawing, check_problem, shape):
    """Never resized: not even what would be easy to fit."""
    data = png(np.zeros((*shape, 3), np.uint8))
    for client in (drawing(), drawing(decoders=1)):
        problem = check_problem(client.post(CALL, content=data), 422, "invalid-request")
        assert f"has {shape[1]} x {shape[0]} pixels" in problem["detail"]
        assert "enlarge 2 x 2 or 4 x 4." in problem["detail"]
        assert [one["field"] for one in problem["errors"]] == ["image"]


def test_weights_say_which_sides_they_enlarge(drawing, make_weights, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, changes in (("alone", {"size": 2}), ("larger", {"size": 16})):
        make_weights(tmp_path / "weights" / name, name="multiscale", changes=changes)
    make_weights(tmp_path / "weights" / "vae", name="vae")
    monkeypatch.undo()
    client = drawing()
    monkeypatch.chdir(tmp_path)
    told = {
        weights["name"]: weights["enlarges"]
        for model in client.get("/v1/models").json()["models"]
        for weights in model["weights"]
    }
    assert (told["alone"], told["larger"], told["vae"]) == ([], [2, 4, 8], [])
    refused = client.post(f"{CALL}?weights=alone", content=png(small(2)))
    assert "enlarge none of any size" in refused.json()["detail"]
    assert refused.status_code == 422


@pytest.mark.parametrize("name", ["pixelcnn", "pixelvae2", "vae"])
def test_models_that_enlarge_nothing_say_which_do(artist, check_problem, name):
    """Among them one that has a layer of that name."""
    response = artist.post(f"/v1/models/{name}/enlargements", content=png(small(4)))
    problem = check_problem(response, 422, "model-cannot")
    assert "no large picture of a small one" in problem["detail"]
    assert "Models that can: multiscale." in problem["detail"]
    assert "enlarge" not in problem["abilities"]


@pytest.mark.parametrize(
    ("given", "slug", "found"),
    [
        ({"params": {"n": "65"}}, "invalid-request", "at most 64"),
        ({"params": {"rows": "1"}}, "invalid-request", "rows"),
        ({"files": files(photo=png(small(4)))}, "invalid-request", "no file field 'photo'"),
        ({"files": files(image=[png(small(4))] * 2)}, "invalid-request", "at most 1"),
        ({"content": png(small(4))[:60]}, "unusable-image", "damaged"),
    ],
)
def test_enlargements_refuse(artist, check_problem, given, slug, found):
    sent = {} if {"files", "content"} & set(given) else {"content": png(small(4))}
    problem = check_problem(artist.post(CALL, **sent, **given), 422, slug)
    assert found in problem["detail"]


def test_a_form_without_a_file_is_told_which(artist, check_problem):
    response = artist.post(CALL, files=[("n", (None, "2"))])
    assert "no file 'image'" in check_problem(response, 422, "invalid-request")["detail"]


def test_weights_of_a_wrong_configuration_hide_no_others(drawing, make_weights, tmp_path, caplog):
    """Which sides they enlarge is read from it, and a list of models must not fail by that."""
    client = drawing()
    folder = make_weights(tmp_path / "odd", name="multiscale")
    description = json.loads((folder / CONFIG).read_text())
    for changes in ({"size": 9}, {"sizes": 8}):
        wrong = description | {"config": description["config"] | changes}
        (folder / CONFIG).write_text(json.dumps(wrong))
        client.app.state.niteru.studio.served = str(folder)
        listed = client.get("/v1/models").json()["models"]
        by_name = {model["name"]: [one["name"] for one in model["weights"]] for model in listed}
        assert by_name["multiscale"] == ["multiscale"]
    assert "does not describe a model" in caplog.text
