"""What defines a DRAW: bounds on a likelihood, steps that add up, and attention that is a place."""

import itertools
import math
from dataclasses import replace

import pytest
import torch

from models import draw
from models.draw import Config, Model
from models.nn.rate import Rate
from models.training.protocols import Batch, LatentVariableModel

SMALL = Config(size=3, steps=2, hidden=8, latent=1, read=2, write=2)
PLAIN = replace(SMALL, attention=False)
BOTH = [SMALL, PLAIN]


def build(config):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Model(config).double().eval()
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.4)
    return model


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def pictures(config, count=5, seed=0):
    shape = (count, 1, config.size, config.size)
    return torch.randint(2, shape, generator=seeded(seed)).double() * 2 - 1


@pytest.mark.parametrize("config", BOTH)
def test_it_is_a_latent_variable_model(config):
    model = build(config)
    assert isinstance(model, LatentVariableModel)
    x = pictures(config)
    mean, log_var = model.encode(x)
    assert mean.shape == log_var.shape == (5, 2)
    assert torch.equal(model.embed(x), mean)


@pytest.mark.parametrize("config", BOTH)
def test_the_decoder_alone_paints_what_both_painted(config):
    """What is said is all that the canvas knows: else a sample is no draw from the model."""
    model = build(config)
    x = pictures(config)
    seen = model.look_and_paint(x, model._noise(x, seeded(1)))
    frames = model.canvases(seen.z)
    assert frames.shape == (5, 2, 1, 3, 3)
    torch.testing.assert_close(frames[:, -1], 2 * torch.sigmoid(seen.canvas) - 1)
    torch.testing.assert_close(frames[:, -1], model.outline(seen.z))
    assert (frames[:, 0] != frames[:, 1]).any()
    first = build(replace(config, steps=1))
    first.load_state_dict(model.state_dict())
    torch.testing.assert_close(first.outline(seen.z[:, :1]), frames[:, 0])


@pytest.mark.parametrize("config", BOTH)
def test_probabilities_of_all_pictures_sum_to_one(config):
    model = build(config)
    every = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=9)), dtype=torch.float64)
    z = torch.tensor([[0.4, -1.1]], dtype=torch.float64).expand(512, -1)
    scores = model.score(z, every.view(512, 1, 3, 3))
    assert scores.exp().sum().item() == pytest.approx(1, abs=1e-9)


def evidence(model, target):
    """log p(target) by integration over both latent numbers: (B,) nats."""
    line = (torch.arange(120, dtype=torch.float64) + 0.5) / 120 * 12 - 6
    z = torch.cartesian_prod(line, line)
    prior = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(1) + 2 * math.log(12 / 120)
    with torch.no_grad():
        rows = [model.score(z, t.expand(len(z), -1, -1, -1)) + prior for t in target]
    return torch.logsumexp(torch.stack(rows), 1)


@pytest.mark.parametrize("config", BOTH)
def test_bounds_are_below_the_evidence_and_more_samples_come_closer(config):
    model = build(config)
    x = pictures(config, count=4)
    exact = evidence(model, x).mean().item()
    many = x.repeat(200, 1, 1, 1)
    with torch.no_grad():
        elbo = model.elbo(many, many, generator=seeded(0)).mean().item()
        one = model.log_prob(many, many, 1, generator=seeded(1)).mean().item()
        few = model.log_prob(many, many, 5, generator=seeded(2)).mean().item()
        most = model.log_prob(many, many, 100, generator=seeded(3)).mean().item()
    assert one == pytest.approx(elbo, abs=0.1)
    assert elbo < few < most
    assert most == pytest.approx(exact, abs=0.02)


@pytest.mark.parametrize("config", BOTH)
def test_the_loss_is_the_evidence_lower_bound(config):
    model = build(config)
    x = pictures(config)
    batch = Batch(x[None], x[None], step_seed=3)
    parts = model.loss(batch)
    elbo = model.elbo(x, x, generator=batch.generator()).mean().item()
    assert parts["loss"].item() * 9 == pytest.approx(-elbo)
    held = build(replace(config, rate=Rate(mode="beta", weight=0.5))).loss(batch)
    assert held["loss"].item() * 9 == pytest.approx((held["nll"] + 0.5 * held["kl"]).item())


