"""What is wrong with an image file, as an error of ours; and what kind of file it is."""

from collections.abc import Iterator
from contextlib import contextmanager

from models.images import ImageError
from models.images.decode import ACCEPTED, FORMATS
from service.errors import InvalidRequestError, UnsupportedFormatError, UnusableImageError

# What does not go with a good image, by the reason of the decoder: the field, and what it is told.
FIELDS = {
    "outside": ("crop", "does not fit the photo"),
    "proportions": ("mask", "does not fit the photo"),
    "size": ("image", "has a size that the weights do not enlarge"),
}


@contextmanager
def told_of() -> Iterator[None]:
    """Turn what is wrong with an image file that is read inside into an error of ours.

    Raises:
        UnsupportedFormatError, UnusableImageError: See ``Searcher.decode``.
        InvalidRequestError: The image is good, and does not go with what was asked.
    """
    try:
        yield
    except ImageError as error:
        if error.reason == "unsupported_format":
            raise UnsupportedFormatError(
                str(error),
                extensions={"accepted": [f"image/{kind.lower()}" for kind in FORMATS]},
            ) from error
        if error.reason in FIELDS:
            field, message = FIELDS[error.reason]
            raise InvalidRequestError(
                str(error), extensions={"errors": [{"field": field, "message": message}]}
            ) from error
        raise UnusableImageError(str(error), extensions={"reason": error.reason}) from error


def image_type(data: bytes) -> str | None:
    """The media type of an image file by its first 12 bytes, None if it is none we accept.

    What it begins with decides; a name and a Content-Type are only claims.
    """
    for kind, place, beginning in ACCEPTED:
        if data[place : place + len(beginning)] == beginning:
            return f"image/{kind.lower()}"
    return None
