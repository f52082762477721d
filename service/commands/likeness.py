"""``niteru evaluate kid``: how like real pictures drawn ones are, by the features of a model."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.nn.mmd import kernel_distance
from models.training.checkpoint import Weights, find_weights, load_weights
from models.training.weights import record_figures
from service.commands.console import Bar, print_json, use_one_thread
from service.commands.likelihood import read_pictures

AT_ONCE = 100  # pictures that are drawn or embedded at once
BLOCK = 1000  # pictures of each side that are compared at once, as in the paper
BLOCKS = 4  # at least, of fewer pictures if there are not so many: one figure tells no error


@dataclass(frozen=True, slots=True)
class Distance:
    """A kernel distance: the mean over blocks and its standard error, not a number for one."""

    mean: float
    error: float


def run_kid(
    name: str,
    data: Path,
    *,
    features: str,
    split: str,
    limit: int | None,
    seed: int,
    record: bool,
    as_json: bool,
) -> None:
    """Print the kernel distance of a model's pictures from one half of the real ones.

    Beside it that of the other half: what a model as good as the data would get. ``record`` adds
    both to the weights' metrics.json.
    """
    use_one_thread()
    weights, judge = (load_weights(find_weights(which)) for which in (name, features))
    _fit(weights, judge)
    pictures = read_pictures(judge, data, split=split, limit=limit, seed=seed, photos=True)
    if pictures.count < 4:
        raise ValueError(
            f"{data} has {pictures.count} pictures; two halves of at least 2 each are compared."
        )
    generator = torch.Generator().manual_seed(seed)
    n = pictures.count // 2
    with torch.inference_mode():
        real = torch.cat(list(_embedded(judge, pictures.batches, pictures.count, "real")))
        real = real[torch.randperm(len(real), generator=generator)]
        drawn = torch.cat(list(_embedded(judge, _drawn(weights, n, generator), n, "drawn")))
    block = min(BLOCK, max(2, n // BLOCKS))
    fake, floor = compare(drawn, real[:n], block), compare(real[n : 2 * n], real[:n], block)
    told = {
        "weights": weights.fingerprint, "features": judge.fingerprint, "data": data.name,
        "split": split if data.suffix == ".npz" else None, "pictures": n, "block": block,
        "seed": seed, "kid": fake.mean, "kid_error": _or_none(fake.error),
        "kid_real": floor.mean, "kid_real_error": _or_none(floor.error),
    }  # fmt: skip
    if record:
        record_figures(weights.folder, "kid", told)
    if as_json:
        print_json(told)
    else:
        print(describe(told))


def compare(x: Tensor, y: Tensor, block: int) -> Distance:
    """The kernel distance of two sets of features, block by block: (N, D) twice."""
    starts = range(0, len(x) - block + 1, block)
    parts = ((x[i : i + block].double(), y[i : i + block].double()) for i in starts)
    found = torch.stack([kernel_distance(a, b) for a, b in parts])
    error = found.std().item() / math.sqrt(len(found)) if len(found) > 1 else math.nan
    return Distance(found.mean().item(), error)


def describe(told: dict[str, Any]) -> str:
    """The figures in words."""
    split = "" if told["split"] is None else f", split {told['split']}"
    head = (
        f"{told['weights']} against {told['pictures']:,} pictures of {told['data']}{split}, by the "
        f"features of {told['features']}, blocks of {told['block']:,}, seed {told['seed']}:"
    )
    lines = [head]
    for key, words in (("kid", "drawn against real"), ("kid_real", "real against real")):
        error = told[f"{key}_error"]
        spread = "" if error is None else f" ± {error:.5f}"
        lines.append(f"  KID = {told[key]:.5f}{spread} ({words})")
    return "\n".join(lines)


def _fit(weights: Weights, judge: Weights) -> None:
    """The judge must take the pictures as the model draws them: none is resized before it."""
    config: Any = weights.model.config
    found = (config.channels, config.target_size)
    expected = (judge.preprocessing.channels, judge.preprocessing.size)
    if found != expected:
        raise ValueError(
            f"{weights.fingerprint} draws pictures of {found[0]} channels and {found[1]} pixels, "
            f"and {judge.fingerprint} takes {expected[0]} and {expected[1]}. Give --features "
            "weights that take what is drawn."
        )


def _drawn(weights: Weights, n: int, generator: torch.Generator) -> Iterator[Tensor]:
    for start in range(0, n, AT_ONCE):
        yield weights.model.sample(min(AT_ONCE, n - start), generator=generator)


def _embedded(judge: Weights, batches: Iterator[Tensor], count: int, word: str) -> Iterator[Tensor]:
    bar = Bar(" pictures")
    done = 0
    for x in batches:
        yield judge.model.embed(x)
        done += len(x)
        bar.show(word, done, count)
    bar.close()


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
