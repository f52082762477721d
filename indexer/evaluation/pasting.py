"""Items of a clean grey set pasted on pieces of photo backgrounds: queries of a known item."""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from indexer.evaluation.embedding import PixelCache
from indexer.evaluation.errors import PhotoSetError
from indexer.evaluation.photos import ArrayImages, PhotoSet
from indexer.protocols import Pixels
from models.images import Preprocessing

T = TypeVar("T", bound=np.generic)

SHIFT = 3
# Around the items of Fashion-MNIST lies a halo of nearly black specks.
BLACK = 16
# A photo is reduced until a background piece is about a third of its side: large enough to show
# the floor's or the wall's texture, small enough to lie beside the item.
PIECES_PER_SIDE = 3


def paste_on_backgrounds(
    items: PhotoSet, photos: PhotoSet, *, seed: int, shift: int = SHIFT, cache: PixelCache
) -> PhotoSet:
    """Each item, moved a little, on a background of its own.

    A background is a grey piece that touches the rim of a photo, where the photo's own item
    seldom is. A pixel belongs to the item unless it is black and connected to the rim through
    black ones.

    Args:
        items: Grey images in memory on black, such as Fashion-MNIST.
        photos: Photos to take the backgrounds from, by lot.
        seed: Of the choice of photo, piece and movement.
        shift: The most an item is moved along each axis, in pixels.
        cache: Decodes the photos.

    Returns:
        As many queries as items, each asking for the item with the same number.

    Raises:
        PhotoSetError: ``items`` are not grey squares in memory.
    """
    if not isinstance(items.images, ArrayImages) or len(set(items.images.pixels.shape[1:])) != 1:
        raise PhotoSetError(
            f"Only square images of idx files can be pasted on backgrounds; '{items.name}' is of "
            "another kind. Give the prefix of idx files, such as DIR/t10k."
        )
    pixels = items.images.pixels
    generator = np.random.default_rng(seed)
    pieces = _background_pieces(photos, pixels.shape[1], len(items), generator, cache)
    queries = pieces.copy()
    masks = item_masks(pixels)
    rims = masks & spread(~masks)
    moves = generator.integers(-shift, shift, (len(items), 2), endpoint=True)
    for row, (down, right) in enumerate(moves):
        mask, rim = move(masks[row], down, right), move(rims[row], down, right)
        item = move(pixels[row], down, right)
        # At its rim an item is mixed with the black it lay on: what is lighter there is seen.
        queries[row][rim] = np.maximum(queries[row], item)[rim]
        queries[row][mask & ~rim] = item[mask & ~rim]
    return PhotoSet(
        name=f"{items.name} on {photos.name}",
        images=ArrayImages(queries),
        keys=np.array([f"{key} on {photos.name}, seed {seed}" for key in items.keys]),
        ids=items.ids,
        items=items.ids if items.items is None else items.items,
        labels=items.labels,
    )


def item_masks(pixels: Pixels) -> npt.NDArray[np.bool_]:
    """Where the items are: (N, H, W) uint8 on black -> (N, H, W) bool, holes belong to the item."""
    black = pixels < BLACK
    outside = np.zeros_like(black)
    outside[:, [0, -1]], outside[:, :, [0, -1]] = black[:, [0, -1]], black[:, :, [0, -1]]
    reached = -1
    while reached != (reached := int(outside.sum())):
        outside = spread(outside) & black
    inside: npt.NDArray[np.bool_] = ~outside
    return inside


def spread(masks: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The masks (N, H, W) and every pixel above, below, left or right of them."""
    grown = masks.copy()
    grown[:, 1:] |= masks[:, :-1]
    grown[:, :-1] |= masks[:, 1:]
    grown[:, :, 1:] |= masks[:, :, :-1]
    grown[:, :, :-1] |= masks[:, :, 1:]
    return grown


def move(image: npt.NDArray[T], down: int, right: int) -> npt.NDArray[T]:
    """Move a (H, W) image; what comes in is zero, what leaves is lost."""
    H, W = image.shape
    moved = np.zeros_like(image)
    moved[max(0, down) : H + min(0, down), max(0, right) : W + min(0, right)] = image[
        max(0, -down) : H - max(0, down), max(0, -right) : W - max(0, right)
    ]
    return moved


def _background_pieces(
    photos: PhotoSet, side: int, count: int, generator: np.random.Generator, cache: PixelCache
) -> Pixels:
    """``count`` grey pieces (count, side, side) that touch the rim of a photo drawn by lot."""
    grey = Preprocessing(size=PIECES_PER_SIDE * side, channels=1, fit="stretch")
    reduced = np.concatenate(list(cache.batches(photos, grey)))[..., 0]  # (P, 3 side, 3 side)
    room = grey.size - side
    pieces = np.empty((count, side, side), np.uint8)
    for row in range(count):
        photo = reduced[generator.integers(len(reduced))]
        along, rim = generator.integers(room, endpoint=True), room * generator.integers(2)
        top, left = (along, rim) if generator.integers(2) else (rim, along)
        pieces[row] = photo[top : top + side, left : left + side]
    return pieces
