"""The comparators are embedders like any other, and compute what their names say."""

import numpy as np
import pytest
from PIL import Image

from indexer.evaluation.comparators import (
    HOGEmbedder,
    RawPixelEmbedder,
    centred,
    fit_pca,
)
from models.images import Preprocessing
from models.images.gradients import hog, hog_length

COLOUR = Preprocessing(size=24, channels=3, fit="edge")
GREY = Preprocessing(size=16, channels=1, fit="edge")


def draw(count, preprocessing, seed=0):
    size, channels = preprocessing.size, preprocessing.channels
    shape = (count, size, size, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture(params=["raw", "pca", "hog"])
def embedder(request):
    if request.param == "raw":
        return RawPixelEmbedder(COLOUR)
    if request.param == "hog":
        return HOGEmbedder(COLOUR)
    return fit_pca(draw(40, COLOUR), COLOUR, dim=8)


def test_an_embedder_like_any_other(embedder):
    pixels = draw(5, embedder.preprocessing, seed=1)
    pixels[4] = 128  # nothing to be seen
    vectors = embedder.embed(pixels)
    assert (vectors.shape, vectors.dtype) == ((5, embedder.dim), np.float32)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(5), abs=1e-5)
    alone = np.concatenate([embedder.embed(pixels[row : row + 1]) for row in range(5)])
    assert alone == pytest.approx(vectors, abs=1e-5)
    assert embedder.embed(pixels[:0]).shape == (0, embedder.dim)


def test_fingerprints_tell_settings_apart():
    fitted = [fit_pca(draw(40, GREY, seed), GREY, dim=8) for seed in (0, 0, 1)]
    embedders = [RawPixelEmbedder(COLOUR), RawPixelEmbedder(GREY), HOGEmbedder(COLOUR), *fitted]
    assert len({embedder.fingerprint for embedder in embedders}) == 5
    assert fitted[0].fingerprint == fitted[1].fingerprint


def test_raw_pixels_are_centred_on_mid_grey():
    pixels = np.array([[[[0], [255]]]], dtype=np.uint8)  # (1, 1, 2, 1)
    assert centred(pixels).tolist() == [[-1, 1]]


@pytest.mark.parametrize("count", [40, 400])  # fewer and more photos than the 256 values of each
def test_components_are_the_principal_ones_and_whitened(count):
    pixels = draw(count, GREY)
    fitted = fit_pca(pixels, GREY, dim=6)
    rows = centred(pixels).astype(np.float64)
    rows -= rows.mean(axis=0)
    features = rows @ fitted.projection
    assert np.cov(features.T, bias=True) == pytest.approx(np.eye(6), abs=2e-3)
    strongest = np.linalg.svd(rows, compute_uv=False)[:6] ** 2 / count
    lengths = np.linalg.norm(fitted.projection, axis=0)
    assert 1 / lengths**2 == pytest.approx(strongest, rel=1e-3)


def test_no_more_components_than_the_photos_vary_in():
    assert fit_pca(draw(5, GREY), GREY, dim=64).dim == 4


def test_equal_photos_have_no_components():
    with pytest.raises(ValueError, match="two different photos; found 3 equal"):
        fit_pca(np.full((3, 16, 16, 1), 7, np.uint8), GREY)


def test_hog_of_a_slope_worked_by_hand():
    """Brightness grows to the right: every gradient points right, orientation 0."""
    across = np.broadcast_to(np.arange(16, dtype=np.uint8)[None, :, None] * 10, (16, 16, 1))
    features = hog(across[None]).reshape(4, 9)
    assert (features[:, 0] > 0).all()
    assert (features[:, 1:] == 0).all()
    # Equal in all four cells: each 1/2, cut to 0.2, and 1/2 again.
    assert features[:, 0] == pytest.approx([0.5] * 4, abs=1e-4)
    down = hog(np.swapaxes(across, 0, 1)[None]).reshape(4, 9)
    assert down[:, 4] == pytest.approx([0.5] * 4, abs=1e-4)  # a right angle is in the fifth of nine


def test_hog_ignores_brightness_and_sees_colour_edges():
    pixels = draw(1, COLOUR) // 2
    assert hog(pixels + 60) == pytest.approx(hog(pixels))
    red = np.zeros((1, 16, 16, 3), np.uint8)
    red[:, :, 8:, 0] = 90
    assert hog(red).any()


def test_hog_length():
    assert hog_length(64) == 7 * 7 * 4 * 9
    assert hog(draw(2, COLOUR)).shape == (2, hog_length(24))
    with pytest.raises(ValueError, match="at least 16 pixels a side; found 8"):
        HOGEmbedder(Preprocessing(size=8))


def test_edge_fitting_repeats_the_rim():
    pixels = np.zeros((8, 4, 3), np.uint8)
    pixels[:, 0], pixels[:, -1] = 10, 90
    fitted = Preprocessing(size=8, fit="edge").apply(Image.fromarray(pixels))
    assert (fitted[:, :2] == fitted[:, 2:3]).all()
    assert (fitted[:, 6:] == fitted[:, 5:6]).all()
    assert fitted[0, 0, 0] == 10
    assert fitted[0, -1, 0] == 90
