"""SRNN's divergences by other means, its smoothing, its bound, and the plain RNN beside it."""

from dataclasses import replace

import pytest
import torch
from torch.distributions import Normal, kl_divergence

import models
from models.nn.pen import PenDistribution
from models.srnn import Model, _turn, kl_between, presets, until_end
from models.strokes import to_three
from models.training.protocols import StrokeBatch, StrokeDecoder
from models.training.strokes import pad_strokes, stack_sketches, stroke_lengths
from tests.strokes_made import (
    drawings,
    gather_draws,
    gathered_until_end,
    stroke_preprocessing,
)


def model_with(seed=0, **changes):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Model(replace(presets()["tiny"].config, **changes)).eval()


def rows(count=6, length=16):
    preprocessing = stroke_preprocessing(16)
    return stack_sketches([preprocessing.apply(p) for p in drawings(count)], length)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def learned(model, steps):
    batch = StrokeBatch(rows(8), step_seed=0)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    model.train()
    for step in range(steps):
        loss = model.loss(replace(batch, step_seed=step))["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model.eval()


def test_the_divergence_is_that_of_torch():
    mean, log_var, p_mean, p_log_var = torch.randn(4, 5, 3, generator=generator())
    q, p = Normal(mean, (log_var / 2).exp()), Normal(p_mean, (p_log_var / 2).exp())
    found = kl_between(mean, log_var, p_mean, p_log_var)
    torch.testing.assert_close(found, kl_divergence(q, p).sum(1))


def test_the_divergence_of_the_chain_is_what_draws_show():
    """The mean over draws of log q(z) / p(z) and of the closed forms on the way are the same."""
    model = model_with()
    x = rows(1).expand(4000, -1, -1)
    with torch.inference_mode():
        _, kl, ratio = model.parts(x, generator())
    error = (kl + ratio).std() / 4000**0.5
    assert kl.mean().item() > 0.1
    assert abs((kl + ratio).mean().item()) < 5 * error.item()


def test_rows_are_turned_within_their_drawing():
    x = torch.arange(5.0).expand(2, -1).unsqueeze(-1)
    turned = _turn(x, torch.tensor([3, 5]))
    assert turned[..., 0].tolist() == [[2, 1, 0, 3, 4], [4, 3, 2, 1, 0]]
    assert torch.equal(_turn(turned, torch.tensor([3, 5])), x)


def test_a_state_knows_the_rows_after_it_and_the_past_does_not():
    model = model_with()
    x = rows(1).requires_grad_()
    past = model.remember(x)
    found = model.infer(x, past.detach(), None)
    (seen,) = torch.autograd.grad(found.states[0, 2].sum(), x)
    count = int(stroke_lengths(x)) + 1
    assert (seen[0, :count] != 0).any(1).all()  # with the end, and by the states before also back
    assert (seen[0, count:] == 0).all()
    (known,) = torch.autograd.grad(past[0, 2].sum(), x)
    assert (known[0, :2] != 0).any(1).all()
    assert (known[0, 2:] == 0).all()


def test_the_bound_rises_with_the_number_of_draws():
    model = learned(model_with(), 25)
    x = rows(4).repeat(40, 1, 1)
    with torch.inference_mode():
        one, many = (model.bound(x, k, generator=generator()) for k in (1, 20))
        elbo = model.evidence(x, generator=generator(1))
    assert many.mean() > one.mean()
    error = (one.std() + elbo.std()) / len(x) ** 0.5
    assert abs(one.mean() - elbo.mean()) < 5 * error  # two estimates of the same


def test_without_latent_states_it_is_a_recurrent_network_and_exact():
    """Row after row by hand, with torch's own cell."""
    model = model_with(stochastic=False)
    assert model.exact
    x = rows(3)
    cell = torch.nn.GRUCell(5, 16)
    cell.load_state_dict({k.removesuffix("_l0"): v for k, v in model.forwards.state_dict().items()})
    memory, last, told = torch.zeros(3, 16), torch.tensor([[0.0, 0, 1, 0, 0]] * 3), torch.zeros(3)
    for t in range(16):
        memory = cell(last, memory)
        pen = PenDistribution.read(model.head(memory))
        before_end = (x[:, :t, 4].sum(1) == 0).float()
        going = 1 - x[:, t, 4]
        told += going * pen.offset_log_prob(x[:, t, :2])
        told += before_end * pen.state_log_prob(x[:, t, 2:])
        last = x[:, t]
    torch.testing.assert_close(model.bound(x, 1, generator=generator()), told)
    torch.testing.assert_close(model.bound(x, 7, generator=generator()), told)
    l_r, l_kl = model.terms(x, generator=generator())
    torch.testing.assert_close(l_r, -told / 16)
    assert not l_kl.any()
    assert model.embed(x).shape == (3, model.embedding_dim) == (3, 16)
    torch.testing.assert_close(model.embed(pad_strokes(x, 30)), model.embed(x))


@pytest.mark.parametrize("stochastic", [True, False])
def test_what_is_gathered_while_drawing_is_the_score(stochastic, monkeypatch):
    """Each row is drawn from what is said of it when the drawing and its states are given."""
    model = model_with(stochastic=stochastic)
    with torch.no_grad():
        model.head[-1].bias[2] += 1.5  # ends now and then
    gathered, states = gather_draws(monkeypatch), []
    step = model._next

    def noted(*given):
        states.append(step(*given))
        return states[-1]

    model._next = noted
    drawn = model.sample(6, generator=generator(2))
    lengths = stroke_lengths(drawn)
    assert lengths.unique().numel() > 1
    shown = drawn[:, : len(gathered)]
    with torch.inference_mode():
        past = model.remember(shown)
        z = torch.stack(states, 1) if stochastic else None
        told = model.score_rows(shown, past, z).sum(1)
        context = past[:, 0] if z is None else torch.cat([past[:, 0], z[:, 0]], -1)
        no_point = PenDistribution.read(model.head(context)).log_states[:, 2]
    # Nobody draws nothing, so the first row is drawn given that there is one.
    expected = told - torch.log1p(-no_point.exp())
    torch.testing.assert_close(gathered_until_end(gathered, lengths), expected)


def test_states_follow_the_prior_that_the_divergence_is_from():
    """What is drawn step by step has the distribution that the posterior is charged against."""
    model = model_with()
    past, z = torch.randn(1, 16, generator=generator(3)), torch.randn(1, 4, generator=generator(4))
    with torch.inference_mode():
        mean, log_var = model.prior(model.prior.prepare(past), z)
        drawn = model._next(past.expand(20_000, -1), z.expand(20_000, -1), generator(5), 1.0)
    spread = (0.5 * log_var).exp()
    torch.testing.assert_close(drawn.mean(0), mean[0], atol=0.05, rtol=0)
    torch.testing.assert_close(drawn.std(0), spread[0], atol=0.05, rtol=0)


def test_no_draws_are_no_bound():
    with pytest.raises(ValueError, match="at least 1 sample; found k = 0"):
        model_with().bound(rows(2), 0, generator=generator())


def test_rows_up_to_the_end_count():
    x = rows(2)
    counted = until_end(x).sum(1)
    assert counted.tolist() == [len(points) + 1 for points in drawings(2)]


@pytest.mark.parametrize("stochastic", [True, False])
def test_it_learns_and_its_sketches_end(stochastic):
    model = model_with(stochastic=stochastic)
    x = rows(8)
    before = model.bound(x, 1, generator=generator()).mean().item()
    learned(model, 120)
    after = model.bound(x, 1, generator=generator()).mean().item()
    assert after > before + 8
    drawn = model.sample(64, generator=generator(), temperature=0.5)
    assert (stroke_lengths(drawn) < 16).float().mean() > 0.7
    assert all(len(to_three(sketch)) >= 1 for sketch in drawn.numpy())


def test_a_rate_can_be_held():
    rate = replace(presets()["tiny"].config.rate, mode="target", target=30.0)
    model = model_with(rate=rate).train()
    before = model.rate_weight.item()
    parts = model.loss(StrokeBatch(rows(), step_seed=0))
    assert parts["kl"].item() < 30
    assert model.rate_weight.item() < before


def test_it_has_no_single_vector_and_every_preset_can_be_built():
    assert not isinstance(model_with(), StrokeDecoder)
    for name in presets():
        assert models.create("srnn", preset=name).embedding_dim > 0
