"""``niteru explain``: what the embedding kept of a photo, without a server."""

from contextlib import closing
from pathlib import Path

import numpy as np

from indexer.engines.choice import EngineChoice
from indexer.masking import mask
from indexer.protocols import Embedder, Pixels
from indexer.torch_embedder import TorchEmbedder
from indexer.weights_at_hand import choose_weights
from models.images import Crop
from service.commands.console import print_json, use_one_thread
from service.commands.searching import read_pixels
from service.explaining import Explainer
from service.explanation import Neighbour, draw_explanation


def run_explain(
    image: Path,
    store: Path | None,
    *,
    crop: Crop | None,
    weights: str | None,
    usual: str,
    draws: int,
    nearest: int,
    seed: int,
    out: Path,
    choice: EngineChoice,
    as_json: bool,
) -> None:
    """Draw a photo, what its vector says, and the items of a store nearest to it."""
    use_one_thread()
    folder: str | Path = weights or usual
    if store is not None:
        folder = choose_weights(store, choice, named=weights, usual=usual)
    embedder = TorchEmbedder.load(folder)
    explainer = Explainer(embedder.weights)
    pixels = read_pixels(image, embedder, crop)
    neighbours = [] if store is None else find_neighbours(pixels, store, choice, embedder, nearest)
    explanation = explainer.explain(pixels, draws=draws, seed=seed)
    draw_explanation(explanation, neighbours).save(out)
    if as_json:
        items = [{"id": n.id, "score": round(n.score, 4), "uri": mask(n.uri)} for n in neighbours]
        print_json(
            {"picture": str(out), "rate": explanation.rate, "draws": len(explanation.draws),
             "seed": seed, "fingerprint": explanation.fingerprint, "items": items}
        )  # fmt: skip
        return
    rate = "" if explanation.rate is None else f"; the vector holds {explanation.rate:.1f} nats"
    print(f"{out}: {image} as {explanation.fingerprint} keeps it, seed {seed}{rate}.")
    for neighbour in neighbours:
        print(f"  {neighbour.score:.4f}  {neighbour.id}")


def find_neighbours(
    pixels: Pixels, store: Path, choice: EngineChoice, embedder: Embedder, count: int
) -> list[Neighbour]:
    """The items of a store nearest to a photo (H, W, C), best first."""
    vector = embedder.embed(pixels[np.newaxis])
    with closing(choice.open(store, fingerprint=embedder.fingerprint)) as engine:
        hits = engine.search(vector, count)[0]
        items = engine.get([hit.id for hit in hits])
    return [
        Neighbour(hit.id, hit.score, item.uri)
        for hit, item in zip(hits, items, strict=True)
        if item is not None
    ]
