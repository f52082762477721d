"""The identity of sample items: drawn by seed and number, on a grid, never twice."""

from dataclasses import replace

import pytest

from indexer.sample import KINDS, draw_item, draw_items
from indexer.sample.palette import COLOURS, Colour
from indexer.sample.patterns import Pattern
from indexer.sample.prints import PATTERNS

ITEMS = draw_items(0, 2400)


def test_no_two_items_of_a_catalogue_look_alike():
    assert len({item.look for item in ITEMS}) == 2400
    assert len({item.id for item in ITEMS}) == 2400
    assert [item.number for item in ITEMS] == list(range(2400))


def test_a_longer_catalogue_begins_with_the_shorter_one():
    assert draw_items(0, 100) == ITEMS[:100]
    assert draw_items(0, 0) == []


def test_another_seed_gives_other_items():
    assert not {item.look for item in draw_items(1, 100)} & {item.look for item in ITEMS[:100]}


def test_every_kind_is_there_equally_often():
    counts = {name: sum(item.kind == name for item in ITEMS) for name in KINDS}
    assert len(counts) >= 14
    assert set(counts.values()) == {2400 // len(KINDS)}


def test_items_stay_within_their_kind():
    for item in ITEMS:
        kind, cut = KINDS[item.kind], item.cut
        assert cut.neckline in kind.necklines
        assert cut.closure in kind.closures
        assert cut.pocket in kind.pockets
        assert cut.sleeve in (*kind.sleeves, 0.0)
        assert (cut.length, cut.fit, cut.flare) == pytest.approx(
            (cut.length, cut.fit, cut.flare), abs=0
        )
        assert cut.length in kind.lengths
        assert cut.fit in kind.fits
        assert cut.flare in kind.flares
        assert cut.trim in kind.trims
        assert item.pattern.kind in kind.patterns
        assert item.colours[0].name in kind.pool
        assert kind.price[0] - 1 < item.price < kind.price[1]


@pytest.mark.parametrize("name", KINDS)
def test_the_table_of_kinds_names_only_what_exists(name):
    kind = KINDS[name]
    assert set(kind.pool) <= set(COLOURS)
    assert set(kind.patterns) <= set(PATTERNS)
    for levels in (kind.lengths, kind.fits, kind.flares, kind.sleeves):
        assert all(0 <= level <= 1 for level in levels)


def test_every_pattern_occurs():
    assert {item.pattern.kind for item in ITEMS} == set(PATTERNS)


def test_what_cannot_be_seen_does_not_make_a_look():
    plain = replace(
        draw_item(0, 0),
        pattern=Pattern("plain", 0.0),
        colours=(
            Colour("red", (200, 0, 0)),
            Colour("white", (255, 255, 255)),
            Colour("blue", (0, 0, 200)),
        ),
    )
    untrimmed = replace(plain, cut=replace(plain.cut, trim=False))
    other = (plain.colours[0], Colour("green", (0, 200, 0)), plain.colours[2])
    assert replace(untrimmed, colours=other).look == untrimmed.look
    trimmed = replace(plain, cut=replace(plain.cut, trim=True))
    assert replace(trimmed, colours=other).look != trimmed.look
    # A dye lot a shade apart is the same look; so is another price.
    shade = (Colour("red", (196, 4, 2)), *plain.colours[1:])
    assert replace(plain, colours=shade, price=1.99).look == plain.look


def test_a_negative_count_is_refused():
    with pytest.raises(ValueError, match="not -1"):
        draw_items(0, -1)
