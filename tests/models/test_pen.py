"""The mixture is a density, gives what torch's distributions give, and never a NaN."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from models.nn.pen import PenDistribution


def params(*lead, M=3, spread=1.0, seed=0):
    g = torch.Generator().manual_seed(seed)
    return spread * torch.randn(*lead, 6 * M + 3, generator=g, dtype=torch.float64)


def as_torch_has_it(pen):
    """The same mixture, by another implementation."""
    sigma, rho = pen.log_sigma.exp(), pen.slant.tanh()
    cross = rho * sigma.prod(-1)
    covariance = torch.diag_embed(sigma.square())
    covariance[..., 0, 1] = covariance[..., 1, 0] = cross
    return MixtureSameFamily(
        Categorical(logits=pen.log_weights), MultivariateNormal(pen.mean, covariance)
    )


@settings(deadline=None)  # the first call of torch takes a second
@given(st.integers(0, 500), st.sampled_from([0.3, 1.0, 2.0]))
def test_the_density_is_that_of_torch(seed, temperature):
    pen = PenDistribution.read(params(4, 5, seed=seed), temperature=temperature)
    offset = torch.randn(4, 5, 2, dtype=torch.float64)
    expected = as_torch_has_it(pen).log_prob(offset)
    torch.testing.assert_close(pen.offset_log_prob(offset), expected, atol=1e-8, rtol=1e-8)
    state = torch.nn.functional.one_hot(torch.arange(20) % 3, 3).view(4, 5, 3).double()
    told = Categorical(logits=pen.log_states).log_prob(state.argmax(-1))
    torch.testing.assert_close(pen.state_log_prob(state), told)


@pytest.mark.parametrize("seed", range(4))
def test_the_density_integrates_to_one(seed):
    pen = PenDistribution.read(params(seed=seed))
    reach = torch.linspace(-30, 30, 1201, dtype=torch.float64)
    grid = torch.cartesian_prod(reach, reach)
    total = pen.offset_log_prob(grid).exp().sum() * (reach[1] - reach[0]) ** 2
    assert total.item() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("size", [1e2, 1e4, 1e30])
def test_numbers_without_bounds_give_no_nan(size):
    raw = (size * params(50, seed=1)).float().requires_grad_()
    pen = PenDistribution.read(raw)
    offset = torch.tensor([1e3, -1e3]).expand(50, 2)
    state = torch.tensor([0.0, 0.0, 1.0]).expand(50, 3)
    told = pen.offset_log_prob(offset) + pen.state_log_prob(state)
    if size < 1e20:
        assert torch.isfinite(told).all()
        told.sum().backward()
        assert torch.isfinite(raw.grad).all()
    assert not torch.isnan(told).any()
    assert torch.isfinite(pen.draw(torch.Generator().manual_seed(0))).any()


def test_a_component_that_cannot_be_costs_nothing():
    """exp(-1000) is 0: adding densities by themselves would take its logarithm."""
    raw = torch.zeros(2 * 6 + 3)
    raw[3 + 1] = -2000.0  # the second weight
    pen = PenDistribution.read(raw)
    assert pen.offset_log_prob(torch.zeros(2)).item() == pytest.approx(-math.log(2 * math.pi))
    far = pen.offset_log_prob(torch.full((2,), 300.0)).item()
    assert far == pytest.approx(-math.log(2 * math.pi) - 90_000)


def test_draws_follow_the_distribution():
    pen = PenDistribution.read(params(M=2, seed=3).expand(200_000, -1))
    drawn = pen.draw(torch.Generator().manual_seed(0))
    assert (drawn[:, 2:].sum(1) == 1).all()
    one = PenDistribution.read(params(M=2, seed=3))
    torch.testing.assert_close(drawn[:, 2:].mean(0), one.log_states.exp(), atol=5e-3, rtol=0)
    going = drawn[drawn[:, 4] == 0, :2]
    assert (drawn[drawn[:, 4] == 1, :2] == 0).all()
    expected = as_torch_has_it(one)
    error = 5 * expected.variance.sqrt() / len(going) ** 0.5
    assert ((going.mean(0) - expected.mean).abs() < error).all()
    weights, centred = one.log_weights.exp(), one.mean - expected.mean
    sigma, rho = one.log_sigma.exp(), one.slant.tanh()
    cross = (weights * (rho * sigma.prod(-1) + centred.prod(-1))).sum()
    found = torch.cov(going.T)
    assert found[0, 1].item() == pytest.approx(
        cross.item(), abs=0.03 * found.diagonal().max().item()
    )


def entropies(temperature):
    """Of the components, of the states, and of each component's normal distribution."""
    pen = PenDistribution.read(params(64, seed=5), temperature=temperature)
    normal = as_torch_has_it(pen).component_distribution.entropy()
    weights, states = (Categorical(logits=x).entropy() for x in (pen.log_weights, pen.log_states))
    return torch.stack([weights, states, normal.mean(1)])


@settings(deadline=None)  # the first call of torch takes a second
@given(st.floats(0.05, 4.0), st.floats(1.01, 2.0))
def test_the_entropy_rises_with_the_temperature(temperature, factor):
    assert (entropies(temperature * factor) > entropies(temperature) - 1e-9).all()
    assert (entropies(temperature * factor).mean(1) > entropies(temperature).mean(1)).all()


def test_temperature_worked_by_hand():
    """Half the temperature doubles all logits and halves the variances."""
    raw = params(seed=2)
    one, half = (PenDistribution.read(raw, temperature=t) for t in (1.0, 0.5))
    torch.testing.assert_close(half.log_states, torch.log_softmax(2 * raw[:3], -1))
    torch.testing.assert_close((2 * half.log_sigma).exp(), (2 * one.log_sigma).exp() / 2)
    assert torch.equal(half.mean, one.mean)
    with pytest.raises(ValueError, match="has to be positive"):
        PenDistribution.read(raw, temperature=0.0)


def test_going_on_is_what_is_left_without_the_end():
    pen = PenDistribution.read(params(50, seed=4))
    going = pen.going_on()
    left = pen.log_states[:, :2].exp() / pen.log_states[:, :2].exp().sum(1, keepdim=True)
    torch.testing.assert_close(going.log_states[:, :2].exp(), left)
    drawn = going.draw(torch.Generator().manual_seed(0))
    assert not drawn[:, 4].any()


def test_near_no_temperature_the_likeliest_is_drawn():
    pen = PenDistribution.read(params(100, seed=8), temperature=1e-4)
    a, b = (pen.draw(torch.Generator().manual_seed(seed)) for seed in (0, 1))
    torch.testing.assert_close(a, b, atol=0.2, rtol=0)
