"""Fixtures for every test: one thread, and where the real photos lie, if they do."""

import os
from pathlib import Path

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Two torch threads on shared cores are slower than one."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real photos; tests that ask for it are skipped where there is none."""
    folder = os.environ.get("NITERU_DATA")
    if not folder or not Path(folder, "clothing", "metadata.csv").is_file():
        pytest.skip("needs the real photos: set NITERU_DATA to the folder that holds clothing/")
    return Path(folder)
