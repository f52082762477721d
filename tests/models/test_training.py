"""A run that stops and goes on ends as one that does not; what it leaves can be used."""

import json
from dataclasses import replace

import pytest
import torch

import models
from models.training.checkpoint import (
    WeightsError,
    find_weights,
    fingerprint_weights,
    halve,
    load_state,
    load_weights,
    read_metrics,
)
from models.training.loop import Run
from models.training.photos import load_photos
from models.training.recipe import Recipe
from models.training.train import Plan, describe_run, read_history, read_plan, train
from tests.strokes_made import stroke_tensors


@pytest.fixture(scope="module", params=models.available())
def plan(request):
    preset = models.find_preset(request.param, "tiny")
    return Plan(request.param, preset.config, replace(preset.recipe, steps=12, batch_size=8))


def load(plan, photos, *, cut=True):
    """Training data as the plan needs it: photos, or as many drawings."""
    if models.modality(plan.name) == "strokes":
        return stroke_tensors(len(photos), max_points=plan.config.max_points)
    return load_photos(
        photos, side=plan.load_side, target=plan.config.target_size,
        channels=plan.config.channels, cut=cut, cache=None,
    )  # fmt: skip


@pytest.fixture(scope="module")
def tensors(photos, plan):
    return load(plan, photos)


def stop_after(steps):
    asked = iter(range(10_000))
    return lambda: next(asked) >= steps - 1


def test_stop_and_resume_give_the_same_weights(plan, tensors, tmp_path):
    whole = train(plan, tensors, tmp_path / "whole")
    first = train(plan, tensors, tmp_path / "parts", should_stop=stop_after(5))
    assert not first.finished
    assert first.steps == 5
    assert read_plan(tmp_path / "parts") == plan
    second = train(plan, tensors, tmp_path / "parts", resume=True, should_stop=stop_after(4))
    assert second.steps == 9
    last = train(plan, tensors, tmp_path / "parts", resume=True)
    assert last.finished
    assert whole.steps == last.steps == 12
    one, other = (load_weights(tmp_path / name) for name in ("whole", "parts"))
    for key, value in one.model.state_dict().items():
        assert torch.equal(value, other.model.state_dict()[key]), key
    assert one.fingerprint == other.fingerprint
    assert not (tmp_path / "parts" / "state.safetensors").exists()


def test_a_run_goes_on_with_moments_laid_as_their_weights(plan, tensors, tmp_path):
    """On an accelerator the step is one kernel, which takes them in no other order."""
    train(plan, tensors, tmp_path, should_stop=stop_after(2))
    model = plan.build().to(memory_format=torch.channels_last)
    run = Run(model, plan.recipe, tensors, *plan.sides)
    run.restore(*load_state(tmp_path))
    for optimiser in run.optimisers:
        for parameter, slots in optimiser.state.items():
            for slot in ("exp_avg", "exp_avg_sq"):
                assert slots[slot].stride() == parameter.stride(), slot


def test_weights_are_stored_in_half_the_size(plan, tensors, tmp_path):
    train(plan, tensors, tmp_path)
    parameters = read_metrics(tmp_path)["training"]["parameters"]
    assert (tmp_path / "weights.safetensors").stat().st_size < 2.5 * parameters + 20_000
    state = {"small": torch.tensor([1.0, -2.5]), "huge": torch.tensor([1e9]), "n": torch.tensor(3)}
    halved = halve(state)
    assert halved["small"].dtype == torch.float16
    assert halved["huge"].dtype == torch.float32
    assert halved["n"].dtype == torch.int64
    assert halved["small"].tolist() == [1.0, -2.5]


def test_another_seed_gives_other_weights(plan, tensors, tmp_path):
    train(plan, tensors, tmp_path / "a")
    train(replace(plan, recipe=replace(plan.recipe, seed=1)), tensors, tmp_path / "b")
    assert fingerprint_weights(tmp_path / "a") != fingerprint_weights(tmp_path / "b")


def test_a_run_is_not_overwritten_by_accident(plan, tensors, tmp_path):
    train(plan, tensors, tmp_path, should_stop=stop_after(2))
    with pytest.raises(WeightsError, match="--resume"):
        train(plan, tensors, tmp_path)
    with pytest.raises(WeightsError, match="nothing to resume"):
        train(plan, tensors, tmp_path / "elsewhere", resume=True)


def test_other_photos_are_refused_on_resume(plan, tensors, tmp_path):
    train(plan, tensors, tmp_path, should_stop=stop_after(2))
    with pytest.raises(ValueError, match="photos have changed"):
        train(plan, replace(tensors, digest="another"), tmp_path, resume=True)


def test_one_photo_is_too_few(photos, plan, tmp_path):
    one = load(plan, photos[:1], cut=False)
    with pytest.raises(ValueError, match=f"only 1 usable {one.noun}"):
        train(plan, one, tmp_path)


