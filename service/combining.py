"""Several examples for and against as one vector: this one, but like that."""

from dataclasses import dataclass

import numpy as np

from indexer.protocols import Vectors
from models.images import Crop
from service.errors import InvalidRequestError

LEAST_LENGTH = 1e-3  # of a combination of unit vectors; below, rounding decides its direction


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo to be searched with beside others.

    Attributes:
        data: The bytes of its file.
        crop: The part of it that counts; None is all of it.
    """

    data: bytes
    crop: Crop | None = None


Example = Photo | str  # a photo, or the id of an item


def combined(positives: Vectors, negatives: Vectors) -> Vectors:
    """The vector (dim,) of unit length that is like some and unlike others.

    Twice the mean of the positives less the mean of the negatives, which is a - b + c for two
    and one; without negatives, the mean. All vectors are of unit length, so each example
    counts the same.

    Args:
        positives: (P, dim), at least one.
        negatives: (N, dim), none or more.

    Raises:
        InvalidRequestError: They cancel each other out.
    """
    vector = positives.mean(0)
    if len(negatives):
        vector = 2 * vector - negatives.mean(0)
    length = float(np.linalg.norm(vector))
    if length < LEAST_LENGTH:
        raise InvalidRequestError(
            "The examples cancel each other out, so nothing is left to look for. Leave out "
            "those that stand on both sides."
        )
    unit: Vectors = (vector / length).astype(np.float32)
    return unit
