"""How much sooner does the exported encoder embed a photo than eager torch, on one thread?

    python tests/bench/bench_embedding.py [--weights NAME] [--rounds 9] [--json FILE]

The ways: the model as it is written, called by torch (eager); the torch embedder (channels last,
inference mode); the exported encoder on ONNX Runtime (onnx), and on OpenVINO where that extra is
installed (openvino). They are measured in turns, in bursts of a few calls, each burst after a call
that is not counted; the ratios are medians over the rounds, so other work on the machine disturbs
them little.

The cosines are of an exported encoder's vectors and torch's: the least over all photos.
"""

import time
from collections.abc import Callable
from importlib.util import find_spec
from statistics import median

import numpy as np
import torch
from measuring import Target, paired, parser, report, workplace

from indexer.protocols import Catalogue, Embedder, Pixels, Vectors
from indexer.runtime import Runtime, load_embedder
from models.training.checkpoint import find_weights, load_weights

BATCHES = (1, 8, 64)
BURST_SECONDS = 0.1
LEAST_RATIO = 4.0
EXPORTED: list[Runtime] = ["onnx", "openvino"] if find_spec("openvino") else ["onnx"]

Way = Callable[[Pixels], Vectors]


def eager(weights: str) -> Way:
    """The model as it was written, called as a notebook would."""
    model = load_weights(find_weights(weights)).model

    def embed(pixels: Pixels) -> Vectors:
        x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1  # (B, C, H, W)
        vectors: Vectors = torch.nn.functional.normalize(model.embed(x), dim=1).detach().numpy()
        return vectors

    return embed


def burst(embed: Way, pixels: Pixels, calls: int) -> float:
    """Milliseconds a photo: the median of some calls, after one that fills the caches."""
    embed(pixels)
    times = []
    for _ in range(calls):
        started = time.perf_counter()
        embed(pixels)
        times.append(time.perf_counter() - started)
    return 1000 * median(times) / len(pixels)


def measure(ways: dict[str, Way], pixels: Pixels, rounds: int) -> dict[str, list[float]]:
    """Milliseconds a photo of each way, round by round."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name in list(ways) if turn % 2 else list(reversed(ways)):
            started = time.perf_counter()
            ways[name](pixels)
            calls = max(3, int(BURST_SECONDS / (time.perf_counter() - started)))
            spent = burst(ways[name], pixels, calls)
            if turn:  # the first round warms up
                taken[name].append(spent)
    return taken


def read(catalogue: Catalogue, embedder: Embedder) -> Pixels:
    """A catalogue's photos (B, H, W, C) as the encoder is given them."""
    return np.stack([embedder.preprocessing.read(catalogue.read(entry)) for entry in catalogue])


def least_cosine(one: Vectors, other: Vectors) -> float:
    """Of the rows of two arrays of unit vectors (B, D)."""
    return float((one.astype(np.float64) * other).sum(1).min())


def main() -> None:
    """Measure and report."""
    options = parser(__doc__)
    options.set_defaults(items=200, rounds=9)
    chosen = options.parse_args()
    reference = load_embedder(chosen.weights, runtime="torch")  # sets one thread for torch
    exported = {name: load_embedder(chosen.weights, runtime=name) for name in EXPORTED}
    with workplace(chosen.data, chosen.items) as (catalogue, _):
        pixels = read(catalogue, reference)
    ways: dict[str, Way] = {
        "eager": eager(chosen.weights),
        "torch": reference.embed,
        **{name: embedder.embed for name, embedder in exported.items()},
    }
    figures: dict[str, float] = {}
    ratios: dict[str, float] = {}
    for size in BATCHES:
        batch = np.ascontiguousarray(np.resize(pixels, (size, *pixels.shape[1:])))
        taken = measure(ways, batch, chosen.rounds)
        for name, times in taken.items():
            figures[f"batch {size}: {name}, ms"] = median(times)
            for fast in exported:
                if name not in exported:
                    ratios[f"batch {size}: {fast} / {name}"] = paired(times, taken[fast])
        print(f"batch {size} measured", flush=True)
    expected = reference.embed(pixels)
    cosines = {name: least_cosine(way.embed(pixels), expected) for name, way in exported.items()}
    report(
        figures | ratios,
        [
            Target("batch 1: onnx / eager", ratios["batch 1: onnx / eager"], LEAST_RATIO),
            *(
                Target(
                    f"{name}: 1 - least cosine to torch, in millionths",
                    1e6 * (1 - cosine),
                    100,
                    most=True,
                )
                for name, cosine in cosines.items()
            ),
        ],
        unit="x as fast",
        about={"photos": len(pixels), "weights": chosen.weights, "threads": 1},
        json_file=chosen.json,
    )


if __name__ == "__main__":
    main()
