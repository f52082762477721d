"""What defines a PixelVAE: a right likelihood, a bound, exact sampling, a vector that is held."""

import itertools
from dataclasses import replace

import pytest
import torch

from models.nn.metric import MetricSettings
from models.nn.rate import Rate
from models.pixelvae import Config, Model, presets
from models.training.protocols import Batch, LatentVariableModel
from models.training.shapes import NUMBERS

BINARY = Config(
    channels=1, size=8, target_size=3, likelihood="bernoulli", latent=3, widths=(4, 8),
    depths=(1, 1), decoder_width=4, layers=2, crop=0, auxiliary=0.0, contrast=0.0,
    rate=Rate(mode="beta"),
)  # fmt: skip
COLOUR = presets()["tiny"].config


def build(config, *, eager=False):
    torch.manual_seed(0)
    model = Model(config).double().eval()
    if eager:  # weights large enough that pixels depend on one another and on z
        for parameter in model.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.4)
    return model


def test_probabilities_of_all_binary_pictures_sum_to_one():
    model = build(BINARY, eager=True)
    z = torch.randn(2, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    pictures = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=9)), dtype=torch.float64)
    for row in z:
        with torch.no_grad():
            scores = model.score(row.expand(512, -1), pictures.view(512, 1, 3, 3))
        assert scores.exp().sum().item() == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("config", [BINARY, COLOUR, replace(COLOUR, layers=0)])
def test_sampling_is_the_forward_pass(config):
    """Every pixel is the one that the distribution given all pixels before it draws."""
    model = build(config, eager=True)
    z = torch.randn(4, config.latent, generator=torch.Generator().manual_seed(1)).double()
    side = config.target_size
    noise = torch.rand(
        4, model.likelihood.noise, side, side, generator=torch.Generator().manual_seed(2)
    )
    drawn = model.draw(z, noise.double()).double()
    with torch.no_grad():
        params = model.pixelcnn(drawn, model.condition(z))
    again = model.likelihood.draw(params, noise.double())
    torch.testing.assert_close(again, drawn, atol=1e-6, rtol=0)


def test_samples_occur_as_often_as_their_probability_says():
    model = build(replace(BINARY, target_size=2), eager=True)
    z = torch.randn(1, 3, generator=torch.Generator().manual_seed(3)).double()
    n = 4_000
    drawn = model.decode(z.expand(n, -1), generator=torch.Generator().manual_seed(4))
    for bits in itertools.product([-1.0, 1.0], repeat=4):
        picture = torch.tensor(bits, dtype=torch.float64).view(1, 1, 2, 2)
        with torch.no_grad():
            expected = model.score(z, picture).exp().item()
        found = (drawn == picture).flatten(1).all(1).double().mean().item()
        assert found == pytest.approx(expected, abs=0.03)


def test_the_importance_weighted_bound_is_tighter_and_grows():
    model = build(BINARY, eager=True)
    g = torch.Generator().manual_seed(0)
    x = torch.rand(64, 1, 8, 8, generator=g).double() * 2 - 1
    target = (torch.rand(64, 1, 3, 3, generator=g) > 0.5).double() * 2 - 1
    with torch.no_grad():
        elbo = torch.stack([model.elbo(x, target, generator=g) for _ in range(40)]).mean().item()
        few = torch.stack([model.log_prob(x, target, 5, generator=g) for _ in range(8)]).mean()
        many = model.log_prob(x, target, 200, generator=g).mean()
    assert elbo < few.item() < many.item()


def test_it_is_a_latent_variable_model():
    assert isinstance(build(BINARY), LatentVariableModel)


def colour_batch(items=6, seed=0):
    g = torch.Generator().manual_seed(seed)
    views = torch.rand(2, items, 3, 16, 16, generator=g, dtype=torch.float64) * 2 - 1
    targets = torch.rand(2, items, 3, 8, 8, generator=g, dtype=torch.float64) * 2 - 1
    return Batch(views, targets, step_seed=seed)


def test_a_window_estimates_the_whole_picture():
    """The mean over many random windows is the loss over the picture, but for their rims."""
    whole = build(replace(COLOUR, layers=0)).train()
    windowed = build(replace(COLOUR, layers=0, crop=4)).train()
    windowed.load_state_dict(whole.state_dict())
    batch = colour_batch()
    seen = [replace(batch, step_seed=s) for s in range(300)]
    with torch.no_grad():
        estimates = torch.stack([windowed.loss(b)["nll_auxiliary"] for b in seen])
        exact = torch.stack([whole.loss(b)["nll_auxiliary"] for b in seen[:40]])
    assert estimates.mean().item() == pytest.approx(exact.mean().item(), rel=0.02)


def test_the_same_step_gives_the_same_loss():
    model = build(COLOUR).eval()
    first, second = (model.loss(colour_batch())["loss"].item() for _ in range(2))
    assert first == second


