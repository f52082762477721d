"""What is no photo that is read is told by name where people send it often."""

import io
import struct
import zlib

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


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_an_accepted_kind_that_breaks_off_is_not_called_foreign(kind):
    file = io.BytesIO()
    Image.new("RGB", (64, 64)).save(file, kind)
    with pytest.raises(ImageError, match=f"{kind} is .*cut off.* Send it again") as found:
        decode_image(file.getvalue()[:20])
    assert found.value.reason == "corrupt"


def test_a_picture_that_pillow_itself_refuses_is_told_with_our_limit():
    """A header alone, of 20,000 x 20,000 pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header
    data += struct.pack(">I", zlib.crc32(header)) + struct.pack(">I", 0) + b"IDAT" + bytes(4)
    with pytest.raises(ImageError) as found:
        decode_image(data, max_pixels=1000)
    assert str(found.value).startswith("The image has 400,000,000 pixels; at most 1,000 are")
