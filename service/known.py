"""Which pixels of a photo are known, as a model sees it: whole rows, or a mask. Needs no torch."""

import numpy as np
import numpy.typing as npt

from indexer.protocols import Pixels
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


def known_by_mask(mask: Pixels) -> Known:
    """Where a mask (size, size) uint8, as ``models.images.read_mask`` fits it, is nearer to white.

    Raises:
        InvalidRequestError: It knows everything.
    """
    known = mask > 127
    if known.all():
        raise InvalidRequestError(
            "mask: all of it is white, so nothing is left to draw. Make black what is not known."
        )
    return known


def greyed(picture: Pixels, known: Known) -> Pixels:
    """A picture (h, w, C) with what is not known (h, w) in middle grey."""
    shown: Pixels = np.where(known[:, :, np.newaxis], picture, np.uint8(128)).astype(np.uint8)
    return shown