def test_a_step_sees_what_is_still_wrong_with_the_canvas():
    """Two steps by hand, from the paper's formulas, with a memory written out."""
    model = build(PLAIN)
    x, noise = pictures(PLAIN, count=1), torch.randn(1, 2, 1, generator=seeded(5)).double()

    def lstm(cell, inputs, h, c):
        i, f, o, g = torch.split(cell.gates.weight @ torch.cat([inputs, h]) + cell.gates.bias, 8)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c

    bits = ((x + 1) / 2).flatten()
    zero = torch.zeros(8).double()
    encoder, decoder, canvas = (zero, zero), (zero, zero), model.blank.flatten()
    for t in range(2):
        error = bits - torch.sigmoid(canvas)
        encoder = lstm(model.encoder, torch.cat([bits, error, decoder[0]]), *encoder)
        mean, log_var = model.say(encoder[0])
        z = mean + (log_var / 2).exp() * noise[0, t]
        decoder = lstm(model.decoder, z, *decoder)
        canvas = canvas + model.paint(decoder[0])
    torch.testing.assert_close(model.look_and_paint(x, noise).canvas.flatten(), canvas)


def test_cells_that_only_grow_stay_bounded():
    """With open gates a memory grows by one in each step, and 64 steps made others' explode."""
    cell = draw.Cell(3, 5).double()
    torch.nn.init.zeros_(cell.gates.weight)
    torch.nn.init.constant_(cell.gates.bias, 20.0)
    state = torch.zeros(2, 5).double(), torch.zeros(2, 5).double()
    for _ in range(64):
        state = cell(torch.zeros(2, 3).double(), state)
    assert state[1].max().item() == 10


def test_every_step_is_charged():
    """The divergence is a sum over the steps: alone in its first one, a model is charged for it."""
    model = build(SMALL)
    x = pictures(SMALL)
    seen = model.look_and_paint(x, model._noise(x, seeded(1)))
    mean, log_var = seen.mean, seen.log_var  # (B, 2), a number a step
    each = 0.5 * (mean.square() + log_var.exp() - 1 - log_var)
    assert (each.mean(0) > 0.01).all()
    torch.testing.assert_close(draw._kl(seen), each.sum(1))


def test_where_it_looks_and_paints_is_told_as_boxes():
    config = replace(SMALL, size=9, steps=4, read=3, write=2)
    model = build(config)
    x = pictures(config)
    boxes = model.look(x)
    assert boxes["read"].shape == boxes["write"].shape == (5, 4, 4)
    for layer in (model.read_at, model.write_at):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    for box in model.look(x).values():  # centre of 9 pixels, from the first to the last
        assert box[..., :3].unique(dim=1).flatten(0, 1).unique(dim=0).tolist() == [[4, 4, 8]]


def test_what_lies_outside_the_glimpse_is_not_read():
    config = replace(SMALL, size=9, steps=1, read=3)
    model = build(config)
    torch.nn.init.zeros_(model.read_at.weight)
    with torch.no_grad():  # a narrow grid about the second row and column
        at = 2 * 2 / 10 - 1  # counted from 1: row 2 of (9 + 1) / 2 (g + 1)
        model.read_at.bias.copy_(torch.tensor([at, at, -9.0, -math.log(4), 0.0]))
    x = pictures(config, count=1).requires_grad_()
    model.encode(x)[0].sum().backward()
    seen = x.grad[0, 0].abs() > 1e-12
    assert seen[:3, :3].all()
    assert seen.sum() == 9


def test_without_attention_there_are_no_boxes():
    with pytest.raises(ValueError, match="no attention, so it looks everywhere"):
        build(PLAIN).look(pictures(PLAIN))


def test_it_learns_to_paint_two_pictures():
    config = replace(SMALL, size=6, hidden=24, latent=2, steps=3, read=3, write=3)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Model(config).train()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    half = torch.ones(1, 1, 6, 6)
    half[..., :3] = -1
    for step in range(120):
        sign = torch.randint(2, (32, 1, 1, 1), generator=seeded(step)) * 2 - 1
        x = half * sign
        loss = model.loss(Batch(x[None], x[None], step))["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() * 36 < 6 * math.log(2), "36 pixels, one bit to tell"
    drawn = model.eval().sample(40, generator=seeded(0)).flatten(1)
    near = (drawn[:, None] == torch.cat([half, -half]).flatten(1)).float().mean(2).max(1).values
    assert near.mean() > 0.9


@pytest.mark.parametrize(("name", "value"), [("steps", 0), ("read", 1), ("write", 1)])
def test_a_setting_out_of_its_range_is_named(name, value):
    with pytest.raises(ValueError, match=f"{name} is {value}; it has to be"):
        replace(SMALL, **{name: value})


def test_no_draws_are_no_bound():
    x = pictures(SMALL)
    with pytest.raises(ValueError, match="at least 1 sample; found k = 0"):
        build(SMALL).log_prob(x, x, 0, generator=seeded(0))


def test_the_large_presets_have_the_papers_sizes():
    paper = draw.presets()["gpu"].config
    assert (paper.steps, paper.hidden, paper.latent) == (64, 256, 100)
    assert (paper.read, paper.write) == (2, 5)
