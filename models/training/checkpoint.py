"""Weights on disk: a folder with config.json, weights.safetensors and metrics.json. No pickles.

What they say of themselves can be read without torch: see ``models.training.weights``.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

import models
from models.images import Preprocessing
from models.strokes import StrokePreprocessing
from models.training.config import from_json, to_json
from models.training.protocols import GenerativeModel
from models.training.recipe import Recipe
from models.training.weights import (
    CONFIG,
    FORMAT,
    METRICS,
    STATE,
    WEIGHTS,
    WeightsError,
    find_weights,
    fingerprint_weights,
    read_description,
    read_metrics,
    takes_pixels,
    takes_strokes,
    write_atomically,
)

HALF_LIMIT = 60_000.0  # float16 ends at 65,504

# What needs no torch lives in models.training.weights, and is found here too.
__all__ = [
    "CONFIG", "FORMAT", "METRICS", "STATE", "WEIGHTS", "Weights", "WeightsError", "find_weights",
    "fingerprint_weights", "halve", "load_state", "load_weights", "read_metrics", "save_state",
    "save_weights", "write_atomically",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Weights:
    """A trained model and all that is needed to use it."""

    folder: Path
    name: str
    model: GenerativeModel
    expects: Preprocessing | StrokePreprocessing
    recipe: Recipe
    fingerprint: str

    @property
    def preprocessing(self) -> Preprocessing:
        """What the model expects of a photo.

        Raises:
            WeightsError: It takes strokes.
        """
        if isinstance(self.expects, StrokePreprocessing):
            raise WeightsError(takes_strokes(self.folder, self.name))
        return self.expects

    @property
    def strokes(self) -> StrokePreprocessing:
        """What the model expects of a drawing.

        Raises:
            WeightsError: It takes pixels.
        """
        if isinstance(self.expects, Preprocessing):
            raise WeightsError(takes_pixels(self.folder, self.name))
        return self.expects


def save_weights(
    folder: Path,
    name: str,
    model: GenerativeModel,
    *,
    state: Mapping[str, Tensor],
    config: Any,
    preprocessing: Preprocessing | StrokePreprocessing,
    recipe: Recipe,
    metrics: Mapping[str, Any],
) -> None:
    """Write a weights folder, each file whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    description = {
        "format": FORMAT,
        "model": name,
        "modality": model.modality,
        "config": to_json(config),
        "preprocessing": to_json(preprocessing),
        "recipe": to_json(recipe),
        "embedding_dim": model.embedding_dim,
    }
    tensors = {key: value.detach().cpu().contiguous() for key, value in state.items()}
    write_atomically(folder / WEIGHTS, save(tensors))
    write_atomically(folder / METRICS, _json(metrics))
    write_atomically(folder / CONFIG, _json(description))  # last: a folder without it is no weights


def halve(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors in float16 where their values fit it: half the file, and vectors equal to 1e-6.

    What float16 cannot hold (beyond 65,504) stays as it is, and so do whole numbers.
    """
    return {
        key: value.half()
        if value.dtype == torch.float32 and value.numel() and value.abs().max() < HALF_LIMIT
        else value
        for key, value in state.items()
    }


def load_weights(folder: Path) -> Weights:
    """Read a weights folder.

    Raises:
        WeightsError: Something is missing, damaged or does not fit; the message says what.
    """
    description = read_description(folder)
    name = str(description["model"])
    try:
        model = models.create(name, config=description["config"])
        expects: Preprocessing | StrokePreprocessing
        if model.modality == "strokes":
            expects = from_json(StrokePreprocessing, description["preprocessing"])
        else:
            expects = from_json(Preprocessing, description["preprocessing"])
        recipe = from_json(Recipe, description["recipe"])
        tensors = load_file(folder / WEIGHTS)
        model.load_state_dict(tensors)
    except (OSError, SafetensorError, RuntimeError, TypeError, KeyError, LookupError) as error:
        raise WeightsError(
            f"The weights in {folder} cannot be used as a '{name}': {error} "
            "Restore the folder, or train again with: niteru train."
        ) from error
    model.eval()
    return Weights(folder, name, model, expects, recipe, fingerprint_weights(folder))


def _json(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()


# -- the state of an unfinished training run -----------------------------------------------------


def save_state(folder: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Remember an unfinished run. One file, so that tensors and facts cannot come apart."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    data = save(whole, metadata={"facts": json.dumps(facts)})
    write_atomically(folder / STATE, data)


def load_state(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What ``save_state`` remembered.

    Raises:
        WeightsError: There is no unfinished run, or it is damaged.
    """
    path = folder / STATE
    if not path.is_file():
        raise WeightsError(
            f"There is nothing to resume in {folder}: no {STATE}. Start without --resume."
        )
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads(file.metadata()["facts"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise WeightsError(f"{path} is damaged: {error}. Start again without --resume.") from error
    return tensors, facts
