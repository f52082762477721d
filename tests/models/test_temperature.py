"""Temperature, ways between vectors, and abilities: what the service asks of models."""

import math

import pytest
import torch

import models
from models.nn.categorical import Categorical
from models.nn.latent import spherical, straight
from models.nn.likelihoods import Bernoulli, LogisticMixture
from models.nn.posterior import NormalPosterior, ProbitNormalPosterior
from models.nn.tempered import shared_copy, tempered
from models.training.abilities import abilities
from models.training.protocols import LatentPrior, LatentVariableModel, Tempered, can_enlarge


def built(name):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return models.create(name, preset="tiny").eval()


ALL = [built(name) for name in models.available()]
WARM = [model for model in ALL if isinstance(model, Tempered)]
WALKING = [model for model in ALL if isinstance(model, LatentPrior)]


def name_of(model):
    return type(model).__module__.partition(".")[2]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_draws_follow_the_tempered_probabilities(temperature):
    """Against p^(1/T), renormalised by hand."""
    logits = torch.tensor([0.3, -1.0, 1.2, 0.0])
    n = 40_000
    noise = torch.rand(n, 1, 1, 1, generator=torch.Generator().manual_seed(0))
    expected = logits.softmax(0) ** (1 / temperature)
    expected /= expected.sum()
    likelihood = Categorical(1, 4, temperature)
    drawn = likelihood.draw(logits.view(1, 4, 1, 1).expand(n, -1, -1, -1), noise)
    found = torch.bincount(((drawn.flatten() + 1) * 1.5).round().long(), minlength=4) / n
    torch.testing.assert_close(found, expected, atol=0.01, rtol=0)
    p = torch.tensor([0.2, 0.8]) ** (1 / temperature)
    logit = torch.full((n, 1, 1, 1), math.log(0.8 / 0.2))
    ones = (Bernoulli(1, temperature).draw(logit, noise) > 0).float().mean()
    assert ones == pytest.approx((p[1] / p.sum()).item(), abs=0.01)


def test_a_logistic_is_drawn_with_the_root_of_the_temperature():
    params = torch.tensor([0.0, 0.1, math.log(0.05)]).view(1, 3, 1, 1).expand(20_000, -1, -1, -1)
    noise = torch.rand(20_000, 2, 1, 1, generator=torch.Generator().manual_seed(0))
    spread = [LogisticMixture(1, 1, 256, t).draw(params, noise).std() for t in (1.0, 0.25)]
    assert (spread[1] / spread[0]).item() == pytest.approx(0.5, abs=0.02)


def test_scores_do_not_know_the_temperature():
    params = torch.randn(3, 4, 2, 2, generator=torch.Generator().manual_seed(0))
    x = torch.zeros(3, 1, 2, 2)
    cold, usual = Categorical(1, 4, 0.1), Categorical(1, 4)
    assert torch.equal(cold.log_prob(x, params), usual.log_prob(x, params))


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan])
def test_a_temperature_is_positive(temperature):
    with pytest.raises(ValueError, match="positive number"):
        tempered(Bernoulli(), temperature)


@pytest.mark.parametrize("model", WARM, ids=name_of)
class TestTemperature:
    def test_one_changes_nothing_and_another_does(self, model):
        usual, same, cold = (
            m.sample(4, generator=torch.Generator().manual_seed(3))
            for m in (model, model.at_temperature(1.0), model.at_temperature(0.01))
        )
        assert torch.equal(usual, same)
        assert not torch.equal(usual, cold)

    def test_the_model_itself_stays_as_it_was(self, model):
        before = model.sample(2, generator=torch.Generator().manual_seed(3))
        other = model.at_temperature(0.1)
        assert torch.equal(model.sample(2, generator=torch.Generator().manual_seed(3)), before)
        assert all(a is b for a, b in zip(other.parameters(), model.parameters(), strict=True))

    def test_cold_draws_are_more_alike(self, model):
        """Of two seeds the pictures differ less, the colder they are drawn."""

        def apart(temperature):
            warm = model.at_temperature(temperature)
            a, b = (warm.sample(6, generator=torch.Generator().manual_seed(s)) for s in (0, 1))
            return (a - b).abs().mean()

        assert apart(1e-4) < apart(1.0)


def test_a_shared_copy_keeps_its_parts_apart():
    model = torch.nn.Sequential(torch.nn.Linear(1, 1))
    copied = shared_copy(model)
    copied[0] = torch.nn.Linear(1, 1)
    assert model[0] is not copied[0]


