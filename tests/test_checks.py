"""``docs/checks.md``: every test that it names exists, and every model is in it."""

import re
from pathlib import Path

import models

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "checks.md").read_text("utf-8")


def test_every_test_that_the_page_names_exists():
    named = set(re.findall(r"`(test_[a-z0-9_]+)`", PAGE))
    files = [
        *(ROOT / "tests" / "models").glob("test_*.py"),
        *(ROOT / "tests" / "contract").glob("test_*.py"),
        *(ROOT / "tests" / "indexer").glob("test_*.py"),
        ROOT / "tests" / "service" / "test_cli_likelihood.py",
    ]
    there = {
        name
        for file in files
        for name in re.findall(r"^def (test_\w+)", file.read_text("utf-8"), re.MULTILINE)
    }
    assert len(named) > 40
    assert named <= there, named - there


def test_every_model_of_the_article_has_a_row():
    named = set(re.findall(r"`([a-z0-9_]+)`", PAGE))
    comparators = {"autoencoder", "pixelvae2"}  # told by the rows of all models with a vector
    assert set(models.available()) - comparators <= named
