"""Small pictures as photos: scaled when drawn, cut from black, joined with real ones."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

import models
from models.training.arrays import cut_from_black, photos_from_array
from models.training.joined import OnWhite, Scaled, join, weigh
from models.training.parts import Part
from models.training.photos import Photo, canonical, load_photos
from models.training.recipe import Views
from models.training.train import Plan, train
from models.training.views import draw_view


def clothes(count: int, seed: int = 0, side: int = 28) -> np.ndarray:
    """Grey rectangles with a dark stripe on black: (N, side, side)."""
    rng = np.random.default_rng(seed)
    pixels = np.zeros((count, side, side), np.uint8)
    for picture in pixels:
        top, left = rng.integers(2, 9, 2)
        picture[top : side - top, left : side - left] = rng.integers(60, 250)
        picture[side // 2] = np.where(picture[side // 2] > 0, 30, 0)
    return pixels


def as_photos(pixels, *, cut=True, side=48, target=16, channels=3):
    return photos_from_array(pixels, name="x", side=side, target=target, channels=channels, cut=cut)


def test_holes_belong_to_the_item_and_the_outside_does_not():
    picture = np.array(
        [
            [0, 0, 0, 0, 0, 0],
            [0, 9, 9, 9, 9, 0],
            [0, 9, 0, 0, 9, 0],
            [0, 9, 0, 0, 9, 0],
            [0, 9, 9, 9, 9, 3],
            [0, 0, 0, 0, 0, 0],
        ],
        np.uint8,
    )
    expected = np.zeros((6, 6), bool)
    expected[1:5, 1:5] = True  # the hole too; the 3 beside it is nearly black
    assert np.array_equal(cut_from_black(picture[None])[0], expected)
    picture[4, 2] = 0  # an opening: the hole is outside now
    expected[2:4, 2:4] = expected[4, 2] = False
    assert np.array_equal(cut_from_black(picture[None])[0], expected)


def test_a_spiral_is_followed_to_its_end():
    spiral = np.full((9, 9), 200, np.uint8)
    path = [(1, c) for c in range(8)] + [(r, 7) for r in range(1, 8)]
    path += [(7, c) for c in range(1, 8)] + [(r, 1) for r in range(3, 8)]
    path += [(3, c) for c in range(1, 6)] + [(r, 5) for r in range(3, 6)] + [(5, 4), (5, 3)]
    for place in path:
        spiral[place] = 0
    assert np.array_equal(cut_from_black(spiral[None])[0], spiral > 0)


@settings(max_examples=60, deadline=None)
@given(arrays.arrays(np.bool_, st.tuples(st.just(3), st.integers(3, 9), st.integers(3, 9))))
def test_cutting_from_black_agrees_with_a_walk_from_pixel_to_pixel(items):
    found = cut_from_black(items.astype(np.uint8) * np.uint8(255))
    for item, mask in zip(items, found, strict=True):
        H, W = item.shape
        todo = [(r, c) for r in range(H) for c in range(W) if r in (0, H - 1) or c in (0, W - 1)]
        outside = set()
        while todo:
            r, c = todo.pop()
            if 0 <= r < H and 0 <= c < W and not item[r, c] and (r, c) not in outside:
                outside.add((r, c))
                todo += [(r + 1, c), (r - 1, c), (r, c + 1), (r, c - 1)]
        expected = np.array([[(r, c) not in outside for c in range(W)] for r in range(H)])
        assert np.array_equal(mask, expected)


def test_a_small_picture_becomes_a_photo():
    pixels = clothes(6)
    photos = as_photos(pixels)
    index = torch.tensor([4, 0, 4])
    drawn = photos.pixels[index]
    assert drawn.shape == (3, 3, 48, 48)
    assert drawn.dtype == torch.uint8
    assert torch.equal(drawn[:, 0], drawn[:, 2])  # grey
    assert torch.equal(drawn[0], drawn[2])
    reference = np.asarray(Image.fromarray(pixels[4]).resize((48, 48), Image.Resampling.BILINEAR))
    assert np.abs(drawn[0, 0].numpy().astype(int) - reference).max() <= 2
    assert photos.trusted.all()
    assert photos.masks[index].shape == (3, 1, 48, 48)
    assert len(photos.backgrounds) == 0
    assert len(photos) == 6


def test_the_item_on_white_agrees_with_that_of_a_photo():
    pixels = clothes(8)
    photos = as_photos(pixels, target=32)
    ours = photos.targets[torch.arange(8)]
    assert ours.shape == (8, 3, 32, 32)
    for picture, drawn in zip(pixels, ours, strict=True):
        large = np.kron(picture, np.ones((8, 8), np.uint8))  # canonical() counts in whole pixels
        mask = (large > 0).astype(np.uint8) * np.uint8(255)
        reference = canonical(large[:, :, None], mask, 32)[:, :, 0].astype(int)
        difference = np.abs(drawn[0].numpy() - reference)
        assert difference.mean() < 6  # at the edges, where one is smooth and the other is not
        assert np.corrcoef(drawn[0].numpy().ravel(), reference.ravel())[0, 1] > 0.97


def test_the_item_on_white_by_hand():
    pixels, masks = torch.zeros(1, 1, 10, 10, dtype=torch.uint8), torch.zeros(1, 1, 10, 10)
    pixels[0, 0, 3:5, 1:9], masks[0, 0, 3:5, 1:9] = 100, 255
    drawn = OnWhite(pixels, masks.to(torch.uint8), 9, 1)[torch.tensor([0])][0, 0]
    assert drawn[4, 4] == 100
    assert (drawn[[0, -1]] == 255).all()
    assert torch.equal(drawn, drawn.flip(0))  # centred, both ways
    assert torch.equal(drawn, drawn.flip(1))
    columns = (drawn < 255).any(0).sum()
    assert columns >= 8  # as large as fits


def test_without_black_around_it_a_picture_is_used_whole():
    pixels = clothes(3)
    pixels[1] = np.maximum(pixels[1], 50)
    pixels[2] = 0
    photos = as_photos(pixels)
    assert photos.trusted.tolist() == [True, False, False]
    assert [photo.id for photo in photos.unmasked] == ["x, 1", "x, 2"]
    assert not photos.masks[torch.tensor([1])].any()
    whole = Scaled(torch.from_numpy(pixels).unsqueeze(1), 16, 3)[torch.tensor([1])]
    shown = photos.targets[torch.tensor([1])]
    assert (shown.int() - whole.int()).abs().float().mean() < 6
    uncut = as_photos(pixels, cut=False)
    assert not uncut.trusted.any()
    assert uncut.unmasked == ()
    with pytest.raises(ValueError, match="28 x 20; expected some, and square"):
        as_photos(pixels[:, :, :20])


@pytest.fixture(scope="module")
def real(photos):
    return load_photos(photos, side=48, target=16, channels=3, cut=True, cache=None)


def test_joined_pictures_keep_their_order(real):
    small = as_photos(clothes(10))
    both = join([real, small])
    assert len(both) == 34
    assert both.parts == (Part(24), Part(10))
    assert both.groups.tolist() == list(range(34))
    index = torch.tensor([33, 2, 24, 23, 2])
    for name in ("pixels", "targets", "masks"):
        found, first, second = (getattr(p, name) for p in (both, real, small))
        expected = [second[index[:1] - 24], first[index[1:2]], second[index[2:3] - 24],
                    first[index[3:4]], first[index[4:]]]  # fmt: skip
        assert torch.equal(found[index], torch.cat(expected)), name
    assert both.trusted.tolist() == [*real.trusted.tolist(), *[True] * 10]
    assert len(both.backgrounds) == len(real.backgrounds)
    assert both.shapes is not None
    assert torch.equal(both.shapes[:24], real.shapes)
    assert not both.shapes[24:].any()  # unknown
    assert join([real]) is real


def test_a_small_picture_is_put_on_the_backgrounds_of_photos(real):
    both = join([real, as_photos(clothes(10))])
    index = torch.arange(24, 34)
    views = replace(Views.none(), swap=1.0)
    swapped = draw_view(both, index, 48, views, torch.Generator().manual_seed(0))
    before = draw_view(both, index, 48, Views.none(), torch.Generator().manual_seed(0))
    corners = torch.zeros(48, 48, dtype=torch.bool)
    corners[:2] = True  # outside every item
    assert (before[:, :, corners] == -1).all()
    assert (swapped[:, :, corners] > -0.99).float().mean() > 0.8
    assert (swapped[:, :, 24:27, 24:27] - before[:, :, 24:27, 24:27]).abs().max() < 1e-3


def test_weights_change_what_a_run_is(real):
    both = join([real, as_photos(clothes(10))])
    assert weigh(both, [None, None]) is both
    heavier = weigh(both, [None, 5.0])
    assert heavier.parts == (Part(24), Part(10, 5.0))
    digests = {both.digest, heavier.digest, weigh(both, [None, 6.0]).digest}
    assert len(digests) == 3
    empty = replace(both, parts=(Part(24), Part(0), Part(10)))
    with pytest.raises(ValueError, match="Source 2 of 3 has a weight"):
        weigh(empty, [None, 3.0, None])


def test_sources_are_counted_by_items_and_named_alike_they_stay_apart(photos):
    one = [replace(p, id="same", group="g", source=0) for p in photos[:2]]
    two = [replace(p, id="same", source=1) for p in photos[2:5]]
    tensors = load_photos([*one, *two], side=48, target=16, channels=3, cut=False, cache=None)
    assert tensors.groups.tolist() == [0, 0, 1, 2, 3]
    assert tensors.parts == (Part(1), Part(3))
    missing = Photo("gone", photos[0].path.with_name("gone.png"), source=1)
    third = replace(photos[6], source=2)
    gap = load_photos([*one, missing, third], side=48, target=16, channels=3, cut=False, cache=None)
    assert gap.parts == (Part(1), Part(0), Part(1))


def test_a_weighed_run_that_stops_and_goes_on_ends_the_same(tmp_path):
    preset = models.find_preset("pixelvae", "tiny")
    plan = Plan("pixelvae", preset.config, replace(preset.recipe, steps=6, batch_size=8))
    few, many = (as_photos(clothes(count), side=plan.load_side, target=8) for count in (24, 100))
    both = weigh(join([few, many]), [None, 24.0])
    asked = iter([False, False, True])
    whole = train(plan, both, tmp_path / "whole")
    train(plan, both, tmp_path / "parts", should_stop=lambda: next(asked))
    with pytest.raises(ValueError, match="photos have changed"):
        train(plan, join([few, many]), tmp_path / "parts", resume=True)
    train(plan, both, tmp_path / "parts", resume=True)
    assert whole.metrics["training"]["photos"] == 124
    first, second = (
        (tmp_path / n / "weights.safetensors").read_bytes() for n in ("whole", "parts")
    )
    assert first == second
