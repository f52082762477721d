"""Contrast with and without neighbours: worked by hand, and where the two must agree."""

import pytest
import torch

from models.nn.contrastive import SHARPNESS, info_nce, relational_info_nce


def vectors(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def unit(rows):
    return torch.nn.functional.normalize(rows, dim=1)


def test_without_a_share_for_neighbours_it_is_info_nce():
    a, b, shapes = vectors(0, 6, 4), vectors(1, 6, 4), unit(vectors(2, 12, 5))
    torch.testing.assert_close(relational_info_nce(a, b, shapes, 0.2, 0.0), info_nce(a, b, 0.2))


def test_where_no_shape_is_known_it_is_info_nce():
    a, b = vectors(0, 6, 4), vectors(1, 6, 4)
    found = relational_info_nce(a, b, torch.zeros(12, 5), 0.2, 0.7)
    torch.testing.assert_close(found, info_nce(a, b, 0.2))


def test_a_shape_known_of_one_item_alone_says_nothing():
    a, b, shapes = vectors(0, 3, 4), vectors(1, 3, 4), torch.zeros(6, 5)
    shapes[0, 0] = shapes[3, 0] = 1.0  # both views of the first item
    torch.testing.assert_close(relational_info_nce(a, b, shapes, 0.2, 0.7), info_nce(a, b, 0.2))


def test_by_hand():
    """Three items at right angles; the first two have one shape, the third is opposite."""
    views = torch.eye(3)
    shape = torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
    e = torch.tensor(1.0).exp()
    log_partner, log_other = (e / (e + 4)).log(), (1 / (e + 4)).log()
    # For the third item both others are equally unlike; every other item is at the same distance,
    # so whoever the neighbours are, their term is -log_other.
    expected = -(0.6 * log_partner + 0.4 * log_other)
    found = relational_info_nce(views, views, shape.repeat(2, 1), 1.0, 0.4)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)


def test_it_pulls_towards_the_item_of_the_same_shape():
    shape = unit(torch.tensor([[1.0, 0.0], [1.0, 0.1], [-1.0, 0.0], [-1.0, 0.1]])).repeat(2, 1)
    near = unit(torch.tensor([[1.0, 0.2], [1.0, -0.2], [-1.0, 0.2], [-1.0, -0.2]]))
    crossed = near[[0, 2, 1, 3]]
    assert relational_info_nce(near, near, shape, 0.5, 0.5) < relational_info_nce(
        crossed, crossed, shape, 0.5, 0.5
    )


def test_its_gradient_is_finite_where_views_coincide():
    a = unit(vectors(0, 5, 4)).requires_grad_()
    shapes = unit(vectors(3, 10, 6))
    relational_info_nce(a, a, shapes, 0.05, 0.3).backward()
    assert torch.isfinite(a.grad).all()
    assert SHARPNESS > 0
