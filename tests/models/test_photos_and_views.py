"""Masks found and judged, photos in memory, and views that keep the item."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from models.training.loop import photos_of_step, pick_photos, shrink, step_seed
from models.training.masks import MaskLimits, agreement, cut_item, paint_out, trustworthy
from models.training.photos import Photo, canonical, load_photos
from models.training.recipe import Recipe, Views
from models.training.views import draw_view, to_float

rng_seed = np.random.default_rng


@pytest.fixture(scope="module")
def known(photos):
    """An item photo and where its item is (drawn by the fixture's own recipe)."""
    pixels = np.asarray(Image.open(photos[0].path))
    return pixels, pixels.astype(int).max(2) > 100


def test_the_item_is_found(known):
    pixels, truth = known
    mask = cut_item(pixels)
    assert mask is not None
    assert agreement(mask, truth) > 0.95


def test_noise_has_no_item():
    noise = rng_seed(0).integers(0, 255, (96, 96, 3), dtype=np.uint8)
    assert cut_item(noise) is None
    assert cut_item(np.full((96, 96, 3), 128, np.uint8)) is None
    assert cut_item(np.zeros((8, 96, 3), np.uint8)) is None


def test_trust_by_hand():
    limits = MaskLimits(min_area=0.1, max_area=0.5, max_rim=0.3)
    mask = np.zeros((10, 10), bool)
    assert not trustworthy(mask, limits)  # nothing
    mask[3:7, 3:7] = True
    assert trustworthy(mask, limits)  # 16 %
    mask[1:9, 1:9] = True
    assert not trustworthy(mask, limits)  # 64 %
    mask[:] = False
    mask[:, :4] = True
    assert not trustworthy(mask, limits)  # 18 of 40 rim pixels


def test_agreement_by_hand():
    a, b = np.zeros((2, 2), bool), np.zeros((2, 2), bool)
    assert agreement(a, b) == 0
    a[0], b[:, 0] = True, True
    assert agreement(a, b) == pytest.approx(1 / 3)


def test_painting_out_leaves_the_background_and_removes_the_item(known):
    pixels, truth = known
    painted = paint_out(pixels, truth)
    assert painted[truth].max() < 130  # the item was brighter than 100 everywhere, mostly > 140
    far = ~truth
    far[8:-8, 8:-8] = False
    assert np.array_equal(painted[far], pixels[far])


def test_the_canonical_picture_is_the_item_centred_on_white():
    pixels = np.zeros((20, 20, 3), np.uint8)
    mask = np.zeros((20, 20), np.uint8)
    pixels[2:6, 1:9] = (200, 0, 0)
    mask[2:6, 1:9] = 255
    picture = canonical(pixels, mask, 18)
    assert picture.shape == (18, 18, 3)
    assert (picture[0] == 255).all()
    assert tuple(picture[9, 9]) == (200, 0, 0)
    rows = np.flatnonzero((picture != 255).any((1, 2)))
    columns = np.flatnonzero((picture != 255).any((0, 2)))
    assert abs((rows[0] + rows[-1]) - 17) <= 2  # centred, to a pixel
    assert len(columns) > 1.5 * len(rows)  # as wide and flat as before


@pytest.fixture(scope="module")
def tensors(photos):
    return load_photos(photos, side=48, target=16, channels=3, cut=True, cache=None)


def test_photos_become_tensors(tensors):
    assert tensors.pixels.shape == (24, 3, 48, 48)
    assert tensors.targets.shape == (24, 3, 16, 16)
    assert tensors.trusted.sum() >= 20
    assert len(tensors.backgrounds) == tensors.trusted.sum()
    assert tensors.groups.tolist() == list(range(24))


def test_without_a_single_mask_views_are_still_drawn(photos):
    """--no-swap, or no mask that can be trusted: there is nothing to swap with."""
    plain = load_photos(photos[:6], side=48, target=16, channels=3, cut=False, cache=None)
    assert len(plain.backgrounds) == 0
    assert not plain.trusted.any()
    assert plain.targets.shape == (6, 3, 16, 16)
    assert view(plain, Views()).shape == (6, 3, 48, 48)


def test_masks_are_remembered(photos, tensors, tmp_path):
    first = load_photos(photos, side=48, target=16, channels=3, cut=True, cache=tmp_path)
    files = sorted(tmp_path.rglob("*.png"))
    assert len(files) == 24
    # A remembered mask is used: invert one, and the next run sees it inverted.
    path = next(p for p in files if np.asarray(Image.open(p)).size > 1)
    Image.fromarray(255 - np.asarray(Image.open(path))).save(path)
    second = load_photos(photos, side=48, target=16, channels=3, cut=True, cache=tmp_path)
    assert torch.equal(first.masks, tensors.masks)
    assert (first.masks != second.masks).flatten(1).any(1).sum() == 1


def test_bad_photos_are_reported_and_skipped(photos, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    missing = Photo("gone", tmp_path / "gone.jpg")
    both = [*photos[:2], Photo("broken", broken), missing]
    tensors = load_photos(both, side=32, target=8, channels=3, cut=False, cache=None)
    assert len(tensors) == 2
    assert [s.id for s in tensors.skipped] == ["broken", "gone"]
    with pytest.raises(ValueError, match="None of 1 photos"):
        load_photos([missing], side=32, target=8, channels=3, cut=False, cache=None)


def test_a_given_mask_is_used(photos, tmp_path):
    mask = np.zeros((96, 96), np.uint8)
    mask[10:30, 10:80] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    given = Photo("a", photos[0].path, mask=tmp_path / "mask.png")
    tensors = load_photos([given], side=48, target=16, channels=3, cut=True, cache=None)
    found = tensors.masks[0, 0].numpy() > 0
    assert found[5:15, 5:40].all()
    assert found.sum() == 10 * 35


def test_photos_of_one_item_share_a_group(photos):
    pair = [Photo(p.id, p.path, group=g) for p, g in zip(photos, "aabbc", strict=False)]
    tensors = load_photos(pair, side=32, target=8, channels=3, cut=False, cache=None)
    assert tensors.groups.tolist() == [0, 0, 1, 1, 2]


def view(tensors, views, seed=0, side=48):
    g = torch.Generator().manual_seed(seed)
    return draw_view(tensors, torch.arange(len(tensors)), side, views, g)


STILL = Views.none()


def test_no_change_gives_the_photo_itself(tensors):
    torch.testing.assert_close(view(tensors, STILL), to_float(tensors.pixels), atol=1e-4, rtol=0)


def test_a_swap_keeps_the_item_and_changes_the_rest(tensors):
    swapped = view(tensors, replace(STILL, swap=1.0))
    original = to_float(tensors.pixels)
    inside = torch.nn.functional.avg_pool2d(tensors.masks.float(), 5, 1, 2) == 255  # well inside
    outside = torch.nn.functional.max_pool2d(tensors.masks.float(), 5, 1, 2) == 0
    change = (swapped - original).abs().mean(1, keepdim=True)
    trusted = tensors.trusted.view(-1, 1, 1, 1)
    assert change[inside & trusted].max() < 1e-3
    assert change[outside & trusted].mean() > 0.02
    assert change[(~trusted).expand_as(change)].sum() == 0


def test_views_are_seeded_bounded_and_different(tensors):
    first, second, other = view(tensors, Views()), view(tensors, Views()), view(tensors, Views(), 1)
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert first.min() >= -1
    assert first.max() <= 1


def test_every_setting_of_a_view_changes_it(tensors):
    plain = view(tensors, STILL)
    moved = Views()
    for setting in fields(Views):
        if setting.name in ("count", "canonical"):
            continue
        changed = view(tensors, replace(STILL, **{setting.name: getattr(moved, setting.name)}))
        assert not torch.equal(changed, plain), setting.name


@settings(max_examples=20, deadline=None)
@given(items=st.integers(1, 40), batch=st.integers(1, 50), step=st.integers(0, 200))
def test_an_epoch_shows_every_item_at_most_once(items, batch, step):
    recipe = Recipe(batch_size=batch, steps=1)
    per_epoch = items // min(batch, items)
    start = step - step % per_epoch
    groups = torch.arange(items)
    seen = torch.cat([photos_of_step(groups, recipe, start + i) for i in range(per_epoch)])
    assert len(seen) == per_epoch * min(batch, items)
    assert len(seen.unique()) == len(seen)


def test_a_picked_photo_belongs_to_its_item():
    groups = torch.tensor([2, 0, 1, 0, 2, 2])
    items = torch.tensor([0, 1, 2, 2, 0])
    g = torch.Generator().manual_seed(0)
    picks = torch.stack([pick_photos(items, groups, g) for _ in range(50)])
    assert (groups[picks] == items).all()
    assert set(picks[:, 2].tolist()) == {0, 4, 5}


def test_seeds_differ_by_step_process_and_run():
    seeds = {step_seed(s, t, r) for s in range(3) for t in range(5) for r in range(4)}
    assert len(seeds) == 60


def test_shrinking_averages():
    x = torch.arange(16.0).view(1, 1, 4, 4)
    assert shrink(x, 2).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    assert shrink(x, 4) is x
