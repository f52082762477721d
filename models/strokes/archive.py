"""Many drawings in one ``.npz`` file: flat arrays of points and of lengths, and no pickles."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.strokes.formats import Points, StrokeError

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True, slots=True)
class StrokeSet:
    """N drawings of P points in all.

    Attributes:
        points: (P, 3) float32, in the 3-element format, one drawing after the other.
        lengths: (N,) int64, points of each.
        labels: (N,) int64, their classes, if they are known.
        class_names: Of these.
    """

    points: Points
    lengths: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64] | None = None
    class_names: tuple[str, ...] = ()

    def __len__(self) -> int:
        """How many drawings."""
        return len(self.lengths)

    def __getitem__(self, number: int) -> Points:
        """One drawing: (N, 3)."""
        end = int(self.lengths[: number + 1].sum())
        return self.points[end - int(self.lengths[number]) : end]

    def list(self) -> list[Points]:
        """Every drawing, (N, 3) each."""
        return np.split(self.points, np.cumsum(self.lengths)[:-1])


def is_stroke_archive(path: Path) -> bool:
    """Whether an ``.npz`` file holds drawings by its names, in this format or in sketch-rnn's.

    In sketch-rnn's, ``train``, ``valid`` and ``test`` are pickled objects.
    """
    try:
        with zipfile.ZipFile(path) as file:
            names = {name.removesuffix(".npy") for name in file.namelist()}
            if any(f"{split}_points" in names for split in SPLITS):
                return True
            return any(_is_pickled(file, split) for split in SPLITS if split in names)
    except (OSError, zipfile.BadZipFile, ValueError):
        return False


def read_archive(path: Path, split: str) -> StrokeSet:
    """One split of a file of drawings.

    The arrays are ``{split}_points`` (P, 3) and ``{split}_lengths`` (N,), and if there are classes
    ``{split}_labels`` (N,) and ``class_names``.

    Raises:
        StrokeError: Not such a file, no such split, arrays that do not fit each other; or one of
            sketch-rnn's own files, which hold pickles.
    """
    try:
        with zipfile.ZipFile(path) as file:
            pickled = [name for name in SPLITS if _is_pickled(file, name)]
        found = {}
        if not pickled:
            with np.load(path, allow_pickle=False) as arrays:
                found = {name: arrays[name] for name in arrays}
    except (OSError, zipfile.BadZipFile, ValueError) as error:
        raise StrokeError(f"{path} is no .npz file of sketches: {error}") from error
    if pickled:
        raise StrokeError(_pickle_advice(path, pickled))
    names = [f"{split}_points", f"{split}_lengths"]
    if any(name not in found for name in names):
        raise StrokeError(
            f"{path} has no split '{split}' of sketches: expected the arrays "
            f"{' and '.join(names)}, found {', '.join(sorted(found)) or 'none'}."
        )
    points, lengths = (found[name] for name in names)
    labels = found.get(f"{split}_labels")
    _check(path, split, points, lengths)
    return StrokeSet(
        points.astype(np.float32),
        lengths.astype(np.int64),
        None if labels is None else labels.astype(np.int64),
        tuple(str(name) for name in found.get("class_names", ())),
    )


def _is_pickled(file: zipfile.ZipFile, name: str) -> bool:
    """Whether the array of that name holds Python objects."""
    if f"{name}.npy" not in file.namelist():
        return False
    with file.open(f"{name}.npy") as stream:
        version = np.lib.format.read_magic(stream)
        read = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        return bool(read(stream)[2].hasobject)


def _pickle_advice(path: Path, pickled: list[str]) -> str:
    return (
        f"{path} is a file of the original sketch-rnn: {', '.join(pickled)} are pickled objects, "
        "and opening a pickle runs whatever code its author put into it. Nothing was read. Convert "
        "it once, where you trust its origin: d = numpy.load(FILE, allow_pickle=True, "
        "encoding='latin1'), then for each split numpy.concatenate(d[split]) as SPLIT_points and "
        "[len(s) for s in d[split]] as SPLIT_lengths, saved with numpy.savez_compressed."
    )


def _check(path: Path, split: str, points: npt.NDArray[np.generic], lengths: npt.ArrayLike) -> None:
    """The two arrays must describe drawings."""
    counts = np.asarray(lengths)
    if points.ndim != 2 or points.shape[1] != 3 or not np.issubdtype(points.dtype, np.number):
        raise StrokeError(
            f"{path}, '{split}_points': expected numbers (P, 3); found {points.dtype} "
            f"{points.shape}."
        )
    if counts.ndim != 1 or not np.issubdtype(counts.dtype, np.integer) or (counts < 1).any():
        raise StrokeError(f"{path}, '{split}_lengths': expected positive whole numbers (N,).")
    if counts.sum() != len(points):
        raise StrokeError(
            f"{path}, '{split}': the lengths add up to {counts.sum():,}, and there are "
            f"{len(points):,} points. The file is damaged."
        )
    values = points.astype(np.float64)
    if not np.isfinite(values).all() or not np.isin(values[:, 2], (0, 1)).all():
        raise StrokeError(
            f"{path}, '{split}_points': expected finite offsets and 0 or 1 in the third column."
        )
