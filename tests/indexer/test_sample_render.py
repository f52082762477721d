"""Photos of sample items: determinism, one factor at a time, and that what differs can be seen."""

from dataclasses import fields, replace
from itertools import cycle, islice, pairwise

import numpy as np
import pytest

from indexer.sample import (
    KINDS,
    Background,
    change_background,
    change_camera,
    change_wearer,
    draw_items,
    draw_scene,
    nudge_camera,
    render,
)
from indexer.sample.backgrounds import draw_backdrop
from indexer.sample.palette import COLOURS, Colour
from indexer.sample.patterns import Pattern
from indexer.sample.scene import BACKGROUNDS, HAIR_STYLES, WEARERS, draw_background, draw_wearer

FIRST = {item.kind: item for item in draw_items(0, len(KINDS))}
STUDIO = Background("plain", ((230, 230, 230),) * 3, 1)


def pixels(item, scene, size=96):
    image, mask = render(item, scene, size)
    return np.asarray(image, np.int16), np.asarray(mask)


def with_wearer(scene, kind, seed=0):
    rng = np.random.default_rng(seed)
    wearer = draw_wearer(rng)
    while wearer.kind != kind:
        wearer = draw_wearer(rng)
    return replace(scene, wearer=wearer)


def steady(scene):
    """The scene without noise and blur, before a plain wall."""
    return replace(scene, background=STUDIO, camera=replace(scene.camera, noise=0.0, blur=0.0))


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_item_and_scene_give_the_same_pixels(kind):
    item = FIRST[kind]
    scene = draw_scene(0, item.number)
    one, again = render(item, scene, 96), render(item, scene, 96)
    assert one.image.mode == "RGB"
    assert one.mask.mode == "L"
    assert one.image.size == one.mask.size == (96, 96)
    assert one.image.tobytes() == again.image.tobytes()
    assert one.mask.tobytes() == again.mask.tobytes()


@pytest.mark.parametrize("wearer", WEARERS)
@pytest.mark.parametrize("kind", KINDS)
def test_another_background_leaves_the_item_as_it_is(kind, wearer):
    item = FIRST[kind]
    scene = with_wearer(draw_scene(0, item.number), wearer)
    # A blur would mix the item's rim with what is behind it.
    scene = replace(scene, camera=replace(scene.camera, blur=0.0))
    other = change_background(scene, np.random.default_rng(5))
    (image, mask), (changed, same_mask) = pixels(item, scene), pixels(item, other)
    np.testing.assert_array_equal(mask, same_mask)
    np.testing.assert_array_equal(image[mask == 255], changed[mask == 255])
    assert np.abs(image[mask == 0] - changed[mask == 0]).mean() > 3
    assert 0.03 < (mask == 255).mean() < 0.75


def test_one_change_changes_one_factor():
    rng = np.random.default_rng(0)
    for number in range(60):
        scene = draw_scene(0, number)
        for change, name in (
            (change_background, "background"),
            (change_wearer, "wearer"),
            (change_camera, "camera"),
            (nudge_camera, "camera"),
        ):
            changed = change(scene, rng)
            differing = {
                f.name for f in fields(scene) if getattr(scene, f.name) != getattr(changed, f.name)
            }
            assert differing == {name}
        assert change_background(scene, rng).background.kind != scene.background.kind
        assert change_wearer(scene, rng).wearer.kind != scene.wearer.kind


def test_scenes_are_drawn_by_seed_number_and_photo():
    assert draw_scene(3, 4, 5) == draw_scene(3, 4, 5)
    assert len({draw_scene(*place) for place in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))}) == 4


def test_background_and_wearer_vary_independently():
    scenes = [draw_scene(0, number) for number in range(1500)]
    pairs = {(scene.background.kind, scene.wearer.kind) for scene in scenes}
    assert len(pairs) == len(BACKGROUNDS) * len(WEARERS)
    for wearer in WEARERS:
        share = np.mean([scene.wearer.kind == wearer for scene in scenes])
        assert 0.2 < share < 0.3


@pytest.mark.parametrize("kind", ["tanktop", "handbag", "scarf"])
def test_a_wearers_skin_is_not_part_of_the_item(kind):
    item = FIRST[kind]
    scene = steady(with_wearer(draw_scene(0, 1), "person"))
    pale = replace(scene, wearer=replace(scene.wearer, skin=(250, 222, 200)))
    dark = replace(scene, wearer=replace(scene.wearer, skin=(82, 54, 42)))
    (one, mask), (other, same) = pixels(item, pale, 128), pixels(item, dark, 128)
    np.testing.assert_array_equal(mask, same)
    np.testing.assert_array_equal(one[mask == 255], other[mask == 255])
    assert (np.abs(one - other).max(axis=2) > 40).mean() > 0.001


@pytest.mark.parametrize("kind", ["tshirt", "trousers", "handbag", "scarf", "boot"])
def test_the_item_keeps_its_colour_on_every_wearer(kind):
    item = replace(FIRST[kind], pattern=Pattern("plain", 0.0))
    means = []
    for wearer in WEARERS:
        image, mask = pixels(item, steady(with_wearer(draw_scene(0, 3), wearer)), 96)
        means.append(image[mask == 255].mean(axis=0))
    assert np.ptp(means, axis=0).max() < 30


