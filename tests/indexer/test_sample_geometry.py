"""Outlines, maps and patterns of the sample catalogue."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.sample.canvas import Canvas, Patch, Stroke, fill, shift
from indexer.sample.geometry import (
    IDENTITY,
    Affine,
    bounds,
    box,
    ellipse,
    flip,
    limb,
    mirrored,
    path,
    similarity,
    smooth,
    toward,
)
from indexer.sample.palette import COLOURS, contrast, darker, draw_scheme, lighter, mix
from indexer.sample.patterns import Cloth, Pattern
from indexer.sample.prints import PATTERNS, colour_cloth

SQUARE = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]
DYES = ((200, 40, 40), (240, 240, 240), (30, 30, 120))


def area(points):
    """Positive for a clockwise outline on the screen (y down)."""
    x, y = points[:, 0], points[:, 1]
    return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) / 2)


def cloth(u, v, step=0.005):
    return Cloth(np.asarray(u, np.float32), np.asarray(v, np.float32), step)


def test_a_path_without_bulges_is_its_polygon():
    outline = path([(x, y, 0) for x, y in SQUARE], steps=4)
    assert outline.shape == (16, 2)
    np.testing.assert_allclose(outline[::4], SQUARE)
    assert area(outline) == pytest.approx(1)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.01, 0.5))
def test_a_bulge_adds_and_a_dent_takes_area(bulge):
    # A parabola over a chord of length 1 whose control point is ``bulge`` away has 2/3 * bulge / 2
    # * 2 = 2/3 of the triangle's 1/2 * bulge * ... = bulge / 3 of area, four times.
    round_ = area(path([(x, y, bulge) for x, y in SQUARE], steps=60))
    dented = area(path([(x, y, -bulge) for x, y in SQUARE], steps=60))
    assert round_ == pytest.approx(1 + 4 * bulge / 3, rel=1e-2)
    assert dented == pytest.approx(1 - 4 * bulge / 3, rel=1e-2)


def test_a_mirrored_outline_is_symmetric_and_clockwise():
    outline = mirrored([(0, -1, 0.1), (0.6, -0.5, -0.2), (0.9, 1, 0.05), (0, 1.1, 0)])
    assert area(outline) > 0
    # Each point's mirror image lies on the outline too, up to the spacing of the points.
    gaps = np.linalg.norm(flip(outline)[:, None] - outline[None], axis=2).min(axis=1)
    assert gaps.max() < 0.08


def test_a_smooth_line_passes_through_its_joints():
    joints = [(0.0, 0.0), (1.0, 0.5), (1.5, 2.0)]
    line = smooth(joints, steps=5)
    np.testing.assert_allclose(line[::5], joints, atol=1e-6)


def test_a_straight_limb_is_a_strip_of_twice_its_half_width():
    outline = limb([(0, 0), (0, 1), (0, 2)], [0.1, 0.1, 0.1])
    assert bounds([outline]) == pytest.approx((-0.1, 0, 0.1, 2))
    assert abs(area(outline)) == pytest.approx(0.4, rel=1e-3)


def test_the_area_of_an_ellipse():
    assert area(ellipse(3, 4, 0.5, 2, angle=0.7)) == pytest.approx(np.pi, rel=0.01)


def test_half_way():
    assert toward((0, 0), (2, 4), 0.5) == (1, 2)


numbers = st.floats(-3, 3)


@settings(max_examples=40, deadline=None)
@given(numbers, numbers, st.floats(0.2, 5), st.floats(-3, 3))
def test_a_map_and_its_inverse_cancel(x, y, scale, angle):
    view = similarity((x, y), (y, -x), scale, angle)
    points = np.array([[0, 0], [1, 2], [-2, 0.5]], np.float32)
    np.testing.assert_allclose(view.inverse().apply(view.apply(points)), points, atol=1e-3)
    np.testing.assert_allclose(
        view.then(view.inverse()).apply(points), IDENTITY.apply(points), atol=1e-3
    )
    np.testing.assert_allclose(view.apply(np.array([[x, y]], np.float32)), [[y, -x]], atol=1e-3)
    assert view.scale == pytest.approx(scale, rel=1e-4)


def test_first_this_map_then_the_other():
    double, right = Affine(2, 0, 0, 0, 2, 0), Affine(1, 0, 1, 0, 1, 0)
    start = np.array([[3, 4]], np.float32)
    np.testing.assert_allclose(double.then(right).apply(start), [[7, 8]])
    np.testing.assert_allclose(right.then(double).apply(start), [[8, 8]])


def canvas():
    return Canvas(64, Affine(32, 0, 32, 0, 32, 32), 4.7)


def test_a_box_covers_the_pixels_inside_it():
    region = canvas().cover(box(-0.5, -0.5, 0.5, 0.5))
    full = np.zeros((64, 64))
    full[region.rows, region.columns] = region.alpha
    assert full[17:47, 17:47].min() == 1
    assert full[:15].max() == 0
    assert full[:, 50:].max() == 0
    assert full.sum() == pytest.approx(32 * 32, rel=0.05)


def test_what_is_out_of_sight_is_not_drawn():
    assert canvas().cover(box(3, 3, 4, 4)) is None


def test_the_mask_is_the_item_less_what_lies_before_it():
    layer = canvas()
    layer.paint([fill(box(-0.5, -0.5, 0.5, 0.5), (200, 0, 0), rim=0)], item=True)
    assert layer.mask[32, 32] == 1
    layer.paint([fill(box(-0.2, -0.2, 0.2, 0.2), (0, 0, 200), relief=0, rim=0)], item=False)
    assert layer.mask[32, 32] == 0
    assert layer.alpha[32, 32] == 1
    assert layer.mask[20, 20] == 1
    np.testing.assert_allclose(layer.rgb[32, 32], (0, 0, 200), atol=1)
    assert (layer.mask <= layer.alpha + 1e-6).all()


def test_a_faint_stroke_tints_and_a_dashed_one_has_gaps():
    layer = canvas()
    layer.paint(
        [Patch(box(-0.9, -0.9, 0.9, 0.9), ((200, 200, 200),) * 3, relief=0, rim=0)], item=True
    )
    line = smooth([(-0.8, 0), (0.8, 0)], steps=16)
    layer.paint([Stroke(line, (0, 0, 0), 0.1, 0.5)], item=True)
    np.testing.assert_allclose(layer.rgb[32, 32], 100, atol=2)
    dashed = layer.cover(line, width=0.05, dash=2).alpha.max(axis=0)
    assert dashed.max() == 1
    assert (dashed[8:-8] == 0).any()


def test_a_shifted_field_repeats_its_rim():
    field = np.arange(9, dtype=np.float32).reshape(3, 3)
    np.testing.assert_array_equal(shift(field, 1, 0), [[0, 0, 1], [3, 3, 4], [6, 6, 7]])
    np.testing.assert_array_equal(shift(field, 0, -1), [[3, 4, 5], [6, 7, 8], [6, 7, 8]])


@pytest.mark.parametrize("kind", sorted(PATTERNS))
@pytest.mark.parametrize("scale", [0.0, 1.0])
def test_a_pattern_is_a_function_of_the_place_on_the_cloth(kind, scale):
    v, u = np.mgrid[-0.6:0.6:0.01, -0.4:0.4:0.01]
    for variant in range(8):
        pattern = Pattern(kind, scale, 2, variant)
        whole = colour_cloth(cloth(u, v), pattern, DYES)
        part = colour_cloth(cloth(u[30:60, 10:50], v[30:60, 10:50]), pattern, DYES)
        np.testing.assert_array_equal(whole[30:60, 10:50], part)
        assert np.isfinite(whole).all()
        assert -30 < whole.min() <= whole.max() < 320
        assert (np.ptp(whole, axis=(0, 1)).max() > 20) == (kind != "plain")


def test_stripes_by_hand():
    # Scale 0: period 0.06, and variant 0 fills half of it, its middle at 0.
    colours = colour_cloth(cloth([[0, 0, 0]], [[0.0, 0.03, 0.06]], 0.001), Pattern("stripes"), DYES)
    period = colour_cloth(
        cloth([[0, 0, 0]], [[0.0, 0.03, 0.06]], 0.001), Pattern("stripes", 0.0), DYES
    )
    np.testing.assert_allclose(period[0], [DYES[1], DYES[0], DYES[1]])
    np.testing.assert_allclose(colours[0, 0], DYES[1])


def test_gingham_is_half_as_strong_where_only_one_stripe_runs():
    # Scale 0: period 0.06; (0, 0) is on both stripes, (0.03, 0) on one, (0.03, 0.03) on none.
    colours = colour_cloth(
        cloth([[0, 0.03, 0.03]], [[0, 0, 0.03]], 0.001), Pattern("checks", 0.0), DYES
    )
    half = (np.array(DYES[0]) + DYES[1]) / 2
    np.testing.assert_allclose(colours[0], [DYES[1], half, DYES[0]], atol=0.5)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(sorted(COLOURS)))
def test_colours_of_a_scheme_stand_out_from_the_main_one(seed, name):
    main, second, accent = draw_scheme(np.random.default_rng(seed), [name])
    assert main.name == name
    assert len({main.name, second.name, accent.name}) >= 2
    assert contrast(main.rgb, second.rgb) > 30
    assert contrast(main.rgb, accent.rgb) > 30
    assert all(0 <= value <= 255 for colour in (main, second, accent) for value in colour.rgb)


def test_mixing_colours():
    assert mix((0, 100, 200), (100, 200, 0), 0.5) == (50, 150, 100)
    assert sum(darker((100, 100, 100))) < 300 < sum(lighter((100, 100, 100)))
