"""What defines a VAE and an InfoVAE: a likelihood and a bound on it, a rate, a crowd."""

import itertools
import math
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch

from models import info_vae, vae
from models.nn.mmd import mmd_unbiased
from models.nn.rate import Rate
from models.training.checkpoint import load_weights
from models.training.encoder_file import read_encoder
from models.training.export import export_encoder
from models.training.protocols import Batch, LatentVariableModel

SMALL = {
    "channels": 1, "size": 8, "target_size": 3, "likelihood": "bernoulli", "latent": 1,
    "widths": (4, 8), "depths": (1, 1), "decoder_width": 4,
}  # fmt: skip
BINARY = vae.Config(**SMALL)
COLOUR = vae.presets()["tiny"].config
ALL = [
    BINARY, replace(BINARY, prior="uniform"), info_vae.Config(**SMALL),
    COLOUR, replace(COLOUR, prior="uniform"), info_vae.presets()["tiny"].config,
]  # fmt: skip


def build(config):
    """A model whose pixels depend on the vector, and the vector on the photo."""
    module = info_vae if isinstance(config, info_vae.Config) else vae
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = module.Model(config).double().eval()
        for parameter in model.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.4)
        torch.nn.init.normal_(model.bottleneck.weight, std=0.02)
        torch.nn.init.normal_(model.decoder.upsampler.start.weight, std=1.5)
    return model


def batch_for(config, items=6, seed=0, views=1):
    g = torch.Generator().manual_seed(seed)
    c, side, small = config.channels, config.size, config.target_size
    seen = torch.rand(views, items, c, side, side, generator=g, dtype=torch.float64) * 2 - 1
    target = torch.rand(views, items, c, small, small, generator=g, dtype=torch.float64) * 2 - 1
    return Batch(seen, target.sign() if config.likelihood == "bernoulli" else target, seed)


@pytest.mark.parametrize("config", ALL)
def test_it_is_a_latent_variable_model(config):
    model = build(config)
    assert isinstance(model, LatentVariableModel)
    batch = batch_for(config)
    mean, log_var = model.encode(batch.views[0])
    assert mean.shape == log_var.shape == (6, config.latent)
    assert torch.equal(model.embed(batch.views[0]), model.posterior.mean(mean, log_var))
    outline = model.outline(mean)
    drawn = model.decode(mean, generator=torch.Generator().manual_seed(0))
    assert outline.shape == drawn.shape == batch.targets[0].shape
    assert max(outline.abs().max(), drawn.abs().max()) <= 1 + 1e-9  # rounding


@pytest.mark.parametrize("config", ALL[:3])
def test_probabilities_of_all_binary_pictures_sum_to_one(config):
    model = build(config)
    pictures = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=9)), dtype=torch.float64)
    for z in (-0.9, 0.2):
        with torch.no_grad():
            scores = model.score(torch.full((512, 1), z).double(), pictures.view(512, 1, 3, 3))
        assert scores.exp().sum().item() == pytest.approx(1.0, abs=1e-9)


def evidence(model, target):
    """log p(target) by integration over the one latent dimension: (B,) nats."""
    edge = 8.0 if getattr(model.config, "prior", "normal") == "normal" else 1.0
    z = (torch.arange(4_000, dtype=torch.float64) + 0.5) / 4_000 * 2 * edge - edge
    with torch.no_grad():
        prior = torch.distributions.Normal(0.0, 1.0).log_prob(z) if edge > 1 else -math.log(2)
        rows = [model.score(z[:, None], t.expand(4_000, -1, -1, -1)) + prior for t in target]
    return torch.logsumexp(torch.stack(rows), 1) + math.log(2 * edge / 4_000)


@pytest.mark.parametrize("config", ALL[:3])
def test_both_bounds_are_below_the_evidence_and_more_samples_come_closer(config):
    model = build(config)
    batch = batch_for(config, items=5)
    x, target = batch.views[0], batch.targets[0]
    exact = evidence(model, target)
    g = torch.Generator().manual_seed(0)
    many = x.repeat(300, 1, 1, 1), target.repeat(300, 1, 1, 1)
    with torch.no_grad():
        elbo = model.elbo(*many, generator=g).mean()
        few = model.log_prob(*many, 5, generator=g).mean()
        most = model.log_prob(*many, 60, generator=g).mean()
    assert elbo < few < most
    assert most.item() == pytest.approx(exact.mean().item(), abs=0.02)


@pytest.mark.parametrize("config", ALL)
def test_one_importance_sample_is_an_elbo_on_average(config):
    model = build(config)
    batch = batch_for(config, items=1)
    many = [part[0].expand(1_000, -1, -1, -1) for part in (batch.views, batch.targets)]
    with torch.no_grad():
        one = model.log_prob(*many, 1, generator=torch.Generator().manual_seed(0))
        elbo = model.elbo(*many, generator=torch.Generator().manual_seed(1))
    error = math.hypot(one.std().item(), elbo.std().item()) / math.sqrt(1_000)
    assert abs(one.mean().item() - elbo.mean().item()) < 4 * error


def test_samples_occur_as_often_as_their_probability_says():
    model = build(replace(BINARY, target_size=2))
    n = 4_000
    drawn = model.sample(n, generator=torch.Generator().manual_seed(4))
    for bits in itertools.product([-1.0, 1.0], repeat=4):
        picture = torch.tensor(bits, dtype=torch.float64).view(1, 1, 2, 2)
        found = (drawn == picture).flatten(1).all(1).double().mean().item()
        assert found == pytest.approx(evidence(model, picture).exp().item(), abs=0.03)


