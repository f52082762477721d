"""Shapes that weights have a say in: who is asked, who is left alone, what a resumed run does."""

from dataclasses import replace

import pytest
import torch

import models
from models.training.checkpoint import load_weights
from models.training.joined import join
from models.training.loop import Run
from models.training.parts import Part
from models.training.photos import load_photos
from models.training.refining import refine
from models.training.shapes import NUMBERS
from models.training.train import Plan, train


def plan_with(**changes):
    preset = models.find_preset("pixelvae", "tiny")
    config = replace(preset.config, **changes)
    return Plan("pixelvae", config, replace(preset.recipe, steps=6, batch_size=8))


@pytest.fixture(scope="module")
def plan():
    return plan_with(shape=1.0)


@pytest.fixture(scope="module")
def tensors(photos, plan):
    return load_photos(
        photos, side=plan.load_side, target=plan.config.target_size, channels=3, cut=True,
        cache=None,
    )  # fmt: skip


@pytest.fixture(scope="module")
def weights(plan, tensors, tmp_path_factory):
    folder = tmp_path_factory.mktemp("first")
    train(plan, tensors, folder)
    return load_weights(folder)


def test_every_photo_has_a_shape_afterwards(tensors, weights):
    half = replace(tensors, shapes=tensors.shapes.clone())
    half.shapes[::2] = 0
    refined = refine(half, weights).shapes
    torch.testing.assert_close(refined.norm(dim=1), torch.ones(len(half)))
    assert not torch.allclose(refined, tensors.shapes)


def test_sources_without_any_shape_stay_without(tensors, weights):
    bare = replace(tensors, shapes=None, digest="another")
    refined = refine(join([tensors, bare]), weights).shapes
    first = len(tensors)
    torch.testing.assert_close(refined[:first].norm(dim=1), torch.ones(first))
    assert not refined[first:].any()


def test_weights_that_tell_no_shape_have_no_say(tensors, tmp_path):
    mute = plan_with(shape=0.0)
    train(mute, tensors, tmp_path)
    assert torch.equal(refine(tensors, load_weights(tmp_path)).shapes, tensors.shapes)


def test_it_can_be_switched_off(plan, tensors, weights, tmp_path):
    still = replace(plan, recipe=replace(plan.recipe, refine=False))
    one, other = (
        train(p, tensors, tmp_path / n, init=weights).metrics["training"]["last_steps"]["shape"]
        for p, n in ((plan, "on"), (still, "off"))
    )
    assert one != other


def test_a_resumed_run_keeps_the_shapes_it_began_with(plan, tensors, weights, tmp_path):
    whole = train(plan, tensors, tmp_path / "whole", init=weights)
    stops = iter([False, False, True])
    train(plan, tensors, tmp_path / "parts", init=weights, should_stop=lambda: next(stops))
    again = train(plan, tensors, tmp_path / "parts", resume=True)
    assert whole.steps == again.steps == 6
    one, other = (load_weights(tmp_path / name) for name in ("whole", "parts"))
    assert one.fingerprint == other.fingerprint


def test_a_run_without_shapes_has_none_in_its_state(plan, tensors):
    bare = replace(tensors, shapes=None, parts=(Part(len(tensors)),))
    run = Run(plan.build(), plan.recipe, bare, plan.config.size, plan.config.target_size)
    assert "shapes" not in run.state()[0]
    assert run.photos.shapes is None
    assert tensors.shapes.shape[1] == NUMBERS
