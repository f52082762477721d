"""What an explanation holds and how it is drawn, without HTTP."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import models
from models import pixelvae, vae
from models.nn.metric import MetricSettings
from models.training.checkpoint import load_weights
from service.errors import NoDecoderError
from service.explaining import Explainer
from service.explanation import (
    MISSING,
    Explanation,
    Neighbour,
    draw_explanation,
    enlarge,
    thumbnail,
    tile_side,
)

LEFT = 128 + 5 * 6  # where the decodings begin, beside the photo
PITCH = 128 + 2 * 16 + 6  # from one row to the next


def photo(size=16, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def weights(make_weights, tmp_path_factory):
    return load_weights(make_weights(tmp_path_factory.mktemp("weights")))


def pixels_of(picture):
    """(1, C, h, w) in [-1, 1] -> (h, w, C): another way than the code's."""
    values = picture[0].clamp(-1, 1).double().numpy().transpose(1, 2, 0)
    return np.rint((values + 1) * 127.5).astype(np.uint8)


@pytest.fixture(params=["plain", "metric"])
def either(request, weights):
    """Weights whose embedding is the latent vector, and others that search by a map of it."""
    settings = MetricSettings(fit=request.param == "metric")
    config = replace(models.find_preset("pixelvae", "tiny").config, metric=settings)
    model = pixelvae.Model(config)
    model.load_state_dict(weights.model.state_dict(), strict=False)
    if settings.fit:
        model.metric.root.copy_(torch.eye(8).flip(0))
        model.metric.centre.fill_(0.5)
    return replace(weights, model=model.eval())


def test_the_decodings_are_those_of_the_posterior_mean(either):
    weights = either
    told = Explainer(weights).explain(photo(), draws=3, seed=7)
    x = torch.from_numpy(photo().transpose(2, 0, 1)[None] / 127.5 - 1).float()
    with torch.no_grad():
        mean, log_var = weights.model.encode(x)
        generator = torch.Generator().manual_seed(7)
        drawn = weights.model.decode(mean.repeat(3, 1), generator=generator)
        normal = torch.distributions.Normal(mean, (0.5 * log_var).exp())
        prior = torch.distributions.Normal(torch.zeros(()), torch.ones(()))
        nats = torch.distributions.kl_divergence(normal, prior).sum()
        outline = weights.model.outline(mean)
    assert np.array_equal(told.photo, photo())
    np.testing.assert_allclose(told.outline.astype(int), pixels_of(outline), atol=1)
    assert len(told.draws) == 3
    for draw, expected in zip(told.draws, drawn.split(1), strict=True):
        np.testing.assert_allclose(draw.astype(int), pixels_of(expected), atol=1)
    assert told.rate == pytest.approx(float(nats), rel=1e-4)
    assert (told.fingerprint, told.seed) == (weights.fingerprint, 7)


def test_a_uniform_prior_is_decoded_from_within_it(weights):
    """There ``encode`` tells of another variable than the one that the decoder takes."""
    preset = models.find_preset("vae", "tiny")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = vae.Model(replace(preset.config, prior="uniform")).eval()
    told = Explainer(replace(weights, model=model)).explain(photo(), draws=1, seed=0)
    x = torch.from_numpy(photo().transpose(2, 0, 1)[None] / 127.5 - 1).float()
    with torch.no_grad():
        z = model.posterior.mean(*model.encode(x))
        assert z.abs().max() < 1
        expected = pixels_of(model.outline(z))
    np.testing.assert_allclose(told.outline.astype(int), expected, atol=1)


def test_a_seed_repeats_its_draws_and_only_these_depend_on_it(weights):
    explainer = Explainer(weights)
    first, again, other = (explainer.explain(photo(), draws=2, seed=s) for s in (1, 1, 2))
    for one, two in zip(first.draws, again.draws, strict=True):
        assert np.array_equal(one, two)
    assert not np.array_equal(first.draws[0], other.draws[0])
    assert not np.array_equal(first.draws[0], first.draws[1])
    assert np.array_equal(first.outline, other.outline)


def test_a_model_that_draws_without_chance_has_no_draws(make_weights, tmp_path):
    plain = load_weights(make_weights(tmp_path, name="autoencoder"))
    told = Explainer(plain).explain(photo(), draws=4, seed=0)
    assert told.outline.shape == (8, 8, 3)
    assert (told.draws, told.rate) == ((), None)
    sheet = draw_explanation(told, [])
    assert sheet.size == (LEFT + 128 + 6, 6 + PITCH)


