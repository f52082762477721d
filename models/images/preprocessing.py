"""The one preprocessing: what training, indexing and querying do to a decoded photo.

It is part of the weights' ``config.json`` and of the fingerprint, so a vector made by another
preprocessing never meets an index.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from models.images.crop import Crop
from models.images.decode import MAX_PIXELS, ImageError, decode_image

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """Fit a photo into a square of ``size`` pixels.

    Attributes:
        size: Side of the square in pixels.
        channels: 3 for colour, 1 for grey.
        fit: ``pad`` keeps the proportions (a dress stays long) and fills the rest with the mean
            colour of the photo's rim, so that the padding continues the background; ``edge``
            keeps them too and repeats the outermost rows or columns, as the reference figures
            of the comparators do; ``stretch`` ignores the proportions.
    """

    size: int = 64
    channels: Literal[1, 3] = 3
    fit: Literal["pad", "stretch", "edge"] = "pad"

    def read(
        self, data: bytes, *, max_pixels: int = MAX_PIXELS, crop: Crop | None = None
    ) -> Pixels:
        """Decode and fit the bytes of an image file.

        Args:
            data: The file's bytes.
            max_pixels: Refuse more pixels than this, of the whole photo.
            crop: The part of it that counts; without it, all does.

        Returns:
            (H, W, C) uint8 with H = W = ``size``.

        Raises:
            models.images.ImageError: If the bytes are not a usable image, or the crop is no part
                of it.
        """
        if crop is not None:
            # In full: a small part of a photo decoded at a reduced scale would be blurred.
            image = decode_image(data, max_pixels=max_pixels)
            return self.apply(image.crop(crop.box(*image.size)))
        # Twice the size asked for: the reduction that follows hides the coarser JPEG decoding.
        return self.apply(decode_image(data, draft=2 * self.size, max_pixels=max_pixels))

    def read_small(
        self, data: bytes, sides: Sequence[int], *, max_pixels: int = MAX_PIXELS
    ) -> Pixels:
        """Decode a small picture and take it as it is, never fitted.

        Args:
            data: The file's bytes.
            sides: Those that it may have.
            max_pixels: Refuse more pixels than this.

        Returns:
            (s, s, C) uint8, s being one of the sides.

        Raises:
            models.images.ImageError: If the bytes are not a usable image, or it has another size.
        """
        image = decode_image(data, max_pixels=max_pixels)
        width, height = image.size
        if width != height or width not in sides:
            expected = " or ".join(f"{side} x {side}" for side in sides) or "none of any size"
            raise ImageError(
                "size",
                f"The small picture has {width} x {height} pixels; these weights enlarge "
                f"{expected}. It is taken as it is and never resized: send every so many pixels "
                "of a larger one, from the first on, and no averages.",
            )
        pixels = np.asarray(image.convert("L" if self.channels == 1 else "RGB"), np.uint8)
        return pixels.reshape(height, width, self.channels)

    def check(self, pixels: Pixels) -> None:
        """Refuse pixels that this preprocessing cannot have made.

        Raises:
            ValueError: They are not (B, H, W, C) uint8 with H = W = ``size``.
        """
        expected = (self.size, self.size, self.channels)
        if pixels.dtype != np.uint8 or pixels.shape[1:] != expected:
            raise ValueError(
                f"Expected uint8 pixels of shape (B, {self.size}, {self.size}, {self.channels}), "
                f"found {pixels.dtype} {pixels.shape}."
            )

    def box(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Where a photo of this size lies in the square: top, left, height, width in pixels."""
        if self.fit == "stretch":
            return 0, 0, self.size, self.size
        scale = self.size / max(width, height)
        inner_width, inner_height = (max(1, round(side * scale)) for side in (width, height))
        top, left = (self.size - inner_height) // 2, (self.size - inner_width) // 2
        return top, left, inner_height, inner_width

    def apply(self, image: Image.Image) -> Pixels:
        """Fit a decoded image: (H, W, C) uint8 with H = W = ``size``."""
        image = image.convert("L" if self.channels == 1 else "RGB")
        if self.fit == "stretch":
            fitted = image.resize((self.size, self.size), Image.Resampling.BILINEAR)
            return np.asarray(fitted, dtype=np.uint8).reshape(self.size, self.size, self.channels)
        top, left, height, width = self.box(*image.size)
        inner = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR), np.uint8)
        inner = inner.reshape(height, width, self.channels)
        if self.fit == "edge":
            bottom, right = self.size - height - top, self.size - width - left
            return np.pad(inner, ((top, bottom), (left, right), (0, 0)), mode="edge")
        canvas = np.empty((self.size, self.size, self.channels), np.uint8)
        canvas[:] = rim_colour(inner)
        canvas[top : top + height, left : left + width] = inner
        return canvas


def rim_colour(pixels: Pixels) -> Pixels:
    """Mean colour of the outermost rows and columns: (H, W, C) -> (C,)."""
    rim = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    colour: Pixels = rim.mean(axis=0).round().astype(np.uint8)
    return colour