@pytest.mark.parametrize("config", ALL[:2])
def test_with_weight_one_the_loss_is_the_evidence_lower_bound(config):
    model = build(replace(config, rate=Rate(mode="beta", weight=1.0)))
    batch = batch_for(config)
    parts = model.loss(batch)
    elbo = model.elbo(batch.views[0], batch.targets[0], generator=batch.generator())
    assert parts["loss"].item() * 9 == pytest.approx(-elbo.mean().item())  # 9 pixels a picture
    assert (parts["nll"] + parts["kl"]).item() == pytest.approx(-elbo.mean().item())


@pytest.mark.parametrize("config", ALL)
def test_the_rate_is_the_divergence_in_the_loss(config):
    model = build(config)
    batch = batch_for(config)
    rate = model.rate(batch.views[0])
    assert rate.shape == (6,)
    assert rate.mean().item() == pytest.approx(model.loss(batch)["kl"].item())


def test_the_same_step_gives_the_same_loss():
    for config in ALL:
        model = build(config)
        assert model.loss(batch_for(config))["loss"] == model.loss(batch_for(config))["loss"]


def train_on(config, steps):
    """The last quarter's mean divergence, after learning a few pictures."""
    model = build(config).train()
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    batch = batch_for(config, items=16)
    rates = []
    for step in range(steps):
        parts = model.loss(replace(batch, step_seed=step))
        optimiser.zero_grad()
        parts["loss"].backward()
        optimiser.step()
        rates.append(parts["kl"].item())
    return sum(rates[-steps // 4 :]) / (steps // 4)


@pytest.mark.parametrize("prior", ["normal", "uniform"])
@pytest.mark.parametrize("target", [4.0, 6.0])
def test_the_rate_is_held(prior, target):
    held = Rate(mode="target", target=target)
    kl = train_on(replace(BINARY, latent=4, prior=prior, rate=held), 400)
    assert kl == pytest.approx(target, rel=0.15)


def test_the_uniform_prior_is_exported_too(make_weights, tmp_path):
    """Its mean is no plain layer; the contract's export tests see the tiny preset only."""
    folder = make_weights(tmp_path, name="vae", preset="mnist-uniform")
    export_encoder(folder)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 28, 28, 1), dtype=np.uint8)
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.inference_mode():
        expected = torch.nn.functional.normalize(load_weights(folder).model.embed(x), dim=1)
    [vectors] = onnxruntime.InferenceSession(read_encoder(folder)).run(None, {"pixels": pixels})
    assert (vectors * expected.numpy()).sum(1).min() > 0.9999


# -- InfoVAE --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("alpha", "lambda_"), [(0.0, 1.0), (0.0, 1000.0), (0.5, 30.0), (1.0, 8.0)])
def test_the_loss_is_the_papers_in_nats_per_picture(alpha, lambda_):
    """Reconstruction summed over the picture; all of it divided by the dimensions, at the end."""
    config = replace(ALL[5], alpha=alpha, lambda_=lambda_)
    model = build(config)
    batch = batch_for(config)
    parts = model.loss(batch)
    dims = 3 * 8 * 8
    nats = (
        parts["nll"] + (1 - alpha) * parts["kl"] + (alpha + lambda_ - 1) * parts["mmd"]
    ).item()  # fmt: skip
    assert parts["loss"].item() * dims == pytest.approx(nats)
    g = batch.generator()
    mean, log_var = model.encode(batch.views[0])
    z = mean + (0.5 * log_var).exp() * torch.randn(mean.shape, generator=g).double()
    prior = torch.randn(mean.shape, generator=g).double()
    assert parts["nll"].item() == pytest.approx(-model.score(z, batch.targets[0]).mean().item())
    assert parts["mmd"].item() == pytest.approx(mmd_unbiased(z, prior).item())


def test_lambda_one_is_the_evidence_lower_bound():
    config = replace(ALL[2], alpha=0.0, lambda_=1.0)
    model = build(config)
    batch = batch_for(config)
    elbo = model.elbo(batch.views[0], batch.targets[0], generator=batch.generator())
    assert model.loss(batch)["loss"].item() * 9 == pytest.approx(-elbo.mean().item())


def test_two_views_of_an_item_are_no_two_draws_of_the_crowd():
    """The same photo twice: taken for one crowd, the pairs of a view and itself would count."""
    config = ALL[5]
    model = build(config)
    batch = batch_for(config)
    model.posterior = NoNoise()
    twice = Batch(batch.views.repeat(2, 1, 1, 1, 1), batch.targets.repeat(2, 1, 1, 1, 1), 0)
    one, two = (model.loss(b)["mmd"].item() for b in (batch, twice))
    assert two == pytest.approx(one)


class NoNoise(info_vae.NormalPosterior):
    """A posterior without width, so that only the crowd is random; the prior draws are fixed."""

    __slots__ = ()

    def draw(self, mean, log_var, generator):
        return mean

    def prior_draw(self, n, dims, generator):
        return torch.randn(n, dims, generator=torch.Generator().manual_seed(9))


@pytest.mark.parametrize(("alpha", "lambda_"), [(1.1, 5.0), (0.5, 0.4)])
def test_a_negative_weight_is_refused(alpha, lambda_):
    with pytest.raises(ValueError, match=f"found alpha={alpha}, lambda_={lambda_}"):
        info_vae.Config(alpha=alpha, lambda_=lambda_)
