"""What every model must do, over every model there is: a new file in models/ is tested here."""

import dataclasses
import json

import pytest
import torch

import models
from models.images import Preprocessing
from models.nn.likelihoods import Bernoulli
from models.training.checkpoint import load_weights, save_weights
from models.training.config import from_json, to_json
from models.training.protocols import (
    Batch,
    LatentDecoder,
    LatentVariableModel,
    StrokeBatch,
    StrokeDecoder,
    StrokeModel,
    WeighedDraws,
    scores_exactly,
)
from models.training.strokes import pad_strokes, stack_sketches
from tests.strokes_made import drawings, stroke_preprocessing

NAMES = models.available()


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture
def model(name):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return models.create(name, preset="tiny")


def takes_strokes(config):
    """Whether a configuration is of a model whose modality is strokes."""
    return models.modality(type(config).__module__.removeprefix("models.")) == "strokes"


def batch_for(config, items=8, seed=0):
    """What a step would give to a model: pictures, or drawings."""
    if takes_strokes(config):
        preprocessing = stroke_preprocessing(config.max_points)
        scaled = [preprocessing.apply(points) for points in drawings(items, seed)]
        return StrokeBatch(stack_sketches(scaled, config.max_points), step_seed=seed)
    g = torch.Generator().manual_seed(seed)
    views = torch.rand(2, items, config.channels, config.size, config.size, generator=g) * 2 - 1
    t = config.target_size
    return Batch(views, torch.nn.functional.adaptive_avg_pool2d(views.flatten(0, 1), t)
                 .view(2, items, config.channels, t, t), step_seed=seed)  # fmt: skip


def inputs_for(config):
    """What ``embed`` takes: pictures (B, C, H, W), or drawings (B, N_max, 5)."""
    batch = batch_for(config)
    return batch.strokes if isinstance(batch, StrokeBatch) else batch.views[0]


def measured(model, batch):
    """What is seen, and what should be drawn, binary where only that has a likelihood."""
    if isinstance(batch, StrokeBatch):
        return batch.strokes, batch.strokes
    grey = not isinstance(getattr(model, "likelihood", None), Bernoulli)
    return batch.views[0], batch.targets[0] if grey else batch.targets[0].sign()


def figures(model, batch):
    """Everything that can be measured of a model, each with a seed: a list of tensors."""
    x, target = measured(model, batch)
    draws = iter(range(100))

    def g():
        return torch.Generator().manual_seed(next(draws))

    found = [player.loss(batch)["loss"] for player in model.players()]
    found.append(model.sample(2, generator=g()))
    if isinstance(model, LatentVariableModel):
        found += [model.rate(x), model.elbo(x, target, generator=g())]
        found.append(model.log_prob(x, target, 3, generator=g()))
    if scores_exactly(model):
        found.append(model.score(target))
    if model.modality == "strokes":
        found += [*model.terms(x, generator=g()), model.bound(x, 3, generator=g())]
    return found


def expected_of(config):
    """What weights say they expect."""
    if takes_strokes(config):
        return stroke_preprocessing(config.max_points)
    return Preprocessing(size=config.size, channels=config.channels)


def test_learns_eight_items_by_heart(model):
    batch = batch_for(model.config)
    model.train()
    first = None
    for player in model.players():
        optimiser = torch.optim.Adam(list(player.parameters()), lr=1e-2)
        for _ in range(60):
            loss = player.loss(batch)["loss"]
            first = first if first is not None else loss.item()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    assert loss.item() < 0.85 * first


