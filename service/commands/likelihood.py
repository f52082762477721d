"""``niteru evaluate nll``: how well a model predicts pictures it has not seen, in nats."""

import math
from pathlib import Path

import numpy as np
import torch

from models.training.checkpoint import find_weights, load_weights
from models.training.protocols import LatentVariableModel
from models.training.views import to_float
from service.commands.console import Bar, print_json, use_one_thread
from service.commands.training_data import read_array

BATCH = 100


class NoLikelihoodError(ValueError):
    """The model has no likelihood."""


def run_nll(
    name: str, data: Path, *, split: str, samples: int, limit: int | None, seed: int, as_json: bool
) -> None:
    """Print the evidence lower bound and the importance-weighted bound on a split."""
    use_one_thread()
    weights = load_weights(find_weights(name))
    model = weights.model
    if not isinstance(model, LatentVariableModel):
        raise NoLikelihoodError(
            f"A {weights.name} has no likelihood, so it cannot be measured in nats. "
            "Models with a bound: info_vae, pixelvae, vae."
        )
    size = weights.preprocessing.size
    pixels = read_array(data, split)
    if limit is not None and limit < len(pixels):
        # At random: a test set may be sorted by class, and its first pictures all be zeros.
        pixels = pixels[np.sort(np.random.default_rng(seed).permutation(len(pixels))[:limit])]
    if pixels.shape[1:] != (size, size):
        found = f"{pixels.shape[1]} x {pixels.shape[2]}"
        raise ValueError(f"{data} has {found} pixels; {name} takes {size} x {size}.")
    generator = torch.Generator().manual_seed(seed)
    bounds, tighter = [], []
    bar = Bar(" pictures")
    with torch.inference_mode():
        for part in torch.split(torch.from_numpy(pixels).unsqueeze(1), BATCH):  # (B, 1, H, W)
            x = to_float(part)
            bounds.append(model.elbo(x, x, generator=generator))
            tighter.append(model.log_prob(x, x, samples, generator=generator))
            bar.show("score", sum(map(len, bounds)), len(pixels))
    bar.close()
    bound, best = (-torch.cat(values).double().mean().item() for values in (bounds, tighter))
    told = {
        "weights": weights.fingerprint, "data": data.name, "split": split, "pictures": len(pixels),
        "seed": seed, "nll_bound": bound, "nll_importance_weighted": best, "samples": samples,
        "bits_per_dim": best / (size * size * math.log(2)),
    }  # fmt: skip
    if as_json:
        print_json(told)
        return
    print(
        f"{weights.fingerprint} on {len(pixels):,} pictures of {data.name}, split {split}, "
        f"seed {seed}:\n"
        f"  NLL <= {bound:.2f} nats (one draw)\n"
        f"  NLL <= {best:.2f} nats ({samples} importance samples), "
        f"{told['bits_per_dim']:.4f} bits per dimension"
    )