@pytest.mark.parametrize("kind", KINDS)
def test_every_choice_of_a_kind_can_be_drawn_on_every_wearer(kind):
    table, item = KINDS[kind], FIRST[kind]
    columns = (table.necklines, table.closures, table.pockets, table.patterns, table.sleeves,
               table.lengths, table.fits, table.flares, table.trims, WEARERS)  # fmt: skip
    count = max(8, *(len(column) for column in columns))
    rows = zip(*(islice(cycle(column), count) for column in columns), strict=True)
    for number, (
        neck,
        closure,
        pocket,
        pattern,
        sleeve,
        length,
        fit,
        flare,
        trim,
        wearer,
    ) in enumerate(rows):
        cut = replace(item.cut, neckline=neck, closure=closure, pocket=pocket, sleeve=sleeve,
                      length=length, fit=fit, flare=flare, trim=trim)  # fmt: skip
        made = replace(item, cut=cut, pattern=Pattern(pattern, 0.5, 0, number % 8))
        scene = steady(with_wearer(draw_scene(1, number), wearer, number))
        _, mask = pixels(made, scene, 48)
        assert 0.02 < (mask > 0).mean() < 0.8


def difference(one, other, scene):
    """The part of the pixels that differ clearly."""
    return (
        np.abs(pixels(one, scene, 128)[0] - pixels(other, scene, 128)[0]).max(axis=2) > 12
    ).mean()


@pytest.mark.parametrize("main", ["black", "white"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_choice_of_a_kind_can_be_seen(kind, main):
    table = KINDS[kind]
    colours = tuple(Colour(name, COLOURS[name]) for name in (main, "teal", "mustard"))
    item = replace(FIRST[kind], pattern=Pattern("plain", 0.0), colours=colours)
    base = replace(item.cut, neckline=table.necklines[0], closure=table.closures[0],
                   pocket=table.pockets[0], trim=table.trims[0])  # fmt: skip
    item = replace(item, cut=base)
    scene = steady(with_wearer(draw_scene(0, 0), "flat"))
    for name, choices in (
        ("neckline", table.necklines), ("closure", table.closures), ("pocket", table.pockets),
        ("length", table.lengths), ("fit", table.fits), ("flare", table.flares),
        ("sleeve", table.sleeves), ("trim", table.trims),
    ):  # fmt: skip
        distinct = list(dict.fromkeys(choices))
        for first, second in pairwise(distinct):
            if kind == "scarf" and name == "trim":
                continue  # shows on fringes only, which is why other scarves have none
            one = replace(item, cut=replace(base, **{name: first}))
            other = replace(item, cut=replace(base, **{name: second}))
            assert difference(one, other, scene) > 0.001, (name, first, second)


def test_two_items_of_a_kind_can_be_told_apart():
    scene = steady(with_wearer(draw_scene(0, 0), "flat"))
    items = draw_items(0, 25 * len(KINDS))
    for kind in ("tshirt", "sneaker", "cap"):
        shots = [pixels(item, scene, 64)[0] for item in items if item.kind == kind]
        for index, one in enumerate(shots):
            for other in shots[:index]:
                assert (np.abs(one - other).max(axis=2) > 12).mean() > 0.005


@pytest.mark.parametrize("kind", BACKGROUNDS)
def test_backgrounds_vary_with_their_seed_and_fill_the_frame(kind):
    rng = np.random.default_rng(0)
    pictures = [draw_backdrop(replace(draw_background(rng), kind=kind), 96) for _ in range(3)]
    for picture in pictures:
        assert picture.shape == (96, 96, 3)
        assert picture.dtype == np.float32
        assert 0 <= picture.min() <= picture.max() <= 255
    # Two white walls may be nearly alike, three are not.
    assert max(np.abs(pictures[0] - other).mean() for other in pictures[1:]) > 4


@pytest.mark.parametrize("style", HAIR_STYLES)
def test_every_hair_style_can_be_drawn(style):
    scene = steady(with_wearer(draw_scene(0, 2), "person"))
    bald = replace(scene, wearer=replace(scene.wearer, hair_style="bald", hair=(160, 40, 20)))
    haired = replace(bald, wearer=replace(bald.wearer, hair_style=style))
    item = FIRST["scarf"]
    assert (difference_of(item, bald, haired) > 0.004) == (style != "bald")


def difference_of(item, one, other):
    return (np.abs(pixels(item, one)[0] - pixels(item, other)[0]).max(axis=2) > 12).mean()


def test_a_larger_image_shows_the_same():
    item = FIRST["dress"]
    scene = replace(draw_scene(0, item.number), background=STUDIO)
    large, small = render(item, scene, 256).image, render(item, scene, 128).image
    reduced = np.asarray(large.reduce(2), np.float32)
    assert np.abs(reduced - np.asarray(small, np.float32)).mean() < 6


def test_the_camera_warms_and_brightens():
    item, scene = FIRST["shirt"], steady(draw_scene(0, 0))
    plain = replace(scene.camera, light=0.8, warmth=0.0)
    shots = {
        name: pixels(item, replace(scene, camera=camera))[0].mean(axis=(0, 1))
        for name, camera in (
            ("plain", plain),
            ("bright", replace(plain, light=0.9)),
            ("warm", replace(plain, warmth=0.05)),
        )
    }
    np.testing.assert_allclose(shots["bright"] / shots["plain"], 0.9 / 0.8, rtol=0.01)
    np.testing.assert_allclose(shots["warm"] / shots["plain"], (1.05, 1, 0.95), rtol=0.01)


def test_an_image_too_small_to_show_anything_is_refused():
    with pytest.raises(ValueError, match="31 pixels; give at least 32"):
        render(FIRST["shirt"], draw_scene(0, 0), 31)
