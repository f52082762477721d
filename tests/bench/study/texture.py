"""Digits over random texture: where a decoder that draws texture by itself should pay.

A picture has 28 x 28 grey pixels:

    pixel = GREY + CONTRAST * ink + STRENGTH * texture + NOISE * normal

rounded to the nearest of LEVELS grey levels from 0 to 255 and cut off there. *Ink* is the digit of
MNIST, 0 to 1, where it stands. *Normal* is another number for each pixel. *Texture* is a stationary
Gaussian field of variance 1, another one for each picture: white noise of which only frequencies
around one wave vector are left, weighed by a Gaussian. Its direction (0 to 180 degrees), frequency
(.05 to .2 periods a pixel) and bandwidth (.02 to .05, a standard deviation) are drawn uniformly for
each picture; its phase is that of the noise. So it is fine or coarse stripes, waves or blobs, and
says nothing of the digit.

How a texture goes on can be told from the pixels beside, but not by a short vector; which digit it
is cannot be told from the pixels beside, but by a short vector. No digit is taken twice, and
everything is drawn from one seed.
"""

import gzip
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

from indexer.evaluation.errors import PhotoSetError
from indexer.evaluation.idx import find_idx, read_idx
from indexer.protocols import Pixels
from models.training.weights import write_atomically

SEED = 0
SIDE = 28  # of a digit
COUNTS = {"train": 12_000, "t10k": 2_000}  # pictures of each split
GREY, CONTRAST, STRENGTH, NOISE = 107.5, 100.0, 50.0, 8.0  # in units of 255 for white
LEVELS = 16
FREQUENCY, BANDWIDTH = (0.05, 0.2), (0.02, 0.05)  # periods a pixel
CHUNK = 1000  # pictures drawn at a time

Field = npt.NDArray[np.float64]


def draw_texture(count: int, side: int, generator: np.random.Generator) -> Field:
    """Fields of mean 0 and variance 1, another one for each picture: (count, side, side)."""
    angle = generator.uniform(0, np.pi, (count, 1, 1))
    frequency = generator.uniform(*FREQUENCY, (count, 1, 1))
    bandwidth = generator.uniform(*BANDWIDTH, (count, 1, 1))
    # Drawn twice as large and cut out: a field of the Fourier transform goes on at its other side.
    space = 2 * side
    y, x = np.meshgrid(np.fft.fftfreq(space), np.fft.rfftfreq(space), indexing="ij")
    passed = np.zeros((count, *y.shape))
    for sign in (1, -1):  # a real field has each frequency with its opposite
        far = (y - sign * frequency * np.sin(angle)) ** 2
        far = far + (x - sign * frequency * np.cos(angle)) ** 2
        passed += np.exp(-far / (2 * bandwidth**2))
    white = np.fft.rfft2(generator.standard_normal((count, space, space)))
    field = np.fft.irfft2(white * passed, s=(space, space))[:, :side, :side]
    # Parseval: the half of the frequencies that rfft leaves out counts as well.
    double = np.where((x == 0) | (x == 0.5), 1, 2)
    variance = (double * passed**2).sum((1, 2), keepdims=True) / space**2
    return np.asarray(field / np.sqrt(variance))


def lay_on_texture(digits: Pixels, generator: np.random.Generator) -> Pixels:
    """Digits, white on black, over texture: (N, H, H) uint8 -> the same shape, in LEVELS levels."""
    count, side, _ = digits.shape
    values = GREY + CONTRAST * (digits / 255) + STRENGTH * draw_texture(count, side, generator)
    values += NOISE * generator.standard_normal(values.shape)
    step = 255 / (LEVELS - 1)
    levels = (values / step).round().clip(0, LEVELS - 1)
    return (levels * step).round().astype(np.uint8)


def is_drawn(folder: Path) -> bool:
    """Whether ``write_textures`` has come to its end there."""
    return all(find_idx(folder / split) is not None for split in COUNTS)


def write_textures(mnist: Path, folder: Path, *, seed: int = SEED) -> None:
    """Write both splits as idx files like those of MNIST.

    Args:
        mnist: Folder with the idx files ``train`` and ``t10k`` of MNIST.
        folder: Is made if it does not exist.
        seed: Of the choice of digits and of everything that lies under them.

    Raises:
        PhotoSetError: MNIST is not there, or has too few digits.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for split, count in COUNTS.items():
        digits, labels = _read_split(mnist / split, count)
        generator = np.random.default_rng([seed, list(COUNTS).index(split)])
        chosen = generator.permutation(len(digits))[:count]
        drawn = [
            lay_on_texture(digits[chosen[start : start + CHUNK]], generator)
            for start in range(0, count, CHUNK)
        ]
        _write_idx(folder / f"{split}-images-idx3-ubyte.gz", np.concatenate(drawn))
        _write_idx(folder / f"{split}-labels-idx1-ubyte.gz", labels[chosen])


def _read_split(prefix: Path, count: int) -> tuple[Pixels, Pixels]:
    files = find_idx(prefix)
    if files is None:
        raise PhotoSetError(
            f"There is no MNIST at '{prefix}'. Expected {prefix.name}-images-idx3-ubyte.gz and its "
            "labels. Put the four files there."
        )
    digits, labels = read_idx(files[0], ndim=3), read_idx(files[1], ndim=1)
    if not len(digits) == len(labels) >= count:
        raise PhotoSetError(
            f"'{prefix}' has {len(digits)} digits and {len(labels)} labels; expected at least "
            f"{count} of both. Fetch the files again."
        )
    return digits, labels


def _write_idx(path: Path, array: Pixels) -> None:
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    # Without a time in its header the file is the same every time.
    write_atomically(path, gzip.compress(header + array.tobytes(), mtime=0))
