"""``niteru evaluate nll`` for stroke models: L_R and L_KL, and a bound in nats of the sketch."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.training.checkpoint import Weights
from models.training.strokes import stack_sketches
from service.commands.console import Bar
from service.commands.stroke_data import read_drawings
from service.sketching import Sketcher

BATCH = 100


@dataclass(frozen=True, slots=True)
class Drawings:
    """What is scored.

    Attributes:
        rows: (N, N_max, 5).
        points: Points of all.
        left_out: Drawings with too many.
    """

    rows: Tensor
    points: int
    left_out: int


def read_rows(
    weights: Weights, data: Path, *, split: str, limit: int | None, seed: int
) -> Drawings:
    """A split at the scale of the weights, without drawings that are too long for them."""
    strokes = weights.strokes
    everything = read_drawings(data, split, weights.name).list()
    kept = [points for points in everything if len(points) <= strokes.max_points]
    left_out = len(everything) - len(kept)
    if limit is not None and limit < len(kept):
        chosen = np.sort(np.random.default_rng(seed).permutation(len(kept))[:limit])
        kept = [kept[number] for number in chosen.tolist()]
    if not kept:
        raise ValueError(f"No sketch of {data} has {strokes.max_points} points or fewer.")
    rows = stack_sketches([strokes.apply(points) for points in kept], strokes.max_points)
    return Drawings(rows, sum(map(len, kept)), left_out)


def measure_strokes(
    weights: Weights, data: Path, *, split: str, samples: int, limit: int | None, seed: int
) -> dict[str, Any]:
    """The figures of a stroke model on a split.

    ``l_r`` and ``l_kl`` are means over drawings of what Sketch-RNN's paper reports; ``nll_bound``
    and ``nll_importance_weighted`` are nats of a drawing up to its end, of offsets with a deviation
    of 1, by one and by ``samples`` draws. Where a model has no latent variable both are exact.
    """
    drawings = read_rows(weights, data, split=split, limit=limit, seed=seed)
    model = Sketcher(weights).model
    generator = torch.Generator().manual_seed(seed)
    found: dict[str, list[Tensor]] = {"l_r": [], "l_kl": [], "one": [], "many": []}
    with torch.inference_mode():
        for x in _shown(drawings.rows.to(next(weights.model.parameters()).device)):
            l_r, l_kl = model.terms(x, generator=generator)
            found["l_r"].append(l_r)
            found["l_kl"].append(l_kl)
            found["one"].append(-model.bound(x, 1, generator=generator))
            if not model.exact:
                found["many"].append(-model.bound(x, samples, generator=generator))
    means = {name: torch.cat(v).double().mean().item() for name, v in found.items() if v}
    count = len(drawings.rows)
    told: dict[str, Any] = {
        "weights": weights.fingerprint, "data": data.name, "split": split, "sketches": count,
        "left_out": drawings.left_out, "max_points": weights.strokes.max_points, "seed": seed,
        "scale": weights.strokes.scale,
        "parameters": sum(p.numel() for p in weights.model.parameters()),
        "l_r": means["l_r"], "l_kl": means["l_kl"],
    }  # fmt: skip
    best = means["one"] if model.exact else means["many"]
    told["nll_per_point"] = best * count / drawings.points
    if model.exact:
        return told | {"nll": means["one"]}
    return told | {
        "nll_bound": means["one"], "nll_importance_weighted": means["many"], "samples": samples,
    }  # fmt: skip


def describe_strokes(told: dict[str, Any]) -> str:
    """The figures in words."""
    head = (
        f"{told['weights']} ({told['parameters']:,} parameters) on {told['sketches']:,} sketches "
        f"of {told['data']}, split {told['split']}, seed {told['seed']}:"
    )
    lines = [
        head,
        f"  L_R = {told['l_r']:.4f}, L_KL = {told['l_kl']:.4f} (N_max {told['max_points']})",
    ]
    if "nll" in told:
        lines.append(f"  NLL = {told['nll']:.2f} nats a sketch (exact)")
    else:
        lines.append(f"  NLL <= {told['nll_bound']:.2f} nats a sketch (one draw)")
        lines.append(
            f"  NLL <= {told['nll_importance_weighted']:.2f} nats a sketch "
            f"({told['samples']} importance samples)"
        )
    lines[-1] += f", {told['nll_per_point']:.4f} a point"
    if told["left_out"]:
        lines.append(f"  {told['left_out']:,} sketches with more points were left out")
    return "\n".join(lines)


def _shown(rows: Tensor) -> Iterator[Tensor]:
    """The rows in batches, with a bar."""
    bar = Bar(" sketches")
    for start in range(0, len(rows), BATCH):
        yield rows[start : start + BATCH]
        bar.show("score", min(start + BATCH, len(rows)), len(rows))
    bar.close()
