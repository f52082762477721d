"""``niteru sample``: pictures that a model has dreamt up."""

from pathlib import Path

import torch

from models.training.checkpoint import find_weights, load_weights
from service.commands.console import use_one_thread
from service.commands.pictures import draw_grid


def run_sample(name: str, *, n: int, out: Path, seed: int) -> None:
    """Draw ``n`` pictures of a model into one sheet."""
    use_one_thread()
    weights = load_weights(find_weights(name))
    pictures = weights.model.sample(n, generator=torch.Generator().manual_seed(seed))
    draw_grid(pictures.numpy()).save(out)
    print(f"{out}: {n} samples of {weights.fingerprint}, seed {seed}.")
