"""Surfaces behind an item: plain, graded, wood, tiles, brick, stone, cloth, carpet, wallpaper."""

from collections.abc import Callable

import numpy as np
from PIL import Image

from indexer.sample.clutter import CLUTTER
from indexer.sample.patterns import Cloth, Field, Pattern, blend, edge
from indexer.sample.prints import colour_cloth
from indexer.sample.scene import Background

Painter = Callable[[int, Field, np.random.Generator], Field]


def draw_backdrop(background: Background, size: int) -> Field:
    """Paint a background: (size, size, 3) float32 in 0..255."""
    rng = np.random.default_rng(background.seed)
    dyes = np.asarray(background.colours, np.float32)
    paint = SURFACES.get(background.kind) or CLUTTER[background.kind]
    picture = paint(size, dyes, rng)
    return np.clip(picture * vignette(size, rng)[..., None], 0, 255).astype(np.float32)


def places(size: int) -> tuple[Field, Field]:
    """Coordinates x (1, size) and y (size, 1) in 0..1."""
    line = (np.arange(size, dtype=np.float32) + 0.5) / size
    return line[None, :], line[:, None]


def vignette(size: int, rng: np.random.Generator) -> Field:
    """The light's falling off across the picture."""
    x, y = places(size)
    cx, cy, slope = rng.uniform(0.2, 0.8), rng.uniform(0.1, 0.6), rng.uniform(0.05, 0.3)
    light: Field = (1.0 - slope * ((x - cx) ** 2 + (y - cy) ** 2)).astype(np.float32)
    return light


def noise(rng: np.random.Generator, size: int, across: int, down: int) -> Field:
    """Smooth noise of unit variance with that many cells across and down."""
    cells = rng.standard_normal((down + 1, across + 1)).astype(np.float32)
    image = Image.fromarray(cells).resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(image, np.float32)


def speckle(rng: np.random.Generator, size: int, amount: float) -> Field:
    """Fine grain (size, size, 1)."""
    grain: Field = rng.standard_normal((size, size, 1), np.float32) * np.float32(amount)
    return grain


def sheet(size: int, colour: Field) -> Field:
    """One colour (3,) all over."""
    return np.broadcast_to(colour, (size, size, 3)).astype(np.float32)


def calm(dye: Field, amount: float = 0.35) -> Field:
    """A wall colour: the dye with grey in it."""
    grey = dye.mean() * 0.5 + 100
    muted: Field = (dye + (grey - dye) * amount).astype(np.float32)
    return muted


def paint_plain(size: int, dyes: Field, rng: np.random.Generator) -> Field:
    """A wall, often a light one."""
    colour = (
        calm(dyes[0])
        if rng.random() < 0.6
        else np.float32(255 - rng.uniform(5, 45)) + np.zeros(3, np.float32)
    )
    return sheet(size, colour) + speckle(rng, size, 1.2)


def paint_gradient(size: int, dyes: Field, rng: np.random.Generator) -> Field:
    """One colour running into another, across or from a middle."""
    x, y = places(size)
    if rng.random() < 0.5:
        turn = rng.uniform(0, 2 * np.pi)
        part = 0.5 + (x - 0.5) * np.cos(turn) + (y - 0.5) * np.sin(turn)
    else:
        part = 1.3 * np.hypot(x - rng.uniform(0.3, 0.7), y - rng.uniform(0.2, 0.7))
    return blend(calm(dyes[0]), calm(dyes[1]), np.clip(part, 0, 1).astype(np.float32))


