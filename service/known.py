"""Which pixels of a photo are known, as a model sees it: whole rows, or a mask. Needs no torch."""

import numpy as np
import numpy.typing as npt
from PIL import Image

from indexer.protocols import Pixels
from models.images import Preprocessing, decode_image
from service.errors import InvalidRequestError

Known = npt.NDArray[np.bool_]


def known_rows(rows: int, size: int) -> Known:
    """The first ``rows`` rows of a square of ``size`` pixels: (size, size) bool.

    Raises:
        InvalidRequestError: There are not so many, or nothing is left to draw.
    """
    if not 0 <= rows < size:
        raise InvalidRequestError(
            f"rows: {rows} rows are known of a picture that has {size}; expected 0 to {size - 1}.",
            extensions={"limit": size - 1},
        )
    known = np.zeros((size, size), np.bool_)
    known[:rows] = True
    return known


def known_by_mask(
    mask: bytes, photo: bytes, preprocessing: Preprocessing, *, max_pixels: int
) -> Known:
    """Where a mask is white, fitted into the square exactly as its photo is.

    Args:
        mask: The bytes of an image file, of the photo's proportions; brighter than middle grey
            means known. What lies outside a photo that is not square follows the rim of the mask.
        photo: The bytes of the photo's file.
        preprocessing: Of the weights.
        max_pixels: Most pixels of either.

    Returns:
        (size, size) bool.

    Raises:
        models.images.ImageError: One of them is no usable image.
        InvalidRequestError: The mask has other proportions, or knows everything.
    """
    sizes = [decode_image(data, max_pixels=max_pixels).size for data in (photo, mask)]
    boxes = [preprocessing.box(*size) for size in sizes]
    if any(abs(one - other) > 1 for one, other in zip(*boxes, strict=True)):
        (width, height), (found_width, found_height) = sizes
        raise InvalidRequestError(
            f"mask: it has {found_width} x {found_height} pixels, and the photo {width} x {height}."
            " Send a mask of the photo's proportions, white where the photo is known."
        )
    top, left, height, width = boxes[0]
    grey = decode_image(mask, max_pixels=max_pixels).convert("L")
    fitted = np.asarray(grey.resize((width, height), Image.Resampling.BOX)) > 127
    below, right = preprocessing.size - top - height, preprocessing.size - left - width
    known = np.pad(fitted, ((top, below), (left, right)), mode="edge")
    if known.all():
        raise InvalidRequestError(
            "mask: all of it is white, so nothing is left to draw. Make black what is not known."
        )
    return known


def greyed(picture: Pixels, known: Known) -> Pixels:
    """A picture (h, w, C) with what is not known (h, w) in middle grey."""
    shown: Pixels = np.where(known[:, :, np.newaxis], picture, np.uint8(128)).astype(np.uint8)
    return shown
