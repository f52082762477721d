"""Altered views of catalogue photos, embedded: what somebody else's photo of an item is like.

A view is cut closer, moved, perhaps mirrored, lit otherwise, and saved anew as a JPEG. Held-out
queries are made of such views: how far they lie from the item's own vector is a matter of the
embedder and the photos, and cannot be guessed.
"""

import io
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from indexer.protocols import Embedder, Pixels, Vectors
from models.images import ImageError

CLOSEST = 0.75  # least part of the side that is kept
LIGHT = 0.25  # most change of brightness, as a part of it
QUALITIES = (40, 95)  # of the JPEG
BATCH = 32


def draw_view(pixels: Pixels, generator: np.random.Generator) -> Pixels:
    """An altered view of a photo (H, W, C), C 1 or 3, of the same shape."""
    height, width, channels = pixels.shape
    scale = generator.uniform(CLOSEST, 1)
    rows, columns = max(1, round(scale * height)), max(1, round(scale * width))
    top = int(generator.integers(height - rows + 1))
    left = int(generator.integers(width - columns + 1))
    cut = pixels[top : top + rows, left : left + columns]
    if generator.random() < 0.5:
        cut = cut[:, ::-1]
    light = 1 + generator.uniform(-LIGHT, LIGHT)
    lit = np.clip(cut * light, 0, 255).astype(np.uint8)
    picture = Image.fromarray(lit[:, :, 0] if channels == 1 else lit)
    file = io.BytesIO()
    quality = int(generator.integers(*QUALITIES))
    picture.resize((width, height), Image.Resampling.BICUBIC).save(file, "JPEG", quality=quality)
    view: Pixels = np.asarray(Image.open(file), np.uint8).reshape(height, width, channels)
    return view


def embed_views(
    uris: Sequence[str], *, read: Callable[[str], bytes], embedder: Embedder, seed: int
) -> list[Vectors | None]:
    """The vector (dim,) of a view of the photo at each of ``uris``, None where none can be read.

    Args:
        uris: Where the photos are.
        read: The bytes at a uri; raises OSError if they cannot be read.
        embedder: Makes the vectors.
        seed: Of the views: the same seed, the same views.
    """
    generator = np.random.default_rng(seed)
    found: list[Vectors | None] = [None] * len(uris)
    drawn: list[tuple[int, Pixels]] = []
    for place, uri in enumerate(uris):
        try:
            drawn.append((place, draw_view(embedder.preprocessing.read(read(uri)), generator)))
        except (OSError, ValueError, ImageError):
            continue
    for start in range(0, len(drawn), BATCH):
        batch = drawn[start : start + BATCH]
        vectors = embedder.embed(np.stack([pixels for _, pixels in batch]))
        for (place, _), vector in zip(batch, vectors, strict=True):
            found[place] = vector
    return found