def test_a_mean_that_was_never_trained_is_not_shown(weights):
    config = replace(models.find_preset("pixelvae", "tiny").config, auxiliary=0.0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        alone = replace(weights, model=pixelvae.Model(config).eval())
    told = Explainer(alone).explain(photo(), draws=2, seed=0)
    assert told.outline is None
    assert len(told.draws) == 2


class OnlyEncodes(torch.nn.Module):
    """A model with vectors and nothing that draws from them."""

    embedding_dim = 3

    def embed(self, x):
        return x.mean((2, 3))

    latent = embed


class Untrained(OnlyEncodes):
    """It could draw, had it been trained to."""

    def outline(self, z):
        return None


def test_a_model_without_a_decoder_is_refused_by_name(weights):
    with pytest.raises(NoDecoderError, match=r"'colours' has no decoder.* such as pixelvae"):
        Explainer(replace(weights, name="colours", model=OnlyEncodes()))
    explainer = Explainer(replace(weights, name="colours", model=Untrained()))
    with pytest.raises(NoDecoderError, match="'colours'"):
        explainer.explain(photo(), draws=1, seed=0)


def test_pixels_of_another_preprocessing_are_refused(weights):
    with pytest.raises(ValueError, match="16, 16, 3"):
        Explainer(weights).explain(photo(32), draws=1, seed=0)


def explanation(size=4, *, draws=2, outline=True, channels=3):
    pictures = [np.full((size, size, channels), 10 * n, np.uint8) for n in range(draws + 1)]
    return Explanation(
        photo=np.full((16, 16, channels), 200, np.uint8),
        outline=pictures[0] if outline else None,
        draws=tuple(pictures[1:]), rate=12.0, fingerprint="f", seed=0,
    )  # fmt: skip


@pytest.fixture
def red(tmp_path):
    Image.new("RGB", (40, 20), (255, 0, 0)).save(tmp_path / "red.png")
    return Neighbour("shoes/red", 0.5, str(tmp_path / "red.png"))


def test_the_sheet_shows_everything_in_its_place(red):
    sheet = draw_explanation(explanation(), [red, Neighbour("gone", -0.1, "/nowhere/at/all.png")])
    assert sheet.size == (LEFT + 3 * (128 + 6), 6 + 2 * PITCH)
    middle = 6 + 64
    assert sheet.getpixel((middle, middle)) == (200, 200, 200)
    for column, colour in enumerate((0, 10, 20)):
        assert sheet.getpixel((LEFT + column * 134 + 64, middle)) == (colour,) * 3
    assert sheet.getpixel((LEFT + 64, middle + PITCH)) == (255, 0, 0)
    assert sheet.getpixel((LEFT + 64, 6 + PITCH)) == (255, 255, 255), "padded, not stretched"
    assert sheet.getpixel((LEFT + 134 + 64, middle + PITCH)) == MISSING
    captions = np.asarray(sheet)[6 + 128 : 6 + PITCH, LEFT : LEFT + 128]
    assert captions.min() < 128, "something is written below the mean"


def test_many_decodings_go_on_in_further_rows(red):
    sheet = draw_explanation(explanation(draws=16), [red])
    assert sheet.size == (LEFT + 8 * 134, 6 + (3 + 1) * PITCH)
    assert sheet.getpixel((LEFT + 64, 6 + 2 * PITCH + 64)) == (160, 160, 160)
    assert sheet.getpixel((LEFT + 64, 6 + 3 * PITCH + 64)) == (255, 0, 0)


@pytest.mark.parametrize(("size", "side"), [(8, 128), (28, 140), (80, 160), (64, 128), (200, 200)])
def test_pictures_are_enlarged_by_whole_factors(size, side):
    told = explanation(size, outline=False) if size >= 16 else explanation(size)
    assert tile_side(told) == side
    large = np.asarray(enlarge(photo(size), side))
    factor = side // size
    assert np.array_equal(large[::factor, ::factor], photo(size))
    assert np.array_equal(large[factor - 1 :: factor, factor - 1 :: factor], photo(size))


def test_grey_pictures_are_drawn_in_grey():
    sheet = draw_explanation(explanation(channels=1), [])
    assert sheet.getpixel((6 + 64, 6 + 64)) == (200, 200, 200)


@pytest.mark.parametrize("name", ["x" * 500, "似て\nる", "\ud800", "", "a/b ü"])
def test_any_id_can_be_written(red, name):
    plain = draw_explanation(explanation(), [red])
    sheet = draw_explanation(explanation(), [replace(red, id=name)])
    assert sheet.size == plain.size
    beside = np.asarray(sheet)[6 + PITCH + 128 :, LEFT + 130 :]
    assert beside.min() == 255, "no name runs into the next picture"


def test_a_file_that_is_no_photo_is_a_grey_thumbnail(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    for uri in (tmp_path / "a.png", tmp_path, tmp_path / "none.png"):
        assert thumbnail(str(uri), 8).getcolors() == [(64, MISSING)]
