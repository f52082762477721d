"""What is no photo that is read is told by name where people send it often."""

import io

import pytest
from PIL import Image

from models.images import ImageError, decode_image


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "PDF"])
def test_other_kinds_are_named(kind):
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, kind)
    with pytest.raises(ImageError, match=f"which is {kind}. Send JPEG, PNG, WEBP"):
        decode_image(file.getvalue())


@pytest.mark.parametrize(
    ("brand", "kind"), [(b"heic", "HEIC"), (b"mif1", "HEIC"), (b"avif", "AVIF")]
)
def test_photos_of_a_phone_are_named_by_their_brand(brand, kind):
    with pytest.raises(ImageError, match=f"which is {kind}"):
        decode_image(b"\0\0\0\x18ftyp" + brand + b"\0" * 40)


def test_what_is_not_known_is_not_guessed():
    with pytest.raises(ImageError, match=r"begin with b'#!/bin/s'. Send"):
        decode_image(b"#!/bin/sh")
