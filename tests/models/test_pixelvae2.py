"""What defines a PixelVAE of two levels: a prior in order, bounds on a likelihood, levels apart."""

import itertools
import math
from dataclasses import replace

import pytest
import torch

from models.nn.onlookers import seen_by
from models.nn.rate import Rate, gaussian_log_prob
from models.pixelvae2 import Config, Model
from models.training.protocols import Batch, LatentVariableModel

SMALL = Config(
    channels=1, size=4, target_size=2, likelihood="bernoulli", latent=1, lower=1, grid=2, width=4,
    layers=1, prior_layers=1,
)  # fmt: skip


def build(config=SMALL):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Model(config).double().eval()
        for parameter in model.parameters():
            inputs = parameter[0].numel() if parameter.ndim > 1 else 4
            torch.nn.init.normal_(parameter, std=0.9 / inputs**0.5)
        for told in (model.encoder.low, model.encoder.up):
            # Near the prior: from narrow proposals no few draws reach the evidence.
            torch.nn.init.normal_(told.weight, std=0.05)
            torch.nn.init.normal_(told.bias, std=0.2)
    return model


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def batch_for(config, items=5, seed=0):
    g = seeded(seed)
    c, side, small = config.channels, config.size, config.target_size
    seen = torch.rand(1, items, c, side, side, generator=g, dtype=torch.float64) * 2 - 1
    target = torch.rand(1, items, c, small, small, generator=g, dtype=torch.float64) * 2 - 1
    return Batch(seen, target.sign(), seed)


def test_it_is_a_latent_variable_model_whose_upper_vector_is_indexed():
    model = build()
    assert isinstance(model, LatentVariableModel)
    x = batch_for(SMALL).views[0]
    mean, log_var = model.encode(x)
    assert mean.shape == log_var.shape == (5, 1)
    assert torch.equal(model.embed(x), mean)
    assert model.encoder(x).low.shape == (5, 1, 2, 2)


def test_a_place_of_the_map_knows_the_places_before_it_and_the_vector():
    """By Jacobian, over the places in raster order and both numbers of each."""
    config = replace(SMALL, size=6, target_size=6, grid=3, lower=2, prior_layers=2)
    model = build(config)
    up = torch.randn(8, 1, generator=seeded(1)).double().requires_grad_()
    low = torch.randn(8, 2, 3, 3, generator=seeded(2)).double().requires_grad_()
    told = torch.cat(model.lower_prior(up, low), 1).flatten(2).sum((0, 1))  # (9,)
    seen = torch.zeros(9, 9, dtype=torch.bool)
    for place in range(9):
        slope, of_up = torch.autograd.grad(told[place], (low, up), retain_graph=True)
        seen[place] = slope.abs().sum((0, 1)).flatten() > 0
        assert of_up.abs().max() > 0
    assert torch.equal(seen, torch.ones(9, 9).tril(-1).bool())


def test_the_maps_density_is_that_of_its_draws():
    """With the noise of a draw, every place is its mean and its spread times the noise."""
    config = replace(SMALL, size=6, target_size=6, grid=3, lower=2)
    model = build(config)
    up = torch.randn(4, 1, generator=seeded(1)).double()
    noise = torch.randn(4, 2, 3, 3, generator=seeded(2)).double()
    low = model.draw_lower(up, noise)
    with torch.no_grad():
        mean, log_var = model.lower_prior(up, low)
    torch.testing.assert_close(mean + (0.5 * log_var).exp() * noise, low)


def joint_draws(model, n):
    """Scores of drawn pairs of a vector and a map: the evidence is their mean over the prior."""
    up = torch.randn(n, 1, generator=seeded(7)).double()
    noise = torch.randn(n, 1, 2, 2, generator=seeded(8)).double()
    return model.draw_lower(up, noise)


def evidence(model, target, n=20_000):
    """log p(target), by draws from both priors: (B,) nats."""
    low = joint_draws(model, n)
    with torch.no_grad():
        rows = [model.score(low, t.expand(n, -1, -1, -1)) for t in target]
    return torch.logsumexp(torch.stack(rows), 1) - math.log(n)


def every_picture():
    bits = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=4)), dtype=torch.float64)
    return bits.view(16, 1, 2, 2)


def test_bounds_are_below_the_evidence_and_more_samples_come_closer():
    model = build()
    x, target = batch_for(SMALL, items=4).views[0], every_picture()[[0, 5, 6, 15]]
    exact = evidence(model, target).mean().item()
    many = x.repeat(200, 1, 1, 1), target.repeat(200, 1, 1, 1)
    lots = x.repeat(20_000, 1, 1, 1), target.repeat(20_000, 1, 1, 1)
    with torch.no_grad():
        elbos = model.elbo(*lots, generator=seeded(0))
        one = model.log_prob(*lots, 1, generator=seeded(1)).view(20_000, 4)
        few = model.log_prob(*many, 5, generator=seeded(2)).mean().item()
        most = model.log_prob(*many, 40, generator=seeded(3)).mean().item()
    error = math.hypot(elbos.std().item(), one.std().item()) / 80_000**0.5
    assert abs(one.mean().item() - elbos.mean().item()) < 4 * error
    assert elbos.mean().item() < few < most < exact
    all_of_them = (one.logsumexp(0) - math.log(20_000)).mean().item()
    assert all_of_them == pytest.approx(exact, abs=0.06)


