"""The maximum mean discrepancy against its definition, and what makes it a discrepancy."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.nn.mmd import SCALES, gram, mmd_biased, mmd_unbiased

KERNELS = ["rbf", "imq"]


def vectors(n, dims=3, seed=0, shift=0.0):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(n, dims, generator=g, dtype=torch.float64) + shift


def by_definition(a, b, kernel):
    """k(a, b) of two lists of numbers, in plain Python."""
    squares = sum((p - q) ** 2 for p, q in zip(a, b, strict=True))
    lengths = [2 * len(a) * scale for scale in SCALES]
    if kernel == "rbf":
        return sum(math.exp(-squares / s) for s in lengths) / len(lengths)
    return sum(s / (s + squares) for s in lengths) / len(lengths)


def mean_over(pairs, kernel):
    values = [by_definition(a, b, kernel) for a, b in pairs]
    return sum(values) / len(values)


@pytest.mark.parametrize("kernel", KERNELS)
def test_both_estimates_equal_their_definition_by_double_loop(kernel):
    x, y = vectors(5), vectors(7, seed=1, shift=0.5)
    xs, ys = x.tolist(), y.tolist()
    between = mean_over(list(itertools.product(xs, ys)), kernel)
    biased = sum(mean_over(list(itertools.product(s, s)), kernel) for s in (xs, ys))
    unbiased = sum(mean_over(list(itertools.permutations(s, 2)), kernel) for s in (xs, ys))
    assert mmd_biased(x, y, kernel).item() == pytest.approx(biased - 2 * between)
    assert mmd_unbiased(x, y, kernel).item() == pytest.approx(unbiased - 2 * between)


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_pair_by_hand(kernel):
    # One dimension, one scale of 1: the length is 2, the squared distance 4.
    value = gram(torch.tensor([[0.0]]), torch.tensor([[2.0]]), kernel, (1.0,)).item()
    assert value == pytest.approx(math.exp(-2) if kernel == "rbf" else 1 / 3)


@pytest.mark.parametrize("kernel", KERNELS)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 6), m=st.integers(1, 6))
def test_the_biased_one_is_never_negative_symmetric_and_at_most_two(kernel, seed, n, m):
    x, y = vectors(n, seed=seed), 3 * vectors(m, seed=seed + 1)
    value = mmd_biased(x, y, kernel).item()
    assert -1e-12 <= value <= 2
    assert mmd_biased(y, x, kernel).item() == pytest.approx(value)


@pytest.mark.parametrize("kernel", KERNELS)
def test_equal_sets_have_none_and_others_have_some(kernel):
    x = vectors(40)
    assert mmd_biased(x, x[torch.randperm(40)], kernel).item() == pytest.approx(0, abs=1e-12)
    for other in (x + 0.5, 2 * x, torch.zeros_like(x)):
        assert mmd_biased(x, other, kernel).item() > 0.005


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_unbiased_one_is_zero_on_average_and_the_biased_one_is_not(kernel):
    pairs = [(vectors(10, seed=2 * s), vectors(10, seed=2 * s + 1)) for s in range(400)]
    unbiased = torch.stack([mmd_unbiased(x, y, kernel) for x, y in pairs])
    biased = torch.stack([mmd_biased(x, y, kernel) for x, y in pairs])
    error = unbiased.std().item() / math.sqrt(400)
    assert abs(unbiased.mean().item()) < 3 * error
    assert biased.mean().item() > 20 * error


def test_the_unbiased_one_does_not_depend_on_the_size_of_the_batch():
    def estimates(n, seed):
        pairs = ((vectors(n, seed=s), vectors(n, seed=s + 1, shift=0.7)) for s in seed)
        values = torch.stack([mmd_unbiased(x, y) for x, y in pairs])
        return values.mean().item(), values.std().item() / math.sqrt(len(values))

    few, error = estimates(8, range(0, 1_600, 2))
    many, other_error = estimates(100, range(2_000, 2_160, 2))
    assert many > 20 * other_error  # there is something to see
    assert abs(few - many) < 4 * math.hypot(error, other_error) < 0.25 * many


@pytest.mark.parametrize("kernel", KERNELS)
def test_following_the_gradient_makes_a_distribution_like_the_prior(kernel):
    place = torch.full((3,), 2.0, dtype=torch.float64, requires_grad=True)
    width = torch.full((3,), 0.3, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adam([place, width], lr=0.05)
    for step in range(200):
        drawn = place + width * vectors(64, seed=2 * step)
        loss = mmd_unbiased(drawn, vectors(64, seed=2 * step + 1), kernel)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert place.abs().max().item() < 0.25
    assert (width.abs() - 1).abs().max().item() < 0.3


def test_a_single_vector_has_no_pair():
    with pytest.raises(ValueError, match="at least 2 vectors on each side; found 1 and 3"):
        mmd_unbiased(vectors(1), vectors(3))
