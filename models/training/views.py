"""Views of an item: what changes between them is what the embedding learns not to hold."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from models.training.photos import PhotoTensors
from models.training.recipe import Views

STILL = Views.none()


def draw_view(
    photos: PhotoTensors, index: Tensor, side: int, views: Views, generator: torch.Generator
) -> Tensor:
    """One random view of each photo in ``index``.

    Args:
        photos: Where to take them from.
        index: (B,) numbers of photos.
        side: S of the view.
        views: What may change.
        generator: The only source of randomness.

    Returns:
        (B, C, S, S) float in [-1, 1].
    """
    photo = to_float(photos.pixels[index])
    if views == STILL and photo.shape[-1] == side:
        return photo
    grid = _affine_grid(len(index), side, views, generator)
    view = F.grid_sample(photo, grid, padding_mode="border", align_corners=False)
    if views.swap > 0 and len(photos.backgrounds):
        view = _swap_background(view, grid, photos, index, views.swap, generator)
    view = _change_light(view, views, generator)
    if views.occlude > 0 and len(photos.backgrounds):
        view = _occlude(view, photos, views.occlude, generator)
    if views.noise > 0:
        strength = views.noise * torch.rand(len(view), 1, 1, 1, generator=generator)
        view = view + strength * torch.randn(view.shape, generator=generator)
    return view.clamp(-1, 1)


def to_float(pixels: Tensor) -> Tensor:
    """uint8 in 0 to 255 -> float in [-1, 1]."""
    return pixels.float() / 127.5 - 1


def _uniform(shape: tuple[int, ...], low: float, high: float, g: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=g)


def _affine_grid(B: int, side: int, views: Views, g: torch.Generator) -> Tensor:
    """Where each pixel of a view comes from: (B, S, S, 2) in [-1, 1] of the photo."""
    low, high = views.scale
    zoom = torch.exp(_uniform((B,), math.log(low), math.log(high), g))
    stretch = torch.exp(_uniform((B,), -0.1, 0.1, g)) if low < high else torch.ones(B)
    angle = _uniform((B,), -views.rotate, views.rotate, g) * (math.pi / 180)
    flip = torch.where(torch.rand(B, generator=g) < views.mirror, -1.0, 1.0)
    shift = _uniform((B, 2), -2 * views.shift, 2 * views.shift, g)
    cos, sin = torch.cos(angle) / zoom, torch.sin(angle) / zoom
    theta = torch.stack(
        [
            torch.stack([flip * cos * stretch, -flip * sin * stretch, shift[:, 0]], 1),
            torch.stack([sin / stretch, cos / stretch, shift[:, 1]], 1),
        ],
        1,
    )  # (B, 2, 3)
    return F.affine_grid(theta, [B, 1, side, side], align_corners=False)


def _random_backgrounds(photos: PhotoTensors, B: int, side: int, g: torch.Generator) -> Tensor:
    """Crops of other photos whose items were painted out: (B, C, S, S)."""
    other = torch.randint(len(photos.backgrounds), (B,), generator=g)
    crop = Views(scale=(1.0, 1.6), shift=0.15, rotate=8.0)
    grid = _affine_grid(B, side, crop, g)
    backgrounds = to_float(photos.backgrounds[other])
    return F.grid_sample(backgrounds, grid, padding_mode="reflection", align_corners=False)


def _swap_background(
    view: Tensor,
    grid: Tensor,
    photos: PhotoTensors,
    index: Tensor,
    probability: float,
    g: torch.Generator,
) -> Tensor:
    """Put the item of a view (B, C, S, S) on another background, where its mask is trusted."""
    B, _, side, _ = view.shape
    mask = F.grid_sample(photos.masks[index].float() / 255, grid, align_corners=False)
    # Cut a little inside or outside the outline: a rim of the old background would give it away.
    edge = _uniform((B, 1, 1, 1), 0.25, 0.75, g)
    mask = ((mask - edge) * 4 + 0.5).clamp(0, 1)
    swapped = mask * view + (1 - mask) * _random_backgrounds(photos, B, side, g)
    chosen = photos.trusted[index] & (torch.rand(B, generator=g) < probability)
    return torch.where(chosen.view(B, 1, 1, 1), swapped, view)


def _change_light(view: Tensor, views: Views, g: torch.Generator) -> Tensor:
    """Brightness, contrast, saturation and warmth, within what a camera does to a colour."""
    B, C = view.shape[:2]
    one = (B, 1, 1, 1)
    contrast = 1 + _uniform(one, -views.contrast, views.contrast, g)
    brightness = _uniform(one, -views.brightness, views.brightness, g)
    mean = view.mean((1, 2, 3), keepdim=True)
    view = (view - mean) * contrast + mean + brightness
    if C == 3:
        saturation = 1 + _uniform(one, -views.saturation, views.saturation, g)
        grey = view.mean(1, keepdim=True)
        view = grey + (view - grey) * saturation
        warmth = _uniform(one, -views.warmth, views.warmth, g)
        view = view + torch.cat([warmth, torch.zeros_like(warmth), -warmth], 1)
    return view


def _occlude(view: Tensor, photos: PhotoTensors, probability: float, g: torch.Generator) -> Tensor:
    """Lay a rectangle of another photo, up to 0.4 of the side, over some views."""
    B, _, side, _ = view.shape
    cover = _random_backgrounds(photos, B, side, g)
    size = _uniform((B, 2), 0.1, 0.4, g)
    start = torch.rand(B, 2, generator=g) * (1 - size)
    place = (torch.arange(side) + 0.5) / side  # (S,)
    inside = (place >= start[..., None]) & (place < (start + size)[..., None])  # (B, 2, S)
    rectangle = inside[:, 0, :, None] & inside[:, 1, None, :]  # (B, S, S)
    chosen = torch.rand(B, generator=g) < probability
    return torch.where((rectangle & chosen[:, None, None]).unsqueeze(1), cover, view)
