"""An embedder that needs no weights: the layout of colours.

It is the stand-in behind the ``Embedder`` seam: real (near photos get near vectors),
deterministic to the bit and fast, so that everything around an embedder can be tested without
torch. It sees colours and where they are, not what an item is.
"""

import hashlib
from dataclasses import dataclass

import numpy as np

from indexer.protocols import Pixels, Vectors
from models.images import Preprocessing

# Typical values of both features over photos: taken off so that cosines spread out over [-1, 1].
TYPICAL_MEAN = 0.5
TYPICAL_SPREAD = 0.15


@dataclass(frozen=True, slots=True)
class ColourLayoutEmbedder:
    """Mean colour and spread of the cells of a grid, centred and of unit length.

    Attributes:
        grid: Cells along each side.
        size: Side of the square the photo is fitted into, in pixels; a multiple of ``grid``.
    """

    grid: int = 4
    size: int = 32

    def __post_init__(self) -> None:
        """Refuse a grid that does not divide the square."""
        if self.grid < 1 or self.size < self.grid or self.size % self.grid:
            raise ValueError(
                f"size must be a positive multiple of grid; found size={self.size}, "
                f"grid={self.grid}."
            )

    @property
    def dim(self) -> int:
        """Three means and three spreads for each cell."""
        return 6 * self.grid * self.grid

    @property
    def fingerprint(self) -> str:
        """Hash of the settings and of the version of the features."""
        settings = f"colour-layout/1 {self.grid} {self.preprocessing!r}"
        return "colour-layout-" + hashlib.sha256(settings.encode()).hexdigest()[:16]

    @property
    def preprocessing(self) -> Preprocessing:
        """Stretched, so that every cell shows a part of the photo."""
        return Preprocessing(size=self.size, channels=3, fit="stretch")

    def embed(self, pixels: Pixels) -> Vectors:
        """(B, size, size, 3) uint8 -> (B, dim) float32 of unit length."""
        expected = (self.size, self.size, 3)
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[1:] != expected:
            raise ValueError(
                f"Expected uint8 pixels of shape (B, {self.size}, {self.size}, 3), "
                f"found {pixels.dtype} {pixels.shape}."
            )
        B, cell = len(pixels), self.size // self.grid
        # Sums of whole numbers are exact in any order, so a row cannot depend on its batch.
        cells = pixels.astype(np.int64).reshape(B, self.grid, cell, self.grid, cell, 3)
        count = cell * cell
        total = cells.sum(axis=(2, 4))  # (B, grid, grid, 3)
        squares = (cells * cells).sum(axis=(2, 4))  # (B, grid, grid, 3)
        mean = total / (255.0 * count)
        spread = np.sqrt(count * squares - total * total) / (255.0 * count)
        features = np.stack([mean - TYPICAL_MEAN, spread - TYPICAL_SPREAD], axis=-1)
        rows = np.ascontiguousarray(features.reshape(B, self.dim))  # (B, dim)
        lengths = np.sqrt((rows * rows).sum(axis=1, keepdims=True))  # (B, 1)
        unit: Vectors = (rows / lengths).astype(np.float32)
        return unit
