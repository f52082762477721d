"""Sketch-RNN's losses by hand, its annealing, its vectors, and that it learns to draw."""

import math
from dataclasses import replace

import pytest
import torch

import models
from models.sketch_rnn import Annealing, Model, presets, spherical
from models.strokes import to_three
from models.training.protocols import StrokeBatch
from models.training.strokes import (
    pad_strokes,
    shift_strokes,
    stack_sketches,
    stroke_lengths,
)
from tests.strokes_made import (
    drawings,
    gather_draws,
    gathered_until_end,
    stroke_preprocessing,
    stroke_tensors,
)


def model_with(seed=0, **changes):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Model(replace(presets()["tiny"].config, **changes)).eval()


def rows(count=6, length=16):
    preprocessing = stroke_preprocessing(16)
    return stack_sketches([preprocessing.apply(p) for p in drawings(count)], length)


def learned(model, steps=250):
    """The model after some steps on a few drawings."""
    batch = StrokeBatch(rows(8), step_seed=0)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    model.train()
    for step in range(steps):
        loss = model.loss(replace(batch, step_seed=step))["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model.eval()


def with_fixed_head(model, log_states):
    """The same distribution at every row: one standard normal, and states with these logits."""
    with torch.no_grad():
        model.head.weight.zero_()
        model.head.bias.zero_()
        model.head.bias[:3] = torch.tensor(log_states)
    return model


def test_the_loss_worked_by_hand():
    """Two points, N_max = 16: offsets are charged twice, states sixteen times, all over 16."""
    model = with_fixed_head(model_with(mixtures=1), [0.0, math.log(2.0), math.log(5.0)])
    x = torch.zeros(1, 3, 5)
    x[0, 0] = torch.tensor([3.0, 4.0, 1, 0, 0])
    x[0, 1] = torch.tensor([0.0, 1.0, 0, 1, 0])
    x[0, 2, 4] = 1
    offsets = 2 * math.log(2 * math.pi) + 25 / 2 + 1 / 2
    states = math.log(8) + math.log(8 / 2) + 14 * math.log(8 / 5)
    l_r, l_kl = model.terms(x, generator=torch.Generator().manual_seed(0))
    assert l_r.item() == pytest.approx((offsets + states) / 16, abs=1e-5)
    mean, log_var = model.encode(x)
    by_hand = 0.5 * (mean**2 + log_var.exp() - 1 - log_var).sum() / 4  # N_z = 4
    assert l_kl.item() == pytest.approx(by_hand.item(), abs=1e-6)
    # A drawing's own density is charged for one end, and divided by nothing.
    until_end = offsets + math.log(8) + math.log(8 / 2) + math.log(8 / 5)
    assert model.score(x, torch.zeros(1, 4)).item() == pytest.approx(-until_end, abs=1e-4)


def test_tolerance_and_annealing_worked_by_hand():
    annealing = Annealing(weight=0.5, start=0.01, decay=0.9, tolerance=0.2)
    weights = [annealing.weight_at(torch.tensor(step)).item() for step in (0, 1, 10, 10_000)]
    by_hand = [0.005, 0.5 * (1 - 0.99 * 0.9), 0.5 * (1 - 0.99 * 0.9**10), 0.5]
    assert weights == pytest.approx(by_hand)
    late = torch.tensor(10_000)
    assert annealing.penalty(torch.tensor(0.1), late).item() == pytest.approx(0.1)
    assert annealing.penalty(torch.tensor(0.6), late).item() == pytest.approx(0.3)
    l_kl = torch.tensor(0.1, requires_grad=True)
    annealing.penalty(l_kl, late).backward()
    assert l_kl.grad.item() == 0  # below the tolerance it costs the same whatever it is


@pytest.mark.parametrize("tolerance", [0.0, 0.2])
def test_the_loss_is_what_its_parts_say(tolerance):
    model = model_with(dropout=0.0, annealing=Annealing(decay=0.9, tolerance=tolerance)).train()
    for step in range(3):
        parts = model.loss(StrokeBatch(rows(), step_seed=step))
        weight = model.config.annealing.weight_at(torch.tensor(step))
        assert parts["l_kl"] < 0.2
        charged = parts["l_kl"] if tolerance == 0 else torch.tensor(tolerance)
        expected = parts["l_r"] + weight * charged
        assert parts["kl_weight"].item() == pytest.approx(weight.item())
        assert parts["loss"].item() == pytest.approx(expected.item(), rel=1e-6)
        assert parts["kl"].item() == pytest.approx(4 * parts["l_kl"].item(), abs=1e-6)
    assert model.steps.item() == 3
    model.eval().loss(StrokeBatch(rows(), step_seed=0))
    assert model.steps.item() == 3


def test_rows_are_shifted_padded_and_counted():
    x = rows(3)
    shifted = shift_strokes(x)
    assert shifted[:, 0].tolist() == [[0, 0, 1, 0, 0]] * 3
    assert torch.equal(shifted[:, 1:], x[:, :-1])
    assert stroke_lengths(x).tolist() == [len(points) for points in drawings(3)]
    assert torch.equal(pad_strokes(pad_strokes(x, 40), 16), x)
    with pytest.raises(ValueError, match="more than the 2 points"):
        pad_strokes(x, 2)


def test_a_row_is_predicted_from_those_before_it():
    model = model_with()
    x = rows(1).requires_grad_()
    predicted = model.predict(x, torch.zeros(1, 4))
    predicted.mean[0, 5].sum().backward()
    assert (x.grad[0, :5] != 0).any()
    assert (x.grad[0, 5:] == 0).all()


@pytest.mark.parametrize("conditional", [True, False])
def test_what_is_gathered_while_drawing_is_the_score(conditional, monkeypatch):
    """Each row is drawn from what the decoder says of it when it is shown the whole drawing."""
    model = model_with(conditional=conditional)
    with torch.no_grad():
        model.head.bias[2] += 1.5  # ends now and then
    z = model._prior(6, torch.Generator().manual_seed(1))
    gathered = gather_draws(monkeypatch)
    with torch.inference_mode():
        drawn = model._draw(z, 6, None, torch.Generator().manual_seed(2), 1.0)
        told, no_point = model.score(drawn, z), model.predict(drawn, z).log_states[:, 0, 2]
    lengths = stroke_lengths(drawn)
    assert lengths.unique().numel() > 1
    # Nobody draws nothing, so the first row is drawn given that there is one.
    expected = told - torch.log1p(-no_point.exp())
    torch.testing.assert_close(gathered_until_end(gathered, lengths), expected)


def test_the_bound_rises_with_the_number_of_draws():
    model = learned(model_with(), 60)
    x = rows(4).repeat(50, 1, 1)
    with torch.inference_mode():
        one, many = (model.bound(x, k, generator=torch.Generator().manual_seed(0)) for k in (1, 20))
        elbo = model.elbo(x, x, generator=torch.Generator().manual_seed(1))
    assert many.mean() > one.mean() > elbo.mean() - 3 * elbo.std() / 200**0.5
    assert many.std() > 0


def test_without_an_encoder_the_likelihood_is_exact():
    model = model_with(conditional=False)
    x = rows()
    l_r, l_kl = model.terms(x, generator=torch.Generator())
    assert model.exact
    assert not l_kl.any()
    assert torch.equal(
        model.bound(x, 1, generator=torch.Generator()),
        model.bound(x, 9, generator=torch.Generator()),
    )
    assert model.embed(x).shape == (6, model.embedding_dim)
    torch.testing.assert_close(model.embed(pad_strokes(x, 30)), model.embed(x))
    assert model.sample(2, generator=torch.Generator().manual_seed(0)).shape == (2, 16, 5)
    parts = model.loss(StrokeBatch(x, step_seed=0))
    assert parts["loss"].item() == pytest.approx(l_r.mean().item())
    with pytest.raises(ValueError, match="without an encoder"):
        model.encode(x)


@pytest.mark.parametrize("cell", ["lstm", "hyper"])
def test_other_cells_train_and_draw(cell):
    model = model_with(cell=cell)
    before = model.loss(StrokeBatch(rows(8), step_seed=0))["l_r"].item()
    learned(model, 40)
    assert model.loss(StrokeBatch(rows(8), step_seed=0))["l_r"].item() < before - 0.3
    assert model.sample(2, generator=torch.Generator().manual_seed(0)).shape == (2, 16, 5)


@pytest.fixture(scope="module")
def trained():
    """One that may use its vector nearly for nothing."""
    cheap = Annealing(weight=0.01, decay=0.9, tolerance=0.0)
    return learned(model_with(dropout=0.0, annealing=cheap, decoder_size=32), 200)


def test_sketches_end_after_training(trained):
    drawn = trained.sample(64, generator=torch.Generator().manual_seed(0), temperature=0.5)
    lengths = stroke_lengths(drawn)
    assert (lengths < 16).float().mean() > 0.8
    assert abs(lengths.float().mean() - stroke_lengths(rows(8)).float().mean()) < 4
    for sketch in drawn.numpy():
        assert len(to_three(sketch)) >= 1
        points = to_three(sketch)
        assert points[-1:, 2].all()


def test_a_drawing_is_told_better_by_its_own_vector(trained):
    x = rows(8)
    with torch.inference_mode():
        mean, _ = trained.encode(x)
        told = torch.stack([trained.score(x, mean.roll(n, 0)) for n in range(8)])  # (8, 8)
    assert (told[0] > told[1:].median(0).values).float().mean() >= 0.8
    assert told[0].mean() > told[1:].mean() + 5


def test_lower_temperatures_vary_less(trained):
    z = torch.zeros(64, 4)
    spreads = [
        trained.decode(z, generator=torch.Generator().manual_seed(0), temperature=t)[:, :4, :2]
        .std(0).mean().item()
        for t in (0.05, 0.4, 1.0)
    ]  # fmt: skip
    assert spreads == sorted(spreads)


def test_a_start_is_completed_by_vectors_that_explain_it(trained):
    """They lie nearer to the drawing whose start it is than draws from the prior do."""
    x = rows(8)
    count = int(stroke_lengths(x[:1]))
    with torch.inference_mode():
        mean, _ = trained.encode(x[:1])
        chosen = trained._explain(x[0, : count - 1], 64, torch.Generator().manual_seed(0))
    anything = torch.randn(64, 4, generator=torch.Generator().manual_seed(1))
    assert (chosen - mean).norm(dim=1).mean() < 0.9 * (anything - mean).norm(dim=1).mean()


def test_the_way_along_the_sphere():
    start, end = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 2.0])
    way = spherical(start, end, 5)
    torch.testing.assert_close(way[0], start)
    torch.testing.assert_close(way[-1], end)
    torch.testing.assert_close(way.norm(dim=1), torch.full((5,), 2.0))
    torch.testing.assert_close(way[2], torch.tensor([2**0.5, 2**0.5]))
    same = spherical(start, start, 3)
    torch.testing.assert_close(same, start.expand(3, -1))
    assert torch.isfinite(spherical(start, -start, 3)).all()


def test_augmented_drawings_are_the_same_for_the_same_seed():
    tensors = stroke_tensors(10)
    index = torch.arange(10)
    assert torch.equal(tensors.draw(index, 3), tensors.draw(index, 3))
    assert not torch.equal(tensors.draw(index, 3), tensors.draw(index, 4))
    offsets = torch.cat([tensors.plain(index)[n, : len(s), :2].flatten()
                         for n, s in enumerate(tensors.sketches)])  # fmt: skip
    assert offsets.std().item() == pytest.approx(1, abs=0.02)


def test_every_preset_can_be_built():
    for name in presets():
        assert models.create("sketch_rnn", preset=name).embedding_dim > 0
