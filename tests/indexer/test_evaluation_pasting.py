"""Clean items on photo backgrounds: the item stays, the rest is background, the seed decides."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.evaluation import PhotoSet, PhotoSetError, PixelCache, paste_on_backgrounds
from indexer.evaluation.pasting import item_masks, move
from indexer.evaluation.photos import ArrayImages

SIDE = 12


def as_set(name, pixels):
    rows = np.array([f"{name}/{row}" for row in range(len(pixels))])
    return PhotoSet(name, ArrayImages(pixels), keys=rows, ids=rows, labels=rows)


@pytest.fixture
def items():
    pixels = np.zeros((6, SIDE, SIDE), np.uint8)
    pixels[:, 4:8, 4:8] = np.arange(100, 160, 10, dtype=np.uint8)[:, None, None]
    return as_set("items", pixels)


@pytest.fixture
def backgrounds():
    # White in the middle third only, where the photos' own items are.
    pixels = np.full((3, 60, 60), 40, np.uint8)
    pixels[:, 25:35, 25:35] = 255
    return as_set("photos", pixels)


def test_each_item_lies_whole_on_a_background(items, backgrounds):
    queries = paste_on_backgrounds(items, backgrounds, seed=0, cache=PixelCache(workers=1))
    for row, pixels in enumerate(queries.images.pixels):
        where = np.argwhere(pixels == 100 + 10 * row)
        assert len(where) == 16
        assert (np.abs(where.min(axis=0) - 4) <= 3).all()
    assert (queries.images.pixels == 40).any(axis=(1, 2)).all()
    assert queries.items.tolist() == items.ids.tolist()
    assert queries.labels.tolist() == items.labels.tolist()
    assert not np.isin(queries.keys, items.keys).any()


def test_the_seed_decides(items, backgrounds):
    cache = PixelCache(workers=1)
    first, again, other = (
        paste_on_backgrounds(items, backgrounds, seed=seed, cache=cache).images.pixels
        for seed in (0, 0, 1)
    )
    assert (first == again).all()
    assert (first != other).any()


def test_where_an_item_fades_into_black_the_lighter_is_seen(backgrounds):
    pixels = np.zeros((1, SIDE, SIDE), np.uint8)
    pixels[0, 4:8, 4:8] = 20  # the rim, darker than the background
    pixels[0, 5:7, 5:7] = 20
    queries = paste_on_backgrounds(
        as_set("dark", pixels), backgrounds, seed=0, cache=PixelCache(workers=1)
    )
    assert (queries.images.pixels == 20).sum() == 4  # only the inner ones


def test_masks_worked_by_hand():
    picture = np.array(
        [
            [0, 0, 0, 0, 0],
            [0, 99, 99, 99, 0],
            [0, 99, 0, 99, 3],  # a hole, and a speck of the halo
            [0, 99, 99, 99, 0],
            [0, 0, 0, 0, 99],
        ],
        dtype=np.uint8,
    )
    expected = np.zeros((5, 5), bool)
    expected[1:4, 1:4] = True
    expected[4, 4] = True
    assert (item_masks(picture[None])[0] == expected).all()


def test_a_winding_way_is_outside():
    picture = np.full((1, 5, 7), 50, np.uint8)
    picture[0, 1, 0:6] = picture[0, 1:4, 5] = picture[0, 3, 1:6] = 0
    assert (item_masks(picture)[0] == (picture[0] == 50)).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(-3, 3), st.integers(-3, 3), st.integers(0, 99))
def test_moving_there_and_back_loses_only_what_left(down, right, seed):
    image = np.random.default_rng(seed).integers(1, 255, (7, 9))
    back = move(move(image, down, right), -down, -right)
    assert ((back == image) | (back == 0)).all()
    assert (back > 0).sum() == (7 - abs(down)) * (9 - abs(right))
    if down >= 0 and right >= 0:
        assert (move(image, down, right)[down:, right:] == image[: 7 - down, : 9 - right]).all()


def test_only_square_images_in_memory(items, backgrounds):
    wide = as_set("wide", np.zeros((2, 4, 5), np.uint8))
    with pytest.raises(PhotoSetError, match="'wide' is of another kind"):
        paste_on_backgrounds(wide, backgrounds, seed=0, cache=PixelCache(workers=1))
