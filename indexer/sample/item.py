"""What an item is: everything about it that stays the same from photo to photo.

Cuts and patterns are drawn on a coarse grid, so two items that differ do so visibly, and no two
items of a catalogue have the same look.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from indexer.sample.kinds import KINDS, LEVELS, Kind
from indexer.sample.palette import Colour, draw_scheme
from indexer.sample.patterns import Pattern

ATTEMPTS = 200
THREE_COLOURED = ("tartan", "argyle", "nordic", "camouflage", "floral", "leaves", "tiedye")
ONE_COLOURED = ("plain", "knit", "denim")
TURNS = {"stripes": (0, 1, 2, 3), "zigzag": (0, 2)}
VARIANTS = {"stripes": 8, "camouflage": 8, "blocks": 4, "ombre": 8, "tiedye": 3, "knit": 2,
            "dots": 4, "floral": 3, "motif": 8}  # fmt: skip
"""How many forms a pattern has, 1 if it is not named here."""
ITEM_STREAM = 1


@dataclass(frozen=True, slots=True)
class Cut:
    """How an item is cut; the meaning of each field is its kind's (see ``indexer.sample.kinds``).

    Numbers are levels from 0 to 1.
    """

    length: float
    fit: float
    sleeve: float
    flare: float
    neckline: str
    closure: str
    pocket: str
    trim: bool


@dataclass(frozen=True, slots=True)
class Item:
    """The identity of an item.

    Attributes:
        id: Kind and number, as in ``tshirt-00017``.
        number: Place in the catalogue, from 0.
        kind: A key of ``KINDS``.
        cut: Its shape.
        colours: Main colour, second colour, accent.
        pattern: What is woven into it or printed on it.
        price: In whole units of currency less a cent, as shops like it.
    """

    id: str
    number: int
    kind: str
    cut: Cut
    colours: tuple[Colour, Colour, Colour]
    pattern: Pattern
    price: float

    @property
    def look(self) -> tuple[object, ...]:
        """What can be seen of it: two items of one catalogue never agree in this."""
        main, second, accent = (colour.name for colour in self.colours)
        shown = [main]
        if self.cut.trim or self.pattern.kind not in ONE_COLOURED:
            shown.append(second)
        if self.pattern.kind in THREE_COLOURED:
            shown.append(accent)
        return (self.kind, self.cut, tuple(shown), self.pattern)


def draw_item(seed: int, number: int, attempt: int = 0) -> Item:
    """Item ``number`` of catalogue ``seed``, independent of all others."""
    rng = np.random.default_rng((ITEM_STREAM, seed, number, attempt))
    # The kinds take turns, so a small catalogue has all of them too.
    name = tuple(KINDS)[number % len(KINDS)]
    kind = KINDS[name]
    low, high = kind.price
    return Item(
        id=f"{name}-{number:05d}",
        number=number,
        kind=name,
        cut=draw_cut(rng, kind),
        colours=draw_scheme(rng, kind.pool),
        pattern=draw_pattern(rng, kind),
        price=int(rng.integers(low, high + 1)) - 0.01,
    )


def draw_cut(rng: np.random.Generator, kind: Kind) -> Cut:
    """A cut out of what the kind allows, with only those settings that can be seen."""
    cut = Cut(
        length=float(rng.choice(kind.lengths)),
        fit=float(rng.choice(kind.fits)),
        sleeve=float(rng.choice(kind.sleeves)),
        flare=float(rng.choice(kind.flares)),
        neckline=str(rng.choice(kind.necklines)),
        closure=str(rng.choice(kind.closures)),
        pocket=str(rng.choice(kind.pockets)),
        trim=bool(rng.choice(kind.trims)),
    )
    if cut.neckline in ("chelsea", "wellington", "slipon"):  # are pulled on
        return replace(cut, closure=kind.closures[0])
    if cut.neckline == "flap":  # hides the pocket
        return replace(cut, pocket=kind.pockets[0])
    if cut.neckline == "strap":
        return replace(cut, sleeve=0.0)
    if kind.family == "scarf" and cut.closure != "fringe":  # only fringes have the second colour
        return replace(cut, trim=False)
    return cut


def draw_pattern(rng: np.random.Generator, kind: Kind) -> Pattern:
    """A pattern out of what the kind allows, with only those settings that can be seen."""
    name = str(rng.choice(kind.patterns))
    scale, angle = float(rng.choice(LEVELS)), int(rng.choice(TURNS.get(name, (0,))))
    variant = int(rng.integers(VARIANTS.get(name, 1)))
    return Pattern(name, 0.0) if name == "plain" else Pattern(name, scale, angle, variant)


def draw_items(seed: int, count: int) -> list[Item]:
    """The first ``count`` items of catalogue ``seed``; a longer list begins with a shorter one.

    Raises:
        ValueError: ``count`` is negative, or so large that the looks run out.
    """
    if count < 0:
        raise ValueError(f"A catalogue has 0 or more items, not {count}.")
    return list(islice(distinct_items(seed), count))


def distinct_items(seed: int) -> Iterator[Item]:
    """Items 0, 1, 2 ... of a catalogue; one that looks like an earlier one is drawn again."""
    seen: set[tuple[object, ...]] = set()
    number = 0
    while True:
        for attempt in range(ATTEMPTS):
            item = draw_item(seed, number, attempt)
            if item.look not in seen:
                break
        else:
            raise ValueError(
                f"No look is left for item {number} after {ATTEMPTS} attempts: ask for fewer items."
            )
        seen.add(item.look)
        yield item
        number += 1
