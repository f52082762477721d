"""What shape an item has, without labels: a teacher for the embedding.

The outline and the edges of an item that was cut out of its photo tell a skirt from a shirt
whatever its colour: histograms of oriented gradients (Dalal and Triggs, 2005) of the item on white,
at two resolutions, and of its silhouette. They are reduced to 64 numbers (half-whitened principal
components), and each item takes the mean of its nearest ones, which evens out bad masks and folds.

Only a training sees this, on items whose masks are trusted. The encoder has to tell the shape from
the whole photo, background and all; histograms of gradients as a target are known to serve better
than pixels (MaskFeat, Wei et al., 2022).
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.images.gradients import hog, hog_length

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

SIDE = 64  # of the canonical picture that is described
COARSE = 32
NUMBERS = 64  # of a shape after reduction
NEIGHBOURS = 10
SHRINK = 0.5  # of the largest deviation, added to each before dividing: whitens by half
WHITE = 250  # what is darker on the mean over the colours belongs to the item
COARSE_WEIGHT = 0.7

LENGTH = hog_length(SIDE) + 2 * hog_length(COARSE)


def describe_shape(item: Pixels) -> Floats:
    """Edges and outline of an item on white: (64, 64, C) uint8 -> (LENGTH,) float32.

    A picture and its mirror image have the same description.
    """
    outline = np.where(item.mean(axis=2, keepdims=True) < WHITE, 255, 0).astype(np.uint8)
    coarse, coarse_outline = _halve(item), _halve(outline)
    return np.concatenate(
        [
            _both_ways(item),
            COARSE_WEIGHT * _both_ways(coarse),
            COARSE_WEIGHT * _both_ways(coarse_outline),
        ]
    ).astype(np.float32)


def reduce_shapes(described: Floats, known: npt.NDArray[np.bool_]) -> Tensor:
    """Descriptions to shapes that can be compared by their cosine.

    Args:
        described: (N, LENGTH) descriptions.
        known: (N,) which of them are of trusted items; the others are not looked at.

    Returns:
        (N, NUMBERS) float32 of unit length, zero where unknown.
    """
    shapes = np.zeros((len(described), NUMBERS), np.float32)
    if int(known.sum()) > 1:
        units = _reduce(described[known])
        shapes[known] = _lend(units, units, units)  # each is among its own nearest
    return torch.from_numpy(shapes)


def refine_shapes(shapes: Tensor, told: Tensor) -> Tensor:
    """A second look at every item: its gradients, and what an embedding that learned them says.

    The two err in different places, so together they name an item's kind better than either. An
    item whose shape is unknown is given that of the items which are told to be like it.

    Args:
        shapes: (N, NUMBERS) of unit length, zero where unknown.
        told: (N, NUMBERS) what the embedding of each photo says of its item's shape.

    Returns:
        (N, NUMBERS) float32 of unit length. With fewer than two known shapes, ``shapes``.
    """
    seen: Floats = shapes.numpy().astype(np.float32)
    known = np.square(seen).sum(axis=1) > 0.5
    if int(known.sum()) < 2:
        return shapes
    said = told.numpy().astype(np.float32)
    said = _unit(said - said.mean(axis=0))
    seen = np.where(known[:, None], seen, _lend(said, said[known], seen[known]))
    return torch.from_numpy(_reduce(np.concatenate([seen, said], axis=1)))


def _lend(asked: Floats, known: Floats, shapes: Floats, chunk: int = 2048) -> Floats:
    """The mean shape of the ``NEIGHBOURS`` of ``known`` (M, S) that are nearest to each row."""
    count = min(NEIGHBOURS, len(known))
    lent = np.empty_like(asked)
    for start in range(0, len(asked), chunk):
        scores = asked[start : start + chunk] @ known.T
        nearest = np.argpartition(-scores, count - 1, axis=1)[:, :count]
        lent[start : start + chunk] = shapes[nearest].mean(axis=1)
    return _unit(lent)


def _both_ways(picture: Pixels) -> Floats:
    """(S, S, C) -> its gradients and its mirror image's, added, of unit length."""
    both = hog(np.stack([picture, picture[:, ::-1]])).sum(axis=0, keepdims=True)
    return _unit(both).ravel()


def _halve(picture: Pixels) -> Pixels:
    """(S, S, C) -> (S / 2, S / 2, C) by averaging."""
    S, _, C = picture.shape
    blocks = picture.reshape(S // 2, 2, S // 2, 2, C).astype(np.float32)
    means: Pixels = blocks.mean(axis=(1, 3)).round().astype(np.uint8)
    return means


def _reduce(described: Floats) -> Floats:
    """(N, LENGTH) -> (N, NUMBERS): principal components, half-whitened, of unit length."""
    centred = described.astype(np.float32) - described.mean(axis=0, dtype=np.float32)
    kept = min(NUMBERS, len(centred) - 1)
    components, deviations = _components(centred, kept)
    scale = deviations + SHRINK * deviations[0] + np.float32(1e-8)
    reduced = np.zeros((len(described), NUMBERS), np.float32)
    reduced[:, :kept] = components / scale
    return _unit(reduced)


def _components(centred: Floats, kept: int) -> tuple[Floats, Floats]:
    """The largest principal components of N rows, (N, kept), and their deviations, (kept,)."""
    N, length = centred.shape
    # The smaller of the two matrices has the same eigenvalues: a few hundred photos take no time.
    small = centred @ centred.T if length > N else centred.T @ centred
    squares, vectors = np.linalg.eigh(small / N)
    deviations = np.sqrt(squares[::-1][:kept].clip(0))
    vectors = vectors[:, ::-1][:, :kept]
    components = vectors * deviations * np.sqrt(N) if length > N else centred @ vectors
    return components.astype(np.float32), deviations.astype(np.float32)


def _unit(rows: Floats) -> Floats:
    """Rows of length one; a row of zeros stays."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Floats = (rows / np.maximum(lengths, np.float32(1e-8))).astype(np.float32)
    return unit
