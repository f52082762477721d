"""Painting outlines on a transparent layer: smooth edges, soft relief, folds, contact shadows.

Outlines are rasterised three times too large and reduced, each only in its own bounding box; all
colours are then mixed at the final size, which is what keeps an image at a few milliseconds.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from indexer.sample.geometry import IDENTITY, Affine, Points
from indexer.sample.palette import RGB, contour
from indexer.sample.patterns import Cloth, Field, Pattern
from indexer.sample.prints import colour_cloth

OVERSAMPLING = 3
MARGIN = 3  # pixels around an outline that its contact shadow may reach

Dyes = tuple[RGB, RGB, RGB]


@dataclass(frozen=True, slots=True)
class Patch:
    """A filled outline.

    Attributes:
        outline: (N, 2) in body units.
        colours: What the pattern is dyed with; the first one alone fills a plain patch.
        pattern: None for skin, leather, metal.
        frame: From body units to the patch's own: where the pattern has its origin.
        relief: How round it looks, 0 for flat.
        rim: How much darker its outline is drawn, 0 for none.
        shadow: How dark its contact shadow on what lies below is.
        folds: How much of the layer's folds it shows.
    """

    outline: Points
    colours: Dyes
    pattern: Pattern | None = None
    frame: Affine = IDENTITY
    relief: float = 0.5
    rim: float = 0.5
    shadow: float = 0.25
    folds: float = 0.0


@dataclass(frozen=True, slots=True)
class Stroke:
    """A line, or a dashed one: a seam, a lace, an outline's detail.

    Attributes:
        points: (N, 2) in body units, open.
        colour: Its colour.
        width: In body units.
        opacity: 0 to 1.
        dash: Points drawn and points left out, 0 for a full line.
    """

    points: Points
    colour: RGB
    width: float = 0.008
    opacity: float = 1.0
    dash: int = 0


Mark = Patch | Stroke


class Region(NamedTuple):
    """How much of each pixel of a box an outline covers: alpha (h, w) in 0..1."""

    rows: slice
    columns: slice
    alpha: Field


def fill(outline: Points, colour: RGB, *, relief: float = 0.5, rim: float = 0.45) -> Patch:
    """A patch of one colour."""
    return Patch(outline, (colour, colour, colour), relief=relief, rim=rim)


class Canvas:
    """A transparent layer (premultiplied) with the mask of the item on it.

    Attributes:
        rgb: (H, W, 3) float32, 0..255 times alpha.
        alpha: (H, W) float32 in 0..1.
        mask: (H, W) float32 in 0..1, the part of alpha that belongs to the item.
        folds: (H, W) float32 around 0, light and shade of the cloth's folds.
    """

    def __init__(self, size: int, view: Affine, lamp: float) -> None:
        self.size = size
        self.view = view
        self.back = view.inverse()
        self.light = (float(np.cos(lamp)), float(np.sin(lamp)))
        self.rgb: Field = np.zeros((size, size, 3), np.float32)
        self.alpha: Field = np.zeros((size, size), np.float32)
        self.mask: Field = np.zeros((size, size), np.float32)
        self.folds: Field = np.zeros((size, size), np.float32)

    def paint(self, marks: Iterable[Mark], *, item: bool) -> None:
        """Lay the marks on the canvas in order; ``item`` says whether they are the item's."""
        for mark in marks:
            if isinstance(mark, Patch):
                self._paint_patch(mark, item=item)
            else:
                self._paint_stroke(mark, item=item)

    def _paint_patch(self, patch: Patch, *, item: bool) -> None:
        region = self.cover(patch.outline)
        if region is None:
            return
        rows, columns, alpha = region
        colour = self._colour(patch, region)
        if patch.relief or patch.shadow:
            soft = blur(alpha, max(1.5, 0.035 * self.view.scale * (0.4 + patch.relief)))
            if patch.shadow:
                self.rgb[rows, columns] *= 1 - patch.shadow * self._shifted(soft)[..., None]
            colour = colour * self._relief(soft, patch, region)[..., None]
        self._over(region, np.clip(colour, 0, 255), item=item)
        if patch.rim:
            line = np.concatenate([patch.outline, patch.outline[:1]])
            self._paint_stroke(
                Stroke(line, contour(patch.colours[0], 0.75), 1.3 / self.view.scale, patch.rim),
                item=item,
            )

    def _colour(self, patch: Patch, region: Region) -> Field:
        if patch.pattern is None:
            colour: Field = np.empty((*region.alpha.shape, 3), np.float32)
            colour[:] = patch.colours[0]
            return colour
        to_cloth = self.back.then(patch.frame)
        x = np.arange(region.columns.start, region.columns.stop, dtype=np.float32) + 0.5
        y = (np.arange(region.rows.start, region.rows.stop, dtype=np.float32) + 0.5)[:, None]
        u: Field = (to_cloth.a * x + to_cloth.b * y + to_cloth.c).astype(np.float32)
        v: Field = (to_cloth.d * x + to_cloth.e * y + to_cloth.f).astype(np.float32)
        return colour_cloth(Cloth(u, v, to_cloth.scale), patch.pattern, patch.colours)

    def _relief(self, soft: Field, patch: Patch, region: Region) -> Field:
        """Factor (h, w) on the colour: darker at the edges, lighter towards the lamp."""
        shade: Field = 1 - 0.42 * patch.relief * (1 - np.minimum(1, 1.15 * soft))
        slope = np.zeros_like(soft)
        slope[:, 1:-1] = (soft[:, :-2] - soft[:, 2:]) * self.light[0]
        slope[1:-1] += (soft[:-2] - soft[2:]) * self.light[1]
        shade = shade + 0.9 * patch.relief * slope
        if patch.folds:
            shade = shade + patch.folds * self.folds[region.rows, region.columns]
        return shade.astype(np.float32)

    def _shifted(self, soft: Field) -> Field:
        """The soft silhouette moved two pixels away from the lamp."""
        x, y = (round(-2 * part) for part in self.light)
        return shift(soft, x, y)

    def _paint_stroke(self, stroke: Stroke, *, item: bool) -> None:
        region = self.cover(stroke.points, width=stroke.width, dash=stroke.dash)
        if region is not None:
            colour = np.asarray(stroke.colour, np.float32)
            faded = region._replace(alpha=region.alpha * np.float32(stroke.opacity))
            self._over(faded, colour, item=item)

    def _over(self, region: Region, colour: Field, *, item: bool) -> None:
        rows, columns, alpha = region
        keep = 1 - alpha
        self.rgb[rows, columns] *= keep[..., None]
        self.rgb[rows, columns] += colour * alpha[..., None]
        for plane, adds in ((self.alpha, True), (self.mask, item)):
            plane[rows, columns] *= keep
            if adds:
                plane[rows, columns] += alpha

    def cover(self, points: Points, *, width: float | None = None, dash: int = 0) -> Region | None:
        """Rasterise an outline, or with ``width`` (body units) a line; None if out of sight."""
        pixels = self.view.apply(points)
        margin = MARGIN + (0 if width is None else width * self.view.scale / 2)
        low = np.floor(pixels.min(axis=0) - margin).astype(int).clip(0, self.size)
        high = np.ceil(pixels.max(axis=0) + margin).astype(int).clip(0, self.size)
        columns, rows = high - low
        if columns < 1 or rows < 1:
            return None
        image = Image.new("L", (int(columns) * OVERSAMPLING, int(rows) * OVERSAMPLING))
        draw = ImageDraw.Draw(image)
        fine = (pixels - low) * OVERSAMPLING
        if width is None:
            draw.polygon(fine.ravel().tolist(), fill=255)
        else:
            thick = max(1, round(width * self.view.scale * OVERSAMPLING))
            for piece in dashes(fine, dash):
                draw.line(piece.ravel().tolist(), fill=255, width=thick, joint="curve")
        alpha = np.asarray(image.reduce(OVERSAMPLING), np.float32) / 255
        return Region(slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0])), alpha)


