"""Steps that an accelerator repeats from a recording, and noise drawn where it is needed."""

import warnings
from dataclasses import fields, replace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import models
from models.nn.dropout import keep
from models.nn.noise import normal, uniform
from models.nn.rate import Rate
from models.training.config import to_json
from models.training.loop import Run
from models.training.protocols import Batch, StrokeBatch
from models.training.recording import Recording, _still, _tensors
from models.training.strokes import stack_sketches
from tests.strokes_made import drawings

NAMES = models.available()
LABELLED = ("pixelcnn+labels", "pixelcnn_pp+labels")
CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")

# A recording holds kernels and no numbers: what asks a tensor for one would be asked once.
READS = {"aten::_local_scalar_dense", "aten::item", "aten::nonzero", "aten::equal"}


def made(name):
    name, labels = name.removesuffix("+labels"), name.endswith("+labels")
    config = models.find_preset(name, "tiny").config
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = replace(config, classes=3) if labels else config
        return models.create(name, config=to_json(config)).train()


def batch_of(name, device="cpu", seed=0, source=None):
    name, labelled = name.removesuffix("+labels"), name.endswith("+labels")
    config, _ = models.find_preset(name, "tiny")
    if models.modality(name) == "strokes":
        strokes = stack_sketches(drawings(6, seed=seed), config.max_points).to(device)
        return StrokeBatch(strokes, seed, 0.5, source=source)
    g = torch.Generator().manual_seed(seed)
    shape = (1, 6, config.channels)
    views = torch.randint(0, 2, (*shape, config.size, config.size), generator=g) * 2.0 - 1
    side = config.target_size
    targets = torch.nn.functional.adaptive_avg_pool2d(views[0], side).sign()[None]
    targets = torch.where(targets == 0, 1.0, targets)
    labels = torch.randint(0, 3, shape[:2], generator=g).to(device) if labelled else None
    return Batch(views.to(device), targets.to(device), seed, 0.5, labels=labels, source=source)


def players(model):
    return [player for player in model.players() if player.repeats]


RECORDED = [name for name in (*NAMES, *LABELLED) if players(made(name))]


class Asking(TorchDispatchMode):
    """Notes which operations ask a tensor for its numbers."""

    def __init__(self):
        super().__init__()
        self.asked = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.asked |= {func._schema.name} & READS
        return func(*args, **(kwargs or {}))


def test_most_models_can_be_recorded():
    assert {"pixelrnn", "draw", "srnn", "pixelcnn", *LABELLED} <= set(RECORDED)


@pytest.mark.parametrize("name", RECORDED)
def test_a_step_that_repeats_asks_for_no_number(name):
    model = made(name)
    for player in players(model):
        with Asking() as asking:
            source = torch.Generator().manual_seed(0)
            player.loss(batch_of(name, source=source))["loss"].backward()
        assert not asking.asked


def test_a_loss_that_asks_is_noticed():
    with Asking() as asking:
        torch.ones(()).item()
        torch.ones(2).nonzero()
    assert asking.asked == {"aten::_local_scalar_dense", "aten::nonzero"}


@pytest.mark.parametrize("name", ["pixelcnn", "pixelcnn+labels", "srnn"])
def test_what_is_kept_for_a_recording_is_all_of_a_batch(name):
    """Each tensor of it is a copy that another batch is written over."""
    batch = batch_of(name)
    kept = _still(batch, torch.Generator(), torch.zeros(()))
    for one, other in zip(_tensors(kept), _tensors(batch_of(name, seed=1)), strict=True):
        one.copy_(other)
    again = {f.name: getattr(batch_of(name, seed=1), f.name) for f in fields(batch)}
    for field, expected in again.items():
        if isinstance(expected, torch.Tensor):
            assert torch.equal(getattr(kept, field), expected), field
            assert not torch.equal(getattr(batch, field), expected), field


def test_without_latent_states_a_whole_batch_has_the_same_loss():
    model = models.create(
        "srnn", config={"max_points": 16, "stochastic": False, "hidden": 8}
    ).train()
    batch = batch_of("srnn")
    whole = replace(batch, source=batch.generator())
    torch.testing.assert_close(model.loss(batch)["loss"], model.loss(whole)["loss"])


def test_progress_may_be_a_tensor():
    rate, kl, one = Rate(mode="beta", weight=2.0, warmup=0.5), torch.ones(3), torch.ones(())
    for progress in (0.0, 0.2, 0.5, 0.9):
        by_number = rate.penalty(kl, one, progress)
        torch.testing.assert_close(rate.penalty(kl, one, torch.tensor(progress)), by_number)


def test_noise_is_that_of_its_generator():
    like = torch.zeros(1, dtype=torch.float64)
    for draw, same in ((normal, torch.randn), (uniform, torch.rand)):
        drawn = draw((3, 2), like, torch.Generator().manual_seed(1))
        expected = same((3, 2), generator=torch.Generator().manual_seed(1))
        assert drawn.dtype == torch.float64
        assert torch.equal(drawn, expected.double())


@pytest.mark.parametrize("share", [0.0, 0.25, 0.9])
def test_what_is_kept_is_so_many_and_keeps_the_mean(share):
    mask = keep((200, 100), share, torch.zeros(1), torch.Generator().manual_seed(0))
    assert set(mask.unique().tolist()) <= {0.0, torch.tensor(1 / (1 - share)).item()}
    assert mask.mean().item() == pytest.approx(1, abs=0.05)
    again = keep((200, 100), share, torch.zeros(1), torch.Generator().manual_seed(0))
    assert torch.equal(mask, again)


def test_a_processor_records_nothing():
    run = _run("vae", "cpu")
    assert run._recording(run.players[0], batch_of("vae")) is None


# -- on an accelerator -----------------------------------------------------------------------------


def _run(name, device):
    config, recipe = models.find_preset(name, "tiny")
    photos = _Photos()
    return Run(made(name).to(device), recipe, photos, config.size, config.target_size)


class _Photos:
    """Of which no step is taken here."""

    shapes = None


@CUDA
@pytest.mark.parametrize("name", RECORDED)
def test_a_repeated_step_is_the_step(name):
    model = made(name).cuda()
    (player,) = players(model)
    moved = list(player.parameters())
    before = {key: value.clone() for key, value in model.state_dict().items()}
    recording = Recording(model, moved, player.loss, batch_of(name, "cuda"), bf16=False)
    kept = [p.grad for p in moved]
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key]), key
    for seed in (3, 4):
        model.load_state_dict(before)
        parts = recording.repeat(batch_of(name, "cuda", seed))
        repeated = [None if grad is None else grad.clone() for grad in kept]
        model.load_state_dict(before)
        for p in moved:
            p.grad = None
        source = torch.Generator("cuda").manual_seed(seed)
        eager = player.loss(batch_of(name, "cuda", seed, source))
        eager["loss"].backward()
        torch.testing.assert_close(parts["loss"], eager["loss"].detach(), rtol=1e-3, atol=1e-4)
        for one, p in zip(repeated, moved, strict=True):
            torch.testing.assert_close(one, p.grad, rtol=1e-2, atol=1e-4)


@CUDA
def test_what_cannot_be_recorded_is_said_and_still_trained():
    run = _run("vae", "cuda")

    def asks(batch):
        loss = (batch.views.mean() - next(run.model.parameters()).mean()) ** 2
        return {"loss": loss * (1 if loss.item() > 0 else 2)}

    player = run.players[0]._replace(loss=asks)
    with pytest.warns(UserWarning, match="not recorded"):
        assert run._recording(player, batch_of("vae", "cuda")) is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert run._recording(player, batch_of("vae", "cuda")) is None