def test_probabilities_of_all_pictures_sum_to_one():
    model = build()
    low = torch.randn(1, 1, 2, 2, generator=seeded(0)).double().expand(16, -1, -1, -1)
    assert model.score(low, every_picture()).exp().sum().item() == pytest.approx(1)


def test_samples_occur_as_often_as_their_probability_says():
    model = build()
    drawn = model.sample(4_000, generator=seeded(4))
    expected = evidence(model, every_picture()).exp()
    assert expected.sum().item() == pytest.approx(1, abs=1e-6)
    for picture, probability in zip(every_picture(), expected.tolist(), strict=True):
        found = (drawn == picture).flatten(1).all(1).double().mean().item()
        assert found == pytest.approx(probability, abs=0.03)


def test_the_loss_is_the_evidence_lower_bound_of_both_levels():
    model = build(replace(SMALL, rate=Rate(mode="beta", weight=1.0)))
    batch = batch_for(SMALL)
    parts = model.loss(batch)
    elbo = model.elbo(batch.views[0], batch.targets[0], generator=batch.generator()).mean().item()
    assert parts["loss"].item() * 4 == pytest.approx(-elbo)
    assert (parts["nll"] + parts["kl"] + parts["kl_lower"]).item() == pytest.approx(-elbo)
    assert parts["kl"].item() == pytest.approx(model.rate(batch.views[0]).mean().item())


def test_the_maps_divergence_is_what_draws_show():
    """The closed form at each place, given drawn places before it, against log q - log p."""
    model = build()
    x = batch_for(SMALL, items=1).views[0].expand(4_000, -1, -1, -1)
    with torch.no_grad():
        told = model.encoder(x)
        up, low = model._draws(told, seeded(0))
        _, closed = model.divergences(told, up, low)
        q = gaussian_log_prob(low.flatten(1), told.low.flatten(1), told.low_log_var.flatten(1))
        prior = gaussian_log_prob(
            low.flatten(1), *(p.flatten(1) for p in model.lower_prior(up, low))
        )
    told_by_draws = q - prior
    error = (told_by_draws - closed).std().item() / 4_000**0.5
    assert closed.mean().item() == pytest.approx(told_by_draws.mean().item(), abs=4 * error)
    assert closed.mean() > 0.05


def test_the_upper_rate_is_held_though_the_map_could_tell_all():
    config = replace(SMALL, latent=4, width=8, rate=Rate(mode="target", target=3.0, weight=0.05))
    model = build(config).train()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    batch = batch_for(config, items=16)
    rates = []
    for step in range(220):
        parts = model.loss(replace(batch, step_seed=step))
        optimiser.zero_grad()
        parts["loss"].backward()
        optimiser.step()
        rates.append(parts["kl"].item())
    assert sum(rates[-40:]) / 40 == pytest.approx(3, rel=0.25)


@pytest.mark.parametrize("changes", [{"size": 5}, {"size": 2}, {"target_size": 3}, {"grid": 1}])
def test_sides_that_the_grid_does_not_reach_are_refused(changes):
    with pytest.raises(ValueError, match="doubled any number of times"):
        replace(SMALL, **changes)


def test_no_draws_are_no_bound():
    batch = batch_for(SMALL)
    with pytest.raises(ValueError, match="at least 1 sample; found k = 0"):
        build().log_prob(batch.views[0], batch.targets[0], 0, generator=seeded(0))


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_all_ways_draw_the_same_map(batch):
    """Bit for bit, though its numbers are no levels; and float32 holds them without a loss."""
    config = replace(SMALL, size=10, target_size=10, grid=5, lower=3, prior_layers=2)
    model = build(config)
    up = torch.randn(5, 1, generator=seeded(1)).double()
    noise = torch.randn(5, 3, 5, 5, generator=seeded(2)).double()
    naive = model.draw_lower(up, noise, method="naive")
    assert torch.equal(naive.float().double(), naive)
    for method in ("cached", "rows", "jacobi", "auto"):
        found = model.draw_lower(up[:batch], noise[:batch], method=method)
        assert torch.equal(found, naive[:batch]), method


def test_the_picture_is_seen_while_it_is_drawn_and_the_map_is_not():
    seen = []
    with seen_by(lambda picture: seen.append(picture().shape)):
        drawn = build(replace(SMALL, size=8, target_size=8, lower=3)).sample(2, generator=seeded(0))
    assert seen == [drawn.shape] * 8