def dashes(points: npt.NDArray[np.float32], dash: int) -> list[npt.NDArray[np.float32]]:
    """Cut a line into dashes of that many points with gaps as long; 0 leaves it whole."""
    if not dash:
        return [points]
    return [
        points[start : start + dash + 1]
        for start in range(0, len(points) - 1, 2 * dash)
        if len(points[start : start + dash + 1]) > 1
    ]


def shift(field: Field, x: int, y: int) -> Field:
    """The field moved right by x and down by y pixels, its rim repeated where it left."""
    rows = np.arange(field.shape[0]) - y
    columns = np.arange(field.shape[1]) - x
    moved: Field = field[rows.clip(0, len(rows) - 1)][:, columns.clip(0, len(columns) - 1)]
    return moved


def blur(field: Field, radius: float) -> Field:
    """Gaussian blur of a field in 0..1 by that many pixels."""
    image = Image.fromarray((field * 255).astype(np.uint8))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(radius)), np.float32) / 255


def crease(canvas: Canvas, lines: Iterable[tuple[Points, float]]) -> None:
    """Give the canvas folds: along each line a ridge (positive strength) or a valley."""
    half = canvas.size // 2
    image = Image.new("L", (half, half), 128)
    draw = ImageDraw.Draw(image)
    for points, strength in lines:
        place = (canvas.view.apply(points) / 2).ravel().tolist()
        draw.line(
            place, fill=int(128 + 100 * strength), width=max(1, canvas.size // 96), joint="curve"
        )
    soft = image.filter(ImageFilter.GaussianBlur(canvas.size / 100)).resize(
        (canvas.size, canvas.size), Image.Resampling.BILINEAR
    )
    canvas.folds = (np.asarray(soft, np.float32) - 128) / 128