def paint_wood(size: int, _: Field, rng: np.random.Generator) -> Field:
    """Boards with grain, lying or standing."""
    tones = ((176, 128, 84), (206, 170, 124), (122, 84, 58), (226, 208, 182), (148, 140, 132))
    tone = np.asarray(tones[int(rng.integers(len(tones)))], np.float32)
    boards = int(rng.integers(4, 9))
    x, y = places(size)
    row = np.floor(y * boards)
    shade = rng.normal(0, 0.07, boards).astype(np.float32)[row.astype(int)]
    grain = noise(rng, size, 5, 90) * 0.05 + noise(rng, size, 3, 24) * 0.06
    rings = np.sin((y * boards * 9 + 1.6 * noise(rng, size, 3, boards * 2)) * 2) * 0.03
    gap = np.minimum(y * boards - row, 1 - (y * boards - row)) / boards * size
    ends = np.abs(np.mod(x * 1.6 + row * 0.37 + rng.random(), 1.0) - 0.5) * size
    dark = np.minimum(np.clip(gap / 1.3, 0, 1), np.clip(ends / 1.2, 0, 1))
    light = (1 + shade + grain + rings) * (0.55 + 0.45 * dark)
    picture: Field = (tone * light[..., None]).astype(np.float32)
    return picture if rng.random() < 0.5 else np.ascontiguousarray(picture.transpose(1, 0, 2))


def paint_tiles(size: int, dyes: Field, rng: np.random.Generator) -> Field:
    """Square tiles with grout, one-coloured or as a chessboard."""
    count = rng.uniform(4, 9)
    x, y = places(size)
    shift = rng.random(2)
    across, down = x * count + np.float32(shift[0]), y * count + np.float32(shift[1])
    column, row = np.floor(across).astype(int), np.floor(down).astype(int)
    tone = rng.normal(0, 0.04, (12, 12)).astype(np.float32)[row, column]
    chess = ((row + column) % 2) * (1.0 if rng.random() < 0.5 else 0.0)
    base = blend(
        calm(dyes[0], 0.6),
        calm(dyes[1], 0.6),
        np.broadcast_to(chess, (size, size)).astype(np.float32),
    )
    rim = np.minimum(*(np.minimum(p - np.floor(p), np.ceil(p) - p) for p in (across, down)))
    grout = edge((rim / np.float32(count) - np.float32(0.006)).astype(np.float32), 1.5 / size)
    shine = 1 + 0.08 * (across - column - (down - row))
    return blend(calm(dyes[2], 0.8), base * ((1 + tone) * shine)[..., None], grout)


def paint_brick(size: int, _: Field, rng: np.random.Generator) -> Field:
    """Bricks in mortar, bare or painted."""
    tones = ((164, 84, 66), (188, 118, 88), (222, 216, 206), (120, 112, 108))
    tone = np.asarray(tones[int(rng.integers(len(tones)))], np.float32)
    rows = rng.uniform(8, 15)
    x, y = places(size)
    down = y * np.float32(rows)
    row = np.floor(down)
    across = x * np.float32(rows / 2.4) + 0.5 * (row % 2)
    column = np.floor(across)
    shades = rng.normal(0, 0.1, (17, 17)).astype(np.float32)[row.astype(int), column.astype(int)]
    rim = np.minimum(
        np.minimum(across - column, column + 1 - across) * 2.4,
        np.minimum(down - row, row + 1 - down),
    )
    brick = edge(((rim - 0.08) / np.float32(rows)).astype(np.float32), 1.4 / size)
    light = 1 + shades + 0.05 * noise(rng, size, 60, 60)
    mortar = np.asarray((196, 190, 180), np.float32) * np.float32(tone.mean() / 255 * 0.5 + 0.6)
    return blend(mortar, tone * light[..., None], brick)


def paint_marble(size: int, dyes: Field, rng: np.random.Generator) -> Field:
    """Stone with veins."""
    x, y = places(size)
    warp = noise(rng, size, 4, 4) + 0.5 * noise(rng, size, 9, 9)
    veins = np.abs(np.sin((x * rng.uniform(2, 5) + y * rng.uniform(2, 5) + warp * 0.35) * np.pi))
    fade = (0.5 + 0.6 * noise(rng, size, 5, 5)).clip(0, 1)
    part = np.clip(1 - veins * 5, 0, 1) * 0.6 * fade + 0.12 * noise(rng, size, 6, 6).clip(-1, 1)
    ground = np.asarray((236, 234, 230), np.float32) if rng.random() < 0.6 else calm(dyes[0], 0.7)
    return blend(ground, ground * 0.5, np.clip(part, -0.1, 0.8).astype(np.float32))


