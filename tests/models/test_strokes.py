"""Drawings as strokes: formats and their laws, files, simplification, augmentation, pictures."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.strokes import (
    StrokeError,
    StrokePreprocessing,
    draw_sheet,
    draw_sketch,
    from_lines,
    is_stroke_archive,
    read_archive,
    read_json,
    read_svg,
    simplify,
    to_five,
    to_lines,
    to_three,
    write_json,
    write_svg,
)
from models.strokes.augment import Augment, drop_points
from models.strokes.preprocessing import offset_deviation

WHOLE = st.integers(-300, 300)


@st.composite
def sketches(draw, most=20):
    """Drawings whose last point lifts the pen, in whole numbers."""
    N = draw(st.integers(1, most))
    offsets = draw(arrays(np.float32, (N, 2), elements=WHOLE.map(float)))
    lifted = draw(arrays(np.bool_, (N, 1)))
    lifted[-1] = True
    return np.concatenate([offsets, lifted], axis=1).astype(np.float32)


def square():
    return from_lines([[(0, 0), (10, 0), (10, 10), (0, 10), (0, 0)], [(5, 5)]])


@settings(max_examples=50, deadline=None)
@given(sketches(), st.integers(0, 5))
def test_three_to_five_and_back(points, more):
    five = to_five(points, len(points) + more)
    assert five.shape == (len(points) + more, 5)
    assert (five[:, 2:].sum(1) == 1).all()
    assert np.array_equal(to_three(five), points)


def test_five_worked_by_hand():
    five = to_five(np.array([[3, 4, 0], [1, -2, 1]], np.float32), 4)
    assert five.tolist() == [
        [3, 4, 1, 0, 0], [1, -2, 0, 1, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 1],
    ]  # fmt: skip
    with pytest.raises(StrokeError, match="does not fit into 1 rows"):
        to_five(np.zeros((2, 3), np.float32), 1)


@settings(max_examples=50, deadline=None)
@given(sketches())
def test_lines_and_back_draw_the_same(points):
    again = to_lines(from_lines(to_lines(points)))
    lines = to_lines(points)
    assert len(lines) == len(again)
    for one, other in zip(lines, again, strict=True):
        assert np.array_equal(one, other)


def test_lines_worked_by_hand():
    """The pen starts on the paper at the origin, and what it lifts over is not drawn."""
    lines = to_lines(np.array([[3, 0, 0], [0, 2, 1], [5, 5, 0], [1, 0, 1]], np.float32))
    assert [line.tolist() for line in lines] == [[[0, 0], [3, 0], [3, 2]], [[8, 7], [9, 7]]]
    again = to_lines(np.array([[0, 0, 0], [3, 0, 1]], np.float32))
    assert [line.tolist() for line in again] == [[[0, 0], [3, 0]]]


def far_from(line, points):
    """The largest distance of points (K, 2) from a line, by trying 400 places on each segment."""
    share = np.linspace(0, 1, 400)[:, None, None]
    on = line[:-1] * (1 - share) + line[1:] * share if len(line) > 1 else line[None]
    gaps = np.linalg.norm(on.reshape(-1, 1, 2) - points[None], axis=2)
    return gaps.min(0).max()


@settings(max_examples=50, deadline=None)
@given(sketches(most=12), st.sampled_from([0.0, 5.0, 60.0]))
def test_what_is_left_out_lies_near_what_is_kept(points, epsilon):
    simple = simplify(points, epsilon)
    before, after = to_lines(points), to_lines(simple)
    assert len(before) == len(after)
    for old, new in zip(before, after, strict=True):
        assert len(new) <= len(old)
        assert np.array_equal(old[[0, -1]], new[[0, -1]])
        assert far_from(new, old) <= epsilon + 2  # the places tried are 2 apart


def test_simplifying_worked_by_hand():
    line = [(0, 0), (5, 1), (10, 0), (10, 10)]
    kept = simplify(from_lines([line]), 2.0)
    assert to_lines(kept)[0].tolist() == [[0, 0], [10, 0], [10, 10]]
    assert len(simplify(from_lines([line]), 0.5)) == 4


@settings(max_examples=50, deadline=None)
@given(sketches(), st.floats(0, 0.9), st.integers(0, 99))
def test_dropping_points_keeps_the_ends_of_lines(points, probability, seed):
    less = drop_points(points, probability, np.random.default_rng(seed))
    before, after = to_lines(points), to_lines(less)
    assert len(before) == len(after)
    assert less[:, 2].sum() == points[:, 2].sum()
    for old, new in zip(before[1:], after[1:], strict=True):
        assert np.allclose(old[[0, -1]], new[[0, -1]], atol=1e-3)


def test_augmenting_scales_each_axis_within_bounds():
    random = np.random.default_rng(0)
    points = np.array([[100, 100, 1]], np.float32)
    many = np.stack([Augment(scale=0.2, drop=0).apply(points, random)[0, :2] for _ in range(400)])
    assert (np.abs(many - 100) <= 20.001).all()
    assert abs(np.corrcoef(many.T)[0, 1]) < 0.2
    assert many.min() < 85
    assert many.max() > 115
    same = Augment(scale=0, drop=0).apply(points, random)
    assert np.array_equal(same, points)
    with pytest.raises(StrokeError, match="below 1"):
        Augment(drop=1.0)


def archive(path, **changes):
    """Two drawings, as a file."""
    content = {
        "train_points": np.array([[1, 2, 0], [3, 4, 1], [5, 6, 1]], np.int16),
        "train_lengths": np.array([2, 1], np.int32),
    }
    np.savez(path, **(content | changes))
    return path


def test_an_archive_is_read(tmp_path):
    path = archive(tmp_path / "a.npz", train_labels=np.array([1, 0]), class_names=["a", "b"])
    found = read_archive(path, "train")
    assert is_stroke_archive(path)
    assert [points.tolist() for points in found.list()] == [[[1, 2, 0], [3, 4, 1]], [[5, 6, 1]]]
    assert found[1].tolist() == [[5, 6, 1]]
    assert found.class_names == ("a", "b")
    assert len(found) == 2


@pytest.mark.parametrize(
    ("changes", "split", "message"),
    [
        ({}, "test", "no split 'test'"),
        ({"train_lengths": np.array([2, 2])}, "train", "add up to 4"),
        ({"train_lengths": np.array([3, 0])}, "train", "positive whole"),
        ({"train_points": np.zeros((3, 2))}, "train", r"found float64 \(3, 2\)"),
        ({"train_points": np.full((3, 3), 0.5)}, "train", "0 or 1 in the third"),
    ],
)
def test_a_wrong_archive_is_refused(tmp_path, changes, split, message):
    with pytest.raises(StrokeError, match=message):
        read_archive(archive(tmp_path / "a.npz", **changes), split)


def test_pickles_are_refused_by_name_and_never_opened(tmp_path):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("the pickle was opened",))

    train = np.empty(1, object)
    train[0] = Trap()
    np.savez(tmp_path / "old.npz", train=train)
    assert is_stroke_archive(tmp_path / "old.npz")
    with pytest.raises(StrokeError, match=r"original sketch-rnn: train are pickled.*Convert"):
        read_archive(tmp_path / "old.npz", "train")
    np.savez(tmp_path / "bits.npz", train=np.zeros((2, 98), np.uint8))
    assert not is_stroke_archive(tmp_path / "bits.npz")
    (tmp_path / "text.npz").write_text("nothing")
    with pytest.raises(StrokeError, match=r"no \.npz"):
        read_archive(tmp_path / "text.npz", "train")


def test_scaling_and_back():
    points = np.array([[3, 4, 0], [-3, -4, 1]], np.float32)
    scale = offset_deviation(points)
    assert scale == pytest.approx(12.5**0.5)
    preprocessing = StrokePreprocessing(scale, 2, extent=5.0)
    seen = preprocessing.apply(points)
    assert seen[:, :2].std() == pytest.approx(1)
    assert np.allclose(preprocessing.undo(seen), points, atol=1e-5)
    large = preprocessing.fit(square())
    assert large[:, :2].sum(0) == pytest.approx(square()[:, :2].sum(0) / 2)
    assert preprocessing.relative_size(square()) == pytest.approx(2)
    with pytest.raises(StrokeError, match="have to be positive"):
        StrokePreprocessing(1.0, 2, extent=0.0)
    with pytest.raises(StrokeError, match="take up to 2"):
        preprocessing.apply(np.ones((3, 3), np.float32))
    with pytest.raises(StrokeError, match="anywhere but at the origin"):
        offset_deviation(np.zeros((4, 3), np.float32))


@settings(max_examples=50, deadline=None)
@given(st.lists(sketches(), min_size=1, max_size=3))
def test_json_and_back(many):
    again = read_json(write_json(many, seed=3))
    assert all(np.array_equal(a, b) for a, b in zip(many, again, strict=True))


def test_other_forms_of_json():
    lines = {"lines": [[[2, 3], [4, 3]], [[4, 9]]]}
    columns = {"drawing": [[[2, 4], [3, 3]], [[4], [9]]]}
    plain = [[0, 0, 0], [2, 0, 1], [0, 6, 1]]
    for form in (lines, columns, plain, {"strokes": plain}, {"sketches": [lines]}):
        assert read_json(json.dumps(form))[0].tolist() == plain


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "no JSON"),
        ('{"pixels": [[0]]}', "has pixels"),
        ('{"points": [[0]]}', "keys"),
        ('{"strokes": [[1, 2]]}', r"shape \(1, 2\)"),
        ('{"strokes": [[1, 2, 5]]}', "third column"),
        ('{"strokes": [[1, 2, 0], [1]]}', "Expected"),
        ('{"strokes": [[1e400, 2, 0]]}', "finite"),
        ('{"strokes": [[1e300, 2, 0]]}', "finite"),
        ('{"lines": [[[NaN, 2]]]}', "finite"),
        ('{"sketches": []}', "no sketch"),
        ('{"lines": [[[1, 2, 3]]]}', "points"),
        ("3", "is a int"),
    ],
)
def test_other_json_is_refused(text, message):
    with pytest.raises(StrokeError, match=message):
        read_json(text)


@settings(max_examples=50, deadline=None)
@given(sketches())
def test_svg_and_back_draw_the_same(points):
    lines, again = to_lines(points), to_lines(read_svg(write_svg([points])))
    assert len(lines) == len(again)
    for one, other in zip(lines, again, strict=True):
        dot = len(one) == 2 and (one[0] == one[1]).all()
        assert np.allclose(one[:1] if dot else one, other - again[0][0] + lines[0][0], atol=1e-2)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("M1 2 L4 6", [[(1, 2), (4, 6)]]),
        ("m1,2 3,4 l-1-1", [[(1, 2), (4, 6), (3, 5)]]),
        ("M0 0H5V5h-5z", [[(0, 0), (5, 0), (5, 5), (0, 5), (0, 0)]]),
        ("M0 0L1 0ZL0 1", [[(0, 0), (1, 0), (0, 0)], [(0, 0), (0, 1)]]),
        ("M.5.5L1e1,0M3 3 4 4", [[(0.5, 0.5), (10, 0)], [(3, 3), (4, 4)]]),
    ],
)
def test_paths_worked_by_hand(data, expected):
    document = f'<svg xmlns="http://www.w3.org/2000/svg"><g><path d="{data}"/></g></svg>'
    for form in (document, data, document.encode()):
        lines = to_lines(read_svg(form))
        start = np.array(expected[0][0])
        assert [line.tolist() for line in lines] == [
            (np.array(line) - start).tolist() for line in expected
        ]


def test_curves_become_lines():
    (quadratic,) = to_lines(read_svg("M0 0 Q 10 0 10 10"))
    share = np.linspace(0, 1, 13)
    expected = np.stack([20 * share * (1 - share) + 10 * share**2, 10 * share**2], axis=1)
    assert np.allclose(quadratic, expected, atol=1e-5)
    (cubic,) = to_lines(read_svg("M0 0 C 0 10 10 10 10 0 S 20 -10 20 0"))
    assert np.allclose(cubic[6], (5, 7.5), atol=1e-5)
    assert np.allclose(cubic[18], (15, -7.5), atol=1e-5)
    (smooth,) = to_lines(read_svg("M0 0 q 5 10 10 0 t 10 0"))
    assert np.allclose(smooth[18], (15, -5), atol=1e-5)


def test_shapes_of_points_are_read():
    document = (
        '<svg><title>a</title><polyline points="0,0 4,0"/><polygon points="1 1 2 1 2 2"/>'
        '<line x1="0" y1="1" x2="3" y2="1"/></svg>'
    )
    lines = to_lines(read_svg(document))
    assert [line.tolist() for line in lines] == [
        [[0, 0], [4, 0]], [[1, 1], [2, 1], [2, 2], [1, 1]], [[0, 1], [3, 1]],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<svg><image href='a.png'/></svg>", "<image>: pixels"),
        ("<svg><circle r='3'/></svg>", "<circle>"),
        ("<svg><use href='#a'/></svg>", "not followed"),
        ("<svg></svg>", "Nothing is drawn"),
        ("<html/>", "is a <html>"),
        ("<svg>", "no SVG"),
        ("<!DOCTYPE svg [<!ENTITY a 'b'>]><svg>&a;</svg>", "document type"),
        ("<svg><g transform='scale(2)'><path d='M0 0L1 1'/></g></svg>", "transform 'scale"),
        ("M0 0 A 1 1 0 0 0 2 2", "arc"),
        ("M0 0 L 1e300 2", "too large"),
        ("<svg><line x1='a' x2='3'/></svg>", "stands where"),
        ("<svg><line x1='1 2' x2='3'/></svg>", "5 numbers"),
        ("M0 0 L 1", "takes 2"),
        ("M0 0 X 1", "'X' is no command"),
        ("M0 0 L 1 # 2", "cannot be read"),
        (b"\x89PNG\r\n\x1a\n0000", "is a picture"),
        (b"\xff\xfe\x00", "no text"),
        (b"M" * 3_000_000, "at most"),
        ("M0 0" + " L 1 1" * 101_000 + " , ", "more than 100,000 points"),
    ],
)
def test_other_svg_is_refused_by_name(text, message):
    with pytest.raises(StrokeError, match=message):
        read_svg(text)


def test_groups_may_be_nested_without_end():
    depth = 20_000
    document = f"<svg>{'<g>' * depth}<path d='M0 0L1 2'/>{'</g>' * depth}</svg>"
    assert to_lines(read_svg(document))[0].tolist() == [[0, 0], [1, 2]]


def test_a_grid_of_several_lies_within_its_box():
    text = write_svg([square()] * 5, side=100, columns=2, gap=10)
    assert 'viewBox="0 0 230 340"' in text
    places = np.concatenate(to_lines(read_svg(text)))
    assert (places.max(0) - places.min(0) < (230, 340)).all()


def test_pictures_show_the_lines():
    pixels = np.asarray(draw_sketch(square(), 64).convert("L"))
    assert pixels.shape == (64, 64)
    assert pixels[5, 5] < 100  # a corner
    assert pixels[32, 32] < 200  # the dot
    assert pixels[20, 20] == 255
    assert (np.asarray(draw_sketch(np.zeros((0, 3), np.float32), 16)) == 255).all()
    sheet = draw_sheet([square()] * 3, side=20, columns=2, gap=4)
    assert sheet.size == (52, 52)
    red = np.asarray(draw_sketch(square(), 64, given=2)).astype(int)
    assert (red[..., 0] - red[..., 2] > 100).any()


@pytest.mark.real_data
def test_the_real_files(real_data):
    folder = real_data / "sketches"
    if not folder.is_dir():
        pytest.skip("needs the real sketches: NITERU_DATA has no folder sketches/")
    counts = {name: len(read_archive(folder / f"{name}.npz", "test"))
              for name in ("omniglot", "kanji_short", "quickdraw_345")}  # fmt: skip
    assert counts == {"omniglot": 1000, "kanji_short": 500, "quickdraw_345": 2063}
    with pytest.raises(StrokeError, match="pickled"):
        read_archive(folder / "original_short_kanji.npz", "train")
