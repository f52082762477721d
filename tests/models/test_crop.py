"""A part of a photo is what Pillow cuts out of it by hand, whichever way the photo is stored."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from models.images import Crop, ImageError, Preprocessing
from models.images.decode import UPRIGHT

SIZE = (300, 200)


def scene():
    """Noise: every pixel another, so any shift or blur shows."""
    pixels = np.random.default_rng(0).integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)
    return Image.fromarray(pixels)


def saved(image, kind="JPEG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def by_hand(data, box):
    """The same part, cut out and saved as a file of its own, which loses nothing."""
    with Image.open(io.BytesIO(data)) as image:
        return saved(ImageOps.exif_transpose(image).convert("RGB").crop(box), "PNG")


def turned(orientation):
    """A JPEG with an EXIF orientation."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(scene(), exif=exif, quality=90)


@pytest.mark.parametrize("orientation", [1, *UPRIGHT])
@pytest.mark.parametrize("fit", ["pad", "edge", "stretch"])
def test_a_crop_is_that_of_the_upright_photo(orientation, fit):
    data = turned(orientation)
    preprocessing = Preprocessing(size=16, fit=fit)
    whole = preprocessing.read(data)

    part = preprocessing.read(data, crop=Crop(20, 60, 150, 190, "pixels"))

    assert np.array_equal(part, preprocessing.read(by_hand(data, (20, 60, 150, 190))))
    assert not np.array_equal(part, whole)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_fractions_and_pixels_of_one_box_are_the_same(kind):
    data, preprocessing = saved(scene(), kind), Preprocessing(size=32)
    pixels = preprocessing.read(data, crop=Crop(30, 50, 270, 150, "pixels"))
    fractions = preprocessing.read(data, crop=Crop(0.1, 0.25, 0.9, 0.75))

    assert np.array_equal(pixels, fractions)
    assert np.array_equal(pixels, preprocessing.read(by_hand(data, (30, 50, 270, 150))))


def test_a_small_part_of_a_large_photo_is_not_blurred():
    """A draft of this JPEG would have an eighth of its sides, and the part two pixels."""
    stripes = np.zeros((1600, 1600, 3), np.uint8)
    stripes[:, ::2] = 255
    data, preprocessing = saved(Image.fromarray(stripes), quality=95), Preprocessing(size=16)

    part = preprocessing.read(data, crop=Crop(800, 800, 816, 816, "pixels"))

    assert np.abs(part.astype(int) - stripes[800:816, 800:816]).max() < 20
    assert preprocessing.read(data).std() < 20  # all of it is grey at that size


def test_the_whole_photo_is_a_crop_too():
    data = saved(scene(), "PNG")
    for crop in (Crop(0, 0, 1, 1), Crop(0, 0, *SIZE, "pixels")):
        assert np.array_equal(
            Preprocessing(size=16).read(data, crop=crop), Preprocessing(size=16).read(data)
        )


def test_fractions_are_rounded_to_the_nearest_pixel():
    assert Crop(0.3, 0.06, 0.7, 0.94).box(10, 10) == (3, 1, 7, 9)
    assert Crop(1 / 3, 1 / 3, 2 / 3, 2 / 3).box(300, 200) == (100, 67, 200, 133)


@pytest.mark.parametrize(
    ("sides", "unit"),
    [
        ((0.5, 0, 0.5, 1), "fractions"),
        ((0.6, 0, 0.5, 1), "fractions"),
        ((0, 0.9, 1, 0.1), "fractions"),
        ((-0.1, 0, 1, 1), "fractions"),
        ((0, 0, 1.01, 1), "fractions"),
        ((10, 20, 200, 150), "fractions"),
        ((0, 0, 301, 200), "pixels"),
        ((0, 0, 300, 201), "pixels"),
        ((-1, 0, 300, 200), "pixels"),
        ((300, 0, 301, 1), "pixels"),
        ((5, 5, 5, 5), "pixels"),
        ((0, 0, 1e300, 1), "pixels"),
    ],
)
def test_a_box_outside_empty_or_reversed_names_the_size_of_the_photo(sides, unit):
    with pytest.raises(ImageError, match="300 x 200 pixels upright") as refused:
        Preprocessing().read(saved(scene(), "PNG"), crop=Crop(*sides, unit))

    assert refused.value.reason == "outside"
    assert str(Crop(*sides, unit)) in str(refused.value)
    assert ("right <= 300 " in str(refused.value)) == (unit == "pixels")


def test_the_size_named_is_that_of_the_upright_photo():
    with pytest.raises(ImageError, match="200 x 300 pixels upright"):
        Preprocessing().read(turned(6), crop=Crop(0, 0, 300, 200, "pixels"))
    assert Preprocessing().read(turned(6), crop=Crop(0, 0, 200, 300, "pixels")).shape[2] == 3


def test_less_than_a_pixel_is_refused():
    with pytest.raises(ImageError, match=r"less than a pixel of the photo, which has 300 x 200"):
        Preprocessing().read(saved(scene(), "PNG"), crop=Crop(0.5, 0.5, 0.501, 0.9))


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "nan,0,1,1", "0,0,inf,1"])
def test_what_is_not_four_numbers_is_no_crop(text):
    with pytest.raises(ValueError, match="left,top,right,bottom"):
        Crop.parse(text)


def test_parts_of_pixels_are_refused():
    with pytest.raises(ValueError, match="whole numbers"):
        Crop.parse("0,0,10.5,20", "pixels")
    assert Crop.parse(" 0, 0,10 ,20", "pixels") == Crop(0, 0, 10, 20, "pixels")