def test_sampling_has_shape_and_range_and_repeats(model):
    model.eval()
    config = model.config
    first, second = (model.sample(3, generator=torch.Generator().manual_seed(5)) for _ in range(2))
    other = model.sample(3, generator=torch.Generator().manual_seed(6))
    if takes_strokes(config):
        assert first.shape == (3, config.max_points, 5)
        assert (first[..., 2:].sum(2) == 1).all()
        assert torch.isfinite(first).all()
    else:
        assert first.shape == (3, config.channels, config.target_size, config.target_size)
        assert first.min() >= -1
        assert first.max() <= 1
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_an_embedding_does_not_depend_on_its_batch(model):
    model.eval()
    x = inputs_for(model.config)
    together = model.embed(x)
    assert together.shape == (8, model.embedding_dim)
    alone = torch.cat([model.embed(row) for row in x.split(1)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)
    assert torch.equal(model.embed(x), together)


def test_what_draws_from_a_vector_draws_each_by_itself(model):
    if not isinstance(model, LatentDecoder):
        pytest.skip("draws from no vector")
    model.eval()
    config = model.config
    if model.encodes:
        z = model.latent(inputs_for(config))
    else:
        z = model.draw_latent(8, generator=torch.Generator().manual_seed(0))
    drawn = model.outline(z)
    assert drawn.shape == (8, config.channels, config.target_size, config.target_size)
    assert drawn.abs().max() <= 1
    alone = torch.cat([model.outline(row) for row in z.split(1)])
    torch.testing.assert_close(drawn, alone, atol=1e-5, rtol=1e-4)


def test_the_rate_is_the_divergence_that_draws_show(model):
    """Against the mean of log q(z|x) / p(z) over draws: no formula of ours."""
    if not isinstance(model, LatentVariableModel):
        pytest.skip("has no rate")
    model.eval()
    x = inputs_for(model.config)
    if isinstance(model, WeighedDraws):
        check_rate_by_draws(model, x)
        return
    mean, log_var = model.encode(x)
    posterior = torch.distributions.Normal(mean, (0.5 * log_var).exp())
    prior = torch.distributions.Normal(0.0, 1.0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        z = posterior.sample((20_000,))  # (N, B, D)
    told = (posterior.log_prob(z) - prior.log_prob(z)).sum(2)  # (N, B)
    error = told.std(0) / 20_000**0.5
    assert ((model.rate(x) - told.mean(0)).abs() < 5 * error + 1e-3).all()


def check_rate_by_draws(model, x):
    """Where either distribution is no plain normal, both the rate and its oracle are estimates."""
    with torch.inference_mode():
        rate = model.rate(x)
        assert torch.equal(model.rate(x), rate), "of the picture alone, the same at every call"
        torch.testing.assert_close(torch.cat([model.rate(row) for row in x.split(1)]), rate)
        many = x.repeat(400, 1, 1, 1)
        told = -model.weigh(many, torch.Generator().manual_seed(1))[1].view(400, len(x))
    spread = told.std(0)
    assert ((rate - told.mean(0)).abs() < 5 * spread * (1 / 400 + 1 / 32) ** 0.5 + 1e-3).all()


def test_more_importance_samples_are_a_tighter_bound(model):
    """In expectation, from the evidence lower bound on (Burda et al., 2016)."""
    if not isinstance(model, LatentVariableModel):
        pytest.skip("has no latent vector")
    model.eval()
    batch = batch_for(model.config)
    x, target = (part[:4].repeat(60, *[1] * (part.ndim - 1)) for part in measured(model, batch))
    g = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        elbo = model.elbo(x, target, generator=g)
        one, few, many = (model.log_prob(x, target, k, generator=g) for k in (1, 4, 16))
    assert elbo.shape == one.shape == (240,)
    error = 4 * (elbo.view(60, 4).std(0).mean() + one.view(60, 4).std(0).mean()) / 240**0.5
    assert (one.mean() - elbo.mean()).abs() < error + 1e-3
    assert elbo.mean() < few.mean() < many.mean()


def test_using_a_model_does_not_change_it(model):
    model.eval()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    model.embed(inputs_for(model.config))
    model.sample(1, generator=torch.Generator().manual_seed(0))
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key]), key


def test_weights_survive_the_disk(name, model, tmp_path):
    model.eval()
    preset = models.find_preset(name, "tiny")
    preprocessing = expected_of(preset.config)
    save_weights(
        tmp_path, name, model, state=model.state_dict(), config=preset.config,
        preprocessing=preprocessing, recipe=preset.recipe, metrics={},
    )  # fmt: skip
    loaded = load_weights(tmp_path)
    x = inputs_for(model.config)
    assert torch.equal(loaded.model.embed(x), model.embed(x))
    assert loaded.expects == preprocessing
    assert loaded.recipe == preset.recipe
    assert loaded.fingerprint.startswith(f"{name}-")


