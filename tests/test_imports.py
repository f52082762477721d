"""Imports go one way, and the packages that are imported are the ones in this folder."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def lint(config):
    """Check the contracts of a configuration file; gives the exit status and what was printed.

    In a process of its own: import-linter changes this one's logging.
    """
    command = [Path(sys.executable).parent / "lint-imports", "--no-cache", "--config", config]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    return done.returncode, done.stdout


def test_the_contracts_are_kept():
    status, printed = lint(ROOT / "pyproject.toml")
    assert status == 0, printed
    assert "0 broken" in printed


def test_a_contract_the_wrong_way_round_is_broken(tmp_path):
    config = tmp_path / "upside-down.toml"
    config.write_text(
        '[tool.importlinter]\nroot_packages = ["models", "indexer"]\n'
        '[[tool.importlinter.contracts]]\nname = "upside down"\n'
        'type = "layers"\nlayers = ["models", "indexer"]\n'
    )
    status, printed = lint(config)
    assert status == 1
    assert "indexer.protocols -> models.images" in printed


@pytest.mark.parametrize("name", ["models", "indexer", "service"])
def test_the_packages_are_ours(name):
    """Another project's top-level ``models`` would shadow ours, or ours another's."""
    assert Path(importlib.import_module(name).__file__) == ROOT / name / "__init__.py"


@pytest.mark.parametrize(
    "name",
    ["models", "models.images", "models.training.encoder_file", "indexer.protocols",
     "indexer.runtime", "service.cli", "service.app"],
)  # fmt: skip
def test_light_modules_stay_light(name):
    """The names of models and the help of a command must not wait for torch."""
    heavy = ("torch", "faiss", "cv2", "pyarrow", "tensorboard")
    code = f"import sys, {name}; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"


def test_the_client_needs_httpx_and_nothing_else():
    """So that it can be used where nothing else of ours is installed."""
    code = (
        "import sys, httpx; before = set(sys.modules); import service.client; "
        "print(*set(sys.modules) - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    brought = {name.partition(".")[0] for name in done.stdout.split()}
    assert brought - set(sys.stdlib_module_names) == {"service"}
    ours = {name for name in done.stdout.split() if name.startswith("service.")}
    assert all(name.startswith("service.client") for name in ours)
