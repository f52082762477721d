"""What defines a VLAE: a local decoder, a learned prior, bounds on a likelihood, a held rate."""

import itertools
import math
from dataclasses import replace

import pytest
import torch

from models import vlae
from models.nn.rate import Rate
from models.training.protocols import Batch, LatentVariableModel

SMALL = vlae.Config(
    channels=1, size=8, target_size=3, likelihood="bernoulli", latent=2, widths=(4, 8),
    depths=(1, 1), decoder_width=4, layers=1, flow_steps=2, flow_hidden=8, flow_scales=True,
)  # fmt: skip


def build(config=SMALL):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = vlae.Model(config).double().eval()
        for parameter in model.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.4)
        torch.nn.init.normal_(model.bottleneck.weight, std=0.02)
        for step in model.prior.steps:
            for layer in (step.shift, step.scale):
                torch.nn.init.normal_(layer.weight, std=0.15)
    return model


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def batch_for(config, items=5, seed=0):
    g = seeded(seed)
    c, side, small = config.channels, config.size, config.target_size
    seen = torch.rand(1, items, c, side, side, generator=g, dtype=torch.float64) * 2 - 1
    target = torch.rand(1, items, c, small, small, generator=g, dtype=torch.float64) * 2 - 1
    return Batch(seen, target.sign(), seed)


def test_it_is_a_latent_variable_model():
    model = build()
    assert isinstance(model, LatentVariableModel)
    x = batch_for(SMALL).views[0]
    assert torch.equal(model.embed(x), model.encode(x)[0])


def evidence(model, target, edge=14.0, cells=160):
    """log p(target) by integration over the two numbers of z: (B,) nats."""
    line = (torch.arange(cells, dtype=torch.float64) + 0.5) / cells * 2 * edge - edge
    z = torch.cartesian_prod(line, line)
    with torch.no_grad():
        prior = model.prior.log_prob(z) + 2 * math.log(2 * edge / cells)
        assert prior.exp().sum().item() == pytest.approx(1, abs=0.01), "the grid holds the prior"
        rows = [model.score(z, t.expand(len(z), -1, -1, -1)) + prior for t in target]
    return torch.logsumexp(torch.stack(rows), 1)


def test_bounds_are_below_the_evidence_and_more_samples_come_closer():
    model = build()
    batch = batch_for(SMALL, items=3)
    x, target = batch.views[0], batch.targets[0]
    exact = evidence(model, target).mean().item()
    many = x.repeat(150, 1, 1, 1), target.repeat(150, 1, 1, 1)
    with torch.no_grad():
        elbo = model.elbo(*many, generator=seeded(0)).mean().item()
        few = model.log_prob(*many, 4, generator=seeded(1)).mean().item()
        most = model.log_prob(*many, 60, generator=seeded(2)).mean().item()
    assert elbo < few < most
    assert most == pytest.approx(exact, abs=0.03)


def test_probabilities_of_all_pictures_sum_to_one():
    model = build()
    every = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=9)), dtype=torch.float64)
    z = torch.tensor([[0.4, -1.1]], dtype=torch.float64).expand(512, -1)
    with torch.no_grad():
        scores = model.score(z, every.view(512, 1, 3, 3))
    assert scores.exp().sum().item() == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("layers", [0, 1, 2])
def test_a_pixel_sees_the_pixels_near_it_and_no_others(layers):
    """Local: as many rows up as declared, as many columns to either side, nothing after itself."""
    config = replace(SMALL, target_size=9, layers=layers)
    model = build(config)
    x = batch_for(config, items=3).targets[0].mul(0.7).requires_grad_()
    told = model.pixelcnn(x, model.condition(torch.zeros(3, 2).double()))
    (slope,) = torch.autograd.grad(told[:, :, 5, 4].sum() + 0 * x.sum(), x)
    seen = slope.abs().sum((0, 1)) > 0
    reach = 1 + layers if layers else 0
    expected = torch.zeros(9, 9, dtype=torch.bool)
    for i, j in itertools.product(range(9), range(9)):
        above = 5 - reach <= i < 5 and abs(j - 4) <= reach
        beside = i == 5 and 4 - reach <= j < 4
        expected[i, j] = above or beside
    assert not (seen & ~expected).any()
    assert seen[4, 3:6].all() == (layers > 0)


def test_drawing_in_windows_is_drawing_by_whole_passes():
    """Each pixel's parameters from a pass over the whole picture: the same noise, the same draw."""
    config = replace(SMALL, target_size=7)
    model = build(config)
    z = torch.randn(3, 2, generator=seeded(0)).double()
    noise = torch.rand(3, 1, 7, 7, generator=seeded(1)).double()
    x = torch.zeros(3, 1, 7, 7).double()
    for i, j in itertools.product(range(7), range(7)):
        with torch.no_grad():
            drawn = model.likelihood.draw(model.pixelcnn(x, model.condition(z)), noise)
        x[:, :, i, j] = drawn[:, :, i, j]
    assert torch.equal(model.draw(z, noise), x)


def test_samples_come_from_the_learned_prior():
    model = build(replace(SMALL, target_size=2))
    n = 2_000
    drawn = model.sample(n, generator=seeded(4))
    for bits in itertools.product([-1.0, 1.0], repeat=4):
        picture = torch.tensor(bits, dtype=torch.float64).view(1, 1, 2, 2)
        found = (drawn == picture).flatten(1).all(1).double().mean().item()
        assert found == pytest.approx(evidence(model, picture).exp().item(), abs=0.04)


def test_a_vector_is_made_of_normal_noise_by_the_prior():
    """Drawn from N(0, 1) instead, vectors would be others than those the decoder has learned."""
    model = build()
    made = model.draw_latent(5, generator=seeded(3))
    torch.testing.assert_close(
        model.prior(made)[0], torch.randn(5, 2, generator=seeded(3)).double()
    )
    assert (made - torch.randn(5, 2, generator=seeded(3))).abs().max() > 0.05


def test_with_weight_one_the_loss_is_the_evidence_lower_bound():
    model = build(replace(SMALL, rate=Rate(mode="beta", weight=1.0)))
    batch = batch_for(SMALL)
    parts = model.loss(batch)
    elbo = model.elbo(batch.views[0], batch.targets[0], generator=batch.generator()).mean().item()
    assert parts["loss"].item() * 9 == pytest.approx(-elbo)
    assert (parts["nll"] + parts["kl"]).item() == pytest.approx(-elbo)


def test_without_a_flow_the_rate_is_the_closed_form():
    model = build(replace(SMALL, flow_steps=0))
    x = batch_for(SMALL).views[0]
    exact = model.posterior.kl(*model.encode(x))
    torch.testing.assert_close(model.rate(x), exact, atol=0.5, rtol=0.15)


def test_soft_free_bits_hold_the_rate():
    config = replace(SMALL, latent=4, rate=Rate(mode="target", target=5.0))
    model = build(config).train()
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    batch = batch_for(config, items=16)
    rates = []
    for step in range(200):
        parts = model.loss(replace(batch, step_seed=step))
        optimiser.zero_grad()
        parts["loss"].backward()
        optimiser.step()
        rates.append(parts["kl"].item())
    assert sum(rates[-50:]) / 50 == pytest.approx(5, rel=0.2)


def test_no_draws_are_no_bound():
    batch = batch_for(SMALL)
    with pytest.raises(ValueError, match="at least 1 sample; found k = 0"):
        build().log_prob(batch.views[0], batch.targets[0], 0, generator=seeded(0))
