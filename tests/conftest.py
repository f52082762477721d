"""Fixtures for every test: one thread, weights of all shapes, where the real photos lie."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import models
from models.images import Preprocessing
from models.strokes import StrokePreprocessing
from models.training.checkpoint import halve, save_weights
from models.training.config import change, to_json
from tests.milvus_lite import INSTALLED, MilvusLite


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


@pytest.fixture(scope="session")
def milvus_lite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusLite]:
    """A Milvus Lite server that all tests share; each takes an alias of its own."""
    if not INSTALLED:
        pytest.skip("milvus-lite is not installed; it comes with the extra 'dev'")
    server = MilvusLite(tmp_path_factory.mktemp("milvus") / "data")
    yield server
    server.kill()


def expected_of(config: Any) -> Preprocessing | StrokePreprocessing:
    """What a model of this configuration expects of a photo or a drawing."""
    if models.modality(type(config).__module__.removeprefix("models.")) == "strokes":
        return StrokePreprocessing(scale=20.0, max_points=config.max_points, extent=60.0)
    return Preprocessing(size=config.size, channels=config.channels)


@pytest.fixture(scope="session")
def make_weights() -> Callable[..., Path]:
    """Makes a weights folder of a model that has learned nothing; it has no export yet."""

    def make(
        folder: Path, *, name: str = "pixelvae", preset: str = "tiny", seed: int = 0,
        changes: dict[str, object] | None = None,
    ) -> Path:  # fmt: skip
        found = models.find_preset(name, preset)
        found = found._replace(config=change(found.config, changes or {}))
        generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = models.create(name, config=to_json(found.config))
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):  # as training leaves them: all different
                module.running_mean.normal_(0, 0.3, generator=generator)
                module.running_var.uniform_(0.5, 2, generator=generator)
        save_weights(
            folder, name, model, state=halve(model.state_dict()), config=found.config,
            preprocessing=expected_of(found.config),
            recipe=found.recipe, metrics={},
        )  # fmt: skip
        return folder

    return make
