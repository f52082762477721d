"""An item in a scene becomes a photo: the same pixels for the same item, scene and size."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter

from indexer.sample.backgrounds import draw_backdrop
from indexer.sample.bags import draw_bag
from indexer.sample.body import Drawing
from indexer.sample.bottoms import draw_skirt, draw_trousers
from indexer.sample.canvas import Canvas, blur, crease, shift
from indexer.sample.geometry import Affine, bounds, similarity
from indexer.sample.headwear import draw_headwear, draw_scarf
from indexer.sample.item import Item
from indexer.sample.kinds import KINDS, Family
from indexer.sample.patterns import Field
from indexer.sample.scene import Camera, Scene, Wearer
from indexer.sample.shoes import draw_shoe
from indexer.sample.tops import draw_top
from indexer.sample.wearers import draw_setting

SMALLEST = 32
FRAMING = {"flat": 0.8, "hanger": 0.74, "mannequin": 0.72, "person": 0.64}
"""The part of the frame that the item's longer side takes."""
CLOSER = {"headwear": 0.72, "shoe": 0.85, "bag": 0.85, "scarf": 0.85}
"""Factor on it for small things, which show more of who wears them."""

DRAW: dict[Family, Callable[[Item, Wearer], Drawing]] = {
    "top": draw_top,
    "dress": draw_top,
    "skirt": draw_skirt,
    "trousers": draw_trousers,
    "headwear": draw_headwear,
    "shoe": draw_shoe,
    "bag": draw_bag,
    "scarf": draw_scarf,
}


class Rendered(NamedTuple):
    """A photo and what of it is the item.

    Attributes:
        image: RGB.
        mask: L, 255 where a pixel is all item, 0 where it is none of it.
    """

    image: Image.Image
    mask: Image.Image


def render(item: Item, scene: Scene, size: int = 256) -> Rendered:
    """Photograph an item in a scene.

    Where the mask is 255 the image does not depend on the background.

    Args:
        item: What is shown.
        scene: Background, wearer and camera.
        size: Side of the square image in pixels, at least 32.

    Raises:
        ValueError: ``size`` is too small to show anything.
    """
    if size < SMALLEST:
        raise ValueError(f"The size is {size} pixels; give at least {SMALLEST}.")
    family = KINDS[item.kind].family
    drawing = DRAW[family](item, scene.wearer)
    canvas = Canvas(size, aim(drawing, scene, family, size), scene.camera.lamp)
    crease(canvas, drawing.folds)
    setting = draw_setting(item, scene.wearer, drawing)
    canvas.paint(setting.behind, item=False)
    canvas.paint(drawing.back, item=True)
    canvas.paint(setting.between, item=False)
    canvas.paint(drawing.front, item=True)
    canvas.paint(setting.before, item=False)
    backdrop = draw_backdrop(scene.background, size) * cast_shadow(canvas, scene)[..., None]
    picture = backdrop * (1 - canvas.alpha)[..., None] + canvas.rgb
    mask = Image.fromarray(np.floor(canvas.mask * 255 + 1e-3).astype(np.uint8))
    return Rendered(expose(picture, scene.camera, size), mask)


def aim(drawing: Drawing, scene: Scene, family: Family, size: int) -> Affine:
    """From body units to pixels: the item fills its part of the frame."""
    left, top, right, bottom = bounds(drawing.outlines())
    camera, wearer = scene.camera, scene.wearer.kind
    part = FRAMING[wearer]
    if wearer in ("person", "mannequin"):
        part *= CLOSER.get(family, 1.0)
    scale = size * part * camera.zoom / max(right - left, bottom - top)
    target = (0.5 + camera.shift[0]) * size, (0.5 + camera.shift[1]) * size
    return similarity(((left + right) / 2, (top + bottom) / 2), target, scale, camera.angle)


def cast_shadow(canvas: Canvas, scene: Scene) -> Field:
    """Factor (H, W) on the background: soft and wide on a wall, close on a table."""
    lying = scene.wearer.kind == "flat"
    reach = canvas.size * (0.012 if lying else 0.03)
    x, y = (round(-reach * part) for part in canvas.light)
    soft = blur(canvas.alpha, canvas.size * (0.014 if lying else 0.035))
    shade: Field = 1 - (0.5 if lying else 0.32) * shift(soft, x, y)
    return shade


def expose(picture: Field, camera: Camera, size: int) -> Image.Image:
    """Light, warmth, blur and noise of the camera."""
    gain = camera.light * np.array([1 + camera.warmth, 1, 1 - camera.warmth], np.float32)
    rng = np.random.default_rng(camera.seed)
    noisy = picture * gain
    if camera.noise:
        noisy = noisy + rng.standard_normal((size, size, 1), np.float32) * np.float32(camera.noise)
    image = Image.fromarray(np.clip(noisy + 0.5, 0, 255).astype(np.uint8))
    return (
        image.filter(ImageFilter.GaussianBlur(camera.blur * size / 256)) if camera.blur else image
    )
