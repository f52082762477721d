"""Fabrics: what colour a piece of cloth has at each point.

A pattern is a function of the place on the cloth, not of the pixels, so it moves, turns and
scales with the piece that is cut from it. Edges are smoothed over one pixel.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from indexer.sample.palette import RGB

Field = npt.NDArray[np.floating[Any]]
"""Values on a grid of pixels; float32 wherever time matters."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """What is woven into or printed on the cloth.

    Attributes:
        kind: One of ``PATTERNS``.
        scale: 0 (fine) to 1 (bold).
        angle: Direction in quarter turns of 45 degrees: 0 across, 2 along.
        variant: Chooses among the forms of this kind, 0 to 7.
    """

    kind: str = "plain"
    scale: float = 0.5
    angle: int = 0
    variant: int = 0


@dataclass(frozen=True, slots=True)
class Cloth:
    """Where the pixels of a piece lie on the cloth: coordinates (H, W) in body units.

    Attributes:
        u: Across, 0 in the middle of the piece.
        v: Along, downwards.
        step: Size of a pixel in body units.
    """

    u: Field
    v: Field
    step: float


def edge(distance: Field, step: float) -> Field:
    """1 where the distance is positive, 0 where negative, smooth over about a pixel."""
    smoothed: Field = np.clip(distance / (1.2 * step) + 0.5, 0, 1)
    return smoothed


def blend(below: Field, above: Field, part: Field) -> Field:
    """Colours (H, W, 3) or (3,) mixed by a field (H, W) in 0..1."""
    mixed: Field = below + (above - below) * part[..., None]
    return mixed


def waves(cloth: Cloth, period: float, seed: int, count: int = 5) -> Field:
    """Smooth noise of unit variance: a sum of plane waves of about one period."""
    rng = np.random.default_rng(seed)
    total: Field = np.zeros_like(cloth.u)
    for turn, phase, stretch in zip(
        rng.uniform(0, 2 * np.pi, count),
        rng.uniform(0, 2 * np.pi, count),
        rng.uniform(0.7, 1.5, count),
        strict=True,
    ):
        rate = 2 * np.pi * stretch / period
        total += np.sin(
            cloth.u * np.float32(rate * np.cos(turn))
            + cloth.v * np.float32(rate * np.sin(turn))
            + np.float32(phase)
        )
    return total * np.float32((2 / count) ** 0.5)


def band(x: Field, period: float, duty: float, step: float) -> Field:
    """1 on stripes that fill ``duty`` of each period of x, else 0."""
    place = np.abs(x / period - np.round(x / period)) * period  # distance from a stripe's middle
    return edge(np.float32(duty * period / 2) - place, step)


def along(cloth: Cloth, quarter: int) -> Field:
    """The coordinate across stripes of that direction; 0 makes them horizontal."""
    turn = quarter * np.pi / 4
    rotated: Field = cloth.v * np.float32(np.cos(turn)) + cloth.u * np.float32(np.sin(turn))
    return rotated


def plain(cloth: Cloth, _: Pattern, dyes: Field) -> Field:
    """One colour."""
    return np.broadcast_to(dyes[0], (*cloth.u.shape, 3)).astype(np.float32)


def stripes(cloth: Cloth, pattern: Pattern, dyes: Field) -> Field:
    """Stripes of one width, with a hairline beside them in the odd variants."""
    period = 0.06 + 0.16 * pattern.scale
    x = along(cloth, pattern.angle)
    duty = (0.5, 0.3, 0.38, 0.2)[pattern.variant // 2]
    cloth_colours = blend(dyes[0], dyes[1], band(x, period, duty, cloth.step))
    if pattern.variant % 2:
        hairline = band(x - np.float32(period / 2), period, 0.14, cloth.step)
        cloth_colours = blend(cloth_colours, dyes[2], hairline)
    return cloth_colours


def checks(cloth: Cloth, pattern: Pattern, dyes: Field) -> Field:
    """Gingham: crossing stripes, twice as strong where they meet."""
    period = 0.06 + 0.12 * pattern.scale
    across = band(cloth.u, period, 0.5, cloth.step)
    down = band(cloth.v, period, 0.5, cloth.step)
    return blend(dyes[0], dyes[1], (across + down) / 2)


def tartan(cloth: Cloth, pattern: Pattern, dyes: Field) -> Field:
    """Broad crossing bands with thin lines in a third colour."""
    period = 0.16 + 0.16 * pattern.scale
    ground = np.broadcast_to(dyes[0], (*cloth.u.shape, 3)).astype(np.float32)
    for x in (cloth.u, cloth.v):
        ground = blend(ground, dyes[1], 0.55 * band(x, period, 0.42, cloth.step))
        ground = blend(
            ground, dyes[2], 0.8 * band(x + np.float32(period / 2), period, 0.06, cloth.step)
        )
        ground = blend(ground, dyes[0] * 0.5, 0.6 * band(x, period, 0.08, cloth.step))
    return ground


def zigzag(cloth: Cloth, pattern: Pattern, dyes: Field) -> Field:
    """Chevrons."""
    period = 0.09 + 0.14 * pattern.scale
    x, y = (cloth.u, cloth.v) if pattern.angle % 4 == 0 else (cloth.v, cloth.u)
    tooth = np.abs(x / period - np.round(x / period)) * np.float32(period * 1.1)
    return blend(dyes[0], dyes[1], band(y + tooth, period, 0.5, cloth.step * 1.3))


def argyle(cloth: Cloth, pattern: Pattern, dyes: Field) -> Field:
    """Diamonds with fine crossing lines."""
    period = 0.18 + 0.14 * pattern.scale
    across = np.abs(cloth.u / period - np.round(cloth.u / period))
    down = np.abs(cloth.v / (1.4 * period) - np.round(cloth.v / (1.4 * period)))
    inside = edge((np.float32(0.5) - across - down) * np.float32(period), cloth.step)
    colours = blend(dyes[0], dyes[1], inside)
    slope = cloth.u + cloth.v / np.float32(1.4)
    other = cloth.u - cloth.v / np.float32(1.4)
    lines = np.maximum(band(slope, period, 0.06, cloth.step), band(other, period, 0.06, cloth.step))
    return blend(colours, dyes[2], 0.8 * lines)


def nordic(cloth: Cloth, pattern: Pattern, dyes: Field) -> Field:
    """Knitted bands of teeth, dots and lines, one above the other."""
    period = 0.2 + 0.12 * pattern.scale
    tooth = np.abs(cloth.u / (period / 4) - np.round(cloth.u / (period / 4))) * np.float32(
        period / 2
    )
    colours = blend(dyes[0], dyes[1], band(cloth.v + tooth / 2, period, 0.3, cloth.step))
    dots = band(cloth.u, period / 4, 0.45, cloth.step) * band(
        cloth.v - np.float32(period * 0.42), period, 0.12, cloth.step
    )
    colours = blend(colours, dyes[2], dots)
    return blend(
        colours, dyes[1], band(cloth.v - np.float32(period * 0.28), period, 0.05, cloth.step)
    )


def camouflage(cloth: Cloth, pattern: Pattern, dyes: Field) -> Field:
    """Patches of four tones."""
    period = 0.16 + 0.2 * pattern.scale
    seed = 100 + pattern.variant
    colours = blend(dyes[0], dyes[1], edge(waves(cloth, period, seed) * 0.05 - 0.02, cloth.step))
    colours = blend(
        colours, dyes[2], edge(waves(cloth, period, seed + 50) * 0.05 - 0.045, cloth.step)
    )
    dark = edge(waves(cloth, period * 0.8, seed + 90) * 0.05 - 0.055, cloth.step)
    return blend(colours, dyes[0] * 0.45, dark)


def blocks(cloth: Cloth, pattern: Pattern, dyes: Field) -> Field:
    """Colour blocking: bands, halves or a slanted field."""
    height = np.float32(-0.45 + 0.5 * pattern.scale)
    kind = pattern.variant % 4
    if kind == 0:
        return blend(dyes[0], dyes[1], edge(cloth.v - height, cloth.step))
    if kind == 1:
        return blend(dyes[0], dyes[1], edge(cloth.u, cloth.step))
    if kind == 2:
        slant = edge(cloth.v - height + cloth.u * np.float32(0.8), cloth.step)
        return blend(dyes[0], dyes[1], slant)
    stripe = edge(np.float32(0.09) - np.abs(cloth.v - height), cloth.step)
    below = blend(dyes[0], dyes[2], edge(cloth.v - height, cloth.step))
    return blend(below, dyes[1], stripe)


def ombre(cloth: Cloth, pattern: Pattern, dyes: Field) -> Field:
    """One colour that runs into another downwards."""
    start, length = -0.5 + 0.4 * pattern.scale, 0.45 + 0.05 * pattern.variant
    return blend(
        dyes[0], dyes[1], np.clip((cloth.v - np.float32(start)) / np.float32(length), 0, 1)
    )


def tiedye(cloth: Cloth, pattern: Pattern, dyes: Field) -> Field:
    """A spiral of two dyes with a blotchy rim."""
    y = cloth.v + np.float32(0.2)
    radius = np.hypot(cloth.u, y)
    turns = np.arctan2(y, cloth.u) * np.float32(1 + pattern.variant % 3)
    blotch = waves(cloth, 0.18, 300 + pattern.variant, 4)
    wave = np.sin(radius * np.float32(34 - 16 * pattern.scale) + turns + 0.6 * blotch)
    colours = blend(dyes[0], dyes[1], np.clip(0.5 + 0.8 * wave, 0, 1))
    return blend(colours, dyes[2], np.clip(0.9 * wave * blotch - 0.5, 0, 0.8))


def knit(cloth: Cloth, pattern: Pattern, dyes: Field) -> Field:
    """Cables or ribs: one colour, shaped by light."""
    period = 0.06 + 0.07 * pattern.scale
    if pattern.variant % 2:
        relief = np.sin(cloth.u * np.float32(2 * np.pi / period))
    else:
        twist = np.abs(cloth.u / period - np.round(cloth.u / period)) * np.float32(2 * period)
        relief = np.sin((cloth.v + twist) * np.float32(2 * np.pi / (0.7 * period)))
        relief = relief * 0.7 + 0.5 * np.cos(cloth.u * np.float32(2 * np.pi / period))
    shade: Field = 1 + np.float32(0.13) * relief.astype(np.float32)
    coloured: Field = shade[..., None] * dyes[0]
    return coloured


def denim(cloth: Cloth, pattern: Pattern, dyes: Field) -> Field:
    """Twill with a paler, worn middle."""
    twill = np.sin((cloth.u + 0.6 * cloth.v) * np.float32(2 * np.pi / 0.022))
    cloud = waves(cloth, 0.3, 400 + pattern.variant, 4)
    worn = np.clip(
        0.1 + 0.3 * pattern.scale + 0.07 * cloud - 1.6 * np.abs(np.abs(cloth.u) - 0.12), 0, 0.5
    )
    colours = blend(dyes[0], np.array([214, 222, 232], np.float32), worn)
    shade: Field = 1 + np.float32(0.05) * twill.astype(np.float32)
    return colours * shade[..., None]


Weaver = Callable[[Cloth, Pattern, Field], Field]
WOVEN: dict[str, Weaver] = {
    "plain": plain,
    "stripes": stripes,
    "checks": checks,
    "tartan": tartan,
    "zigzag": zigzag,
    "argyle": argyle,
    "nordic": nordic,
    "camouflage": camouflage,
    "blocks": blocks,
    "ombre": ombre,
    "tiedye": tiedye,
    "knit": knit,
    "denim": denim,
}


def dyes_of(colours: tuple[RGB, RGB, RGB]) -> Field:
    """Three colours as (3, 3) float32 in 0..255."""
    return np.asarray(colours, np.float32)
