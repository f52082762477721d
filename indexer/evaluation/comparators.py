"""What a learnt embedder has to beat: raw pixels, whitened principal components, HOG.

Each is an ``Embedder``, a peer of the real one.
"""

import hashlib
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from indexer.evaluation.neighbours import unit_rows
from indexer.protocols import Pixels, Vectors
from models.images import Preprocessing
from models.images.gradients import CELL, hog, hog_length

# The setting under which the reference figures come out (see docs/measuring.md).
REFERENCE = Preprocessing(size=64, channels=3, fit="edge")
COMPONENTS = 64


def centred(pixels: Pixels) -> Vectors:
    """(B, H, W, C) uint8 -> (B, H W C) float32 in [-1, 1]: mid-grey points nowhere."""
    B, H, W, C = pixels.shape
    rows = pixels.reshape(B, H * W * C).astype(np.float32)
    rows /= np.float32(127.5)
    rows -= 1
    return rows


def embedded(rows: Vectors) -> Vectors:
    """Rows of unit length; one without any feature (a blank photo) becomes the first axis."""
    blank = ~rows.any(axis=1)
    if blank.any():
        rows = rows.copy()
        rows[blank, 0] = 1
    return unit_rows(rows)


def _fingerprint(kind: str, preprocessing: Preprocessing, *arrays: npt.NDArray[np.float32]) -> str:
    digest = hashlib.sha256(f"{kind}/1 {preprocessing!r}".encode())
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return f"{kind}-{digest.hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class RawPixelEmbedder:
    """The pixels themselves."""

    preprocessing: Preprocessing = REFERENCE

    @property
    def dim(self) -> int:
        """All values of a photo."""
        return self.preprocessing.size**2 * self.preprocessing.channels

    @property
    def fingerprint(self) -> str:
        """Hash of the preprocessing."""
        return _fingerprint("raw-pixels", self.preprocessing)

    def embed(self, pixels: Pixels) -> Vectors:
        """(B, H, W, C) uint8 -> (B, H W C) float32 of unit length."""
        return embedded(centred(pixels))


@dataclass(frozen=True, slots=True)
class HOGEmbedder:
    """Histograms of oriented gradients: where the edges run, whatever the colours."""

    preprocessing: Preprocessing = REFERENCE

    def __post_init__(self) -> None:
        """Refuse a photo that is smaller than a block of cells."""
        if self.preprocessing.size < 2 * CELL:
            raise ValueError(
                f"HOG needs at least {2 * CELL} pixels a side; found {self.preprocessing.size}."
            )

    @property
    def dim(self) -> int:
        """All bins of all blocks."""
        return hog_length(self.preprocessing.size)

    @property
    def fingerprint(self) -> str:
        """Hash of the preprocessing."""
        return _fingerprint("hog", self.preprocessing)

    def embed(self, pixels: Pixels) -> Vectors:
        """(B, H, W, C) uint8 -> (B, dim) float32 of unit length."""
        return embedded(hog(pixels))


@dataclass(frozen=True, slots=True, eq=False)
class PCAEmbedder:
    """The strongest principal components, each scaled to variance one.

    Attributes:
        preprocessing: What the components were fitted on.
        mean: (D,) mean photo.
        projection: (D, dim) components divided by their standard deviations.
    """

    preprocessing: Preprocessing
    mean: npt.NDArray[np.float32] = field(repr=False)
    projection: npt.NDArray[np.float32] = field(repr=False)

    @property
    def dim(self) -> int:
        """The number of components."""
        return int(self.projection.shape[1])

    @property
    def fingerprint(self) -> str:
        """Hash of the preprocessing, the mean and the components."""
        return _fingerprint("pca", self.preprocessing, self.mean, self.projection)

    def embed(self, pixels: Pixels) -> Vectors:
        """(B, H, W, C) uint8 -> (B, dim) float32 of unit length."""
        rows = (centred(pixels) - self.mean) @ self.projection
        return embedded(rows.astype(np.float32, copy=False))


def fit_pca(pixels: Pixels, preprocessing: Preprocessing, *, dim: int = COMPONENTS) -> PCAEmbedder:
    """Fit whitened principal components to training photos.

    Args:
        pixels: (N, H, W, C) uint8; the query photos and their items must not be among them.
        preprocessing: How the pixels were prepared.
        dim: Components asked for; fewer are kept if the photos do not vary in so many directions.

    Raises:
        ValueError: Fewer than two different photos.
    """
    rows = centred(pixels)  # (N, D)
    mean = rows.mean(axis=0)
    rows -= mean
    N, D = rows.shape
    # The smaller of the two matrices with the same eigenvalues.
    if N <= D:
        values, vectors = np.linalg.eigh(rows @ rows.T)  # ascending
    else:
        values, vectors = np.linalg.eigh(rows.T @ rows)
    kept = np.flatnonzero(values > max(values[-1] * 1e-6, 1e-6))[::-1][:dim]
    if not len(kept):
        raise ValueError(
            f"Principal components need at least two different photos; found {N} equal ones."
        )
    values, vectors = values[kept], vectors[:, kept]
    axes = rows.T @ vectors / np.sqrt(values) if N <= D else vectors  # (D, dim), unit length
    projection = axes * np.sqrt(N / values)
    return PCAEmbedder(preprocessing, mean, projection.astype(np.float32))
