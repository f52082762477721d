"""Files of drawings for the commands that train and measure stroke models."""

from collections.abc import Sequence
from pathlib import Path

import models
from models.strokes import StrokeError, StrokeSet, is_stroke_archive, read_archive
from models.training.strokes import StrokeTensors, load_strokes
from models.training.train import Plan


def load_stroke_data(plan: Plan, data: Sequence[Path], *, masks: Path | None) -> StrokeTensors:
    """The train splits of files of drawings, as a plan needs them.

    Raises:
        StrokeError: Something that is no file of drawings, or masks, which drawings have not.
    """
    if masks is not None:
        raise StrokeError(f"--masks {masks} says nothing here: strokes have no background.")
    sets = [read_drawings(path, "train", plan.name) for path in data]
    return load_strokes(sets, max_points=plan.config.max_points, augment=plan.config.augment)


def read_drawings(path: Path, split: str, model: str) -> StrokeSet:
    """One split of a file of drawings, for a stroke model.

    Raises:
        StrokeError: It holds pixels, or nothing that can be read.
    """
    if not is_stroke_archive(path):
        missing = "" if path.exists() else " (there is no such file)"
        raise StrokeError(
            f"{path} is no .npz file of sketches{missing}, and a {model} takes strokes, not "
            "pixels. Expected arrays train_points (P, 3) and train_lengths (N,), and the same for "
            "valid and test."
        )
    return read_archive(path, split)


def refuse_strokes(path: Path) -> None:
    """Say that a file holds drawings, where pictures are asked for.

    Raises:
        StrokeError: It does.
    """
    if path.suffix == ".npz" and is_stroke_archive(path):
        takers = [name for name in models.available() if models.modality(name) == "strokes"]
        raise StrokeError(
            f"{path} holds pen strokes, and this model takes pixels. Models of strokes: "
            f"{', '.join(takers)}."
        )
