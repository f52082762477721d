"""Histograms of oriented gradients (Dalal and Triggs, 2005), for a batch of photos at once.

The settings are those of the reference figures: 9 unsigned orientations, cells of 8 x 8 pixels,
blocks of 2 x 2 cells that overlap by one, each pixel the gradient of its steepest colour, blocks
normalised, clipped at 0.2 and normalised again. Written in numpy because OpenCV 5 has no
HOGDescriptor any more.
"""

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Vectors = npt.NDArray[np.float32]

ORIENTATIONS = 9
CELL = 8
CLIP = 0.2
TINY = 1e-5


def hog_length(size: int) -> int:
    """Values for a square photo of ``size`` pixels: blocks x 4 cells x orientations."""
    blocks = size // CELL - 1
    return blocks * blocks * 4 * ORIENTATIONS


def hog(pixels: Pixels) -> Vectors:
    """(B, H, W, C) uint8 with H = W -> (B, hog_length(H)) float32.

    Pixels to the right and below the last whole cell are not looked at.
    """
    B, side = len(pixels), pixels.shape[1] // CELL * CELL
    magnitude, orientation = _gradients(pixels[:, :side, :side].astype(np.float32))
    cells = side // CELL
    histograms = np.empty((B, cells, cells, ORIENTATIONS), np.float32)
    for bin_ in range(ORIENTATIONS):
        votes = np.where(orientation == bin_, magnitude, 0)  # (B, H, W)
        histograms[..., bin_] = votes.reshape(B, cells, CELL, cells, CELL).sum(axis=(2, 4))
    corners = (
        histograms[:, top : cells - 1 + top, left : cells - 1 + left]
        for top in (0, 1)
        for left in (0, 1)
    )
    blocks = np.concatenate(list(corners), axis=-1)  # (B, cells - 1, cells - 1, 36)
    blocks = _normalise(np.minimum(_normalise(blocks), np.float32(CLIP)))
    return blocks.reshape(B, hog_length(side))


def _gradients(pixels: Vectors) -> tuple[Vectors, Pixels]:
    """(B, H, W, C) -> magnitude and orientation bin, (B, H, W) each; none at the rim."""
    across, down = np.zeros_like(pixels), np.zeros_like(pixels)
    across[:, :, 1:-1] = pixels[:, :, 2:] - pixels[:, :, :-2]
    down[:, 1:-1] = pixels[:, 2:] - pixels[:, :-2]
    magnitude = np.hypot(across, down)
    steepest = magnitude.argmax(axis=-1)[..., None]
    magnitude, across, down = (
        np.take_along_axis(array, steepest, axis=-1)[..., 0] for array in (magnitude, across, down)
    )
    angle = np.arctan2(down, across) / np.float32(np.pi)  # in half turns, [-1, 1]
    bins = np.floor(angle % 1 * ORIENTATIONS).astype(np.uint8)
    return magnitude, np.minimum(bins, ORIENTATIONS - 1)


def _normalise(blocks: Vectors) -> Vectors:
    lengths = np.sqrt((blocks * blocks).sum(axis=-1, keepdims=True) + np.float32(TINY**2))
    unit: Vectors = blocks / lengths
    return unit
