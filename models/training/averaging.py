"""Several weights as one: the mean of trainings that started from the same weights.

Trainings that differ in nothing but the order of the photos end in one valley of the loss, and the
mean of their weights lies lower in it than each of them (model soups; Wortsman et al., 2022). So a
training can be shared between machines that never talk to each other, and three seeds give three
figures and one better model.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

import models
from models.training.checkpoint import Weights, WeightsError, halve, read_metrics, save_weights
from models.training.config import change, to_json
from models.training.loop import pictures_in_use
from models.training.photos import PhotoTensors

FITTED = "metric."  # settings and tensors of what is fitted anew, and so may be changed


def average(
    weights: Sequence[Weights],
    photos: PhotoTensors,
    out: Path,
    *,
    changes: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Make a weights folder of the mean of others.

    Args:
        weights: One or more of the same model and configuration. One alone is only fitted anew.
        photos: What they were trained on; what no gradient learns is fitted to these.
        out: The folder to make.
        changes: Settings of what is fitted, by name: ``{"metric.emphasis": 1.0}``.

    Returns:
        What stands in its metrics.json.

    Raises:
        WeightsError: The weights do not go together, or a change concerns what is not fitted.
    """
    first = weights[0]
    for other in weights[1:]:
        _check_alike(first, other)
    wrong = [name for name in changes or {} if not name.startswith(FITTED)]
    if wrong:
        raise WeightsError(
            f"{wrong[0]} is learned in training and cannot be changed afterwards; "
            f"settings that can begin with '{FITTED}'."
        )
    config = change(_config(first), changes or {})
    model = models.create(first.name, config=to_json(config))
    learned = mean_state([w.model.state_dict() for w in weights])
    fitted = {k: v for k, v in model.state_dict().items() if k.startswith(FITTED)}
    # A change may give what is fitted another shape, or none at all.
    model.load_state_dict({k: v for k, v in learned.items() if not k.startswith(FITTED)} | fitted)
    model.eval()
    model.settle(pictures_in_use(photos, first.recipe, first.preprocessing.size))
    metrics = _metrics(weights)
    save_weights(
        out,
        first.name,
        model,
        state=halve(model.state_dict()),
        config=config,
        preprocessing=first.preprocessing,
        recipe=first.recipe,
        metrics=metrics,
    )
    return metrics


def mean_state(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of each tensor; whole numbers are taken from the first."""
    return {
        key: torch.stack([state[key].float() for state in states]).mean(0).to(value)
        if value.is_floating_point()
        else value
        for key, value in states[0].items()
    }


def _check_alike(first: Weights, other: Weights) -> None:
    """The same model, settings and preprocessing, or an error that says which differs."""
    if first.name != other.name:
        raise WeightsError(
            f"{first.folder} is a {first.name} and {other.folder} a {other.name}: only weights of "
            "one model have a mean."
        )
    for what in ("config", "preprocessing"):
        one, two = (
            to_json(_config(w) if what == "config" else w.preprocessing) for w in (first, other)
        )
        differing = [key for key in one if one[key] != two[key]]
        if differing:
            key = differing[0]
            raise WeightsError(
                f"{first.folder} and {other.folder} differ in {what} {key}: {one[key]} and "
                f"{two[key]}. Average trainings that started from the same weights."
            )


def _config(weights: Weights) -> Any:
    """What a model was built from; every one keeps it, whatever its type."""
    return cast("Any", weights.model).config


def _metrics(weights: Sequence[Weights]) -> dict[str, Any]:
    """What the trainings say of themselves, one after the other, and their sums."""
    trainings = [dict(read_metrics(w.folder).get("training", {})) for w in weights]
    told = [
        {"fingerprint": w.fingerprint, "training": training}
        for w, training in zip(weights, trainings, strict=True)
    ]
    last = trainings[-1]
    return {
        "training": last
        | {
            "steps": sum(t.get("steps", 0) for t in trainings),
            "minutes": round(sum(t.get("minutes", 0.0) for t in trainings), 2),
            "seeds": [t.get("seed") for t in trainings],
        },
        "average_of": told,
    }
