"""Colours with the names that a shop would give them, and choices of them that go together."""

from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple

import numpy as np

RGB = tuple[int, int, int]


class Colour(NamedTuple):
    """A colour of an item: its name in the catalogue and its exact value."""

    name: str
    rgb: RGB


COLOURS: dict[str, RGB] = {
    "black": (32, 32, 36),
    "charcoal": (70, 72, 78),
    "grey": (140, 142, 146),
    "silver": (196, 198, 202),
    "white": (243, 242, 238),
    "cream": (238, 226, 200),
    "beige": (212, 190, 158),
    "camel": (188, 142, 92),
    "brown": (110, 72, 48),
    "burgundy": (120, 30, 48),
    "red": (202, 44, 48),
    "coral": (240, 120, 100),
    "orange": (232, 126, 44),
    "mustard": (214, 166, 48),
    "yellow": (246, 214, 84),
    "olive": (112, 112, 62),
    "green": (62, 146, 86),
    "forest": (34, 84, 60),
    "mint": (164, 216, 190),
    "teal": (24, 116, 124),
    "turquoise": (72, 184, 192),
    "sky": (150, 196, 232),
    "blue": (50, 104, 190),
    "denim": (74, 104, 146),
    "navy": (30, 42, 84),
    "purple": (104, 64, 142),
    "lilac": (188, 168, 218),
    "pink": (240, 176, 192),
    "magenta": (200, 52, 124),
}
NEUTRALS = ("black", "charcoal", "grey", "silver", "white", "cream", "beige", "navy")
LEATHERS = (
    "black",
    "brown",
    "camel",
    "beige",
    "burgundy",
    "navy",
    "white",
    "cream",
    "red",
    "olive",
)
SKINS: tuple[RGB, ...] = (
    (250, 222, 200),
    (240, 200, 170),
    (224, 176, 140),
    (196, 142, 104),
    (160, 108, 76),
    (118, 78, 56),
    (82, 54, 42),
)
HAIRS: tuple[RGB, ...] = (
    (34, 28, 28),
    (62, 42, 32),
    (104, 68, 42),
    (160, 110, 60),
    (214, 178, 112),
    (150, 66, 40),
    (150, 148, 148),
)


def draw_scheme(rng: np.random.Generator, pool: Sequence[str]) -> tuple[Colour, Colour, Colour]:
    """A main colour out of ``pool`` and two that stand out from it: the second and the accent."""
    main = str(rng.choice(pool))
    candidates = [name for name in COLOURS if contrast(COLOURS[name], COLOURS[main]) > 95]
    neutral = [name for name in candidates if name in NEUTRALS] or candidates
    second = str(rng.choice(neutral if rng.random() < 0.55 else candidates))
    rest = [name for name in candidates if contrast(COLOURS[name], COLOURS[second]) > 80]
    accent = str(rng.choice(rest or candidates))
    first, other, third = (
        Colour(name, vary(rng, COLOURS[name])) for name in (main, second, accent)
    )
    return first, other, third


def contrast(one: RGB, other: RGB) -> float:
    """Distance of two colours, 0 to 765, with green counting most as it does for the eye."""
    red, green, blue = (float(a - b) for a, b in zip(one, other, strict=True))
    return sqrt(2 * red**2 + 4 * green**2 + 3 * blue**2)


def vary(rng: np.random.Generator, rgb: RGB, amount: float = 7.0) -> RGB:
    """A dye lot: the colour a little lighter or darker, warmer or cooler."""
    moved = np.asarray(rgb) + rng.normal(0, amount * 0.6) + rng.normal(0, amount * 0.5, 3)
    red, green, blue = (int(value) for value in moved.clip(8, 250).round())
    return red, green, blue


def mix(one: RGB, other: RGB, part: float) -> RGB:
    """``one`` with ``part`` (0 to 1) of ``other``."""
    red, green, blue = (round(a + (b - a) * part) for a, b in zip(one, other, strict=True))
    return red, green, blue


def darker(rgb: RGB, part: float = 0.35) -> RGB:
    """The colour in shade."""
    return mix(rgb, (14, 12, 22), part)


def contour(rgb: RGB, part: float = 0.7) -> RGB:
    """A line's colour that can be seen on cloth of that colour: darker, on dark cloth lighter."""
    return darker(rgb, part) if sum(rgb) > 170 else lighter(rgb, 0.45 * part)


def lighter(rgb: RGB, part: float = 0.35) -> RGB:
    """The colour in light."""
    return mix(rgb, (255, 253, 248), part)
