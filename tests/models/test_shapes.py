"""The shape of an item: colour and side do not matter, outline and edges do."""

import numpy as np
import pytest
import torch

from models.training.shapes import (
    LENGTH,
    NUMBERS,
    SIDE,
    _components,
    describe_shape,
    reduce_shapes,
    refine_shapes,
)


def draw(kind, colour, jitter=0):
    """A tall bar, a wide bar or a cross of one colour on white, with a notch on its left."""
    picture = np.full((SIDE, SIDE, 3), 255, np.uint8)
    ends = slice(6 + jitter, 58 - jitter), slice(24 - jitter, 40)
    if kind in ("tall", "cross"):
        picture[ends[0], ends[1]] = colour
    if kind in ("wide", "cross"):
        picture[ends[1], ends[0]] = colour
    picture[30:34, 6:12] = 255
    return picture


def random_items(count=60, seed=0):
    rng = np.random.default_rng(seed)
    kinds = rng.choice(["tall", "wide", "cross"], count)
    items = [draw(k, rng.integers(0, 200, 3), int(rng.integers(0, 4))) for k in kinds]
    return kinds, np.stack([describe_shape(item) for item in items])


def test_a_picture_and_its_mirror_image_have_one_description():
    item = draw("cross", (200, 30, 30))
    np.testing.assert_allclose(
        describe_shape(item), describe_shape(np.ascontiguousarray(item[:, ::-1])), atol=1e-6
    )


def test_the_length_is_as_declared():
    assert describe_shape(draw("tall", (0, 0, 0))).shape == (LENGTH,)


def test_neighbours_have_the_same_shape_whatever_their_colour():
    kinds, described = random_items()
    shapes = reduce_shapes(described, np.ones(len(described), bool)).numpy()
    scores = shapes @ shapes.T
    np.fill_diagonal(scores, -1)
    assert (kinds[scores.argmax(1)] == kinds).mean() > 0.95


def test_shapes_are_of_unit_length_and_unknown_ones_are_zero():
    _, described = random_items()
    known = np.arange(len(described)) % 3 > 0
    lengths = reduce_shapes(described, known).norm(dim=1)
    torch.testing.assert_close(lengths, torch.from_numpy(known.astype(np.float32)))


def test_an_unknown_item_does_not_move_the_others():
    _, described = random_items()
    known = np.arange(len(described)) > 5
    spoiled = described.copy()
    spoiled[~known] = 7.0
    torch.testing.assert_close(reduce_shapes(described, known), reduce_shapes(spoiled, known))


@pytest.mark.parametrize("count", [0, 1])
def test_a_single_shape_can_be_compared_with_nothing(count):
    shapes = reduce_shapes(np.ones((4, LENGTH), np.float32), np.arange(4) < count)
    assert shapes.shape == (4, NUMBERS)
    assert not shapes.any()


@pytest.mark.parametrize("shape", [(12, 30), (40, 9)])
def test_components_are_those_of_a_singular_value_decomposition(shape):
    rows = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    rows -= rows.mean(axis=0)
    components, deviations = _components(rows, 5)
    left, values, _ = np.linalg.svd(rows, full_matrices=False)
    np.testing.assert_allclose(deviations, values[:5] / np.sqrt(len(rows)), rtol=1e-4)
    np.testing.assert_allclose(np.abs(components), np.abs(left * values)[:, :5], atol=1e-3)


def of_three_kinds(rng, kinds, spread):
    """Unit vectors around one of three centres; ``spread`` is how far off most of them are."""
    rows = np.zeros((len(kinds), NUMBERS), np.float32)
    rows[:, :6] = np.eye(6)[kinds] + spread * rng.normal(size=(len(kinds), 6))
    return torch.from_numpy(rows / np.linalg.norm(rows, axis=1, keepdims=True)).float()


def kinds_of_nearest(shapes, kinds):
    scores = (shapes @ shapes.T).fill_diagonal_(-1)
    return float((kinds[scores.argmax(1).numpy()] == kinds).mean())


def test_two_witnesses_that_err_apart_are_better_than_either():
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 3, 300)
    seen, told = (of_three_kinds(rng, kinds, 0.4) for _ in range(2))
    both = kinds_of_nearest(refine_shapes(seen, told), kinds)
    assert both > max(kinds_of_nearest(seen, kinds), kinds_of_nearest(told, kinds)) + 0.03


def test_an_unknown_shape_is_lent_by_those_told_to_be_alike():
    rng = np.random.default_rng(1)
    kinds = rng.integers(0, 3, 90)
    seen, told = of_three_kinds(rng, kinds, 0.1), of_three_kinds(rng, kinds, 0.1)
    seen[:30] = 0
    refined = refine_shapes(seen, told)
    torch.testing.assert_close(refined.norm(dim=1), torch.ones(90))
    scores = refined[:30] @ refined[30:].T
    assert (kinds[30:][scores.argmax(1).numpy()] == kinds[:30]).all()


@pytest.mark.parametrize("known", [0, 1])
def test_nothing_can_be_refined_without_two_known_shapes(known):
    shapes = torch.zeros(5, NUMBERS)
    shapes[:known, 0] = 1
    assert torch.equal(refine_shapes(shapes, torch.ones(5, NUMBERS)), shapes)
