"""``niteru models``, ``sample`` and ``evaluate``: what there is, and how good it is."""

from collections.abc import Sequence
from pathlib import Path

import torch

import models
from indexer.evaluation.report import format_table
from indexer.evaluation.retrieval import compare_retrieval
from indexer.torch_embedder import TorchEmbedder
from models.training.checkpoint import CONFIG, find_weights, load_weights, read_metrics
from service.commands.console import Bar, print_json, use_one_thread
from service.commands.pictures import draw_grid


def run_models(*, as_json: bool) -> None:
    """List every model, the weights there are of it, and their figures."""
    shipped = find_all_weights()
    listed = [
        {
            "name": name,
            "about": models.describe(name),
            "presets": sorted(models.presets(name)),
            "weights": [folder.name for folder in shipped.get(name, [])],
            "figures": {folder.name: read_metrics(folder) for folder in shipped.get(name, [])},
        }
        for name in models.available()
    ]
    if as_json:
        print_json(listed)
        return
    for line in listed:
        print(f"{line['name']:<12} {line['about']}")
        print(f"{'':<12} presets: {', '.join(line['presets'])}")
        weights = ", ".join(line["weights"]) or f"none yet: niteru train {line['name']} --data DIR"
        print(f"{'':<12} weights: {weights}")


def find_all_weights() -> dict[str, list[Path]]:
    """Weights folders here and beside our packages, by the name of their model."""
    beside = Path(models.__file__).parent.parent / "weights"
    places = (Path("weights"), beside)
    folders = {path.parent.resolve() for place in places for path in place.glob(f"*/{CONFIG}")}
    found: dict[str, list[Path]] = {}
    for folder in sorted(folders):
        found.setdefault(load_weights(folder).name, []).append(folder)
    return found


def run_sample(name: str, *, n: int, out: Path, seed: int) -> None:
    """Draw ``n`` pictures of a model into one sheet."""
    use_one_thread()
    weights = load_weights(find_weights(name))
    pictures = weights.model.sample(n, generator=torch.Generator().manual_seed(seed))
    draw_grid(pictures).save(out)
    print(f"{out}: {n} samples of {weights.fingerprint}, seed {seed}.")


def run_retrieval(
    weights: Sequence[str],
    gallery: Path,
    queries: Path,
    *,
    comparators: bool,
    backgrounds: Path | None,
    seed: int,
    as_json: bool,
) -> None:
    """Measure weights on photos with known answers."""
    use_one_thread()
    embedders = {name: TorchEmbedder.load(name) for name in weights}
    bar = Bar(" photos")
    try:
        reports = compare_retrieval(
            embedders, gallery, queries, comparators=comparators, backgrounds=backgrounds,
            seed=seed, progress=bar.show,
        )  # fmt: skip
    finally:
        bar.close()
    if as_json:
        print_json([report.to_json() for report in reports])
    else:
        print(format_table(reports))
