"""What a model that factorises the probability of a picture must do, in whatever order it does so.

A model joins with a few tiny configurations in ``CASES``: pictures so small that all of them can be
listed, and all derivatives taken.
"""

import inspect
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

import models
from models.images import Preprocessing
from models.nn.onlookers import seen_by
from models.training.checkpoint import load_weights, save_weights
from models.training.protocols import Batch, Completer, Sizable, scores_exactly


def call(model: Any, x: Tensor) -> Tensor:
    """What ``model(x)`` says of every value: (B, C, K, H, W) -> (B, CHW, K)."""
    return model(x).movedim(2, -1).flatten(1, 3)


def raster(model: Any) -> Tensor:
    """Row by row, left to right, the colours of a pixel one after the other."""
    side, channels = model.config.size, model.config.channels
    return torch.arange(channels * side**2).view(channels, -1).T.flatten()


def by_groups(model: Any) -> Tensor:
    """The base's pixels, then of every 2 x 2 the upper right, the lower left, the lower right."""
    side, channels = model.config.size, model.config.channels
    places = torch.arange(channels * side**2).view(channels, side, side)
    step = side // model.config.base
    parts = [places[:, ::step, ::step]]
    while step > 1:
        half = step // 2
        parts += [places[:, i::step, j::step] for i, j in ((0, half), (half, 0), (half, half))]
        step = half
    return torch.cat([part.flatten(1).T.flatten() for part in parts])


@dataclass(frozen=True)
class Case:
    """A model small enough to be looked at from all sides.

    Attributes:
        name: Of the model.
        kind: What the configuration is about.
        changes: To the configuration of the preset ``tiny``.
        levels: How many different values there are.
        told: The parameters of every value's distribution, given a picture: (B, C, H, W) ->
            (B, CHW, K), differentiable.
        order: The numbers of the values, as ``x.flatten(1)`` has them, in the order of drawing.
    """

    name: str
    kind: str
    changes: dict[str, Any]
    levels: int = 2
    told: Callable[[Any, Tensor], Tensor] = call
    order: Callable[[Any], Tensor] = raster

    def together(self, model):
        """How many values are drawn in one step, given the parameters of a pixel."""
        return getattr(model.likelihood, "channels", 1)

    def build(self):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            config = replace(models.find_preset(self.name, "tiny").config, **self.changes)
            model = models.create(self.name, config=models.training.config.to_json(config))
            model = model.double().eval()
            for parameter in model.parameters():  # no accidental zero can hide a path
                inputs = parameter[0].numel() if parameter.ndim > 1 else 4
                torch.nn.init.normal_(parameter, std=1.2 / inputs**0.5)
        return model

    def pictures(self, model, count=6, seed=1):
        """Random pictures of the model's levels."""
        c = model.config
        g = torch.Generator().manual_seed(seed)
        shape = (count, c.channels, c.size, c.size)
        level = torch.randint(self.levels, shape, generator=g)
        return level.double() / ((self.levels - 1) / 2) - 1


