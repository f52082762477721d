"""The gradient penalty, the energy distance and the kernel distance against direct computations."""

import itertools
import math

import pytest
import torch
from torch import nn

from models.nn.critics import distances, energy_distance, gradient_penalty, witness
from models.nn.mmd import kernel_distance


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def vectors(n, dims=3, seed=0, shift=0.0):
    return torch.randn(n, dims, generator=seeded(seed), dtype=torch.float64) + shift


def pictures(n, seed):
    return torch.randn(n, 2, 4, 4, generator=seeded(seed), dtype=torch.float64)


def test_the_penalty_of_a_linear_critic_by_hand():
    """Its slope is its weight everywhere: (|a| - 1)^2, and 2 (|a| - 1) a / |a| to its weight."""
    weight = torch.full((2, 4, 4), 0.5, dtype=torch.float64, requires_grad=True)

    def critic(x):
        return (x * weight).sum((1, 2, 3)) + 7

    found = gradient_penalty(critic, pictures(5, 0), pictures(5, 1), seeded(2))
    length = math.sqrt(32 * 0.25)
    assert found.item() == pytest.approx((length - 1) ** 2)
    (slope,) = torch.autograd.grad(found, weight)
    torch.testing.assert_close(slope, 2 * (length - 1) * weight.detach() / length)


def test_the_penalty_of_a_network_picture_by_picture():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(12, 1)).double()
    real, fake = pictures(4, 0), pictures(4, 1)
    found = gradient_penalty(lambda x: net(x).squeeze(1), real, fake, seeded(2))
    expected = []
    for place, a, b in zip(torch.rand(4, 1, 1, 1, generator=seeded(2)), real, fake, strict=True):
        between = a + place.double() * (b - a)
        slope = torch.autograd.functional.jacobian(lambda x: net(x[None]).squeeze(), between)
        expected.append((slope.norm().item() - 1) ** 2)
    assert found.item() == pytest.approx(sum(expected) / 4, rel=1e-6)


def test_a_flat_critic_is_charged_and_its_gradient_is_a_number():
    weight = torch.zeros(2, 4, 4, dtype=torch.float64, requires_grad=True)
    found = gradient_penalty(
        lambda x: (x * weight).sum((1, 2, 3)), pictures(3, 0), pictures(3, 1), seeded(0)
    )
    assert found.item() == pytest.approx(1, abs=1e-5)
    assert torch.isfinite(torch.autograd.grad(found, weight)[0]).all()


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def test_the_energy_distance_equals_its_definition_by_double_loop():
    x, y = vectors(5), vectors(7, seed=1, shift=0.5)
    xs, ys = x.tolist(), y.tolist()
    between = mean(math.dist(a, b) for a, b in itertools.product(xs, ys))
    within = [mean(math.dist(a, b) for a, b in itertools.permutations(s, 2)) for s in (xs, ys)]
    expected = 2 * between - sum(within)
    assert energy_distance(x, y).item() == pytest.approx(expected, abs=1e-9)


def test_an_energy_distance_by_hand():
    """0 and 2 against 1 and 5: distances 1, 5, 1, 3 between, 2 and 4 within."""
    x, y = torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0], [5.0]])
    assert energy_distance(x, y).item() == pytest.approx(2 * 10 / 4 - 2 - 4)


def test_the_energy_distance_of_two_shifted_normals_is_its_integral():
    """In one dimension it is twice the integral of the squared gap of the distributions."""
    grid = torch.linspace(-9, 10, 20_001, dtype=torch.float64)
    normal = torch.distributions.Normal(0.0, 1.0)
    exact = 2 * torch.trapezoid((normal.cdf(grid) - normal.cdf(grid - 1)).square(), grid).item()
    found = [
        energy_distance(vectors(200, 1, 2 * s), vectors(200, 1, 2 * s + 1, shift=1.0)).item()
        for s in range(60)
    ]
    error = torch.tensor(found).std().item() / math.sqrt(60)
    assert error < 0.02
    assert abs(mean(found) - exact) < 4 * error


def test_the_witness_differs_by_the_energy_distance():
    x, y = vectors(6), vectors(9, seed=1, shift=0.7)
    apart = witness(x, x, y).mean() - witness(y, x, y).mean()
    same = distances(x, x).mean() + distances(y, y).mean()  # with each vector and itself
    assert apart.item() == pytest.approx((2 * distances(x, y).mean() - same).item())


def test_the_gradient_at_equal_vectors_is_a_number():
    x = torch.ones(3, 2, requires_grad=True)
    energy_distance(x, torch.ones(4, 2)).backward()
    assert torch.isfinite(x.grad).all()


def test_the_kernel_distance_equals_its_definition_by_double_loop():
    x, y = vectors(5), vectors(7, seed=1, shift=0.5)

    def cubic(a, b):
        return (sum(p * q for p, q in zip(a, b, strict=True)) / 3 + 1) ** 3

    xs, ys = x.tolist(), y.tolist()
    between = mean(cubic(a, b) for a, b in itertools.product(xs, ys))
    within = [mean(cubic(a, b) for a, b in itertools.permutations(s, 2)) for s in (xs, ys)]
    assert kernel_distance(x, y).item() == pytest.approx(sum(within) - 2 * between)


def test_the_kernel_distance_is_zero_on_average_where_there_is_none():
    found = [kernel_distance(vectors(20, seed=2 * s), vectors(20, seed=2 * s + 1)).item()
             for s in range(300)]  # fmt: skip
    error = torch.tensor(found).std().item() / math.sqrt(300)
    assert abs(mean(found)) < 4 * error
    apart = kernel_distance(vectors(200), vectors(200, seed=1, shift=0.5)).item()
    assert apart > 20 * error


@pytest.mark.parametrize("measure", [energy_distance, kernel_distance])
def test_a_single_vector_has_no_pair(measure):
    with pytest.raises(ValueError, match="at least 2 vectors on each side; found 1 and 3"):
        measure(vectors(1), vectors(3))
