"""The mean of weights: of what is learned the mean, of what is fitted a new fit."""

from dataclasses import replace

import pytest
import torch

import models
from models.training.averaging import average, mean_state
from models.training.checkpoint import WeightsError, load_weights, read_metrics
from models.training.config import SettingError
from models.training.photos import load_photos
from models.training.train import Plan, train
from models.training.views import to_float


def plan_of(name="pixelvae", seed=0, **changes):
    preset = models.find_preset(name, "tiny")
    config = replace(preset.config, **changes)
    return Plan(name, config, replace(preset.recipe, steps=4, batch_size=8, seed=seed))


FITTED = {"shape": 1.0, "metric": replace(plan_of().config.metric, fit=True)}


@pytest.fixture(scope="module")
def tensors(photos):
    plan = plan_of()
    return load_photos(
        photos, side=plan.load_side, target=plan.config.target_size, channels=3, cut=True,
        cache=None,
    )  # fmt: skip


@pytest.fixture(scope="module")
def trained(tensors, tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")

    def make(name, plan):
        train(plan, tensors, folder / name)
        return load_weights(folder / name)

    return [make(f"seed-{seed}", plan_of(seed=seed, **FITTED)) for seed in (0, 1)]


def test_a_mean_by_hand():
    mean = mean_state(
        [{"w": torch.tensor([1.0, 4.0]), "n": torch.tensor(3)},
         {"w": torch.tensor([2.0, -4.0]), "n": torch.tensor(9)}]
    )  # fmt: skip
    assert mean["w"].tolist() == [1.5, 0.0]
    assert mean["n"] == 3


def test_learned_weights_are_the_mean_and_the_metric_is_fitted_anew(tensors, trained, tmp_path):
    average(trained, tensors, tmp_path)
    mean = load_weights(tmp_path)
    one, other, both = (w.model.state_dict() for w in (*trained, mean))
    for key in ("posterior.weight", "encoder.stages.0.weight", "encoder.stages.1.running_var"):
        torch.testing.assert_close(both[key], (one[key] + other[key]) / 2, atol=2e-3, rtol=2e-3)
    halfway = (one["metric.root"] + other["metric.root"]) / 2
    assert not torch.allclose(both["metric.root"], halfway, rtol=0.01)


def test_one_alone_stays_and_its_metric_follows_the_settings(tensors, trained, tmp_path):
    for name, changes in (("same", {}), ("other", {"metric.emphasis": 3.0})):
        average(trained[:1], tensors, tmp_path / name, changes=changes)
    same, other = load_weights(tmp_path / "same"), load_weights(tmp_path / "other")
    before, after = trained[0].model.state_dict(), same.model.state_dict()
    for key, value in before.items():
        # What is stored in half precision is fitted to anew, so the metric moves a little.
        near = 0.03 if key.startswith("metric.") else 2e-3
        torch.testing.assert_close(after[key], value, atol=near, rtol=near)
    assert other.model.config.metric.emphasis == 3.0
    root = other.model.state_dict()["metric.root"]
    assert not torch.allclose(root, after["metric.root"], rtol=0.01)


def test_the_metric_may_become_one_of_the_features(tensors, trained, tmp_path):
    average(trained, tensors, tmp_path, changes={"metric.of": "features"})
    model = load_weights(tmp_path).model
    root = model.state_dict()["metric.root"]
    assert root.shape == (model.encoder.features, model.embedding_dim)
    with torch.no_grad():
        embedded = model.embed(to_float(tensors.pixels[:20])[..., :16, :16])
    assert embedded.shape == (20, model.embedding_dim)
    assert torch.linalg.matrix_rank(embedded) == model.embedding_dim


def test_a_training_may_start_from_weights_whose_metric_is_of_something_else(trained):
    plan = plan_of(**FITTED)
    features = replace(plan.config, metric=replace(plan.config.metric, of="features"))
    started = replace(plan, config=features).build(trained[0]).state_dict()
    given = trained[0].model.state_dict()
    assert started["metric.root"].shape != given["metric.root"].shape
    torch.testing.assert_close(started["posterior.weight"], given["posterior.weight"])


def test_the_metrics_name_all_trainings(tensors, trained, tmp_path):
    average(trained, tensors, tmp_path)
    told = read_metrics(tmp_path)
    assert [t["fingerprint"] for t in told["average_of"]] == [w.fingerprint for w in trained]
    assert told["training"]["steps"] == 8
    assert told["training"]["seeds"] == [0, 1]


def test_what_does_not_go_together_is_refused(tensors, trained, tmp_path):
    train(plan_of("vae"), tensors, tmp_path / "vae")
    train(plan_of(temperature=0.2, **FITTED), tensors, tmp_path / "hot")
    for name, message in (("vae", "only weights of one model"), ("hot", "config temperature")):
        with pytest.raises(WeightsError, match=message):
            average([trained[0], load_weights(tmp_path / name)], tensors, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_was_learned_cannot_be_changed_afterwards(tensors, trained, tmp_path):
    with pytest.raises(WeightsError, match="temperature is learned in training"):
        average(trained, tensors, tmp_path, changes={"temperature": 0.5})
    with pytest.raises(SettingError, match=r"metric\.shrinkage"):
        average(trained, tensors, tmp_path, changes={"metric.shrinkage": 0.5})
