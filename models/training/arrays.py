"""Small pictures that come as one array: binarized digits, for checking likelihoods."""

from hashlib import sha256
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import torch

from models.training.photos import PhotoTensors

Pixels = npt.NDArray[np.uint8]


def read_bits(path: Path, split: str) -> Pixels:
    """One split of binary pictures packed eight pixels to a byte, 28 rows of 28 pixels each.

    This is how the fixed binarization of MNIST (Larochelle and Murray, 2011) fits into a small
    file: an ``.npz`` with the arrays ``train``, ``valid`` and ``test`` of shape (N, 98).

    Returns:
        (N, 28, 28) uint8, 0 or 255.

    Raises:
        ValueError: Not such a file, or no such split.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file}
    except (OSError, BadZipFile, ValueError) as error:
        raise ValueError(f"{path} is no .npz file of packed pictures: {error}") from error
    if split not in arrays:
        raise ValueError(f"{path} has no split '{split}'. Splits: {', '.join(arrays)}.")
    packed = arrays[split]
    if packed.dtype != np.uint8 or packed.ndim != 2 or packed.shape[1] != 98:
        raise ValueError(
            f"{path}, '{split}': expected uint8 of shape (N, 98), 28 x 28 bits a picture; "
            f"found {packed.dtype} {packed.shape}."
        )
    return np.unpackbits(packed, axis=1).reshape(-1, 28, 28) * np.uint8(255)


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
    stacked = torch.from_numpy(pixels).unsqueeze(1)  # (N, 1, H, W)
    return PhotoTensors(
        pixels=stacked,
        targets=stacked,
        masks=torch.zeros_like(stacked),
        backgrounds=stacked[:0],
        trusted=torch.zeros(N, dtype=torch.bool),
        groups=torch.arange(N),
        digest=sha256(pixels.tobytes()).hexdigest(),
    )
