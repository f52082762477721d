"""The weights in ``weights/``: each can be used, and the page that lists them is right."""

import re

import pytest
import torch

import models
from models.training.checkpoint import find_weights, load_weights
from models.training.weights import SHIPPED, list_weights, read_metrics

NAMES = sorted(path.parent.name for path in SHIPPED.glob("*/config.json"))
LIMIT = 40_000_000  # bytes of all, as weights/README.md says


def test_all_of_them_are_found_by_name():
    assert set(NAMES) <= set(list_weights())
    assert {"pixelvae-clothing", "draw-digits", "sketch_rnn-kanji"} <= set(NAMES)


def test_together_they_are_small_enough_to_be_cloned():
    assert sum(file.stat().st_size for file in SHIPPED.rglob("*") if file.is_file()) < LIMIT


def test_the_page_lists_them_with_their_model():
    listed = re.findall(
        r"^\| `([^`]+)` \| `([^`]+)` \|", (SHIPPED / "README.md").read_text("utf-8"), re.MULTILINE
    )
    assert sorted(name for name, _ in listed) == NAMES
    for name, model in listed:
        assert load_weights(find_weights(name)).name == model


@pytest.mark.parametrize("name", NAMES)
def test_what_is_shipped_draws_and_says_how_it_was_made(name):
    shipped = load_weights(find_weights(name))
    drawn = shipped.model.sample(2, generator=torch.Generator().manual_seed(0))
    assert len(drawn) == 2
    assert torch.isfinite(drawn).all()
    if models.modality(shipped.name) == "pixels":
        assert drawn.std() > 0.1  # neither black nor grey
    assert read_metrics(SHIPPED / name)["training"]["steps"] > 0


def test_every_model_has_some():
    shipped = {load_weights(find_weights(name)).name for name in NAMES}
    assert set(models.available()) == shipped
