"""Prints: figures scattered over the cloth, and motifs on the chest."""

from collections.abc import Callable

import numpy as np

from indexer.sample.palette import RGB
from indexer.sample.patterns import WOVEN, Cloth, Field, Pattern, Weaver, blend, dyes_of, edge


def scatter(cloth: Cloth, period: float, variant: int) -> tuple[Field, Field, Field]:
    """Lay a jittered lattice over the cloth.

    Returns:
        For each pixel the offset (x, y) from the figure of its cell, turned by the figure's own
        angle, and a number in 0..1 that belongs to the figure.
    """
    row = np.floor(cloth.v / period)
    shifted = cloth.u / period + 0.5 * (row % 2)
    column = np.floor(shifted)
    dice = np.sin(column * 12.9898 + row * 78.233 + variant * 3.7) * 43758.5453
    dice = (dice - np.floor(dice)).astype(np.float32)
    other = np.modf(dice * 57.31)[0]
    x = (shifted - column - 0.5 + 0.24 * (dice - 0.5)) * np.float32(period)
    y = (cloth.v / period - row - 0.5 + 0.24 * (other - 0.5)) * np.float32(period)
    turn = dice * np.float32(2 * np.pi)
    cos, sin = np.cos(turn), np.sin(turn)
    return x * cos + y * sin, y * cos - x * sin, other


def dots(cloth: Cloth, pattern: Pattern, dyes: Field) -> Field:
    """Polka dots on a staggered lattice."""
    period = 0.06 + 0.12 * pattern.scale
    row = np.round(cloth.v / period)
    across = cloth.u / period + 0.5 * (row % 2)
    x = (across - np.round(across)) * np.float32(period)
    y = (cloth.v / period - row) * np.float32(period)
    radius = np.float32(period * (0.2, 0.28, 0.34, 0.24)[pattern.variant % 4])
    return blend(dyes[0], dyes[1], edge(radius - np.hypot(x, y), cloth.step))


def floral(cloth: Cloth, pattern: Pattern, dyes: Field) -> Field:
    """Five- to seven-petalled flowers with an eye."""
    period = 0.13 + 0.14 * pattern.scale
    x, y, dice = scatter(cloth, period, pattern.variant)
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    petals = 5 + pattern.variant % 3
    size = np.float32(period) * (0.3 + 0.12 * dice)
    rim = size * (0.68 + 0.32 * np.cos(petals * angle))
    colours = blend(dyes[0], dyes[1], edge(rim - radius, cloth.step))
    return blend(colours, dyes[2], edge(size * 0.28 - radius, cloth.step))


def leaves(cloth: Cloth, pattern: Pattern, dyes: Field) -> Field:
    """Pointed leaves with a midrib."""
    period = 0.12 + 0.14 * pattern.scale
    x, y, dice = scatter(cloth, period, pattern.variant + 20)
    length = np.float32(period * 0.48)
    width = np.float32(period * 0.2) * (1 - (x / length) ** 2)
    inside = edge(width - np.abs(y), cloth.step)
    tone = blend(dyes[1], dyes[2], (dice > 0.6).astype(np.float32))
    colours = dyes[0] + (tone - dyes[0]) * inside[..., None]
    rib = edge(np.float32(period * 0.025) - np.abs(y), cloth.step) * inside
    return blend(colours, dyes[0], 0.7 * rib)


def leopard(cloth: Cloth, pattern: Pattern, dyes: Field) -> Field:
    """Broken rings with a darker heart."""
    period = 0.08 + 0.09 * pattern.scale
    x, y, dice = scatter(cloth, period, pattern.variant + 40)
    radius, angle = np.hypot(x, 1.25 * y), np.arctan2(y, x)
    size = np.float32(period) * (0.26 + 0.16 * dice)
    inner = edge(size * 0.75 - radius, cloth.step)
    gap = (np.cos(2 * angle) < 0.72).astype(np.float32)
    ring = edge(size * 0.3 - np.abs(radius - size * 0.85), cloth.step) * gap
    colours = blend(dyes[0], dyes[0] * 0.68, inner)
    return blend(colours, np.minimum(dyes[1], dyes[0] * 0.6) * 0.5, ring)


def stars(cloth: Cloth, pattern: Pattern, dyes: Field) -> Field:
    """Small five-pointed stars."""
    period = 0.1 + 0.12 * pattern.scale
    x, y, _ = scatter(cloth, period, pattern.variant + 60)
    inside = edge(star_distance(x, y, period * 0.32), cloth.step)
    return blend(dyes[0], dyes[1], inside)


def star_distance(x: Field, y: Field, size: float) -> Field:
    """Positive inside a five-pointed star of that outer radius."""
    angle = np.arctan2(x, -y)
    sector = np.abs(np.mod(angle + np.pi / 5, 2 * np.pi / 5) - np.pi / 5)
    radius = np.hypot(x, y)
    inside: Field = (size * 0.42 - radius * np.cos(sector - 0.99) * 0.75).astype(np.float32)
    return inside


