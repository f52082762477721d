"""The weightless embedder, worked by hand."""

import numpy as np
import pytest

from indexer.embedders import TYPICAL_MEAN, TYPICAL_SPREAD, ColourLayoutEmbedder


def test_one_cell_by_hand() -> None:
    pixels = np.zeros((1, 2, 2, 3), np.uint8)
    pixels[0, 0, :, 0] = 255  # red: 255 255 / 0 0, so mean and spread are one half
    vector = ColourLayoutEmbedder(grid=1, size=2).embed(pixels)[0]
    expected = np.array(  # (mean, spread) of red, green and blue
        [
            0.5 - TYPICAL_MEAN,
            0.5 - TYPICAL_SPREAD,
            -TYPICAL_MEAN,
            -TYPICAL_SPREAD,
            -TYPICAL_MEAN,
            -TYPICAL_SPREAD,
        ]
    )
    np.testing.assert_allclose(vector, expected / np.linalg.norm(expected), rtol=1e-6)


def test_a_batch_gives_bitwise_the_rows_of_single_photos() -> None:
    embedder = ColourLayoutEmbedder()
    pixels = np.random.default_rng(1).integers(0, 256, (17, 32, 32, 3), dtype=np.uint8)
    alone = np.concatenate([embedder.embed(pixels[n : n + 1]) for n in range(17)])
    np.testing.assert_array_equal(embedder.embed(pixels), alone)


def test_where_a_colour_is_matters() -> None:
    embedder = ColourLayoutEmbedder()
    pixels = np.zeros((2, 32, 32, 3), np.uint8)
    pixels[0, :16] = pixels[1, 16:] = 255
    top, bottom = embedder.embed(pixels)
    assert top @ bottom < 0.5


@pytest.mark.parametrize(("grid", "size"), [(0, 32), (5, 32), (64, 32)])
def test_a_grid_that_does_not_divide_is_refused(grid, size) -> None:
    with pytest.raises(ValueError, match="multiple of grid"):
        ColourLayoutEmbedder(grid=grid, size=size)
