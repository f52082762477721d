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
        shapes[known] = _mean_of_nearest(units, min(NEIGHBOURS, len(units)))
    return torch.from_numpy(shapes)


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


def _mean_of_nearest(units: Floats, count: int, chunk: int = 2048) -> Floats:
    """Each row (N, S) becomes the mean of its ``count`` nearest, itself among them."""
    means = np.empty_like(units)
    for start in range(0, len(units), chunk):
        scores = units[start : start + chunk] @ units.T
        nearest = np.argpartition(-scores, count - 1, axis=1)[:, :count]
        means[start : start + chunk] = units[nearest].mean(axis=1)
    return _unit(means)


def _unit(rows: Floats) -> Floats:
    """Rows of length one; a row of zeros stays."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Floats = (rows / np.maximum(lengths, np.float32(1e-8))).astype(np.float32)
    return unit
