"""Photos in memory, ready to be turned into views: pixels, item masks, painted-out backgrounds."""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from models.images import ImageError, Preprocessing, decode_image

Pixels = npt.NDArray[np.uint8]
TARGET_MARGIN = 0.06  # white rim around the item in its canonical picture, as a share of the side


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo on disk.

    Attributes:
        id: Its name in reports.
        path: The image file.
        group: Photos of one item share a group and are views of one another.
        mask: An image that is white on the item, to use instead of cutting it out.
    """

    id: str
    path: Path
    group: str | None = None
    mask: Path | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """One photo as arrays; mask and background are None where the mask cannot be trusted."""

    sha256: str
    pixels: Pixels  # (L, L, C)
    target: Pixels  # (T, T, C): the item on white, or the photo itself
    mask: Pixels | None = None  # (L, L), 255 on the item
    background: Pixels | None = None  # (L, L, C)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A photo that could not be used, and why."""

    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class PhotoTensors:
    """N photos of C channels at side L, with their canonical pictures at side T.

    Attributes:
        pixels: (N, C, L, L) uint8.
        targets: (N, C, T, T) uint8.
        masks: (N, 1, L, L) uint8, 0 everywhere where there is no trusted mask.
        backgrounds: (M, C, L, L) uint8: photos with their item painted out.
        trusted: (N,) bool.
        groups: (N,) int64, equal for photos of one item.
        digest: Hash of all photos, to notice on resuming that they changed.
        skipped: Photos that could not be used.
    """

    pixels: Tensor
    targets: Tensor
    masks: Tensor
    backgrounds: Tensor
    trusted: Tensor
    groups: Tensor
    digest: str
    skipped: tuple[Skipped, ...] = ()

    def __len__(self) -> int:
        """The number of photos."""
        return len(self.pixels)


def load_photos(
    photos: Sequence[Photo],
    *,
    side: int,
    target: int,
    channels: int,
    cut: bool,
    cache: Path | None,
    workers: int = 1,
    progress: Callable[[Iterable[Prepared | Skipped]], Iterable[Prepared | Skipped]] | None = None,
) -> PhotoTensors:
    """Read, cut out and paint out photos on all cores.

    Args:
        photos: What to read.
        side: L, the side at which photos are kept; a little more than a view's.
        target: T, the side of the canonical pictures.
        channels: 3 or 1.
        cut: Whether to find item masks.
        cache: Folder that remembers the masks from one run to the next.
        workers: Processes.
        progress: Wraps the stream of results, to show how far it is.

    Raises:
        ValueError: Not a single photo could be used.
    """
    work = partial(prepare, side=side, target=target, channels=channels, cut=cut, cache=cache)
    results: list[Prepared | Skipped]
    show = progress or (lambda stream: stream)
    if workers > 1 and len(photos) > 64:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            results = list(show(pool.map(work, photos, chunksize=16)))
    else:
        results = list(show(map(work, photos)))
    return _stack(photos, results)


def prepare(
    photo: Photo, *, side: int, target: int, channels: int, cut: bool, cache: Path | None
) -> Prepared | Skipped:
    """One photo as arrays, or why not."""
    try:
        data = photo.path.read_bytes()
        image = decode_image(data, draft=2 * side)
    except (OSError, ImageError) as error:
        return Skipped(photo.id, str(error))
    frame = Preprocessing(size=side, channels=3 if channels == 3 else 1)
    digest = sha256(data).hexdigest()
    pixels = frame.apply(image)
    if not cut:
        return Prepared(digest, pixels, _resize(pixels, target))
    box = frame.box(*image.size)
    inner = _inside(Preprocessing(size=side).apply(image), box)
    mask = _own_mask(photo.mask, box) if photo.mask else _cached_cut(inner, digest, cache)
    if mask is None:
        return Prepared(digest, pixels, _resize(pixels, target))
    from models.training.masks import paint_out  # noqa: PLC0415 - OpenCV is an extra

    painted = frame.apply(Image.fromarray(paint_out(inner, mask)))
    whole = np.zeros((side, side), np.uint8)
    top, left, height, width = box
    whole[top : top + height, left : left + width] = mask * np.uint8(255)
    return Prepared(digest, pixels, canonical(pixels, whole, target), whole, painted)


