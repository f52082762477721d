"""DRAW's canvas as a sequence of frames, over HTTP and on the command line."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from models.training.checkpoint import load_weights
from service.sheets import GAP
from tests.service.test_service_latents import decoded, files, latent_of, pixels_of

JSON = {"accept": "application/json"}


def test_the_last_frame_is_the_mean_picture(artist, gallery, photos):
    weights = load_weights(gallery / "weights" / "draw")
    told = artist.post(
        "/v1/models/draw/frames", files=files(image=photos["hats/03"]), headers=JSON
    ).json()
    z = latent_of(weights, photos["hats/03"])
    with torch.inference_mode():
        stages, mean = weights.model.canvases(z)[0], weights.model.outline(z)
    assert len(told["pictures"]) == weights.model.config.steps == len(stages)
    for text, expected in zip(told["pictures"], pixels_of(stages), strict=True):
        np.testing.assert_array_equal(decoded(text), expected)
    np.testing.assert_array_equal(decoded(told["pictures"][-1]), pixels_of(mean)[0])


def test_new_pictures_come_a_row_each(artist):
    sheet = artist.post("/v1/models/draw/frames?n=3&frames=2&seed=4")
    assert sheet.headers["content-type"] == "image/png"
    width, height = Image.open(io.BytesIO(sheet.content)).size
    assert width * 3 == pytest.approx(height * 2, rel=0.1)
    told = artist.post("/v1/models/draw/frames?n=3&frames=2&seed=4", headers=JSON).json()
    assert len(told["pictures"]) == 6
    again = artist.post("/v1/models/draw/frames?n=3&frames=2&seed=4", headers=JSON).json()
    assert told == again


def test_frames_of_photos_come_a_row_each_behind_their_photo(artist, photos):
    sent = [photos["hats/03"], photos["bags/01"]]
    address = "/v1/models/draw/frames?frames=2"
    told = artist.post(address, files=files(image=sent), headers=JSON).json()
    sheet = artist.post(address, files=files(image=sent)).content
    cells = np.asarray(Image.open(io.BytesIO(sheet)).convert("L"))
    side = (cells.shape[1] - GAP) // 3
    assert cells.shape == (GAP + 2 * side, GAP + 3 * side)
    for number, picture in enumerate(told["pictures"]):
        row, column = divmod(number, 2)
        top, left = GAP + row * side, GAP + (column + 1) * side
        shown = cells[top : top + side - GAP, left : left + side - GAP]
        np.testing.assert_array_equal(shown, decoded(picture)[:, :, 0])


def test_a_model_that_draws_at_one_go_has_no_frames(artist, check_problem):
    problem = check_problem(artist.post("/v1/models/vae/frames"), 422, "model-cannot")
    assert "at one go" in problem["detail"]
    assert "draw" in problem["detail"]


def test_a_gan_walks_between_seeds_and_knows_no_vector_of_a_photo(artist, check_problem, photos):
    asked = {"seeds": [1, 2], "steps": 3}
    told = artist.post("/v1/models/gan/interpolations", json=asked, headers=JSON).json()
    assert len(told["pictures"]) == 3
    two = files(image=[photos["hats/03"], photos["bags/01"]])
    problem = check_problem(
        artist.post("/v1/models/gan/interpolations", files=two), 422, "model-cannot"
    )
    assert "give seeds" in problem["detail"]
    able = artist.get("/v1/models/gan").json()["abilities"]
    assert "reconstruct" not in able
    assert "interpolate" in able
    refused = artist.post("/v1/models/gan/likelihoods", files=files(image=photos["hats/03"]))
    assert "without saying how probable" in check_problem(refused, 422, "model-cannot")["detail"]
