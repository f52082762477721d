"""``POST /v1/models/{name}/likelihoods``: the figures, and whether a photo belongs."""

import io
import json
import math

import numpy as np
import pytest
import torch
from PIL import Image

from models.training.checkpoint import load_weights
from models.training.weights import METRICS
from service.likelihoods import Score, png_bits, share_above, shrink, summarise


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def files(*several):
    return [("image", (f"{number}.png", data)) for number, data in enumerate(several)]


def to_tensor(pixels):
    return torch.tensor(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1


@pytest.mark.parametrize("name", ["pixelcnn", "pixelrnn"])
def test_the_exact_probability_is_the_models(artist, gallery, photos, name):
    sent = [photos["hats/03"], photos["bags/01"]]
    told = artist.post(f"/v1/models/{name}/likelihoods", files=files(*sent)).json()
    weights = load_weights(gallery / "weights" / name)
    for score, photo in zip(told["scores"], sent, strict=True):
        seen = weights.preprocessing.read(photo)
        with torch.inference_mode():
            nats = weights.model.score(to_tensor(seen)).item()
        assert score["nats"] == pytest.approx(nats, rel=1e-5)
        bits = -nats / (seen.size * math.log(2))
        assert score["bits_per_dim"] == pytest.approx(bits, rel=1e-5)
        assert score["excess_bits_per_dim"] == pytest.approx(bits - png_bits(seen), rel=1e-5)
        assert (score["share_no_better"], score["belongs"]) == (None, None)
    assert (told["exact"], told["samples"], told["reference"]) == (True, None, None)
    assert f"niteru evaluate nll {name} --data PHOTOS --record" in told["note"]
    assert told["side"] == 4


def test_a_bound_is_told_with_its_samples(artist, gallery, photos):
    asked = {"content": photos["hats/03"]}
    told = artist.post("/v1/models/vae/likelihoods?samples=5&seed=2", **asked).json()
    weights = load_weights(gallery / "weights" / "vae")
    x = to_tensor(weights.preprocessing.read(photos["hats/03"]))
    with torch.inference_mode():
        generator = torch.Generator().manual_seed(2)
        nats = weights.model.log_prob(x, shrink(x, 8), 5, generator=generator).item()
    assert told["scores"][0]["nats"] == pytest.approx(nats, rel=1e-5)
    assert (told["exact"], told["samples"], told["side"]) == (False, 5, 8)
    assert told["note"].startswith("Whether a photo belongs to a catalogue is told once")
    assert artist.post("/v1/models/vae/likelihoods", **asked).json()["samples"] == 16


def test_weights_that_draw_on_white_say_that_photos_are_improbable(artist, photos):
    told = artist.post("/v1/models/pixelvae/likelihoods", content=photos["hats/03"]).json()
    assert "on white" in told["note"]


def test_black_and_white_for_a_binary_model(artist, photos, check_problem):
    bits = np.repeat(np.eye(8, dtype=np.uint8)[:, :, None] * 255, 3, 2)
    told = artist.post("/v1/models/made/likelihoods", files=files(png(bits))).json()
    assert told["scores"][0]["nats"] < 0
    grey = bits.copy()
    grey[0, :3] = 90
    for name in ("made", "draw"):
        sent = files(png(bits), png(grey), png(bits))
        refused = artist.post(f"/v1/models/{name}/likelihoods", files=sent)
        detail = check_problem(refused, 422, "model-cannot")["detail"]
        assert "Photo 2 of 3 has 3 of 64 values between them" in detail


def test_a_model_without_a_likelihood_says_why(artist, photos, check_problem):
    refused = artist.post("/v1/models/autoencoder/likelihoods", content=photos["hats/03"])
    problem = check_problem(refused, 422, "model-cannot")
    assert "without saying how probable" in problem["detail"]
    assert "pixelcnn" in problem["detail"]


def test_what_is_wrong_is_told(artist, photos, check_problem):
    for given, found in (
        ({"files": files(*[photos["hats/03"]] * 65)}, "at most 64"),
        ({"files": files(photos["hats/03"]), "params": {"samples": "0"}}, "greater than"),
        ({"files": files(photos["hats/03"]), "params": {"n": "1"}}, "weights, seed, samples"),
        ({"files": [], "data": {"seed": "1"}}, "curl"),
    ):
        refused = artist.post("/v1/models/vae/likelihoods", **given)
        slug = "unsupported-format" if refused.status_code == 415 else "invalid-request"
        assert found in check_problem(refused, refused.status_code, slug)["detail"]


@pytest.fixture
def measured(serve, make_weights, tmp_path, monkeypatch):
    """A server with weights whose figures hold a reference: ``measured(excess)``."""
    monkeypatch.chdir(tmp_path)
    folder = make_weights(tmp_path / "weights" / "mine", name="pixelcnn")

    def start(excess):
        scores = [Score(-1.0, value + 5, value) for value in excess]
        kept = {"likelihood": summarise(scores, data="held-out", samples=None)}
        (folder / METRICS).write_text(json.dumps(kept))
        return serve(job_wait=20)

    return start


def test_whether_a_photo_belongs_is_judged_by_the_reference(measured, photos):
    client = measured([0.0])
    asked = {"content": photos["hats/03"]}
    found = client.post("/v1/models/pixelcnn/likelihoods", **asked).json()["scores"][0]
    excess = found["excess_bits_per_dim"]
    inside = measured(np.linspace(excess - 1, excess + 1, 200))
    told = inside.post("/v1/models/pixelcnn/likelihoods", **asked).json()
    assert told["reference"] == {"data": "held-out", "pictures": 200}
    assert told["scores"][0]["share_no_better"] == pytest.approx(0.5, abs=0.02)
    assert told["scores"][0]["belongs"] is True
    foreign = measured(np.linspace(excess - 3, excess - 1, 200))
    score = foreign.post("/v1/models/pixelcnn/likelihoods", **asked).json()["scores"][0]
    assert (score["share_no_better"], score["belongs"]) == (0.0, False)
    known = measured(np.linspace(excess + 1, excess + 2, 200))
    score = known.post("/v1/models/pixelcnn/likelihoods", **asked).json()["scores"][0]
    assert (score["share_no_better"], score["belongs"]) == (1.0, True)


def test_of_the_references_own_photos_one_in_a_hundred_is_told_not_to_belong():
    rng = np.random.default_rng(0)
    values = rng.normal(size=5000)
    kept = summarise([Score(0.0, v, v) for v in values], data="x", samples=None)
    shares = np.array([share_above(v, kept["excess"]) for v in values])
    assert (shares < 0.01).mean() == pytest.approx(0.01, abs=0.001)
    # Against counting: the share of values that are larger.
    counted = (values[None, :] > values[:200, None]).mean(1)
    assert np.abs(shares[:200] - counted).max() < 0.01


def test_a_reference_that_cannot_be_read_is_none(measured, photos):
    client = measured([0.0])
    for wrong in ({"likelihood": 3}, {"likelihood": {"data": "x"}}, []):
        (client.app.state.niteru.settings.store.parent / "weights" / "mine" / METRICS).write_text(
            json.dumps(wrong)
        )
        told = client.post("/v1/models/pixelcnn/likelihoods", content=photos["hats/03"]).json()
        assert told["reference"] is None


def test_png_tells_simple_pictures_from_noise():
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    assert png_bits(np.zeros((32, 32, 3), np.uint8)) < 0.5
    assert 8 < png_bits(noise) < 8.5
    grey = noise[:, :, :1]
    assert 8 < png_bits(np.ascontiguousarray(grey)) < 9
