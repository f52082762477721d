"""Reading idx files, the format of MNIST and Fashion-MNIST: big-endian header, then bytes."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from indexer.evaluation.errors import PhotoSetError
from indexer.protocols import Pixels

UNSIGNED_BYTE = 0x08


def find_idx(prefix: Path) -> tuple[Path, Path] | None:
    """The image and label files that begin with ``prefix``, compressed or not, if both exist."""
    for ending in (".gz", ""):
        images = prefix.with_name(f"{prefix.name}-images-idx3-ubyte{ending}")
        labels = prefix.with_name(f"{prefix.name}-labels-idx1-ubyte{ending}")
        if images.is_file() and labels.is_file():
            return images, labels
    return None


def read_idx(path: Path, *, ndim: int) -> Pixels:
    """Read an idx file of unsigned bytes.

    Args:
        path: The file; a name that ends in ``.gz`` is decompressed.
        ndim: The number of dimensions expected: 3 for images, 1 for labels.

    Returns:
        uint8 of the shape the header gives.

    Raises:
        PhotoSetError: Not an idx file of that kind, or cut off.
    """
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise PhotoSetError(f"'{path}' cannot be read: {error}. Fetch the file again.") from error
    magic = bytes([0, 0, UNSIGNED_BYTE, ndim])
    header = 4 + 4 * ndim
    if data[:4] != magic or len(data) < header:
        raise PhotoSetError(
            f"'{path}' is not an idx file of unsigned bytes in {ndim} dimensions: it begins with "
            f"{data[:4]!r}, expected {magic!r}."
        )
    shape = struct.unpack(f">{ndim}I", data[4:header])
    if len(data) - header != math.prod(shape):
        raise PhotoSetError(
            f"'{path}' should hold {' x '.join(map(str, shape))} = {math.prod(shape)} bytes after "
            f"its header, but holds {len(data) - header}. Fetch the file again."
        )
    return np.frombuffer(data, dtype=np.uint8, offset=header).reshape(shape)
