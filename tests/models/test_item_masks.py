"""The shop's own masks are used or refused with a reason; cuts are remembered with theirs."""

import numpy as np
import pytest
from PIL import Image

from models.training.item_masks import find_cut, read_own_mask
from models.training.masks import MaskLimits, cut_item, distrust, judge_item
from models.training.photos import Photo, load_photos, prepare

BOX = (10, 0, 60, 80)  # a photo of 160 x 120 within a square of 80


def save(path, pixels):
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)
    return path


def white_on(shape, rows, columns):
    mask = np.zeros(shape, np.uint8)
    mask[rows, columns] = 255
    return mask


def test_an_own_mask_is_scaled_to_the_photo(tmp_path):
    path = save(tmp_path / "m.png", white_on((240, 320), slice(40, 120), slice(80, 160)))
    found = read_own_mask(path, (160, 120), BOX)
    assert found.reason is None
    assert np.array_equal(found.mask, white_on((60, 80), slice(10, 30), slice(20, 40)) > 0)


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        (np.zeros((120, 160)), "is empty"),
        (np.full((120, 160), 255), "covers the whole photo"),
        (white_on((160, 120), slice(9, 50), slice(9, 50)), "another shape: 120 x 160, .*160 x 120"),
        (white_on((120, 120), slice(9, 50), slice(9, 50)), "another shape"),
        (np.linspace(0, 255, 120 * 160).reshape(120, 160), "not black and white"),
    ],
)
def test_an_own_mask_that_does_not_fit_is_refused(tmp_path, pixels, reason):
    found = read_own_mask(save(tmp_path / "m.png", pixels), (160, 120), BOX)
    assert found.mask is None
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(found.reason)


def test_an_own_mask_that_is_no_image_is_refused(tmp_path):
    (tmp_path / "m.png").write_bytes(b"no image")
    assert "cannot be read" in read_own_mask(tmp_path / "m.png", (160, 120), BOX).reason
    assert "cannot be read" in read_own_mask(tmp_path / "none.png", (160, 120), BOX).reason


def test_a_refused_mask_is_reported_and_a_changed_one_noticed(photos, tmp_path):
    good = save(tmp_path / "good.png", white_on((96, 96), slice(20, 70), slice(20, 70)))
    bad = save(tmp_path / "bad.png", np.zeros((96, 96)))
    given = [Photo("a", photos[0].path, mask=good), Photo("b", photos[1].path, mask=bad)]

    def load():
        return load_photos(given, side=48, target=16, channels=3, cut=True, cache=None)

    before = load()
    assert before.trusted.tolist() == [True, False]
    assert [(u.id, u.own) for u in before.unmasked] == [("b", True)]
    assert before.unmasked[0].reason == "its mask bad.png is empty"
    save(good, white_on((96, 96), slice(20, 71), slice(20, 70)))
    assert load().digest != before.digest


def test_why_a_mask_is_not_trusted_by_hand():
    limits = MaskLimits(min_area=0.1, max_area=0.5, max_rim=0.3)
    mask = np.zeros((10, 10), bool)
    assert distrust(mask, limits) == "the item is too small"
    mask[3:7, 3:7] = True
    assert distrust(mask, limits) is None
    mask[1:9, 1:9] = True
    assert distrust(mask, limits) == "the item is too large"
    mask[:] = False
    mask[:, :4] = True
    assert distrust(mask, limits) == "the item touches the rim"


def test_every_photo_is_cut_or_has_a_reason(photos):
    noise = np.random.default_rng(0).integers(0, 255, (96, 96, 3), dtype=np.uint8)
    assert judge_item(noise).reason is not None
    assert judge_item(np.full((96, 96, 3), 128, np.uint8)).reason is not None
    assert judge_item(np.zeros((8, 96, 3), np.uint8)).reason == "the photo is too narrow to be cut"
    for photo in photos[:4]:
        pixels = np.asarray(Image.open(photo.path))
        judged, cut = judge_item(pixels), cut_item(pixels)
        assert (cut is None) == (judged.reason is not None)
        assert cut is None or np.array_equal(cut, judged.mask)


def test_a_refusal_is_remembered_with_its_reason(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    first = find_cut(noise, "ab" * 32, tmp_path)
    assert first.mask is None
    [file] = tmp_path.rglob("*.png")
    with Image.open(file) as stored:
        assert stored.size == (1, 1)
    # Told from the file, not cut again: other pixels get the same answer.
    assert find_cut(np.zeros_like(noise), "ab" * 32, tmp_path) == first
    # A file of an older niteru has no reason in it; the photo is judged once more.
    Image.fromarray(np.zeros((1, 1), np.uint8)).save(file)
    assert find_cut(noise, "ab" * 32, tmp_path) == first
    with Image.open(file) as again:
        assert "reason" in again.info


def test_reasons_survive_the_cache(photos, tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (96, 96, 3), dtype=np.uint8)
    mixed = [*photos[:3], Photo("noise", save(tmp_path / "noise.png", noise))]

    def reasons(cache):
        found = [
            prepare(photo, side=48, target=16, channels=3, cut=True, cache=cache) for photo in mixed
        ]
        return [photo.distrust for photo in found]

    plain, first, second = reasons(None), reasons(tmp_path / "c"), reasons(tmp_path / "c")
    assert plain == first == second
    assert [reason is None for reason in plain] == [True, True, True, False]
