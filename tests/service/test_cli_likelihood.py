"""``niteru evaluate nll`` of models whose likelihood is exact, on digits and on photos."""

import json
import math
import struct
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import models
from models.images import Preprocessing
from models.training.checkpoint import load_weights, read_metrics, save_weights
from service.model_cards import read_card
from tests.service.commands import niteru


def weights_of(folder, **changes):
    """A tiny PixelCNN with fresh weights."""
    preset = models.find_preset("pixelcnn", "tiny")
    config = replace(preset.config, **changes)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = models.create("pixelcnn", config=models.training.config.to_json(config))
    save_weights(
        folder, "pixelcnn", model, state=model.state_dict(), config=config, metrics={},
        preprocessing=Preprocessing(size=config.size, channels=config.channels),
        recipe=preset.recipe,
    )  # fmt: skip
    return folder


@pytest.fixture
def bits(tmp_path):
    pictures = np.random.default_rng(0).integers(0, 2, (150, 784), dtype=np.uint8)
    np.savez(tmp_path / "bits.npz", test=np.packbits(pictures, axis=1))
    return tmp_path / "bits.npz", pictures.reshape(150, 1, 28, 28)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    pixels = np.random.default_rng(1).integers(0, 256, (5, 6, 6, 3), dtype=np.uint8)
    for number, picture in enumerate(pixels):
        Image.fromarray(picture).save(folder / f"{number}.png")
    return folder, pixels


def test_an_exact_likelihood_needs_no_samples(tmp_path, bits):
    data, pictures = bits
    folder = weights_of(tmp_path / "w", channels=1, size=28, likelihood="bernoulli", layers=1)
    told = json.loads(niteru("evaluate", "nll", folder, "--data", data, "--json"))
    with torch.inference_mode():
        scores = load_weights(folder).model.score(2.0 * torch.from_numpy(pictures) - 1)
    assert told["nll"] == pytest.approx(-scores.mean().item(), abs=1e-3)
    assert told["bits_per_dim"] == pytest.approx(told["nll"] / (784 * math.log(2)))
    assert told["pictures"] == 150
    assert "samples" not in told
    assert "measured" not in read_metrics(folder)
    niteru("evaluate", "nll", folder, "--data", data, "--record")
    assert read_metrics(folder)["measured"] == {"nll": told}
    assert read_card(folder.name, folder)[1].told() == f"{folder.name} ({told['nll']:.2f} nats)"
    text = niteru("evaluate", "nll", folder, "--data", data, "--limit", 20)
    assert "nats (exact)" in text
    assert "on 20 pictures" in text


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_named(tmp_path, bits):
    folder = weights_of(tmp_path / "w", channels=1, size=28, likelihood="bernoulli", layers=1)
    measured = niteru("evaluate", "nll", folder, "--data", bits[0], "--device", "cuda", code=1)
    out = ("--preset", "tiny", "--out", tmp_path / "x")
    trained = niteru("train", "made", "--data", bits[0], *out, "--device", "quantum", code=1)
    assert "cannot use the device 'cuda'" in measured
    assert "cannot use the device 'quantum'" in trained
    assert "Leave --device out" in measured
    assert not (tmp_path / "x").exists()


def test_photos_are_measured_in_bits_for_each_value_of_each_colour(tmp_path, photos):
    data, pixels = photos
    folder = weights_of(tmp_path / "w", size=6, levels=256)
    told = json.loads(niteru("evaluate", "nll", folder, "--data", data, "--json"))
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.inference_mode():
        nll = -load_weights(folder).model.score(x).mean().item()
    assert told["nll"] == pytest.approx(nll, abs=1e-3)
    assert told["bits_per_dim"] == pytest.approx(nll / (108 * math.log(2)))
    assert 7.5 < told["bits_per_dim"] < 8.5  # fresh weights know next to nothing of noise


def test_pictures_that_do_not_fit_are_refused(tmp_path, bits, photos):
    colour = weights_of(tmp_path / "colour", size=28, layers=0)
    assert "takes 3 channels" in niteru("evaluate", "nll", colour, "--data", bits[0], code=1)
    small = weights_of(tmp_path / "small", channels=1, layers=0)
    assert "takes 4 x 4" in niteru("evaluate", "nll", small, "--data", bits[0], code=1)
    binary = weights_of(tmp_path / "binary", channels=1, likelihood="bernoulli", layers=0)
    told = niteru("evaluate", "nll", binary, "--data", photos[0], code=1)
    assert "Give binary pictures" in told


def test_bounds_are_measured_on_arrays_alone(tmp_path, photos, make_weights):
    folder = make_weights(tmp_path / "w", name="vae", preset="tiny")
    assert "no array of pictures" in niteru("evaluate", "nll", folder, "--data", photos[0], code=1)


def test_a_bound_is_of_the_split_and_the_samples_that_are_named(tmp_path, make_weights):
    """Others have measured the valid split, or by fewer draws than they said."""
    folder = make_weights(tmp_path / "w", name="vae", preset="mnist")
    splits = dict.fromkeys(("train", "valid", "test"))
    for number, name in enumerate(splits):
        bits = np.random.default_rng(number).random((5 + number, 784)) < 0.2 + 0.2 * number
        splits[name] = bits.reshape(-1, 1, 28, 28)
    packed = {name: np.packbits(bits.reshape(-1, 784), axis=1) for name, bits in splits.items()}
    np.savez(tmp_path / "bits.npz", **packed)
    model = load_weights(folder).model
    for name, samples in (("test", 3), ("test", 30), ("valid", 3)):
        words = ["--data", tmp_path / "bits.npz", "--split", name, "--samples", samples, "--json"]
        told = json.loads(niteru("evaluate", "nll", folder, *words))
        x, g = 2 * torch.from_numpy(splits[name]).float() - 1, torch.Generator().manual_seed(0)
        with torch.inference_mode():
            expected = [model.elbo(x, x, generator=g), model.log_prob(x, x, samples, generator=g)]
        found = told["nll_bound"], told["nll_importance_weighted"]
        assert found == pytest.approx([-nats.mean().item() for nats in expected], rel=1e-5)
        assert (told["split"], told["samples"], told["pictures"]) == (name, samples, len(x))
        assert told["nll_importance_weighted"] < told["nll_bound"]


def test_grey_digits_are_not_measured_as_binary_ones(tmp_path, make_weights):
    """Rounded, a test set of digits would look ten nats easier than the binary one."""
    pixels = np.full((3, 28, 28), 200, np.uint8)
    head = struct.pack(">HBB3I", 0, 8, 3, *pixels.shape)
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(head + pixels.tobytes())
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(struct.pack(">HBBI", 0, 8, 1, 3) + bytes(3))
    folder = make_weights(tmp_path / "w", name="vae", preset="mnist")
    told = niteru("evaluate", "nll", folder, "--data", tmp_path / "t10k", code=1)
    assert "A binary vae scores values of -1 and 1; 2,352 of 2,352 are others" in told


def test_a_model_without_a_likelihood_names_those_that_have_one(tmp_path, bits, make_weights):
    folder = make_weights(tmp_path / "w", name="autoencoder", preset="tiny")
    told = niteru("evaluate", "nll", folder, "--data", bits[0], code=1)
    assert "has no likelihood" in told
    assert "pixelcnn" in told.split("Models with one:")[1]
    assert "autoencoder" not in told.split("Models with one:")[1]
