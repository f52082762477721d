"""Weights on disk: a folder with config.json, weights.safetensors and metrics.json. No pickles.

``config.json`` says which model with which configuration, what preprocessing it expects and how it
was trained. The fingerprint covers everything that changes a vector: the weights' bytes, the
model's configuration and the preprocessing. Two folders with the same fingerprint give comparable
vectors; others never meet in one index.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

import models
from models.images import Preprocessing
from models.training.config import from_json, to_json
from models.training.protocols import GenerativeModel
from models.training.recipe import Recipe

FORMAT = 1
HALF_LIMIT = 60_000.0  # float16 ends at 65,504
CONFIG, WEIGHTS, METRICS = "config.json", "weights.safetensors", "metrics.json"


class WeightsError(ValueError):
    """Weights that are missing, damaged, or do not fit what they claim to be."""


@dataclass(frozen=True, slots=True)
class Weights:
    """A trained model and all that is needed to use it."""

    folder: Path
    name: str
    model: GenerativeModel
    preprocessing: Preprocessing
    recipe: Recipe
    fingerprint: str


def find_weights(name: str | Path) -> Path:
    """The folder meant by a path, or by a name below ``weights/`` here or beside our packages.

    Raises:
        WeightsError: There is none; the message lists the names there are.
    """
    beside = Path(models.__file__).parent.parent / "weights"
    places = [Path(name), Path("weights") / name, beside / name]
    for place in places:
        if (place / CONFIG).is_file():
            return place
    there = sorted(p.parent.name for p in beside.glob(f"*/{CONFIG}"))
    raise WeightsError(
        f"There are no weights '{name}': no {CONFIG} in {places[0]} nor in {places[2]}. "
        f"Shipped weights: {', '.join(there) or 'none'}. Make your own with: niteru train."
    )


def save_weights(
    folder: Path,
    name: str,
    model: GenerativeModel,
    *,
    state: Mapping[str, Tensor],
    config: Any,
    preprocessing: Preprocessing,
    recipe: Recipe,
    metrics: Mapping[str, Any],
) -> None:
    """Write a weights folder, each file whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    description = {
        "format": FORMAT,
        "model": name,
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
    description = _read_description(folder)
    name = str(description["model"])
    try:
        model = models.create(name, config=description["config"])
        preprocessing = from_json(Preprocessing, description["preprocessing"])
        recipe = from_json(Recipe, description["recipe"])
        tensors = load_file(folder / WEIGHTS)
        model.load_state_dict(tensors)
    except (OSError, SafetensorError, RuntimeError, TypeError, KeyError, LookupError) as error:
        raise WeightsError(
            f"The weights in {folder} cannot be used as a '{name}': {error} "
            "Restore the folder, or train again with: niteru train."
        ) from error
    model.eval()
    return Weights(folder, name, model, preprocessing, recipe, fingerprint_weights(folder))


def fingerprint_weights(folder: Path) -> str:
    """Hash of all that changes a vector: ``<model>-<16 hex digits>``."""
    description = _read_description(folder)
    identity = {key: description[key] for key in ("format", "model", "config", "preprocessing")}
    digest = sha256(json.dumps(identity, sort_keys=True).encode())
    try:
        digest.update((folder / WEIGHTS).read_bytes())
    except OSError as error:
        raise WeightsError(f"The weights in {folder} have no {WEIGHTS}: {error}.") from error
    return f"{description['model']}-{digest.hexdigest()[:16]}"


def read_metrics(folder: Path) -> dict[str, Any]:
    """The figures that were measured when the weights were made; empty if there are none."""
    try:
        return dict(json.loads((folder / METRICS).read_text()))
    except (OSError, ValueError):
        return {}


def _read_description(folder: Path) -> dict[str, Any]:
    try:
        description = json.loads((folder / CONFIG).read_text())
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"{folder / CONFIG} cannot be read: {error}. Expected a folder made by: niteru train."
        ) from error
    keys = {"format", "model", "config", "preprocessing", "recipe"}
    if not isinstance(description, dict) or not keys <= set(description):
        raise WeightsError(f"{folder / CONFIG} is no description of weights: it lacks {keys}.")
    if description["format"] != FORMAT:
        raise WeightsError(
            f"{folder} has format {description['format']}; this version of niteru reads {FORMAT}. "
            "Install the version that made it, or train again."
        )
    return description


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that a crash leaves the old one or the new one."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _json(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()


# -- the state of an unfinished training run -----------------------------------------------------


STATE = "state.safetensors"


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