BINARY = {"channels": 1, "likelihood": "bernoulli"}
CASES = [
    Case("pixelcnn", f"{'gated' if gated else 'plain'}, {kind}", changes | {"gated": gated}, levels)
    for gated in (False, True)
    for kind, changes, levels in (
        ("binary", BINARY | {"size": 3}, 2),
        ("two levels", {"channels": 1, "levels": 2, "size": 3}, 2),
        ("four levels", {"channels": 1, "levels": 4, "size": 2}, 4),
        ("colour", {"channels": 3, "levels": 2, "size": 2}, 2),
        ("one colour pixel", {"channels": 3, "levels": 5, "size": 1}, 5),
    )
]
CASES += [
    Case("pixelrnn", f"{rnn}, {kind}", changes | {"kind": rnn}, levels)
    for rnn in ("row", "diagonal")
    for kind, changes, levels in (
        ("binary", BINARY | {"size": 3}, 2),
        ("four levels", {"channels": 1, "levels": 4, "size": 2}, 4),
        ("colour", {"channels": 3, "levels": 2, "size": 2}, 2),
        ("one colour pixel", {"channels": 3, "levels": 5, "size": 1}, 5),
    )
]
CASES += [
    Case(
        "multiscale", kind, {"base": base, "size": size} | changes, levels,
        order=by_groups,
    )
    for kind, base, size, changes, levels in (
        ("binary, twice doubled", 1, 4, BINARY | {"width": 6}, 2),
        ("binary, base alone", 3, 3, BINARY, 2),
        ("four levels", 1, 2, {"channels": 1, "levels": 4}, 4),
        ("colour", 1, 2, {"channels": 3, "levels": 2}, 2),
        ("one colour pixel", 1, 1, {"channels": 3, "levels": 5}, 5),
    )
]  # fmt: skip
# One mask of a MADE; what several of them make together stands in tests/models/test_made.py.
CASES += [
    Case(
        "made", f"{order}, {hidden}", {"size": 3, "masks": 1, "order": order, "hidden": hidden},
        told=lambda model, x: model.logits((x.flatten(1) + 1) / 2, model.mask(0)).unsqueeze(2),
        order=lambda model: model.mask(0).order.argsort(),
    )
    for order, hidden in (("natural", (40,)), ("random", (40, 30)), ("agnostic", (40, 30, 20)))
]  # fmt: skip


def conditionals(model: Any, x: Tensor) -> Tensor:
    """What a model of whole pixels says of every value, given the colours before it as well."""
    params = model(x)
    if not hasattr(model.likelihood, "means"):
        return params.flatten(2).mT
    B, C, H, W = x.shape
    means = model.likelihood.means(x, params)  # (B, C, K, H, W)
    shared = params.unsqueeze(1).expand(-1, C, -1, -1, -1)
    return torch.cat([means, shared], 2).movedim(2, -1).reshape(B, C * H * W, -1)


# Strides and shortcuts: with two scales a picture of side 2 has a coarse pixel, one of side 4 four.
CASES += [
    Case("pixelcnn_pp", kind, changes | {"width": 6}, levels, told=conditionals)
    for kind, changes, levels in (
        ("binary", BINARY | {"size": 2}, 2),
        ("four levels", {"channels": 1, "levels": 4, "size": 2}, 4),
        ("three levels, one scale", {"channels": 1, "levels": 3, "size": 2, "scales": 1}, 3),
        ("three scales", BINARY | {"size": 4, "scales": 3, "width": 3}, 2),
        ("colour", {"channels": 3, "levels": 2, "size": 2}, 2),
        ("one colour pixel", {"channels": 3, "levels": 5, "size": 1, "scales": 1}, 5),
    )
]


@pytest.fixture(params=CASES, ids=lambda case: f"{case.name}: {case.kind}")
def case(request):
    return request.param


@pytest.fixture
def model(case):
    return case.build()


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def draws_in_many_ways(model):
    return "method" in inspect.signature(model.draw).parameters


def noise_for(case, model, count, seed):
    """As ``sample`` draws it."""
    c, steps = model.config, model.config.channels // case.together(model)
    numbers = steps * getattr(model.likelihood, "noise", 1)
    return torch.rand(count, numbers, c.size, c.size, generator=seeded(seed)).double()


def dependencies(case, model):
    """Which value's distribution depends on which value: (D, D) bool, in the order of drawing."""
    x = case.pictures(model, count=16)  # a rectified unit that is off for one is on for another
    x = (0.8 * x).requires_grad_()
    told = case.told(model, x)
    weight = torch.randn(told.shape[2], generator=seeded(3), dtype=torch.float64)
    rows = []
    for value in (told @ weight).unbind(1):
        (slope,) = torch.autograd.grad(value.sum() + 0 * x.sum(), x, retain_graph=True)
        rows.append(slope.flatten(1).abs().sum(0) > 0)
    order = case.order(model)
    return torch.stack(rows)[order][:, order]


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_a_value_depends_on_those_before_it_alone(case, model, mode):
    """A mask that is wrong by one pixel makes samples that look fine and a figure that lies."""
    model.train(mode == "train")
    found = dependencies(case, model)
    assert not found.triu().any(), "a value sees itself or a later one"
    assert found.any()
    again = case.build()
    torch.nn.init.normal_(next(again.parameters()))
    again.load_state_dict(model.state_dict())
    again.train(mode == "train")
    assert torch.equal(dependencies(case, again), found), "a mask is not what it was on the disk"


