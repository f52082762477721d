"""A mask that says what is known of a photo, fitted into the square as the photo is."""

import numpy as np
from PIL import Image

from models.images.decode import MAX_PIXELS, ImageError, decode_image
from models.images.preprocessing import Pixels, Preprocessing


def read_mask(
    data: bytes, photo: bytes, preprocessing: Preprocessing, *, max_pixels: int = MAX_PIXELS
) -> Pixels:
    """Decode a mask and fit it exactly as its photo is fitted.

    Args:
        data: The bytes of an image file, of the photo's proportions. What lies outside a photo
            that is not square follows the rim of the mask.
        photo: The bytes of the photo's file.
        preprocessing: What is done to the photo.
        max_pixels: Most pixels of either.

    Returns:
        (H, W) uint8 grey with H = W = ``preprocessing.size``.

    Raises:
        ImageError: One of them is no usable image, or the mask has other proportions.
    """
    size = decode_image(photo, max_pixels=max_pixels).size
    grey = decode_image(data, max_pixels=max_pixels).convert("L")
    boxes = [preprocessing.box(*side) for side in (size, grey.size)]
    if any(abs(one - other) > 1 for one, other in zip(*boxes, strict=True)):
        raise ImageError(
            "proportions",
            f"mask: it has {grey.width} x {grey.height} pixels, and the photo {size[0]} x "
            f"{size[1]}. Send a mask of the photo's proportions, white where the photo is known.",
        )
    top, left, height, width = boxes[0]
    fitted = np.asarray(grey.resize((width, height), Image.Resampling.BOX), np.uint8)
    below, right = preprocessing.size - top - height, preprocessing.size - left - width
    return np.pad(fitted, ((top, below), (left, right)), mode="edge")
