"""``niteru evaluate kid``: its figures against the definition, and what it refuses."""

import json
import math
import statistics
from dataclasses import replace

import numpy as np
import pytest
import torch

import models
from models.images import Preprocessing
from models.training.checkpoint import load_weights, read_metrics, save_weights
from service.commands.likeness import compare
from service.model_cards import read_card
from tests.service.commands import niteru


def weights_of(folder, name, **changes):
    preset = models.find_preset(name, "tiny")
    config = replace(preset.config, channels=1, size=28, **changes)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = models.create(name, config=models.training.config.to_json(config))
    save_weights(
        folder, name, model, state=model.state_dict(), config=config, metrics={},
        preprocessing=Preprocessing(size=28, channels=1), recipe=preset.recipe,
    )  # fmt: skip
    return folder


@pytest.fixture
def bits(tmp_path):
    pictures = np.random.default_rng(0).integers(0, 2, (60, 784), dtype=np.uint8)
    np.savez(tmp_path / "bits.npz", test=np.packbits(pictures, axis=1))
    return tmp_path / "bits.npz", pictures.reshape(60, 1, 28, 28)


def by_definition(x, y):
    """The cubic kernel's discrepancy by double loops over lists of numbers."""

    def kernel(a, b):
        return (sum(p * q for p, q in zip(a, b, strict=True)) / len(a) + 1) ** 3

    def within(s):
        pairs = [(a, b) for i, a in enumerate(s) for j, b in enumerate(s) if i != j]
        return sum(kernel(a, b) for a, b in pairs) / len(pairs)

    between = [kernel(a, b) for a in x for b in y]
    return within(x) + within(y) - 2 * sum(between) / len(between)


def test_the_figures_are_the_distances_of_the_features(tmp_path, bits):
    data, pictures = bits
    made = weights_of(tmp_path / "gan", "gan")
    judge = weights_of(tmp_path / "vae", "vae", target_size=28)
    words = ("evaluate", "kid", made, "--data", data, "--features", judge)
    told = json.loads(niteru(*words, "--json"))
    assert (told["pictures"], told["block"], told["split"]) == (30, 7, "test")
    assert told["features"] == load_weights(judge).fingerprint
    g = torch.Generator().manual_seed(0)
    embed = load_weights(judge).model.embed
    order = torch.randperm(60, generator=g)
    with torch.inference_mode():
        real = embed(torch.from_numpy(pictures).float() * 2 - 1)[order].double().tolist()
        drawn = embed(load_weights(made).model.sample(30, generator=g)).double().tolist()

    def blocks(x, y):
        found = [by_definition(x[i : i + 7], y[i : i + 7]) for i in (0, 7, 14, 21)]
        return statistics.mean(found), statistics.stdev(found) / 2

    for key, values in (("kid", (drawn, real[:30])), ("kid_real", (real[30:], real[:30]))):
        mean, error = blocks(*values)
        assert told[key] == pytest.approx(mean, abs=1e-6)
        assert told[f"{key}_error"] == pytest.approx(error, abs=1e-6)
    assert told["kid"] > 10 * abs(told["kid_real"]), "a generator that has learned nothing"
    text = niteru(*words)
    for key, which in (("kid", "drawn against real"), ("kid_real", "real against real")):
        assert f"KID = {told[key]:.5f} ± {told[f'{key}_error']:.5f} ({which})" in text
    assert json.loads(niteru(*words, "--limit", 20, "--json"))["pictures"] == 10
    assert "measured" not in read_metrics(made)
    niteru(*words, "--record")
    assert read_metrics(made)["measured"] == {"kid": told}
    assert f"gan (KID {told['kid']:.4f})" in read_card(made.name, made)[1].told()


def test_blocks_are_averaged_and_their_spread_is_told():
    g = torch.Generator().manual_seed(0)
    x, y = (torch.randn(50, 4, generator=g) for _ in range(2))
    found = compare(x, y, 20)  # two whole blocks; the last ten are left out
    each = [by_definition(x[s].tolist(), y[s].tolist()) for s in (slice(20), slice(20, 40))]
    assert found.mean == pytest.approx(sum(each) / 2)
    assert found.error == pytest.approx(abs(each[0] - each[1]) / 2)
    assert math.isnan(compare(x, y, 50).error)


def test_features_of_another_size_are_refused(tmp_path, bits, make_weights):
    made = weights_of(tmp_path / "gan", "gan")
    other = make_weights(tmp_path / "other")
    told = niteru("evaluate", "kid", made, "--data", bits[0], "--features", other, code=1)
    assert "draws pictures of 1 channels and 28 pixels" in told
    assert "takes 3 and 16" in told


def test_a_gan_has_no_likelihood_and_is_told_so(tmp_path, bits):
    made = weights_of(tmp_path / "gan", "gan")
    told = niteru("evaluate", "nll", made, "--data", bits[0], code=1)
    assert "A gan has no likelihood" in told
