"""What is wrong with an image file, as an error of ours; and what kind of file it is."""

from collections.abc import Iterator
from contextlib import contextmanager

from models.images import ImageError
from models.images.decode import FORMATS
from service.errors import InvalidRequestError, UnsupportedFormatError, UnusableImageError

# What does not go with a good image, by the reason of the decoder: the field, and what it is told.
FIELDS = {
    "outside": ("crop", "does not fit the photo"),
    "proportions": ("mask", "does not fit the photo"),
    "size": ("image", "has a size that the weights do not enlarge"),
}


@contextmanager
def told_of(data: bytes) -> Iterator[None]:
    """Turn what is wrong with an image file that is read inside into an error of ours.

    Raises:
        UnsupportedFormatError, UnusableImageError: See ``Searcher.decode``.
        InvalidRequestError: The image is good, and does not go with what was asked.
    """
    try:
        yield
    except ImageError as error:
        # A file that begins like an accepted one and breaks off is damaged, not foreign.
        if error.reason == "unsupported_format" and image_type(data) is None:
            raise UnsupportedFormatError(
                str(error),
                extensions={"accepted": [f"image/{kind.lower()}" for kind in FORMATS]},
            ) from error
        if error.reason in FIELDS:
            field, message = FIELDS[error.reason]
            raise InvalidRequestError(
                str(error), extensions={"errors": [{"field": field, "message": message}]}
            ) from error
        reason = "corrupt" if error.reason == "unsupported_format" else error.reason
        raise UnusableImageError(str(error), extensions={"reason": reason}) from error


# The first bytes of a file decide what it is; its name and Content-Type are only claims.
SIGNATURES = (
    ("image/jpeg", 0, b"\xff\xd8\xff"),
    ("image/png", 0, b"\x89PNG\r\n\x1a\n"),
    ("image/webp", 8, b"WEBP"),
)


def image_type(data: bytes) -> str | None:
    """The media type of an image file by its first 12 bytes, None if it is none we accept."""
    for media_type, offset, signature in SIGNATURES:
        if data[offset : offset + len(signature)] == signature:
            return media_type
    return None