def disc(x: Field, y: Field, step: float) -> Field:
    """A ring with a dot."""
    radius = np.hypot(x, y)
    return np.maximum(edge(0.03 - np.abs(radius - 0.12), step), edge(0.045 - radius, step))


def star(x: Field, y: Field, step: float) -> Field:
    """One large star."""
    return edge(star_distance(x, y, 0.19), step)


def heart(x: Field, y: Field, step: float) -> Field:
    """A heart."""
    px, py = x / 0.13, -y / 0.13
    value = 1 - px**2 - (py - 0.62 * np.sqrt(np.abs(px))) ** 2
    return edge(value * 0.06, step)


def mountain(x: Field, y: Field, step: float) -> Field:
    """Two peaks under a sun."""
    ground = edge(0.1 - y, step)
    peaks = np.maximum(
        edge(y - 0.03 - 1.1 * np.abs(x + 0.05) + 0.12, step),
        edge(y - 0.06 - 1.2 * np.abs(x - 0.08) + 0.09, step),
    )
    sun = edge(0.035 - np.hypot(x - 0.08, y + 0.1), step)
    return np.maximum(peaks * ground, sun)


def sunset(x: Field, y: Field, step: float) -> Field:
    """A sun cut by stripes that widen downwards."""
    sun = edge(0.14 - np.hypot(x, y), step)
    gap = edge(np.sin(np.maximum(y, 0) * 110) * 0.01 + 0.012 - 0.14 * np.maximum(y, 0), step)
    return sun * np.where(y > 0, gap, 1).astype(np.float32)


def smile(x: Field, y: Field, step: float) -> Field:
    """A smiling face cut out of a disc."""
    face = edge(0.14 - np.hypot(x, y), step)
    eyes = np.maximum(
        edge(0.022 - np.hypot(x - 0.05, (y + 0.035) * 0.7), step),
        edge(0.022 - np.hypot(x + 0.05, (y + 0.035) * 0.7), step),
    )
    mouth = edge(0.013 - np.abs(np.hypot(x, y) - 0.085), step) * edge(y - 0.025, step)
    cut_out: Field = face * (1 - np.maximum(eyes, mouth))
    return cut_out


def bolt(x: Field, y: Field, step: float) -> Field:
    """A flash of lightning."""
    upper = (
        edge(0.045 - np.abs(x + 0.35 * y - 0.005), step)
        * edge(0.015 - y, step)
        * edge(y + 0.17, step)
    )
    lower = edge(0.05 - 0.3 * (y + 0.02) - np.abs(x + 0.38 * y + 0.02), step)
    return np.maximum(upper, lower * edge(y + 0.02, step) * edge(0.16 - y, step))


def lettering(x: Field, y: Field, step: float) -> Field:
    """Two lines of blocks, as a word and its subtitle look from afar."""
    letter = np.mod(x + 0.5, 0.062)
    big = edge(0.024 - np.abs(letter - 0.031), step) * edge(0.045 - np.abs(y + 0.03), step)
    hole = edge(0.009 - np.abs(letter - 0.031), step) * edge(0.02 - np.abs(y + 0.03), step)
    small = edge(0.012 - np.abs(np.mod(x + 0.5, 0.034) - 0.017), step) * edge(
        0.013 - np.abs(y - 0.055), step
    )
    return np.maximum(big - hole, small) * edge(0.155 - np.abs(x), step)


MOTIFS: tuple[Callable[[Field, Field, float], Field], ...] = (
    disc,
    star,
    heart,
    mountain,
    sunset,
    smile,
    bolt,
    lettering,
)


def motif(cloth: Cloth, pattern: Pattern, dyes: Field) -> Field:
    """One figure on the chest."""
    size = 0.62 + 0.7 * pattern.scale
    x, y = cloth.u / np.float32(size), (cloth.v + np.float32(0.24)) / np.float32(size)
    figure = MOTIFS[pattern.variant](x, y, cloth.step / size)
    return blend(dyes[0], dyes[1], figure.astype(np.float32))


PRINTED: dict[str, Weaver] = {
    "dots": dots,
    "floral": floral,
    "leaves": leaves,
    "leopard": leopard,
    "stars": stars,
    "motif": motif,
}
PATTERNS: dict[str, Weaver] = WOVEN | PRINTED


def colour_cloth(cloth: Cloth, pattern: Pattern, colours: tuple[RGB, RGB, RGB]) -> Field:
    """The colours (H, W, 3), 0..255, of cloth with that pattern in those dyes."""
    return PATTERNS[pattern.kind](cloth, pattern, dyes_of(colours)).astype(np.float32)