def test_the_arc_between_two_vectors():
    """By hand: a quarter circle, its middle, and lengths that grow evenly."""
    a, b = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 4.0]])
    middle = spherical(a, b, 0.5)
    torch.testing.assert_close(middle, torch.tensor([[3 / 2**0.5, 3 / 2**0.5]]))
    assert torch.allclose(spherical(a, b, 0.0), a)
    assert torch.allclose(spherical(a, b, 1.0), b)
    assert torch.allclose(spherical(a, 3 * a, 0.5), 2 * a)
    assert torch.allclose(spherical(a, -a, 0.25), 0.5 * a)
    assert torch.isfinite(spherical(torch.zeros(1, 2), b, 0.5)).all()
    assert torch.allclose(straight(a, b, 0.5), torch.tensor([[1.0, 2.0]]))


def test_the_arc_keeps_the_length_that_draws_have():
    g = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 200, 128, generator=g)
    assert spherical(a, b, 0.5).norm(dim=1).mean() == pytest.approx(128**0.5, rel=0.02)
    assert straight(a, b, 0.5).norm(dim=1).mean() == pytest.approx(64**0.5, rel=0.02)


@pytest.mark.parametrize("posterior", [NormalPosterior(), ProbitNormalPosterior()])
def test_what_lies_between_has_the_support_of_the_prior(posterior):
    a, b = posterior.prior_draw(2, 16, torch.Generator().manual_seed(0)).split(1)
    middle = posterior.between(a, b, 0.5)
    if isinstance(posterior, ProbitNormalPosterior):
        assert middle.abs().max() < 1
        torch.testing.assert_close(middle, (a + b) / 2)
    else:
        torch.testing.assert_close(middle, spherical(a, b, 0.5))


@pytest.mark.parametrize("temperature", [0.25, 4.0])
def test_the_prior_at_a_temperature(temperature):
    g = torch.Generator().manual_seed(0)
    z = NormalPosterior(temperature).prior_draw(2000, 10, g)
    assert z.std().item() == pytest.approx(temperature**0.5, rel=0.02)
    uniform = ProbitNormalPosterior(temperature).prior_draw(2000, 10, g)
    y = torch.erfinv(uniform.double().clamp(-1 + 1e-7, 1 - 1e-7)) * 2**0.5
    assert y.quantile(0.8413).item() == pytest.approx(temperature**0.5, rel=0.05)


@pytest.mark.parametrize("model", WALKING, ids=name_of)
def test_vectors_are_drawn_and_walked_between(model):
    z = model.draw_latent(2, generator=torch.Generator().manual_seed(0))
    again = model.draw_latent(2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(z, again)
    assert (len(z), z.dim()) == (2, 2)
    for share, end in ((0.0, 0), (1.0, 1)):
        torch.testing.assert_close(model.between(z[:1], z[1:], share), z[end : end + 1])
    if isinstance(model, LatentVariableModel):
        drawn = model.sample(2, generator=torch.Generator().manual_seed(0))
        generator = torch.Generator().manual_seed(0)
        decoded = model.decode(model.draw_latent(2, generator=generator), generator=generator)
        assert torch.equal(drawn, decoded)


@pytest.mark.parametrize("model", ALL, ids=name_of)
def test_abilities_are_those_of_the_methods(model):
    found = set(abilities(type(model)))
    if model.modality == "strokes":  # a pen's temperature is an argument of each call
        assert {"sample", "temperature", "complete"} <= found
        assert ("arithmetic" in found) == ("interpolate" in found) == hasattr(model, "decode")
        return
    assert ("complete" in found) == hasattr(model, "complete")
    assert ("temperature" in found) == hasattr(model, "at_temperature")
    # The second PixelVAE has a layer of that name.
    assert ("enlarge" in found) == hasattr(type(model), "enlarge") == can_enlarge(model)
    assert ("size" in found) == hasattr(model, "at_size")
    assert ("frames" in found) == hasattr(model, "canvases")
    assert model.encodes or "reconstruct" not in found
    assert ("likelihood_bound" in found) == hasattr(model, "elbo")
    assert not {"likelihood_bound", "exact_likelihood"} <= found
    for ability, methods in (
        ("exact_likelihood", ("score",)),
        ("reconstruct", ("decode", "outline")),
        ("interpolate", ("draw_latent",)),
        ("arithmetic", ("draw_latent",)),
    ):
        assert ability not in found or any(hasattr(model, method) for method in methods)
