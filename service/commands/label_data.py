"""What ``niteru train --labels`` names: the class of each picture that is trained on."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

import models
from indexer.errors import CatalogueError
from indexer.evaluation.idx import find_idx, read_idx
from models.training.arrays import Labels, give_labels, read_labels
from models.training.photos import PhotoTensors
from models.training.train import Plan
from service.commands.training_data import is_array, parse_source


def check_labels(plan: Plan, data: Sequence[Path], labels: Sequence[Path]) -> None:
    """Labels for a model that is conditioned on them, one file for each array; else none.

    Said before anything is read, as reading photos may take minutes.

    Raises:
        ValueError: The model wants labels and there are none, or the reverse.
        CatalogueError: They are not as many as ``data``, or for photos of a catalogue.
    """
    classes = getattr(plan.config, "classes", None)
    if classes and not labels:
        raise ValueError(
            f"This {plan.name} has classes={classes}, so it cannot be trained without labels: give "
            "--labels with the class of each picture, or --set classes=0."
        )
    if not labels:
        return
    if classes is None:
        tiny = {name: models.presets(name)["tiny"].config for name in models.available()}
        able = [name for name, config in tiny.items() if hasattr(config, "classes")]
        raise ValueError(
            f"A {plan.name} is not conditioned on labels, so --labels says nothing to it. Leave it "
            f"out, or train one of: {', '.join(able)}."
        )
    if not classes:
        raise ValueError(
            f"This {plan.name} has classes=0, so --labels says nothing to it. Say how many classes "
            "there are (--set classes=10), or leave --labels out."
        )
    if len(labels) != len(data):
        raise CatalogueError(
            f"There are {len(data)} --data and {len(labels)} --labels; give as many, in one order."
        )
    for path in (parse_source(given).path for given in data):
        if not is_array(path):
            raise CatalogueError(
                f"{path} is a catalogue of photos, and --labels are those of arrays: .npz files "
                "and idx prefixes. Leave --labels and classes out."
            )


def add_labels(
    photos: PhotoTensors, data: Sequence[Path], labels: Sequence[Path], classes: int
) -> PhotoTensors:
    """The pictures of ``data`` with their labels, both named in the same order.

    Raises:
        CatalogueError: There are more or fewer than pictures, or one is not below ``classes``.
    """
    counts = [part.items for part in photos.parts] or [len(photos)]
    every = []
    for pictures, path, count in zip(data, labels, counts, strict=True):
        read = read_classes(path, "train")
        if len(read) != count:
            raise CatalogueError(
                f"{path} has {len(read):,} labels and {pictures} {count:,} pictures; expected one "
                "for each. Give the labels of the same split, in the same order."
            )
        if read.min() < 0 or read.max() >= classes:
            raise CatalogueError(
                f"{path} has labels from {read.min()} to {read.max()}; expected 0 to "
                f"{classes - 1}, as classes={classes}. Set classes to one more than the largest."
            )
        every.append(read)
    return give_labels(photos, np.concatenate(every))


def read_classes(path: Path, split: str) -> Labels:
    """The labels of an array: (N,). An idx prefix names its split by itself."""
    idx = find_idx(path)
    return read_labels(path, split) if idx is None else read_idx(idx[1], ndim=1).astype(np.int64)
