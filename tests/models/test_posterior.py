"""Families of posteriors against torch.distributions, against sampling, and against quadrature."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Normal, TransformedDistribution, Uniform, kl_divergence
from torch.distributions.transforms import AffineTransform, CumulativeDistributionTransform

from models.nn.posterior import (
    NormalPosterior,
    ProbitNormalPosterior,
    importance_weighted,
    posterior_for,
)

NORMAL, UNIFORM = FAMILIES = [NormalPosterior(), ProbitNormalPosterior()]


def told(family, seed=0, items=5, dims=4):
    """A location and a log-variance as an encoder would tell them."""
    g = torch.Generator().manual_seed(seed)
    return family.read(torch.randn(items, 2 * dims, generator=g, dtype=torch.float64))


def reference(family, location, log_var):
    """The same posterior and its prior, of torch.distributions."""
    zeros = torch.zeros_like(location)
    posterior, standard = Normal(location, (0.5 * log_var).exp()), Normal(zeros, zeros + 1)
    if family is NORMAL:
        return posterior, standard
    steps = [CumulativeDistributionTransform(standard), AffineTransform(-1.0, 2.0)]
    return TransformedDistribution(posterior, steps), Uniform(zeros - 1, zeros + 1)


def many(values, n):
    return tuple(value.expand(n, -1) for value in values)


def test_a_prior_has_its_family():
    assert posterior_for("normal") == NORMAL
    assert posterior_for("uniform") == UNIFORM


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_equal_the_densities_of_torch_distributions(family):
    params = told(family)
    posterior, prior = reference(family, *params)
    z, ratio = family.weigh(*params, torch.Generator().manual_seed(1))
    expected = (prior.log_prob(z) - posterior.log_prob(z)).sum(1)
    torch.testing.assert_close(ratio, expected, atol=1e-6, rtol=1e-6)


def test_the_divergence_equals_that_of_torch_distributions():
    params = told(NORMAL)
    expected = kl_divergence(*reference(NORMAL, *params)).sum(1)
    torch.testing.assert_close(NORMAL.kl(*params), expected)
    assert torch.equal(UNIFORM.kl(*params), NORMAL.kl(*params))


@pytest.mark.parametrize("family", FAMILIES)
def test_divergence_equals_its_definition_by_sampling(family):
    params = told(family, items=1, dims=2)
    posterior, prior = reference(family, *params)
    z = family.draw(*many(params, 100_000), torch.Generator().manual_seed(0))
    inside = z.clamp(-1 + 1e-12, 1 - 1e-12) if family is UNIFORM else z
    sampled = (posterior.log_prob(inside) - prior.log_prob(inside)).sum(1).mean().item()
    assert family.kl(*params).item() == pytest.approx(sampled, abs=0.02)


@pytest.mark.parametrize("family", FAMILIES)
def test_draws_have_the_mean_that_is_told(family):
    params = told(family, items=1)
    z = family.draw(*many(params, 50_000), torch.Generator().manual_seed(0))
    error = z.std(0) / math.sqrt(50_000)
    assert ((z.mean(0) - family.mean(*params)[0]).abs() < 4 * error).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_the_posterior_that_says_nothing_is_the_prior(family):
    """Two samples of one distribution: the largest gap of their step functions is small."""
    nothing = torch.zeros(20_000, 1)
    assert family.kl(nothing, nothing).abs().max().item() == 0
    drawn = family.draw(nothing, nothing, torch.Generator().manual_seed(0)).flatten().sort().values
    prior = family.prior_draw(20_000, 1, torch.Generator().manual_seed(1)).flatten().sort().values
    steps = torch.arange(20_000) / 20_000
    gap = (torch.searchsorted(prior, drawn) / 20_000 - steps).abs().max().item()
    assert gap < 1.95 * math.sqrt(2 / 20_000)  # Kolmogorov and Smirnov, one in a thousand
    if family is UNIFORM:
        assert prior.min() >= -1
        assert prior.max() <= 1


@pytest.mark.parametrize("family", FAMILIES)
def test_a_draw_has_the_gradient_of_its_parameters(family):
    raw = torch.randn(3, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def draw(params):
        return family.weigh(*family.read(params), torch.Generator().manual_seed(7))

    assert torch.autograd.gradcheck(draw, raw.requires_grad_())


@settings(max_examples=60, deadline=None)
@given(st.floats(-60, 60), st.floats(-60, 60))
def test_whatever_the_encoder_says_is_finite_and_within_the_prior(location, log_var):
    params = UNIFORM.read(torch.tensor([[location, log_var]]))
    z, ratio = UNIFORM.weigh(*many(params, 20), torch.Generator().manual_seed(0))
    assert max(z.abs().max(), UNIFORM.mean(*params).abs().max()) <= 1
    assert torch.isfinite(ratio).all()
    assert UNIFORM.kl(*params).item() >= -1e-6


def test_a_mean_by_hand():
    # m = sqrt 2, s = 1: 2 Phi(1) - 1, the share within one standard deviation.
    params = torch.tensor([[math.sqrt(2)]]), torch.tensor([[0.0]])
    assert UNIFORM.mean(*params).item() == pytest.approx(0.6826895)
    assert NORMAL.mean(*params).item() == pytest.approx(math.sqrt(2))


@pytest.mark.parametrize(("family", "edge"), [(NORMAL, 8.0), (UNIFORM, 1.0)])
def test_many_importance_samples_reach_the_evidence(family, edge):
    """The integral of p(x|z) p(z) over a fine grid is the oracle."""
    params = torch.tensor([[0.3]]).double(), torch.tensor([[-1.0]]).double()

    def score(z):
        return -((2 * z - 0.8) ** 2).sum(1)

    grid = ((torch.arange(100_000).double() + 0.5) / 50_000 - 1)[:, None] * edge
    _, prior = reference(family, *params)
    joint = score(grid) + prior.log_prob(grid).sum(1)
    evidence = torch.logsumexp(joint, 0).item() + math.log(2 * edge / 100_000)
    bounds = [
        importance_weighted(
            family, score, *many(params, 5_000), k, torch.Generator().manual_seed(k)
        )
        .mean()
        .item()
        for k in (1, 4, 200)
    ]
    assert bounds[0] < bounds[1] < bounds[2]
    assert bounds[2] == pytest.approx(evidence, abs=3e-3)


def test_a_bound_needs_a_sample():
    zero = torch.zeros(1, 1)
    with pytest.raises(ValueError, match="at least 1 sample; found k = 0"):
        importance_weighted(NORMAL, lambda z: z.sum(1), zero, zero, 0, torch.Generator())
