"""``niteru sample``: pictures that a model has dreamt up."""

from pathlib import Path

import torch

from models.training.checkpoint import find_weights, load_weights
from service.commands.console import use_one_thread
from service.commands.pictures import draw_grid
from service.commands.sketching import Drawn, sample_sketches


def run_sample(name: str, *, n: int, out: Path, seed: int, temperature: float | None) -> None:
    """Draw ``n`` pictures of a model into one sheet; drawings by the ending of ``out``."""
    use_one_thread()
    weights = load_weights(find_weights(name))
    if weights.model.modality == "strokes":
        sample_sketches(weights, n, Drawn(out, 1.0 if temperature is None else temperature, seed))
        return
    if temperature is not None:
        raise ValueError(f"A {weights.name} draws pixels and has no temperature. Leave it out.")
    pictures = weights.model.sample(n, generator=torch.Generator().manual_seed(seed))
    draw_grid(pictures.numpy()).save(out)
    print(f"{out}: {n} samples of {weights.fingerprint}, seed {seed}.")
