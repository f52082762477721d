"""Small pictures that come as one array: digits for checking likelihoods, clothes on black."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import torch

from models.training.joined import OnWhite, Scaled
from models.training.parts import Part
from models.training.photos import PhotoTensors, Unmasked

Pixels = npt.NDArray[np.uint8]
Cuts = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.int64]

NEARLY_BLACK = 8  # grey level up to which a pixel is black: resampling leaves specks around items
MIN_BLACK = 0.1  # share of a picture; with less of it black, black is no background
CHUNK = 8192  # pictures cut out at a time


def read_bits(path: Path, split: str) -> Pixels:
    """One split of binary pictures packed eight pixels to a byte, 28 rows of 28 pixels each.

    This is how the fixed binarization of MNIST (Larochelle and Murray, 2011) fits into a small
    file: an ``.npz`` with the arrays ``train``, ``valid`` and ``test`` of shape (N, 98).

    Returns:
        (N, 28, 28) uint8, 0 or 255.

    Raises:
        ValueError: Not such a file, or no such split.
    """
    packed = _read_split(path, split, "packed pictures")
    if packed.dtype != np.uint8 or packed.ndim != 2 or packed.shape[1] != 98:
        raise ValueError(
            f"{path}, '{split}': expected uint8 of shape (N, 98), 28 x 28 bits a picture; "
            f"found {packed.dtype} {packed.shape}."
        )
    return np.unpackbits(packed, axis=1).reshape(-1, 28, 28) * np.uint8(255)


def read_labels(path: Path, split: str) -> Labels:
    """One split of labels: an ``.npz`` with whole numbers (N,) under the names of the splits.

    Raises:
        ValueError: Not such a file, or no such split.
    """
    labels = _read_split(path, split, "labels")
    if labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise ValueError(
            f"{path}, '{split}': expected whole numbers of shape (N,), one for each picture; "
            f"found {labels.dtype} {labels.shape}."
        )
    return labels.astype(np.int64)


def _read_split(path: Path, split: str, what: str) -> npt.NDArray[Any]:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file}
    except (OSError, BadZipFile, ValueError) as error:
        raise ValueError(f"{path} is no .npz file of {what}: {error}") from error
    if split not in arrays:
        raise ValueError(f"{path} has no split '{split}'. Splits: {', '.join(arrays)}.")
    found: npt.NDArray[Any] = arrays[split]
    return found


def give_labels(photos: PhotoTensors, labels: Labels) -> PhotoTensors:
    """The same pictures, each with its label (N,); sources are joined before, as labels are not.

    A run that goes on has to go on with the same labels, so they count in the digest.
    """
    told = photos.digest.encode() + labels.tobytes()
    return replace(photos, labels=torch.from_numpy(labels), digest=sha256(told).hexdigest())


def tensors_from_array(pixels: Pixels, *, size: int, target: int) -> PhotoTensors:
    """Pictures (N, H, W) of one channel as training tensors, without item masks.

    Raises:
        ValueError: They have another size than the model takes; arrays are never resized.
    """
    N, H, W = pixels.shape
    if not H == W == size == target:
        raise ValueError(
            f"The pictures have {H} x {W} pixels, but this preset takes {size} x {size} and draws "
            f"{target} x {target}. Choose a preset of that size (for digits: --preset mnist)."
        )
    # A copy: what is read from a file cannot be written to, which torch warns of.
    stacked = torch.from_numpy(np.array(pixels)).unsqueeze(1)  # (N, 1, H, W)
    return PhotoTensors(
        pixels=stacked,
        targets=stacked,
        masks=torch.zeros_like(stacked),
        backgrounds=stacked[:0],
        trusted=torch.zeros(N, dtype=torch.bool),
        groups=torch.arange(N),
        digest=sha256(pixels.tobytes()).hexdigest(),
    )


def photos_from_array(
    pixels: Pixels, *, name: str, side: int, target: int, channels: int, cut: bool
) -> PhotoTensors:
    """Grey pictures (N, H, W) as photos: scaled when drawn, cut out where they stand on black.

    They lend no backgrounds: black ones would drown those of real photos.

    Args:
        pixels: uint8.
        name: Of the array, for reports.
        side: L, the side at which photos are asked for.
        target: T, the side of the canonical pictures.
        channels: 3 or 1.
        cut: Whether to find item masks.

    Raises:
        ValueError: There are none, or they are not square.
    """
    N, H, W = pixels.shape
    if N == 0 or H != W:
        raise ValueError(f"{name} holds {N:,} pictures of {H} x {W}; expected some, and square.")
    stacked = torch.from_numpy(np.array(pixels)).unsqueeze(1)  # (N, 1, H, W)
    masks = cut_from_black(pixels) if cut else np.zeros(pixels.shape, np.bool_)
    trusted = masks.any((1, 2)) & (masks.mean((1, 2)) <= 1 - MIN_BLACK)
    masks[~trusted] = False
    small = torch.from_numpy(masks.astype(np.uint8) * np.uint8(255)).unsqueeze(1)
    missing = np.flatnonzero(~trusted).tolist() if cut else []
    return PhotoTensors(
        pixels=Scaled(stacked, side, channels),
        targets=OnWhite(stacked, small, target, channels)
        if cut
        else Scaled(stacked, target, channels),
        masks=Scaled(small, side, 1),
        backgrounds=torch.zeros((0, channels, side, side), dtype=torch.uint8),
        trusted=torch.from_numpy(trusted),
        groups=torch.arange(N),
        digest=sha256(pixels.tobytes()).hexdigest(),
        unmasked=tuple(Unmasked(f"{name}, {n}", "the picture is not on black") for n in missing),
        parts=(Part(N),),
    )


def cut_from_black(pixels: Pixels) -> Cuts:
    """The items of pictures on black: everything but the black that is connected to the rim.

    (N, H, W) uint8 -> (N, H, W) bool. Black within an item belongs to it.
    """
    return np.concatenate([_cut(pixels[n : n + CHUNK]) for n in range(0, len(pixels), CHUNK)])


def _cut(pixels: Pixels) -> Cuts:
    """Pour from the rim over black pixels, by sweeps from all four sides until nothing changes."""
    black = np.pad(pixels <= NEARLY_BLACK, ((0, 0), (1, 1), (1, 1)), constant_values=True)
    black = np.ascontiguousarray(black.transpose(1, 2, 0))  # (H, W, N): a line of all at a time
    outside = np.zeros_like(black)
    outside[0] = True
    before = -1
    while (now := int(outside.sum())) != before:
        before = now
        for wet, dry in ((outside, black), (outside.transpose(1, 0, 2), black.transpose(1, 0, 2))):
            lines = len(wet)
            for i in range(1, lines):
                wet[i] |= wet[i - 1] & dry[i]
            for i in range(lines - 1, 0, -1):
                wet[i - 1] |= wet[i] & dry[i - 1]
    return ~outside[1:-1, 1:-1].transpose(2, 0, 1)