def test_weights_of_another_shape_are_no_beginning(plan, tensors, tmp_path):
    short = replace(plan, recipe=replace(plan.recipe, steps=2))
    train(short, tensors, tmp_path / "first")
    first = load_weights(tmp_path / "first")
    train(short, tensors, tmp_path / "second", init=first)
    name = next(n for n in ("latent", "width", "hidden") if hasattr(plan.config, n))
    changed = replace(plan.config, **{name: getattr(plan.config, name) * 2})
    wider = replace(short, config=changed)
    with pytest.raises(WeightsError, match="leave --init out"):
        train(wider, tensors, tmp_path / "third", init=first)


def test_a_run_leaves_history_and_metrics(plan, tensors, tmp_path):
    longer = replace(plan, recipe=replace(plan.recipe, steps=25))
    outcome = train(longer, tensors, tmp_path)
    history = list(read_history(tmp_path))
    assert [line["step"] for line in history] == [25]
    facts = read_metrics(tmp_path)["training"]
    assert facts == json.loads(json.dumps(outcome.metrics))["training"]
    assert facts | tensors.describe() == facts
    assert 24 in tensors.describe().values()
    assert facts["parameters"] == sum(p.numel() for p in plan.build().parameters())


def test_a_collapsed_vector_is_reported(plan, tensors):
    run = Run(plan.build(), plan.recipe, tensors, *plan.sides)
    assert describe_run(plan, run, {"kl": 0.1})["training"]["collapsed"]
    assert not describe_run(plan, run, {"kl": 40.0})["training"]["collapsed"]


def test_time_bounds_a_run_too(plan, tensors):
    seconds = iter(range(0, 100_000, 5))
    recipe = replace(plan.recipe, steps=None, minutes=1.0)
    run = Run(
        plan.build(), recipe, tensors, *plan.sides,
        clock=lambda: float(next(seconds)),
    )  # fmt: skip
    steps = list(run.train())
    assert len(steps) == 12  # five seconds a step
    assert steps[-1].progress == 1.0
    assert steps[-1].learning_rate < steps[5].learning_rate


def test_a_broken_gradient_stops_the_run_with_a_reason(plan, tensors):
    model = plan.build()
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    run = Run(model, plan.recipe, tensors, *plan.sides)
    with pytest.raises(FloatingPointError, match="--learning-rate"):
        next(run.train())


def test_a_recipe_needs_one_length():
    with pytest.raises(ValueError, match="either steps or minutes"):
        Recipe()
    with pytest.raises(ValueError, match="either steps or minutes"):
        Recipe(steps=1, minutes=1.0)


def test_weights_are_found_by_name_and_missing_ones_are_explained(
    plan, tensors, tmp_path, monkeypatch
):
    train(replace(plan, recipe=replace(plan.recipe, steps=1)), tensors, tmp_path / "weights" / "w")
    monkeypatch.chdir(tmp_path)
    assert find_weights("w").resolve() == (tmp_path / "weights" / "w").resolve()
    assert find_weights(tmp_path / "weights" / "w") == tmp_path / "weights" / "w"
    with pytest.raises(WeightsError, match=r"no weights 'nope'.*niteru train"):
        find_weights("nope")


def damage_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "weights.safetensors").write_bytes(b"x" * 40), "cannot be used"),
        (lambda f: (f / "weights.safetensors").unlink(), "cannot be used"),
        (lambda f: (f / "config.json").write_text("{"), "cannot be read"),
        (lambda f: (f / "config.json").write_text("{}"), "no description of weights"),
        (lambda f: damage_config(f, format=99), "has format 99"),
        (lambda f: damage_config(f, model="nonsense"), "no model 'nonsense'"),
        (lambda f: damage_config(f, config={"latent": 4}), "cannot be used"),
    ],
)
def test_damaged_weights_are_refused_with_the_reason(plan, tensors, tmp_path, damage, message):
    train(replace(plan, recipe=replace(plan.recipe, steps=1)), tensors, tmp_path)
    damage(tmp_path)
    with pytest.raises(WeightsError, match=message):
        load_weights(tmp_path)


def test_the_fingerprint_follows_what_changes_a_vector(plan, tensors, tmp_path):
    train(replace(plan, recipe=replace(plan.recipe, steps=1)), tensors, tmp_path)
    before = fingerprint_weights(tmp_path)
    (tmp_path / "metrics.json").write_text("{}")
    damage_config(tmp_path, recipe=json.loads((tmp_path / "config.json").read_text())["recipe"])
    assert fingerprint_weights(tmp_path) == before
    expects = json.loads((tmp_path / "config.json").read_text())["preprocessing"]
    other = {"scale": 3.5} if models.modality(plan.name) == "strokes" else {"fit": "stretch"}
    damage_config(tmp_path, preprocessing=expects | other)
    assert fingerprint_weights(tmp_path) != before
