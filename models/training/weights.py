"""What a weights folder says of itself, read without torch: where it is, its description, its hash.

``config.json`` says which model with which configuration, what preprocessing it expects and how it
was trained. The fingerprint covers everything that changes a vector: the weights' bytes, the
model's configuration and the preprocessing. Two folders with the same fingerprint give comparable
vectors; others never meet in one index.

Torch takes a second to import, and a search needs none of it: see ``models.training.encoder_file``.
"""

import json
import logging
import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import models
from models.images import Preprocessing
from models.strokes import StrokePreprocessing
from models.training.config import from_json

logger = logging.getLogger(__name__)

FORMAT = 1
CONFIG, WEIGHTS, METRICS = "config.json", "weights.safetensors", "metrics.json"
MEASURED = "measured"  # in metrics.json: figures by measure
STATE = "state.safetensors"  # an unfinished training
SHIPPED = Path(models.__file__).parent.parent / "weights"  # beside our packages


class WeightsError(ValueError):
    """Weights that are missing, damaged, or do not fit what they claim to be."""


def find_weights(name: str | Path) -> Path:
    """The folder meant by a path, or by a name below ``weights/`` here or beside our packages.

    Raises:
        WeightsError: There is none; the message lists the names there are.
    """
    places = [Path(name), Path("weights") / name, SHIPPED / name]
    for place in places:
        if (place / CONFIG).is_file():
            return place
    for place in places:
        if (place / STATE).is_file():
            raise WeightsError(
                f"The training in {place} has not ended, so there are no weights yet. "
                "Finish it with: niteru train MODEL --data DATA --out OUT --resume."
            )
    there = sorted(p.parent.name for p in SHIPPED.glob(f"*/{CONFIG}"))
    raise WeightsError(
        f"There are no weights '{name}': no {CONFIG} in {places[0]} nor in {places[2]}. "
        f"Shipped weights: {', '.join(there) or 'none'}. Make your own with: niteru train."
    )


def list_weights() -> dict[str, Path]:
    """The finished weights below ``weights/`` here or beside our packages, by name, sorted.

    A name is the folder that ``find_weights`` would take for it.
    """
    found: dict[str, Path] = {}
    for place in (SHIPPED, Path("weights")):  # what lies here comes before what was shipped
        found |= {path.parent.name: path.parent for path in place.glob(f"*/{CONFIG}")}
    return dict(sorted(found.items()))


def find_weights_of(fingerprint: str, *others: Path) -> Path | None:
    """The folder whose weights have this fingerprint, None if there is none.

    Args:
        fingerprint: From ``fingerprint_weights``.
        others: Folders to look into, after those below ``weights/``.
    """
    for folder in (*list_weights().values(), *(path for path in others if path.is_dir())):
        try:
            model = str(read_description(folder).get("model"))
            if fingerprint.startswith(f"{model}-") and fingerprint_weights(folder) == fingerprint:
                return folder
        except (WeightsError, KeyError) as error:  # one damaged folder must not hide the others
            logger.warning("Weights are left out: %s", error)
    return None


def read_description(folder: Path) -> dict[str, Any]:
    """What config.json says.

    Raises:
        WeightsError: It is missing, damaged, or of a format that is not known here.
    """
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


def takes_strokes(folder: Path, model: str) -> str:
    """Why weights of a stroke model are of no use for photos."""
    return (
        f"The weights in {folder} are of a {model}, which takes pen strokes, not pixels: photos "
        "can be neither embedded nor searched with it. Use weights of a model of pixels."
    )


def takes_pixels(folder: Path, model: str) -> str:
    """Why weights of a model of pixels are of no use for drawings."""
    return (
        f"The weights in {folder} are of a {model}, which takes pixels, not pen strokes. Use "
        "weights of a stroke model, like sketch_rnn."
    )


def read_preprocessing(folder: Path) -> Preprocessing:
    """What the encoder expects of a photo.

    Raises:
        WeightsError: The folder does not say, says what is not known here, or takes strokes.
    """
    description = read_description(folder)
    if description.get("modality") == "strokes":
        raise WeightsError(takes_strokes(folder, description["model"]))
    return _read_expected(Preprocessing, description, folder)


def read_stroke_preprocessing(folder: Path) -> StrokePreprocessing:
    """What a stroke model expects of a drawing.

    Raises:
        WeightsError: The folder does not say, says what is not known here, or takes pixels.
    """
    description = read_description(folder)
    if description.get("modality") != "strokes":
        raise WeightsError(takes_pixels(folder, description["model"]))
    return _read_expected(StrokePreprocessing, description, folder)


Expected = TypeVar("Expected", Preprocessing, StrokePreprocessing)


def _read_expected(kind: type[Expected], description: dict[str, Any], folder: Path) -> Expected:
    try:
        return from_json(kind, description["preprocessing"])
    except TypeError as error:
        raise WeightsError(
            f"The preprocessing in {folder / CONFIG} cannot be used: {error} "
            "Restore the folder, or train again with: niteru train."
        ) from error


def fingerprint_weights(folder: Path) -> str:
    """Hash of all that changes a vector: ``<model>-<16 hex digits>``.

    Raises:
        WeightsError: The description or the weights cannot be read.
    """
    description = read_description(folder)
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


def record_figures(folder: Path, measure: str, figures: Mapping[str, Any]) -> None:
    """Put what was measured of weights into their metrics.json, in place of an earlier measurement.

    Args:
        folder: Of the weights.
        measure: What was measured: ``nll`` or ``kid``.
        figures: As ``niteru evaluate`` tells them.
    """
    metrics = read_metrics(folder)
    metrics.setdefault(MEASURED, {})[measure] = dict(figures)
    write_atomically(folder / METRICS, (json.dumps(metrics, indent=2) + "\n").encode())


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that a crash leaves the old one or the new one."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
