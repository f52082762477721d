"""A look at photos: read, hash, decode, embed. It needs no store, so any machine can do it."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from indexer.errors import EmbedderError
from indexer.protocols import Embedder, Entry, Pixels, Vectors
from indexer.stamps import Stamp
from indexer.store import check_vector
from models.images import ImageError


@dataclass(frozen=True, slots=True)
class Unread:
    """An entry whose photo has to be looked at, and what the store knows of it.

    Attributes:
        entry: The entry.
        stamp: Size and time of modification of its file.
        sha256: Of the photo its vector was made from, None if there is none that still holds.
        same: Whether its path and its attributes are as they were.
        stamped: Whether the store knows this stamp.
    """

    entry: Entry
    stamp: Stamp
    sha256: str | None = None
    same: bool = False
    stamped: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look at a photo gave.

    Attributes:
        sha256: Of the photo; empty if it could not be read.
        vector: (dim,) float32 of unit length; None if the store has it already, or if there is
            a reason.
        embedded: Whether the embedder looked at it; otherwise it did at an equal one.
        reason: Why the photo cannot be used.
    """

    sha256: str
    vector: Vectors | None = None
    embedded: bool = False
    reason: str | None = None


def look(
    photos: Sequence[Unread],
    read: Callable[[Entry], bytes],
    embedder: Embedder,
    find: Callable[[str], Vectors | None],
    is_known: Callable[[str], bool] = lambda _: False,
) -> list[Seen]:
    """Read photos and embed, together, those that are new.

    Args:
        photos: What to look at.
        read: Gives the bytes of an entry's photo.
        embedder: Makes the vectors.
        find: The vector of a photo that was embedded before, by its hash.
        is_known: Whether the store has the vector of a photo, so that it need not be made.

    Returns:
        What each gave, in their order. Photos that cannot be used are no exceptions.

    Raises:
        EmbedderError: The embedder does not give (B, dim) float32.
    """
    pixels: dict[str, Pixels] = {}
    seen: list[Seen] = []
    for photo in photos:
        try:
            data = read(photo.entry)
            sha256 = hashlib.sha256(data).hexdigest()
            vector = None
            if sha256 != photo.sha256 and sha256 not in pixels and not is_known(sha256):
                vector = find(sha256)
                if vector is None:
                    pixels[sha256] = embedder.preprocessing.read(data)
            seen.append(Seen(sha256, vector))
        except (OSError, ImageError, UnicodeEncodeError) as error:
            seen.append(Seen("", reason=explain(error)))
    if not pixels:
        return seen
    vectors = embed_checked(embedder, np.stack(list(pixels.values())))
    made = dict(zip(pixels, vectors, strict=True))
    first: set[str] = set()
    for place, (photo, told) in enumerate(zip(photos, seen, strict=True)):
        if told.sha256 in made:
            vector = made[told.sha256]
            seen[place] = judge(photo, told.sha256, vector, embedded=told.sha256 not in first)
            first.add(told.sha256)
    return seen


def judge(photo: Unread, sha256: str, vector: Vectors, *, embedded: bool) -> Seen:
    """A vector that was made, or why it cannot be used."""
    try:
        check_vector(vector, photo.entry.id)
    except EmbedderError as error:
        return Seen(sha256, reason=str(error))
    return Seen(sha256, vector, embedded=embedded)


def embed_checked(embedder: Embedder, pixels: Pixels) -> Vectors:
    """(B, H, W, C) -> (B, dim), refusing an embedder that gives anything else."""
    vectors = embedder.embed(pixels)
    if vectors.shape != (len(pixels), embedder.dim) or vectors.dtype != np.float32:
        raise EmbedderError(
            f"The embedder '{embedder.fingerprint}' gave {vectors.dtype} of shape "
            f"{vectors.shape}; expected float32 of shape ({len(pixels)}, {embedder.dim})."
        )
    return vectors


def explain(error: OSError | ImageError | UnicodeEncodeError) -> str:
    """Why a photo cannot be used, for the report."""
    if isinstance(error, UnicodeEncodeError):
        return "its name or its attributes are no valid Unicode; rename it"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)