def test_the_probabilities_of_all_pictures_sum_to_one(case, model):
    c = model.config
    values = torch.linspace(-1, 1, case.levels, dtype=torch.float64).tolist()
    dims = c.channels * c.size**2
    every = torch.tensor(list(itertools.product(values, repeat=dims)), dtype=torch.float64)
    with torch.inference_mode():
        pictures = every.view(-1, c.channels, c.size, c.size).split(8192)
        scores = torch.cat([model.score(part) for part in pictures])
    assert scores.shape == (case.levels**dims,)
    assert scores.exp().sum().item() == pytest.approx(1, abs=1e-9)
    assert scores.std() > 0.1  # and they are not all the same


class Recorder:
    """A likelihood that notes how probable each draw was that it made."""

    def __init__(self, likelihood):
        self.likelihood = likelihood
        self.scores = []

    def __getattr__(self, name):
        return getattr(self.likelihood, name)

    def draw(self, params, noise):
        drawn = self.likelihood.draw(params, noise)
        flat = drawn.ndim == 1  # a number for each picture
        pair = [v.view(-1, 1, 1, 1) if flat else v for v in (drawn, params)]
        each = self.likelihood.log_prob(*pair)  # (B, h, w): several may be drawn at once
        self.scores.extend(each.flatten(1).unbind(1))
        return drawn


def test_what_is_gathered_while_sampling_is_the_score(case, model):
    """Colours drawn at once though the model lets them depend on each other fail here."""
    model.likelihood = recorder = Recorder(model.likelihood)
    if draws_in_many_ways(model):
        drawn = model.draw(noise_for(case, model, 5, seed=4), method="naive")
    else:
        drawn = model.sample(5, generator=seeded(4))
    assert len(recorder.scores) == drawn[0].numel() / case.together(model)
    with torch.inference_mode():
        torch.testing.assert_close(sum(recorder.scores), model.score(drawn))


def test_the_noise_is_drawn_first_and_says_all(case, model):
    drawn = model.sample(3, generator=seeded(5))
    noise = noise_for(case, model, 3, seed=5)
    assert torch.equal(model.draw(noise), drawn)
    assert not torch.equal(model.draw(1 - noise), drawn)


def test_samples_are_as_frequent_as_they_are_probable(case, model):
    """The mean of -log p(x) over samples, against the entropy by listing every picture."""
    c = model.config
    values = torch.linspace(-1, 1, case.levels, dtype=torch.float64).tolist()
    dims = c.channels * c.size**2
    every = torch.tensor(list(itertools.product(values, repeat=dims)), dtype=torch.float64)
    with torch.inference_mode():
        pictures = every.view(-1, c.channels, c.size, c.size).split(8192)
        listed = torch.cat([model.score(part) for part in pictures])
        told = -model.score(model.sample(600, generator=seeded(6)))
    entropy = -(listed.exp() * listed).sum()
    assert 0.1 * dims < entropy / math.log(case.levels) < 0.99 * dims  # there is something to tell
    assert abs(told.mean() - entropy) < 5 * told.std() / 600**0.5


def test_a_score_does_not_depend_on_its_batch(case, model):
    x = case.pictures(model)
    together = model.score(x)
    torch.testing.assert_close(torch.cat([model.score(row) for row in x.split(1)]), together)


def test_scoring_and_learning_leave_the_weights_to_the_optimiser(case, model):
    """A mask written into the weights erases for good what another mask lets through."""
    before = {key: value.clone() for key, value in model.state_dict().items()}
    x = case.pictures(model)
    model.train()
    for player in model.players():
        player.loss(Batch(x[None], x[None], step_seed=0))["loss"].backward()
    model.score(x)
    assert model.state_dict().keys() == before.keys()
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key]), key


