"""``niteru evaluate nll``: how well a model predicts pictures it has not seen, in nats."""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import models
from indexer.evaluation.photos import FileImages
from models.training.arrays import Pixels
from models.training.checkpoint import (
    METRICS,
    Weights,
    find_weights,
    load_weights,
    read_metrics,
    write_atomically,
)
from models.training.protocols import (
    ExactLikelihoodModel,
    LatentVariableModel,
    scores_exactly,
)
from models.training.views import to_float
from models.training.weights import record_figures
from service.commands.console import Bar, check_device, print_json, use_one_thread
from service.commands.stroke_likelihood import describe_strokes, measure_strokes
from service.commands.training_data import is_array, read_array, read_photos
from service.explaining import to_pixels
from service.likelihoods import METRIC, Score, score_of, summarise

VALUES = 100 * 28 * 28  # that are scored at once


class NoLikelihoodError(ValueError):
    """The model has no likelihood."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """What is scored, decoded as it is needed.

    Attributes:
        batches: (B, C, H, W) in [-1, 1] at a time, in their order.
        count: How many pictures.
        dims: Values of a picture.
    """

    batches: Iterator[Tensor]
    count: int
    dims: int


def run_nll(
    name: str,
    data: Path,
    *,
    split: str,
    samples: int,
    limit: int | None,
    seed: int,
    record: bool,
    device: str,
    as_json: bool,
) -> None:
    """Print the negative log-likelihood of a split: exact, or its bounds for a latent model.

    ``record`` adds the figures to the weights' metrics.json, and what a server compares photos
    with.
    """
    told: dict[str, Any]
    use_one_thread()
    check_device(device)
    weights = load_weights(find_weights(name))
    weights.model.to(device)
    if weights.model.modality == "strokes":
        told = measure_strokes(weights, data, split=split, samples=samples, limit=limit, seed=seed)
        if record:
            record_figures(weights.folder, "nll", told)
        print_json(told) if as_json else print(describe_strokes(told))
        return
    model = weights.model
    exact = scores_exactly(model)
    if not exact and not isinstance(model, LatentVariableModel):
        raise NoLikelihoodError(
            f"A {weights.name} has no likelihood, so it cannot be measured in nats. "
            f"Models with one: {', '.join(_models_with_likelihood())}."
        )
    pictures = read_pictures(weights, data, split=split, limit=limit, seed=seed, photos=exact)
    told = {
        "weights": weights.fingerprint, "data": data.name,
        "split": split if data.suffix == ".npz" else None,  # all else names its split by itself
        "pictures": pictures.count, "seed": seed,
    }  # fmt: skip
    kept: list[Score] = []

    def keep(x: Tensor, nats: Tensor) -> None:
        if record:
            rows = zip(nats.tolist(), x.cpu(), strict=True)
            kept.extend(score_of(value, to_pixels(picture)) for value, picture in rows)

    if scores_exactly(model):
        told |= score_exactly(model, pictures, keep)
    else:
        assert isinstance(model, LatentVariableModel)
        told |= bound(model, pictures, keep, samples=samples, seed=seed)
    if record:
        record_figures(weights.folder, "nll", told)
        called = data.name if told["split"] is None else f"{data.name}, {split}"
        record_scores(weights.folder, kept, called, None if exact else samples)
    print_json(told) if as_json else print(describe(told))


Keep = Callable[[Tensor, Tensor], None]


def record_scores(folder: Path, scores: Sequence[Score], data: str, samples: int | None) -> None:
    """Put what photos are compared with into the figures of a weights folder."""
    metrics = read_metrics(folder)
    metrics[METRIC] = summarise(scores, data=data, samples=samples)
    write_atomically(folder / METRICS, (json.dumps(metrics, indent=2) + "\n").encode())


def score_exactly(model: ExactLikelihoodModel, pictures: Pictures, keep: Keep) -> dict[str, Any]:
    """The figures of a model whose likelihood is exact; ``keep`` is told of every batch."""
    scores = []
    with torch.inference_mode():
        for x in _shown(pictures, _device(model)):
            scores.append(model.score(x))
            keep(x, scores[-1])
    nll = -torch.cat(scores).double().mean().item()
    return {"nll": nll, "bits_per_dim": nll / (pictures.dims * math.log(2))}


def bound(
    model: LatentVariableModel, pictures: Pictures, keep: Keep, *, samples: int, seed: int
) -> dict[str, Any]:
    """The figures of a model with a latent vector: bounds by one draw and by ``samples``."""
    generator = torch.Generator().manual_seed(seed)
    bounds, tighter = [], []
    with torch.inference_mode():
        for x in _shown(pictures, _device(model)):
            bounds.append(model.elbo(x, x, generator=generator))
            tighter.append(model.log_prob(x, x, samples, generator=generator))
            keep(x, tighter[-1])
    loose, best = (-torch.cat(values).double().mean().item() for values in (bounds, tighter))
    return {
        "nll_bound": loose, "nll_importance_weighted": best, "samples": samples,
        "bits_per_dim": best / (pictures.dims * math.log(2)),
    }  # fmt: skip


def describe(told: dict[str, Any]) -> str:
    """The figures in words."""
    split = "" if told["split"] is None else f", split {told['split']}"
    head = (
        f"{told['weights']} on {told['pictures']:,} pictures of {told['data']}{split}, "
        f"seed {told['seed']}:"
    )
    bits = f"{told['bits_per_dim']:.4f} bits per dimension"
    if "nll" in told:
        return f"{head}\n  NLL = {told['nll']:.2f} nats (exact), {bits}"
    return (
        f"{head}\n  NLL <= {told['nll_bound']:.2f} nats (one draw)\n"
        f"  NLL <= {told['nll_importance_weighted']:.2f} nats "
        f"({told['samples']} importance samples), {bits}"
    )


def read_pictures(
    weights: Weights, data: Path, *, split: str, limit: int | None, seed: int, photos: bool
) -> Pictures:
    """The pictures of an array, exactly as they are, or photos as the weights take them.

    Args:
        weights: Say which size and how many channels are needed.
        data: An array of grey pictures, a folder of photos or a manifest.
        split: Of an array with several.
        limit: Only so many, drawn at random.
        seed: Of this draw.
        photos: Whether photos may be scored: a model that draws another picture than it is shown
            has no likelihood of the photo itself.

    Raises:
        ValueError: The pictures do not fit the weights.
    """
    size, channels = weights.preprocessing.size, weights.preprocessing.channels
    if is_array(data):
        pixels = read_array(data, split)
        if channels != 1:
            raise ValueError(
                f"{data} has grey pictures, and {weights.fingerprint} takes {channels} channels. "
                "Give photos, or weights of a preset for digits (--preset mnist)."
            )
        if pixels.shape[1:] != (size, size):
            found = f"{pixels.shape[1]} x {pixels.shape[2]}"
            raise ValueError(
                f"{data} has {found} pixels; {weights.fingerprint} takes {size} x {size}."
            )
        rows = _some(len(pixels), limit, seed)
        read: Callable[[int], Pixels] = pixels[:, :, :, None].__getitem__
    elif photos:
        paths = tuple(photo.path for photo in read_photos([data]))
        rows = _some(len(paths), limit, seed)
        read = partial(FileImages(paths).read, preprocessing=weights.preprocessing)
    else:
        raise ValueError(
            f"{data} is no array of pictures, and a {weights.name} is measured on those only. "
            "Give a prefix of idx files, or an .npz of packed bits."
        )
    dims = channels * size * size
    step = max(1, VALUES // dims)
    parts = (rows[start : start + step] for start in range(0, len(rows), step))
    batches = (np.stack([read(row) for row in part]) for part in parts)  # (B, H, W, C)
    tensors = (to_float(torch.from_numpy(part).permute(0, 3, 1, 2)) for part in batches)
    return Pictures(tensors, len(rows), dims)


def _some(count: int, limit: int | None, seed: int) -> Sequence[int]:
    """All rows, or ``limit`` of them, in their order.

    At random: a test set may be sorted by class, and its first pictures all be zeros.
    """
    if limit is None or limit >= count:
        return range(count)
    chosen: list[int] = np.sort(np.random.default_rng(seed).permutation(count)[:limit]).tolist()
    return chosen


def _shown(pictures: Pictures, device: torch.device) -> Iterator[Tensor]:
    """The batches, with a bar that says how many of the pictures are done."""
    bar = Bar(" pictures")
    done = 0
    for x in pictures.batches:
        yield x.to(device)
        done += len(x)
        bar.show("score", done, pictures.count)
    bar.close()


def _device(model: object) -> torch.device:
    assert isinstance(model, torch.nn.Module)
    return next(model.parameters()).device


def _models_with_likelihood() -> list[str]:
    tiny = {name: models.create(name) for name in models.available()}
    return [
        name
        for name, model in tiny.items()
        if isinstance(model, LatentVariableModel | ExactLikelihoodModel)
    ]