def test_the_rate_weight_moves_only_in_training():
    model = build(replace(COLOUR, rate=Rate(mode="target", target=0.001)))
    model.eval().loss(colour_batch())
    assert model.rate_weight.item() == 1.0
    model.train().loss(colour_batch())
    assert model.rate_weight.item() == pytest.approx(1.02)


def test_the_vector_alone_draws_an_outline():
    model = build(COLOUR)
    outline = model.outline(torch.randn(2, COLOUR.latent, dtype=torch.float64))
    assert outline.shape == (2, 3, 8, 8)
    assert outline.abs().max() <= 1


def test_an_encoder_needs_a_depth_for_every_width():
    with pytest.raises(ValueError, match="2 widths"):
        Model(replace(COLOUR, depths=(1,)))


def shaped_batch(items=6):
    batch = colour_batch(items)
    shapes = torch.zeros(2, items, NUMBERS, dtype=torch.float64)
    shapes[:, torch.arange(items), torch.arange(items) % 3] = 1.0
    return replace(batch, shapes=shapes)


SHAPED = replace(COLOUR, shape=1.0, neighbours=0.3, metric=MetricSettings(fit=True))


def test_the_shape_is_told_from_the_vector():
    model = build(SHAPED).train()
    loss = model.loss(shaped_batch())
    loss["shape"].backward()
    assert 0 < loss["shape"].item() < 2
    assert model.posterior.weight.grad.abs().sum() > 0


def test_without_known_shapes_there_is_no_shape_term():
    model = build(SHAPED).train()
    unknown = replace(shaped_batch(), shapes=torch.zeros(2, 6, NUMBERS, dtype=torch.float64))
    for batch in (colour_batch(), unknown):
        parts = model.loss(batch)
        assert "shape" not in parts
        assert torch.isfinite(parts["loss"])


def test_the_whole_vocabulary_of_the_loss_adds_up():
    model = build(replace(SHAPED, shape=0.7, contrast=0.4, auxiliary=0.5)).eval()
    parts = model.loss(shaped_batch())
    c, dims = model.config, 3 * 8 * 8
    generative = parts["nll"] + 0.5 * parts["nll_auxiliary"] + parts["rate_weight"] * parts["kl"]
    expected = generative / dims + 0.4 * parts["contrast"] + 0.7 * parts["shape"]
    assert c.rate.mode == "target"
    assert parts["loss"].item() == pytest.approx(expected.item(), rel=1e-6)


def test_settling_changes_the_embedding_and_not_the_posterior():
    model = build(SHAPED)
    views = colour_batch(items=40).views[0]
    with torch.no_grad():
        mean, before = model.encode(views)[0], model.embed(views)
        model.settle([views[:20], views[20:]])
        torch.testing.assert_close(model.encode(views)[0], mean)
        after = model.embed(views)
    torch.testing.assert_close(before, mean)
    assert not torch.allclose(before, after)
    assert after.mean(0).abs().max() < 1e-6


def test_a_metric_of_the_features_is_one_of_what_the_mean_is_read_from():
    """With all features kept and no whitening, distances are those of the pooled features."""
    metric = MetricSettings(fit=True, of="features", shrink=1e6, emphasis=0.0)
    config = replace(SHAPED, metric=metric, latent=32)
    model = build(config)
    assert model.encoder.features == model.embedding_dim == 32
    views = colour_batch(items=40).views[0]
    with torch.no_grad():
        model.settle([views[:20], views[20:]])
        features, embedding = model.encoder(views), model.embed(views)
    ratio = torch.pdist(embedding) / torch.pdist(features)
    torch.testing.assert_close(ratio, ratio.mean().expand_as(ratio), rtol=1e-3, atol=0)


def test_the_shape_counts_the_same_read_from_the_mean_or_from_the_features():
    """Emphasis without end leaves nothing but the shape, and that is one map of either."""
    views, told = colour_batch(items=40).views[0], []
    for of in ("latent", "features"):
        metric = MetricSettings(fit=True, of=of, emphasis=1e4)
        model = build(replace(SHAPED, metric=metric))
        with torch.no_grad():
            model.settle([views])
            told.append(torch.pdist(model.embed(views)))
    torch.testing.assert_close(told[0], told[1], rtol=0.02, atol=1e-3)


def test_a_share_of_the_items_is_decoded():
    """The estimate from half the items is, over many steps, the one from all of them."""
    config = replace(COLOUR, layers=0)
    whole, half = build(config).eval(), build(replace(config, decoded=0.5)).eval()
    half.load_state_dict(whole.state_dict())
    batch = colour_batch()
    with torch.no_grad():
        every, some = (
            torch.stack([m.loss(replace(batch, step_seed=s))["nll"] for s in range(200)]).mean()
            for m in (whole, half)
        )
    assert some.item() == pytest.approx(every.item(), rel=0.01)
