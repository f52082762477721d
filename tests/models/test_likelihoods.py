"""Probabilities sum to 1, draws follow them, and the tails stay finite."""

import itertools
import math

import pytest
import torch

from models.nn.likelihoods import Bernoulli, LogisticMixture


def params_for(likelihood, n, seed=0, scale=1.0):
    g = torch.Generator().manual_seed(seed)
    return scale * torch.randn(n, likelihood.parameters, 1, 1, generator=g, dtype=torch.float64)


@pytest.mark.parametrize("scale", [0.1, 1.0, 5.0])
def test_grey_mixture_sums_to_one_over_256_levels(scale):
    likelihood = LogisticMixture(channels=1, components=3)
    params = params_for(likelihood, 8, scale=scale)
    levels = torch.linspace(-1, 1, 256, dtype=torch.float64)
    total = sum(likelihood.log_prob(level.expand(8, 1, 1, 1), params).exp() for level in levels)
    torch.testing.assert_close(total.flatten(), torch.ones(8, dtype=torch.float64))


def test_colour_mixture_sums_to_one_over_all_colours():
    likelihood = LogisticMixture(channels=3, components=2, levels=4)
    params = params_for(likelihood, 4, scale=2.0)
    levels = torch.linspace(-1, 1, 4, dtype=torch.float64)
    total = torch.zeros(4, 1, 1, dtype=torch.float64)
    for colour in itertools.product(levels, repeat=3):
        pixel = torch.stack(colour).view(1, 3, 1, 1).expand(4, 3, 1, 1)
        total += likelihood.log_prob(pixel, params).exp()
    torch.testing.assert_close(total.flatten(), torch.ones(4, dtype=torch.float64))


def test_one_logistic_by_hand():
    # mean 0, scale 1, level 0 of three at -1, 0, 1: the bin is [-1/2, 1/2].
    likelihood = LogisticMixture(channels=1, components=1, levels=3)
    params = torch.zeros(1, 3, 1, 1, dtype=torch.float64)
    found = likelihood.log_prob(torch.zeros(1, 1, 1, 1, dtype=torch.float64), params).exp().item()
    expected = 1 / (1 + math.exp(-0.5)) - 1 / (1 + math.exp(0.5))
    assert found == pytest.approx(expected, rel=1e-9)


def test_far_tails_are_finite_and_have_gradients():
    likelihood = LogisticMixture(channels=1, components=1)
    params = torch.tensor([0.0, 0.9, -20.0]).view(1, 3, 1, 1).requires_grad_()
    value = likelihood.log_prob(torch.full((1, 1, 1, 1), -0.5), params).sum()
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(params.grad).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_draws_follow_the_probabilities(channels):
    likelihood = LogisticMixture(channels=channels, components=2, levels=3)
    params = params_for(likelihood, 1, seed=3, scale=1.5)
    n = 20_000
    noise = torch.rand(n, likelihood.noise, 1, 1, generator=torch.Generator().manual_seed(1))
    drawn = likelihood.draw(params.expand(n, -1, -1, -1).float(), noise)
    levels = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64)
    for colour in itertools.product(levels, repeat=channels):
        pixel = torch.stack(colour).view(1, channels, 1, 1)
        expected = likelihood.log_prob(pixel, params).exp().item()
        found = (drawn == pixel).all(1).float().mean().item()
        assert found == pytest.approx(expected, abs=0.015)


def test_draws_are_levels_and_repeat_for_the_same_noise():
    likelihood = LogisticMixture(channels=3, components=4)
    params = params_for(likelihood, 16, seed=5).float()
    noise = torch.rand(16, likelihood.noise, 1, 1, generator=torch.Generator().manual_seed(2))
    first, second = likelihood.draw(params, noise), likelihood.draw(params, noise)
    assert torch.equal(first, second)
    steps = (first + 1) * 127.5
    torch.testing.assert_close(steps, steps.round(), atol=1e-3, rtol=0)


def test_the_mean_picture_is_the_mean_of_the_draws():
    likelihood = LogisticMixture(channels=3, components=2)
    params = params_for(likelihood, 1, seed=7).float()
    params[:, 8:14] = -4.0  # narrow: nothing is clipped at the ends
    params[:, 2:8] *= 0.2
    n = 20_000
    noise = torch.rand(n, likelihood.noise, 1, 1, generator=torch.Generator().manual_seed(1))
    drawn = likelihood.draw(params.expand(n, -1, -1, -1), noise).mean(0, keepdim=True)
    torch.testing.assert_close(drawn, likelihood.mean(params), atol=0.01, rtol=0)


def test_bernoulli_by_hand():
    likelihood = Bernoulli()
    logit = torch.full((1, 1, 1, 1), math.log(3.0))  # probability 3/4
    one = torch.ones(1, 1, 1, 1)
    assert likelihood.log_prob(one, logit).exp().item() == pytest.approx(0.75)
    assert likelihood.log_prob(-one, logit).exp().item() == pytest.approx(0.25)
    assert likelihood.draw(logit, torch.full_like(one, 0.74)).item() == 1
    assert likelihood.draw(logit, torch.full_like(one, 0.76)).item() == -1