def test_a_training_step_repeats_itself_and_no_draw_is_hidden(case, model):
    """What is random in a step, dropout or masks, comes of the step's own seed."""
    x = case.pictures(model)
    model.train()
    state = torch.get_rng_state()
    first, again = (
        model.players()[0].loss(Batch(x[None], x[None], step_seed=3))["loss"] for _ in range(2)
    )
    assert torch.equal(first, again)
    assert torch.equal(torch.get_rng_state(), state), "it drew from the global generator"


def test_the_loss_is_the_score_per_value(case, model):
    """A mean over pixels that is taken for a sum reports another likelihood."""
    x = case.pictures(model)
    parts = model.players()[0].loss(Batch(x[None], x[None], step_seed=0))
    nll = -model.score(x).mean()
    assert parts["nll"].item() == pytest.approx(nll.item())
    assert parts["loss"].item() == pytest.approx(nll.item() / x[0].numel())


def test_a_model_that_knows_nothing_gives_every_pixel_the_same_chances(case, model):
    for parameter in model.parameters():
        torch.nn.init.zeros_(parameter)
    x = case.pictures(model)
    if hasattr(
        model.likelihood, "means"
    ):  # a logistic is not flat, but it forgets what came before
        zero = torch.zeros(len(x), model.likelihood.parameters, *x.shape[2:]).double()
        expected = model.likelihood.log_prob(x, zero).sum((1, 2)).tolist()
    else:
        expected = [-x[0].numel() * math.log(case.levels)] * len(x)
    assert model.score(x).tolist() == pytest.approx(expected)


def test_scores_survive_the_disk(case, model, tmp_path):
    model = model.float()
    preset = models.find_preset(case.name, "tiny")
    save_weights(
        tmp_path, case.name, model, state=model.state_dict(), config=model.config,
        preprocessing=Preprocessing(size=model.config.size, channels=model.config.channels),
        recipe=preset.recipe, metrics={},
    )  # fmt: skip
    x = case.pictures(model).float()
    loaded = load_weights(tmp_path).model
    assert scores_exactly(loaded)
    assert torch.equal(loaded.score(x), model.score(x))


def test_a_sample_completes_itself(case, model):
    """With the noise it was made of: however much is known, the rest comes out the same."""
    assert isinstance(model, Completer)
    c = model.config
    drawn = model.sample(3, generator=seeded(7))
    for count in range(c.size**2 + 1):
        known = torch.zeros(c.size**2, dtype=torch.bool)
        pixels = [value % c.size**2 for value in case.order(model).tolist()]
        known[list(dict.fromkeys(pixels))[:count]] = True
        known = known.view(1, 1, c.size, c.size).expand(3, -1, -1, -1)
        hidden = torch.where(known, drawn, torch.full_like(drawn, 0.3))
        assert torch.equal(model.complete(hidden, known, generator=seeded(7)), drawn)
        other = model.complete(drawn, known, generator=seeded(8))
        assert torch.equal(other[known.expand_as(other)], drawn[known.expand_as(drawn)])


def test_who_looks_on_sees_it_come_about_and_changes_nothing(case, model):
    alone = model.sample(3, generator=torch.Generator().manual_seed(7))
    seen = []
    with seen_by(lambda pictures: seen.append(pictures())):
        drawn = model.sample(3, generator=torch.Generator().manual_seed(7))
    assert torch.equal(drawn, alone)
    assert all(picture.shape == drawn.shape for picture in seen)
    assert torch.equal(seen[-1].to(drawn), drawn)
    if case.order is raster:  # what a row has become stays
        assert len(seen) == model.config.size
        for row, picture in enumerate(seen):
            assert torch.equal(picture.to(drawn)[:, :, : row + 1], drawn[:, :, : row + 1])
            assert not picture[:, :, row + 1 :].any()


def test_a_larger_picture_is_drawn_by_the_same_weights(case, model):
    if not isinstance(model, Sizable):
        assert not hasattr(model, "at_size")
        return
    large = model.at_size(8)
    drawn = large.sample(2, generator=torch.Generator().manual_seed(3))
    assert drawn.shape == (2, model.config.channels, 8, 8)
    assert model.config.size < 8
    # Its probability is that of its draws: the layers know nothing of the size.
    assert large.score(drawn).isfinite().all()
    assert torch.equal(model.score(drawn), large.score(drawn))