def test_figures_and_samples_survive_the_disk(name, model, tmp_path):
    """A shape, a mask or a buffer that only a first pass makes would be another one afterwards."""
    model.eval()
    preset = models.find_preset(name, "tiny")
    with torch.no_grad():
        for buffer in model.buffers():  # as if it had been trained: none is what it starts as
            if buffer.dtype.is_floating_point and buffer.ndim == 0:
                buffer.fill_(0.7)
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.fill_(0.2)
                module.running_var.fill_(1.7)
    save_weights(
        tmp_path, name, model, state=model.state_dict(), config=preset.config,
        preprocessing=expected_of(preset.config), recipe=preset.recipe, metrics={},
    )  # fmt: skip
    batch = batch_for(model.config)
    with torch.inference_mode(mode=name != "gan"):  # a gradient penalty needs gradients
        before = figures(model, batch)
        after = figures(load_weights(tmp_path).model, batch)
    assert len(before) >= 2
    for one, other in zip(before, after, strict=True):
        assert torch.equal(one, other)


def test_no_draw_is_hidden(model):
    """What is random comes of the generators that are given, never of the global one."""
    batch = batch_for(model.config)
    state = torch.get_rng_state()
    for training in (False, True):
        model.train(training)
        figures(model, batch)
        model.embed(inputs_for(model.config))
    assert torch.equal(torch.get_rng_state(), state)


def test_a_model_of_strokes_ignores_what_follows_the_end(model):
    """Padding changes neither the vector, the loss nor the likelihood."""
    if model.modality != "strokes":
        pytest.skip("takes pixels")
    assert isinstance(model, StrokeModel)
    model.eval()
    x = inputs_for(model.config)
    short = pad_strokes(x, 13)
    longer = pad_strokes(x, x.shape[1] + 9)
    torch.testing.assert_close(model.embed(longer), model.embed(short), atol=1e-5, rtol=1e-4)

    def told(rows):
        g = torch.Generator().manual_seed(3)
        return torch.cat([*model.terms(rows, generator=g), model.bound(rows, 2, generator=g)])

    torch.testing.assert_close(told(longer), told(short), atol=1e-4, rtol=1e-4)


def test_a_started_sketch_is_gone_on_with(model):
    if model.modality != "strokes":
        pytest.skip("takes pixels")
    model.eval()
    started = inputs_for(model.config)[0, :3]

    def finish(seed):
        return model.finish(started, 4, generator=torch.Generator().manual_seed(seed))

    done = finish(1)
    assert done.shape == (4, model.config.max_points, 5)
    assert torch.equal(done[:, :3], started.expand(4, -1, -1))
    assert torch.equal(done, finish(1))
    assert not torch.equal(done, finish(2))
    full = inputs_for(model.config)[:1].repeat(1, 2, 1)[0, : model.config.max_points]
    with pytest.raises(ValueError, match="no room"):
        model.finish(full, 1, generator=torch.Generator())


def test_a_sketch_stays_ended_once_it_has(model):
    if model.modality != "strokes":
        pytest.skip("takes pixels")
    model.eval()
    drawn = model.sample(32, generator=torch.Generator().manual_seed(0), temperature=2.0)
    ended = drawn[..., 4]
    assert torch.equal(ended, ended.cummax(1).values)
    assert (drawn[..., :2].abs().sum(2)[ended == 1] == 0).all()


def test_a_drawing_is_drawn_from_its_vector_alone(model):
    if not isinstance(model, StrokeDecoder) or model.modality != "strokes":
        pytest.skip("draws no sketch from a vector")
    model.eval()
    z = model.encode(inputs_for(model.config))[0]
    one, other = (model.decode(z, generator=torch.Generator().manual_seed(4)) for _ in range(2))
    assert one.shape == (8, model.config.max_points, 5)
    assert torch.equal(one, other)


def test_every_preset_is_json_and_back(name):
    for preset in models.presets(name).values():
        for part in preset:
            again = from_json(type(part), json.loads(json.dumps(to_json(part))))
            assert again == part
            assert dataclasses.is_dataclass(part)


def test_an_unknown_setting_is_an_error_that_names_it(name):
    config = to_json(models.find_preset(name, "tiny").config)
    with pytest.raises(TypeError, match="no setting 'latnet'"):
        models.create(name, config=config | {"latnet": 3})


def test_the_file_says_what_it_is(name):
    module = __import__(f"models.{name}", fromlist=["Model"])
    text = module.__doc__
    assert f"niteru train {name} " in text, "the docstring names the command that trains it"
    assert "special" in text
    assert "Figures" in text
