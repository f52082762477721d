"""Photos in memory, ready to be turned into views: pixels, item masks, painted-out backgrounds."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from models.images import ImageError, Preprocessing, decode_image
from models.training.item_masks import find_cut, read_own_mask
from models.training.parts import Part
from models.training.shapes import LENGTH, describe_shape, reduce_shapes
from models.training.shapes import SIDE as SHAPE_SIDE

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
        source: Number of the catalogue it is from; its items are counted by these.
    """

    id: str
    path: Path
    group: str | None = None
    mask: Path | None = None
    source: int = 0


@dataclass(frozen=True, slots=True)
class Prepared:
    """One photo as arrays; mask and background are None where the mask cannot be trusted."""

    sha256: str  # of the photo, and of its own mask
    pixels: Pixels  # (L, L, C)
    target: Pixels  # (T, T, C): the item on white, or the photo itself
    mask: Pixels | None = None  # (L, L), 255 on the item
    background: Pixels | None = None  # (L, L, C)
    distrust: str | None = None  # why there is no mask, if one was looked for
    shape: npt.NDArray[np.float32] | None = None  # (LENGTH,)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A photo that could not be used, and why."""

    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Unmasked:
    """A photo that is used as a whole, for want of a mask.

    Attributes:
        id: Of the photo.
        reason: Why no mask of it is trusted.
        own: Whether it is the shop's own mask that cannot be used.
    """

    id: str
    reason: str
    own: bool = False


class Pictures(Protocol):
    """Pictures by number: a tensor is one, and so is what draws them when they are asked for."""

    def __len__(self) -> int:
        """How many there are."""
        ...

    def __getitem__(self, index: Tensor, /) -> Tensor:
        """(B,) numbers -> (B, C, H, W) uint8."""
        ...


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
        shapes: (N, S) float32, what shape each item has (``models.training.shapes``), zero where
            there is no trusted mask; None where nothing was cut out.
        unmasked: Photos whose mask was looked for and is not trusted.
        parts: The sources of the items, in the order of their numbers, and how much each counts;
            empty is one source.
        labels: (N,) int64, the class of each; None if a training has none.
    """

    noun: ClassVar[str] = "photo"

    pixels: Pictures
    targets: Pictures
    masks: Pictures
    backgrounds: Tensor
    trusted: Tensor
    groups: Tensor
    digest: str
    skipped: tuple[Skipped, ...] = ()
    shapes: Tensor | None = None
    unmasked: tuple[Unmasked, ...] = ()
    parts: tuple[Part, ...] = ()
    labels: Tensor | None = None

    def __len__(self) -> int:
        """The number of photos."""
        return len(self.pixels)

    def describe(self) -> dict[str, Any]:
        """What metrics.json says of them."""
        return {
            "photos": len(self),
            "photos_with_mask": int(self.trusted.sum()),
            "photos_skipped": len(self.skipped),
            "photos_digest": self.digest,
        }


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
    if photo.mask is None:
        found = find_cut(inner, digest, cache)
    else:
        found = read_own_mask(photo.mask, image.size, box)
        digest += found.sha256
    if found.mask is None:
        return Prepared(digest, pixels, _resize(pixels, target), distrust=found.reason)
    mask = found.mask
    from models.training.masks import paint_out  # noqa: PLC0415 - OpenCV is an extra

    painted = frame.apply(Image.fromarray(paint_out(inner, mask)))
    whole = np.zeros((side, side), np.uint8)
    top, left, height, width = box
    whole[top : top + height, left : left + width] = mask * np.uint8(255)
    shape = describe_shape(canonical(pixels, whole, SHAPE_SIDE))
    item = canonical(pixels, whole, target)
    return Prepared(digest, pixels, item, whole, painted, shape=shape)


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
    # Without a group a photo stands for itself: two catalogues may name two photos alike.
    groups = [numbers.setdefault(p.group or f"\0{p.path}", len(numbers)) for p, _ in usable]
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
        shapes=_shapes([r.shape for r in kept]),
        unmasked=tuple(
            Unmasked(p.id, r.distrust, own=p.mask is not None)
            for p, r in usable
            if r.distrust is not None
        ),
        parts=_parts([p for p, _ in usable], groups),
    )


def _parts(photos: Sequence[Photo], groups: Sequence[int]) -> tuple[Part, ...]:
    """How many items each source has; an item's photos are all from one."""
    source_of = dict(zip(groups, (p.source for p in photos), strict=True))
    counts = Counter(source_of.values())
    return tuple(Part(counts[source]) for source in range(max(counts) + 1))


def _shapes(described: Sequence[npt.NDArray[np.float32] | None]) -> Tensor | None:
    known = np.array([d is not None for d in described])
    if not known.any():
        return None
    nothing = np.zeros(LENGTH, np.float32)
    return reduce_shapes(np.stack([nothing if d is None else d for d in described]), known)


def _channels_first(arrays: Sequence[Pixels]) -> Tensor:
    """N of (H, W, C) -> (N, C, H, W)."""
    return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).contiguous()
