"""Divergences against other implementations, and the controller that holds the rate."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Normal, kl_divergence

from models.nn.contrastive import info_nce
from models.nn.rate import (
    Rate,
    active_units,
    gaussian_kl,
    gaussian_kl_between,
    gaussian_log_prob,
    is_collapsed,
)


def test_divergence_and_density_equal_torch_distributions():
    g = torch.Generator().manual_seed(0)
    mean, log_var, z = (torch.randn(5, 7, generator=g) for _ in range(3))
    posterior = Normal(mean, (0.5 * log_var).exp())
    expected = kl_divergence(posterior, Normal(torch.zeros(7), torch.ones(7))).sum(1)
    torch.testing.assert_close(gaussian_kl(mean, log_var), expected)
    torch.testing.assert_close(gaussian_log_prob(z, mean, log_var), posterior.log_prob(z).sum(1))


def test_divergence_equals_its_definition_by_sampling():
    mean, log_var = torch.tensor([[0.8, -0.3]]), torch.tensor([[-0.5, 0.4]])
    z = mean + (0.5 * log_var).exp() * torch.randn(
        200_000, 2, generator=torch.Generator().manual_seed(0)
    )
    zero = torch.zeros(1, 2)
    sampled = (gaussian_log_prob(z, mean, log_var) - gaussian_log_prob(z, zero, zero)).mean()
    assert gaussian_kl(mean, log_var).item() == pytest.approx(sampled.item(), abs=0.01)


@settings(max_examples=30, deadline=None)
@given(st.floats(-3, 3), st.floats(-3, 3))
def test_divergence_is_never_negative(mean, log_var):
    assert gaussian_kl(torch.tensor([[mean]]), torch.tensor([[log_var]])).item() >= -1e-6


def test_modes_by_hand():
    kl, weight = torch.tensor([8.0, 12.0]), torch.tensor(2.0)
    assert Rate(mode="beta").penalty(kl, weight, 1.0).item() == 20
    assert Rate(mode="free_bits", target=7).penalty(kl, weight, 1.0).item() == 6
    assert Rate(mode="free_bits", target=11).penalty(kl, weight, 1.0).item() == 0
    assert Rate(mode="beta", warmup=0.5).penalty(kl, weight, 0.25).item() == 10


def test_the_controller_holds_the_target_from_both_sides():
    # A system whose rate falls as the weight rises: the controller must find the weight.
    rate, weight = Rate(mode="target", target=20), torch.tensor(1.0)
    for start in (0.01, 50.0):
        weight = torch.tensor(start)
        for _ in range(800):
            weight = rate.adapt(weight, (60 / weight.clamp(min=0.1)).expand(4))
        assert 60 / weight.item() == pytest.approx(20, rel=0.1)


def test_other_modes_leave_the_weight_alone():
    weight = torch.tensor(3.0)
    assert Rate(mode="beta").adapt(weight, torch.tensor([100.0])) is weight


def test_active_units_counts_dimensions_that_vary():
    means = torch.zeros(10, 4)
    means[:, 1] = torch.linspace(-1, 1, 10)
    means[:, 3] = torch.linspace(-0.01, 0.01, 10)
    assert active_units(means).item() == 1
    assert active_units(means[:1]).item() == 0


def test_collapse_is_a_rate_below_three_nats():
    assert is_collapsed(0.06)
    assert not is_collapsed(10.2)


def test_info_nce_by_hand():
    # Two items on orthogonal axes, views identical: each vector has its partner at cosine 1 and
    # two strangers at cosine 0.
    views = torch.eye(2)
    e = torch.tensor(1.0).exp()
    assert info_nce(views, views, 1.0).item() == pytest.approx(-(e / (e + 2)).log().item())


def test_info_nce_does_not_depend_on_length_and_prefers_the_right_partner():
    g = torch.Generator().manual_seed(0)
    a, b = torch.randn(8, 5, generator=g), torch.randn(8, 5, generator=g)
    torch.testing.assert_close(info_nce(a, b, 0.2), info_nce(3 * a, 0.1 * b, 0.2))
    assert info_nce(a, a + 0.01 * b, 0.2) < info_nce(a, (a + 0.01 * b).roll(1, 0), 0.2)


def test_the_divergence_of_two_normals_is_that_of_torch_distributions_and_of_draws():
    g = torch.Generator().manual_seed(3)
    mean, log_var, other, other_log_var = (torch.randn(4, 3, generator=g) for _ in range(4))
    found = gaussian_kl_between(mean, log_var, other, other_log_var)
    q, p = Normal(mean, (log_var / 2).exp()), Normal(other, (other_log_var / 2).exp())
    torch.testing.assert_close(found, kl_divergence(q, p).sum(1))
    zero = torch.zeros_like(mean)
    torch.testing.assert_close(gaussian_kl_between(mean, log_var, zero, zero),
                               gaussian_kl(mean, log_var))  # fmt: skip
    z = mean + (log_var / 2).exp() * torch.randn(20_000, 4, 3, generator=g)
    told = (q.log_prob(z) - p.log_prob(z)).sum(2)
    assert ((told.mean(0) - found).abs() < 5 * told.std(0) / 20_000**0.5).all()