def paint_concrete(size: int, dyes: Field, rng: np.random.Generator) -> Field:
    """Rough plaster or asphalt."""
    tone = calm(dyes[0], 0.9)
    light = (
        1
        + 0.05 * noise(rng, size, 5, 5)
        + 0.04 * noise(rng, size, 20, 20)
        + 0.03 * noise(rng, size, 80, 80)
    )
    rough: Field = tone * light[..., None] + speckle(rng, size, 4)
    return rough


def paint_fabric(size: int, dyes: Field, rng: np.random.Generator) -> Field:
    """A rumpled bed sheet or blanket, plain or patterned."""
    warp = noise(rng, size, 4, 4)
    creases = np.abs(noise(rng, size, 5, 5) + 0.4 * warp)  # sharp where it crosses zero
    height = 2.2 * np.sqrt(creases + 0.02) + 0.5 * noise(rng, size, 9, 9)
    light = np.zeros((size, size), np.float32)
    light[1:, 1:] = (height[1:, 1:] - height[:-1, :-1]) * np.float32(size / 256 * 1.4)
    x, y = places(size)
    kind = str(rng.choice(["plain", "stripes", "checks", "floral", "dots"]))
    pattern = Pattern(kind, float(rng.random()), int(rng.integers(4)), int(rng.integers(8)))
    ripple = np.float32(0.03) * height
    cloth = Cloth(
        (x * 2 + ripple).astype(np.float32), (y * 2 + ripple).astype(np.float32), 2 / size
    )
    first, second, third = (tuple(int(v) for v in calm(dye)) for dye in dyes)
    colours = colour_cloth(
        cloth,
        pattern,
        (
            (first[0], first[1], first[2]),
            (second[0], second[1], second[2]),
            (third[0], third[1], third[2]),
        ),
    )
    return colours * (1 + np.clip(light, -0.2, 0.15))[..., None] + speckle(rng, size, 2)


def paint_carpet(size: int, dyes: Field, rng: np.random.Generator) -> Field:
    """Pile, plain or with ornamental bands."""
    x, y = places(size)
    ground = np.broadcast_to(calm(dyes[0], 0.2), (size, size, 3)).astype(np.float32)
    if rng.random() < 0.7:
        tooth = np.abs(np.mod(x * 10, 1) - 0.5) * 0.08
        rows = np.mod(y * rng.uniform(2, 4) + tooth, 1)
        ground = blend(ground, calm(dyes[1], 0.2), edge(0.13 - np.abs(rows - 0.3), 2 / size))
        diamond = np.abs(np.mod(x * 5, 1) - 0.5) + np.abs(rows - 0.72) * 1.8
        ground = blend(ground, calm(dyes[2], 0.2), edge(0.28 - diamond, 6 / size))
    return ground * (1 + 0.05 * noise(rng, size, 40, 40))[..., None] + speckle(rng, size, 13)


def paint_wallpaper(size: int, dyes: Field, rng: np.random.Generator) -> Field:
    """Printed paper: the same figures as on clothes, paler."""
    kind = str(rng.choice(["stripes", "floral", "leaves", "dots", "argyle", "zigzag", "stars"]))
    pattern = Pattern(
        kind, float(rng.uniform(0.3, 1)), int(rng.choice([0, 2])), int(rng.integers(8))
    )
    x, y = places(size)
    zero = np.zeros((size, size), np.float32)
    cloth = Cloth(x * 2 + zero, y * 2 + zero, 2 / size)
    pale = calm(dyes[0], 0.3)
    ground = (int(pale[0]), int(pale[1]), int(pale[2]))
    others = [pale + (calm(dye, 0.3) - pale) * 0.45 for dye in dyes[1:]]
    second, third = ((int(c[0]), int(c[1]), int(c[2])) for c in others)
    return colour_cloth(cloth, pattern, (ground, second, third)) + speckle(rng, size, 1.5)


SURFACES: dict[str, Painter] = {
    "plain": paint_plain,
    "gradient": paint_gradient,
    "wood": paint_wood,
    "tiles": paint_tiles,
    "brick": paint_brick,
    "marble": paint_marble,
    "concrete": paint_concrete,
    "fabric": paint_fabric,
    "carpet": paint_carpet,
    "wallpaper": paint_wallpaper,
}