def canonical(pixels: Pixels, mask: Pixels, target: int) -> Pixels:
    """The item alone, centred and as large as fits, on white: (L, L, C) -> (T, T, C)."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    alpha = mask[top:bottom, left:right, None].astype(np.float32) / 255
    item = pixels[top:bottom, left:right] * alpha + 255 * (1 - alpha)
    height, width, channels = item.shape
    side = round(max(height, width) * (1 + 2 * TARGET_MARGIN))
    square = np.full((side, side, channels), 255, np.uint8)
    y, x = (side - height) // 2, (side - width) // 2
    square[y : y + height, x : x + width] = item.round().astype(np.uint8)
    return _resize(square, target)


def _inside(square: Pixels, box: tuple[int, int, int, int]) -> Pixels:
    top, left, height, width = box
    return square[top : top + height, left : left + width]


def _own_mask(path: Path, box: tuple[int, int, int, int]) -> npt.NDArray[np.bool_] | None:
    """A given mask at the size of the photo's box; None if it is empty or unreadable."""
    try:
        image = decode_image(path.read_bytes()).convert("L")
    except (OSError, ImageError):
        return None
    mask = np.asarray(image.resize((box[3], box[2]), Image.Resampling.BOX)) > 127
    return mask if mask.any() else None


def _cached_cut(inner: Pixels, digest: str, cache: Path | None) -> npt.NDArray[np.bool_] | None:
    """Cut the item out, or remember how it was cut the last time."""
    from models.training.masks import METHOD, cut_item  # noqa: PLC0415 - OpenCV is an extra

    if cache is None:
        return cut_item(inner)
    file = cache / f"{METHOD}-{max(inner.shape)}" / digest[:2] / f"{digest}.png"
    if file.is_file():
        mask = np.asarray(Image.open(file)) > 127
        return mask if mask.shape == inner.shape[:2] and mask.any() else None
    found = cut_item(inner)
    stored = found if found is not None else np.zeros((1, 1), np.bool_)
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(f".{os.getpid()}.tmp")
    Image.fromarray(stored.astype(np.uint8) * np.uint8(255)).save(temporary, format="PNG")
    temporary.replace(file)  # a run that is killed here leaves no half a mask behind
    return found


def _resize(pixels: Pixels, side: int) -> Pixels:
    """(L, L, C) -> (T, T, C) by averaging."""
    if pixels.shape[0] == side:
        return pixels
    channels = pixels.shape[2]
    image = Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels)
    small = np.asarray(image.resize((side, side), Image.Resampling.BOX), np.uint8)
    return small.reshape(side, side, channels)


def _stack(photos: Sequence[Photo], results: Sequence[Prepared | Skipped]) -> PhotoTensors:
    usable = [(p, r) for p, r in zip(photos, results, strict=True) if isinstance(r, Prepared)]
    skipped = tuple(r for r in results if isinstance(r, Skipped))
    if not usable:
        first = f" The first: {skipped[0].id}: {skipped[0].reason}" if skipped else ""
        raise ValueError(f"None of {len(photos)} photos can be used for training.{first}")
    kept = [r for _, r in usable]
    side = kept[0].pixels.shape[0]
    nothing = np.zeros((side, side), np.uint8)
    numbers: dict[str, int] = {}
    groups = [numbers.setdefault(p.group or f"\0{p.id}", len(numbers)) for p, _ in usable]
    backgrounds = [r.background for r in kept if r.background is not None]
    digest = sha256("".join(sorted(r.sha256 for r in kept)).encode()).hexdigest()
    pixels = _channels_first([r.pixels for r in kept])
    return PhotoTensors(
        pixels=pixels,
        targets=_channels_first([r.target for r in kept]),
        masks=torch.from_numpy(
            np.stack([nothing if r.mask is None else r.mask for r in kept])
        ).unsqueeze(1),
        backgrounds=_channels_first(backgrounds) if backgrounds else pixels[:0],
        trusted=torch.tensor([r.mask is not None for r in kept]),
        groups=torch.tensor(groups),
        digest=digest,
        skipped=skipped,
    )


def _channels_first(arrays: Sequence[Pixels]) -> Tensor:
    """N of (H, W, C) -> (N, C, H, W)."""
    return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).contiguous()
