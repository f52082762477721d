"""Decoding untrusted image bytes.

Everything that is refused is refused with the reason, and as much as possible from the header
alone, before memory is spent. Pillow's own defaults are not enough: a 10 kB PNG of 88 megapixels
opens without a warning, EPS would start Ghostscript, a 16-bit PNG saturates to white, and a
cut-out with alpha turns black.
"""

import io
import re
import warnings
from typing import Literal

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "WEBP")
# The same by how they begin, and where in a file that stands.
ACCEPTED = (("JPEG", 0, b"\xff\xd8\xff"), ("PNG", 0, b"\x89PNG\r\n\x1a\n"), ("WEBP", 8, b"WEBP"))
MAX_PIXELS = 50_000_000
# What people send for a photo and is none that is read, by how it begins; HEIC and AVIF by their
# brand, which stands after the length of the first box.
OTHERS = {
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"%PDF": "PDF",
    b"<svg": "SVG",
    b"ftypheic": "HEIC",
    b"ftypheix": "HEIC",
    b"ftypmif1": "HEIC",
    b"ftypavif": "AVIF",
}
# What has to be done to an image, by its EXIF orientation, so that it stands upright.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

Reason = Literal[
    "empty",
    "unsupported_format",
    "too_many_pixels",
    "too_slow",
    "corrupt",
    "outside",  # a crop that is no part of it
    "proportions",  # of a mask, that are not the photo's
    "size",  # of a small picture, that cannot be enlarged
]


class ImageError(ValueError):
    """An image that cannot be used; ``reason`` says why in one word, the message in a sentence."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason: Reason = reason


def decode_image(
    data: bytes, *, max_pixels: int = MAX_PIXELS, draft: int | None = None
) -> Image.Image:
    """Decode JPEG, PNG or WebP bytes into an upright 8-bit RGB image.

    Orientation is applied, alpha is laid on white, 16-bit grey is scaled (not clipped), CMYK is
    converted, and of an animation the first frame is taken.

    Args:
        data: The file's bytes.
        max_pixels: Refuse more pixels than this, judged from the header.
        draft: If given, a JPEG may be decoded at a reduced scale of 1/2, 1/4 or 1/8 as long as
            both its sides stay at or above this many pixels: about twice as fast for photos.

    Raises:
        ImageError: Empty, not one of the formats, too many pixels, truncated or corrupt.
    """
    if not data:
        raise ImageError("empty", "The image is empty: 0 bytes were received.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # ours is the stricter limit, checked next
            image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise _unreadable(data) from error
    except Image.DecompressionBombError as error:
        pixels = re.search(r"\d+", str(error))  # the first number of Pillow's words
        found = f"{int(pixels[0]):,} pixels" if pixels else "far too many pixels"
        raise ImageError(
            "too_many_pixels",
            f"The image has {found}; at most {max_pixels:,} are accepted. Send a smaller copy.",
        ) from error
    width, height = image.size
    if width * height > max_pixels:
        raise ImageError(
            "too_many_pixels",
            f"The image has {width} x {height} = {width * height:,} pixels; "
            f"at most {max_pixels:,} are accepted. Send a smaller copy.",
        )
    if draft is not None and image.format == "JPEG":
        image.draft("RGB", (draft, draft))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a damaged EXIF block only costs the orientation
            image.load()
            return to_rgb(upright(image))
    # Pillow's decoders raise these, and only these, for damaged data.
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, MemoryError) as error:
        raise ImageError(
            "corrupt", f"The {image.format} is damaged or cut off: {error}. Send it again."
        ) from error


def _unreadable(data: bytes) -> ImageError:
    """The error for a file without a picture: one that breaks off, or one of another kind."""
    for name, place, beginning in ACCEPTED:
        if data[place : place + len(beginning)] == beginning:
            return ImageError(
                "corrupt",
                f"The {name} is cut off or damaged before its picture begins: {len(data)} bytes "
                "were received. Send it again.",
            )
    return ImageError(
        "unsupported_format",
        f"Not an image that can be read: {len(data)} bytes that begin with {data[:8]!r}"
        f"{which_is(data)}. Send {', '.join(FORMATS)}.",
    )


def which_is(data: bytes) -> str:
    """``", which is GIF"`` for instance; nothing for what is not known."""
    for beginning, name in OTHERS.items():
        if data[4 if beginning.startswith(b"ftyp") else 0 :].startswith(beginning):
            return f", which is {name}"
    return ""


def upright(image: Image.Image) -> Image.Image:
    """Turn an image as its EXIF orientation says; one that cannot be read costs only the turn."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # noqa: BLE001, a damaged block fails in any way
        return image
    method = UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return image if method is None else image.transpose(method)


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert any mode to RGB the way a shop means it: alpha on white, 16 bits scaled to 8."""
    if image.mode.startswith("I"):  # I, I;16, I;16B: 16-bit grey
        grey = np.asarray(image, dtype=np.int64)
        scaled = (grey >> 8).clip(0, 255).astype(np.uint8)
        clear = image.info.get("transparency")
        if isinstance(clear, int):  # one grey, counted in 16 bits, is see-through
            scaled[grey == clear] = 255
        return Image.fromarray(scaled).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        cutout = image.convert("RGBA")
        white = Image.new("RGBA", cutout.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, cutout).convert("RGB")
    return image.convert("RGB")
