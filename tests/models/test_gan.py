"""What defines a GAN: two players, each moving its own network, by a loss of its kind."""

import math
from dataclasses import replace

import pytest
import torch

from models import gan
from models.gan import Config, Model
from models.nn.critics import energy_distance, gradient_penalty, witness
from models.training.loop import Run
from models.training.photos import load_photos
from models.training.protocols import Batch, Completer, LatentVariableModel, scores_exactly
from models.training.train import Plan, train

KINDS = ("original", "wgan-gp", "cramer")
TINY = gan.presets()["tiny"]


def build(kind, **changes):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Model(replace(TINY.config, kind=kind, **changes))


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def batch_for(config, items=6, seed=0):
    shape = (1, items, config.channels, config.size, config.size)
    x = torch.rand(shape, generator=seeded(seed)) * 2 - 1
    return Batch(x, x, seed)


def drawn(model, batch):
    """What the generator makes in a step: for the critic, and for its own turn."""
    n = batch.views[0].shape[0]
    z = torch.randn(2 * n, model.config.latent, generator=batch.generator())
    return model.generator(z[:n]), model.generator(z[n:])


def test_the_original_losses_are_those_of_the_paper():
    """-log D(x) - log(1 - D(G(z))), and -log D(G(z)) instead of the saturating log(1 - D(G(z)))."""
    model = build("original")
    batch = batch_for(model.config)
    critics, own = drawn(model, batch)

    def probability(x):
        return torch.sigmoid(model.critic(x)).double()

    expected = -(probability(batch.targets[0]).log() + (1 - probability(critics)).log()).mean()
    assert model.critic_loss(batch)["loss"].item() == pytest.approx(expected.item(), rel=1e-5)
    expected = -probability(own).log().mean()
    assert model.generator_loss(batch)["loss"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_wasserstein_losses_are_those_of_the_paper():
    model = build("wgan-gp", penalty=7.0)
    batch = batch_for(model.config)
    real = batch.targets[0]
    critics, own = drawn(model, batch)
    g = batch.generator()
    torch.randn(12, model.config.latent, generator=g)  # the vectors are drawn before the places
    penalty = gradient_penalty(model.critic, real, critics, g)
    apart = model.critic(real).mean() - model.critic(critics).mean()
    parts = model.critic_loss(batch)
    assert parts["loss"].item() == pytest.approx((7 * penalty - apart).item(), rel=1e-5)
    assert parts["penalty"].item() == pytest.approx(penalty.item(), rel=1e-5)
    expected = -model.critic(own).mean().item()
    assert model.generator_loss(batch)["loss"].item() == pytest.approx(expected, rel=1e-5)


def test_the_cramer_losses_are_the_energy_distance_of_the_features():
    model = build("cramer", penalty=7.0)
    batch = batch_for(model.config)
    real = batch.targets[0]
    critics, own = drawn(model, batch)
    h = model.critic.features
    g = batch.generator()
    torch.randn(12, model.config.latent, generator=g)
    penalty = gradient_penalty(lambda x: witness(h(x), h(real), h(critics)), real, critics, g)
    expected = 7 * penalty - energy_distance(h(real), h(critics))
    assert model.critic_loss(batch)["loss"].item() == pytest.approx(expected.item(), rel=1e-4)
    expected = energy_distance(h(real), h(own)).item()
    assert model.generator_loss(batch)["loss"].item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_player_moves_its_own_network(kind):
    model = build(kind).train()
    batch = batch_for(model.config)
    critic, generator = model.players()
    assert {id(p) for player in model.players() for p in player.parameters()} == {
        id(p) for p in model.parameters()
    }
    critic.loss(batch)["loss"].backward()
    assert all(p.grad is None for p in generator.parameters()), "the critic's turn"
    assert all(p.grad is not None for p in critic.parameters())
    model.zero_grad()
    generator.loss(batch)["loss"].backward()
    assert all(p.grad is not None for p in generator.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_it_comes_near_the_pictures_it_is_shown(kind):
    """A bright half on a dark one, or the reverse: both come back, and nothing else does."""
    model = build(kind, channels=1, critic_steps=1).train()
    players = model.players()
    optimisers = [torch.optim.Adam(p.parameters(), lr=2e-3, betas=p.betas) for p in players]
    half = torch.ones(1, 1, 1, 16, 16)
    half[..., :8] = -1

    def apart():
        with torch.no_grad():
            pictures = model.sample(64, generator=seeded(1)).flatten(1)
        both = 0.8 * torch.cat([half.view(1, -1), -half.view(1, -1)])
        return (pictures[:, None] - both).square().mean(2).min(1).values.mean().item()

    before = apart()
    for step in range(150):
        sign = torch.randint(2, (1, 32, 1, 1, 1), generator=seeded(step)) * 2 - 1
        noise = 0.1 * torch.randn(1, 32, 1, 16, 16, generator=seeded(step))
        batch = Batch(0.8 * half * sign + noise, 0.8 * half * sign + noise, step)
        for player, optimiser in zip(players, optimisers, strict=True):
            loss = player.loss(batch)["loss"]
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    assert apart() < 0.4 * before


@pytest.fixture(scope="module")
def plan():
    config = replace(TINY.config, kind="wgan-gp", critic_steps=3)
    return Plan("gan", config, replace(TINY.recipe, steps=8, batch_size=8))


@pytest.fixture(scope="module")
def tensors(photos, plan):
    return load_photos(photos, side=plan.load_side, target=16, channels=3, cut=False, cache=None)


def test_the_generator_has_a_turn_in_every_third_step(plan, tensors):
    run = Run(plan.build(), plan.recipe, tensors, 16, 16)
    before, moved = None, []
    for step in run.train():
        weights = run.model.generator.out.weight.detach().clone()
        moved.append(before is not None and not torch.equal(weights, before))
        assert ("generator" in step.parts) == (step.number % 3 == 0)
        assert "critic" in step.parts
        before = weights
    assert moved == [False, False, True, False, False, True, False, False]


def test_a_run_stopped_between_two_turns_goes_on_to_the_same_weights(plan, tensors, tmp_path):
    train(plan, tensors, tmp_path / "whole")
    for stop in (2, 2, 3):  # before the generator's first turn, after it, and in the second round
        asked = iter([False] * (stop - 1) + [True] * 99)
        train(
            plan, tensors, tmp_path / "parts", resume=(tmp_path / "parts").exists(),
            should_stop=lambda asked=asked: next(asked),
        )  # fmt: skip
    train(plan, tensors, tmp_path / "parts", resume=True)
    files = [(tmp_path / name / "weights.safetensors").read_bytes() for name in ("whole", "parts")]
    assert files[0] == files[1]


@pytest.mark.parametrize("kind", KINDS)
def test_the_embedding_is_the_critics_features(kind):
    model = build(kind).eval()
    x = batch_for(model.config).views[0]
    assert torch.equal(model.embed(x), model.critic.features(x))
    assert model.embed(x).std(0).min() > 0


def test_it_has_no_likelihood_and_does_not_pretend():
    model = build("original")
    assert not isinstance(model, LatentVariableModel | Completer)
    assert not scores_exactly(model)


def test_the_same_vector_gives_the_same_picture():
    model = build("cramer").eval()
    z = torch.randn(3, 8, generator=seeded(0))
    torch.testing.assert_close(model.outline(z), torch.cat([model.outline(v) for v in z[:, None]]))
    assert model.outline(z).abs().max() <= 1


def test_real_presets_compare_by_as_many_features_as_the_paper_asks():
    for name, preset in gan.presets().items():
        assert preset.config.features >= 256 or name == "tiny"
        assert preset.recipe.weight_decay == 0


def test_a_critic_that_knows_nothing_costs_two_bits_of_doubt():
    model = build("original")
    for parameter in model.critic.parameters():
        torch.nn.init.zeros_(parameter)
    assert model.critic_loss(batch_for(model.config))["loss"].item() == pytest.approx(
        2 * math.log(2)
    )


@pytest.mark.parametrize("name", ["critic_steps", "features", "size"])
def test_a_setting_out_of_its_range_is_named(name):
    with pytest.raises(ValueError, match=f"{name} is 0; it has to be"):
        Config(**{name: 0})
