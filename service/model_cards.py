"""Every model there is: what it can do, the weights there are of it, and their figures.

Needs torch, which a search does not: import it where models are asked for.
"""

import importlib
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import models
from models.training.abilities import Ability, abilities
from models.training.weights import (
    CONFIG,
    MEASURED,
    WeightsError,
    list_weights,
    read_description,
    read_metrics,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WeightsCard:
    """Weights of a model.

    Attributes:
        name: By which they are asked for.
        folder: Where they are.
        config: The model's configuration.
        size: Side of the photo that is shown to the model; None if it takes strokes.
        draws: Side of the picture that it draws; None as well.
        channels: 3 for colour, 1 for grey; None as well.
        enlarges: Sides of the small pictures that it makes large.
        points: How many points a drawing may have; None if the model takes pixels.
        classes: How many labels it was trained with; None if with none.
        figures: What metrics.json says.
    """

    name: str
    folder: Path
    config: Mapping[str, Any]
    size: int | None
    draws: int | None
    channels: int | None
    enlarges: tuple[int, ...]
    points: int | None
    classes: int | None
    figures: Mapping[str, Any]

    def told(self) -> str:
        """The name, and the figure that was measured of them, if any was."""
        measured = self.figures.get(MEASURED, {})
        nll, kid = measured.get("nll", {}), measured.get("kid", {})
        if self.channels == 3 and "bits_per_dim" in nll:
            return f"{self.name} ({nll['bits_per_dim']:.2f} bits per dimension)"
        if "nll" in nll:
            return f"{self.name} ({nll['nll']:.2f} nats)"
        if "nll_importance_weighted" in nll:
            return f"{self.name} (at most {nll['nll_importance_weighted']:.2f} nats)"
        return f"{self.name} (KID {kid['kid']:.4f})" if "kid" in kid else self.name


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A model.

    Attributes:
        about: The first sentence its file says of itself.
        modality: ``pixels`` or ``strokes``.
        abilities: What can be asked of it.
        presets: Names of its configurations.
        train: The command that makes weights.
        weights: Those there are, by name.
    """

    name: str
    about: str
    modality: str
    abilities: tuple[Ability, ...]
    presets: tuple[str, ...]
    train: str
    weights: tuple[WeightsCard, ...]


def model_cards(served: Path | None = None) -> list[ModelCard]:
    """A card of every model.

    Args:
        served: A weights folder that counts even if it lies elsewhere.
    """
    found: dict[str, list[WeightsCard]] = {}
    folders = list_weights() | ({} if served is None else {served.name: served})
    for name, folder in sorted(folders.items()):
        try:
            model, card = read_card(name, folder)
        except WeightsError as error:  # one damaged folder must not hide the others
            logger.warning("Weights are left out: %s", error)
            continue
        found.setdefault(model, []).append(card)
    return [model_card(name, tuple(found.get(name, ()))) for name in models.available()]


def model_card(name: str, weights: tuple[WeightsCard, ...]) -> ModelCard:
    """The card of one model."""
    module = importlib.import_module(f"models.{name}")
    return ModelCard(
        name=name,
        about=models.describe(name),
        modality=module.Model.modality,
        abilities=abilities(module.Model),
        presets=tuple(sorted(models.presets(name))),
        train=train_command(name, module.__doc__ or ""),
        weights=weights,
    )


def train_command(name: str, text: str) -> str:
    """The first command in a model's docstring that trains it."""
    found = re.search(rf"^\s*(niteru train {name} .*)$", text, re.MULTILINE)
    return found.group(1) if found else f"niteru train {name} --data DIR --out weights/{name}"


def read_card(name: str, folder: Path) -> tuple[str, WeightsCard]:
    """The model that weights are of, and their card.

    Raises:
        WeightsError: The folder cannot be read.
    """
    description = read_description(folder)
    config, preprocessing = description["config"], description["preprocessing"]
    model, size = str(description["model"]), preprocessing.get("size")
    try:
        enlarges = models.enlarges(model, config)
    except (LookupError, TypeError, ValueError) as error:
        raise WeightsError(f"{folder / CONFIG} does not describe a model: {error}") from error
    card = WeightsCard(
        name=name,
        folder=folder,
        config=config,
        size=size,
        draws=config.get("target_size", size),
        channels=preprocessing.get("channels"),
        enlarges=enlarges,
        points=preprocessing.get("max_points"),
        classes=config.get("classes") or None,
        figures=read_metrics(folder),
    )
    return model, card
