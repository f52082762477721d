"""Photos and small pictures of several sources as one, each kept as small as it came.

A training asks for pictures by number, a batch at a time. 60,000 pictures of 28 x 28 scaled to
80 x 80 in colour would be 1.1 GB; so they stay as they are (47 MB) and are scaled when they are
drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import accumulate, chain

import torch
from torch import Tensor
from torch.nn import functional as F

from models.training.parts import Part
from models.training.photos import TARGET_MARGIN, PhotoTensors, Pictures


@dataclass(frozen=True, slots=True)
class Scaled:
    """Small pictures that are scaled when they are asked for.

    Attributes:
        pixels: (N, 1, h, w) uint8.
        side: Of the pictures that are handed out.
        channels: Of these; 3 repeats the grey.
    """

    pixels: Tensor
    side: int
    channels: int

    def __len__(self) -> int:
        """How many there are."""
        return len(self.pixels)

    def __getitem__(self, index: Tensor, /) -> Tensor:
        """(B,) numbers -> (B, channels, side, side) uint8."""
        size = (self.side, self.side)
        # As bytes: ten times faster than as floats, and the same to a grey level.
        small = self.pixels[index]
        scaled = F.interpolate(small, size, mode="bilinear", antialias=True, align_corners=False)
        return scaled.expand(-1, self.channels, -1, -1)


@dataclass(frozen=True, slots=True)
class OnWhite:
    """Small pictures' items alone, centred and as large as fits, on white, drawn when asked for.

    Attributes:
        pixels: (N, 1, h, w) uint8.
        masks: (N, 1, h, w) uint8, 255 on the item; 0 everywhere is a picture shown as it is.
        side: Of the pictures that are handed out.
        channels: Of these; 3 repeats the grey.
    """

    pixels: Tensor
    masks: Tensor
    side: int
    channels: int

    def __len__(self) -> int:
        """How many there are."""
        return len(self.pixels)

    def __getitem__(self, index: Tensor, /) -> Tensor:
        """(B,) numbers -> (B, channels, side, side) uint8."""
        masks = self.masks[index].float() / 255
        known = masks.flatten(1).any(1)
        # Distance from white, which is 0 outside the picture, as sampling fills it in.
        ink = (255 - self.pixels[index].float()) * torch.where(known.view(-1, 1, 1, 1), masks, 1.0)
        size = [len(ink), 1, self.side, self.side]
        grid = F.affine_grid(_frames(masks, known), size, align_corners=False)
        drawn = 255 - F.grid_sample(ink, grid, align_corners=False)
        return _to_bytes(drawn, self.channels)


@dataclass(frozen=True, slots=True)
class Joined:
    """Several sources' pictures under consecutive numbers."""

    sources: tuple[Pictures, ...]

    def __len__(self) -> int:
        """How many there are."""
        return sum(map(len, self.sources))

    def __getitem__(self, index: Tensor, /) -> Tensor:
        """(B,) numbers -> (B, C, H, W) uint8."""
        ends = torch.tensor(list(accumulate(map(len, self.sources))))
        source = torch.bucketize(index, ends, right=True)
        places, pictures = [], []
        for number, pictures_of in enumerate(self.sources):
            place = (source == number).nonzero().squeeze(1)
            if len(place):
                first = int(ends[number]) - len(pictures_of)
                places.append(place)
                pictures.append(pictures_of[index[place] - first])
        return torch.cat(pictures)[torch.cat(places).argsort()]


def join(photos: Sequence[PhotoTensors]) -> PhotoTensors:
    """Several sources' photos as one; their items are numbered one source after the other.

    Args:
        photos: All of the same sides and channels.
    """
    if len(photos) == 1:
        return photos[0]
    counts = [int(p.groups.max()) + 1 for p in photos]
    firsts = accumulate([0, *counts[:-1]])
    return PhotoTensors(
        pixels=Joined(tuple(p.pixels for p in photos)),
        targets=Joined(tuple(p.targets for p in photos)),
        masks=Joined(tuple(p.masks for p in photos)),
        backgrounds=torch.cat([p.backgrounds for p in photos]),
        trusted=torch.cat([p.trusted for p in photos]),
        groups=torch.cat([p.groups + first for p, first in zip(photos, firsts, strict=True)]),
        digest=sha256("".join(p.digest for p in photos).encode()).hexdigest(),
        skipped=tuple(chain.from_iterable(p.skipped for p in photos)),
        shapes=_join_shapes(photos),
        unmasked=tuple(chain.from_iterable(p.unmasked for p in photos)),
        parts=tuple(
            chain.from_iterable(
                p.parts or (Part(count),) for p, count in zip(photos, counts, strict=True)
            )
        ),
    )


def weigh(photos: PhotoTensors, weights: Sequence[float | None]) -> PhotoTensors:
    """The same photos, of which each source counts as so many items.

    Args:
        photos: With one of ``parts`` for each source.
        weights: For each source; None counts it as the items it has.

    Raises:
        ValueError: A source has a weight and no item.
    """
    if all(weight is None for weight in weights):
        return photos
    parts = tuple(
        Part(part.items, weight) for part, weight in zip(photos.parts, weights, strict=True)
    )
    empty = [number for number, part in enumerate(parts, 1) if not part.items and part.weight]
    if empty:
        raise ValueError(
            f"Source {empty[0]} of {len(parts)} has a weight and not a single usable photo. "
            "Leave it out, or mend its photos."
        )
    # A run that goes on has to go on with the same weights.
    told = photos.digest + "".join(f"@{part.counts:g}" for part in parts)
    return replace(photos, parts=parts, digest=sha256(told.encode()).hexdigest())


def _frames(masks: Tensor, known: Tensor) -> Tensor:
    """The square around each item with its white rim, of masks (B, 1, h, w): (B, 2, 3)."""
    (top, bottom), (left, right) = _extent(masks.amax((1, 3))), _extent(masks.amax((1, 2)))
    h, w = masks.shape[-2:]
    side = torch.maximum(bottom - top, right - left) * (1 + 2 * TARGET_MARGIN)
    zero = torch.zeros_like(side)
    across = torch.stack([side / w, zero, (left + right) / w - 1], 1)
    down = torch.stack([zero, side / h, (top + bottom) / h - 1], 1)
    whole = torch.eye(2, 3).expand(len(masks), 2, 3)
    return torch.where(known.view(-1, 1, 1), torch.stack([across, down], 1), whole)


def _extent(line: Tensor) -> tuple[Tensor, Tensor]:
    """First and one past the last of the positive numbers in each row of (B, n): two of (B,)."""
    positive = (line > 0).int()
    return positive.argmax(1).float(), line.shape[1] - positive.flip(1).argmax(1).float()


def _to_bytes(grey: Tensor, channels: int) -> Tensor:
    """(B, 1, H, W) in 0 to 255 -> (B, channels, H, W) uint8."""
    return grey.round().clamp(0, 255).to(torch.uint8).expand(-1, channels, -1, -1)


def _join_shapes(photos: Sequence[PhotoTensors]) -> Tensor | None:
    """Shapes of all photos, zero (unknown) where a source has none; None if no source has any."""
    known = [p.shapes for p in photos if p.shapes is not None]
    if not known:
        return None
    if len(known) > 1:
        raise ValueError("Shapes of two sources cannot be compared; read their photos together.")
    nothing = known[0][:1] * 0
    return torch.cat([nothing.expand(len(p), -1) if p.shapes is None else p.shapes for p in photos])
