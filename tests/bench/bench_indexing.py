"""How close does indexing come to what decoding and embedding alone allow?

    python tests/bench/bench_indexing.py [--data DIR] [--items 1200] [--rounds 3] [--json FILE]

Three rates, in photos a second, each with a thread on every core: reading and decoding only,
embedding only (of pixels in memory), and ``index_catalogue`` into a new store from the first line
of the manifest to the published generation. They are measured in turns, and the ratios are the
medians over the rounds, so other work on the machine disturbs them little.

Where the embedder has a device of its own, indexing can be as fast as the slower of the two. Where
both need the same cores, a photo costs at least the sum of both; that bound is printed as well.
"""

import itertools
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import TypeVar

import numpy as np
from measuring import Target, paired, parser, report, workplace

from indexer.pipeline import index_catalogue
from indexer.protocols import Catalogue, Embedder, Entry, Pixels
from indexer.runtime import load_embedder
from models.images import ImageError
from service.commands.console import cores
from service.commands.indexing import BATCH

Thing = TypeVar("Thing")


def read_photos(catalogue: Catalogue, embedder: Embedder, entries: Sequence[Entry]) -> list[Pixels]:
    """The pixels of some photos; those that cannot be used are left out, as indexing does."""
    pixels = []
    for entry in entries:
        try:
            pixels.append(embedder.preprocessing.read(catalogue.read(entry)))
        except (OSError, ImageError):
            continue
    return pixels


def rate(count: int, work: Callable[[], object]) -> float:
    """Photos a second."""
    started = time.perf_counter()
    work()
    return count / (time.perf_counter() - started)


def in_threads(work: Callable[[Thing], object], parts: Sequence[Thing], workers: int) -> None:
    """Work on all parts, as many at once as indexing does."""
    with ThreadPoolExecutor(workers) as executor:
        for _ in executor.map(work, parts):
            pass


def batches(things: Sequence[Thing]) -> list[Sequence[Thing]]:
    """Parts of the size that indexing takes."""
    return [things[start : start + BATCH] for start in range(0, len(things), BATCH)]


def measure(
    catalogue: Catalogue, embedder: Embedder, folder: Path, *, rounds: int
) -> dict[str, list[float]]:
    """Photos a second of each way, round by round."""
    workers = cores()
    entries = batches(list(catalogue))
    pixels = [p for part in entries for p in read_photos(catalogue, embedder, part)]
    stacked = [np.stack(part) for part in batches(pixels)]
    number = itertools.count()

    def decode() -> None:
        in_threads(lambda part: read_photos(catalogue, embedder, part), entries, workers)

    def embed() -> None:
        in_threads(embedder.embed, stacked, workers)

    def index() -> None:
        store = folder / f"store-{next(number)}"
        made = index_catalogue(catalogue, store, embedder, workers=workers, batch=BATCH)
        assert made.published

    ways = {"decode only": decode, "embed only": embed, "index": index}
    rates: dict[str, list[float]] = {name: [] for name in ways}
    embed()  # the first pass sets things up
    for turn in range(rounds):
        order = list(ways) if turn % 2 else list(reversed(ways))
        for name in order:
            rates[name].append(rate(len(pixels), ways[name]))
        print(
            f"round {turn + 1}: " + ", ".join(f"{name} {rates[name][-1]:.0f}" for name in ways),
            flush=True,
        )
    return rates


def main() -> None:
    """Measure and report."""
    options = parser(__doc__).parse_args()
    embedder = load_embedder(options.weights)
    with workplace(options.data, options.items) as (catalogue, folder):
        rates = measure(catalogue, embedder, folder, rounds=options.rounds)
        count = sum(1 for _ in catalogue)
    decode, embed, index = rates.values()
    slower = [min(pair) for pair in zip(decode, embed, strict=True)]
    shared = [1 / (1 / d + 1 / e) for d, e in zip(decode, embed, strict=True)]
    report(
        {name: median(values) for name, values in rates.items()}
        | {"both, one after the other on the same cores": median(shared)},
        [
            Target("index / the slower of decode and embed", paired(index, slower), 0.9),
            Target("index / both on the same cores", paired(index, shared), 0.9),
        ],
        unit="photos/s",
        about={"photos": count, "weights": options.weights, "embedder": type(embedder).__name__},
        json_file=options.json,
    )


if __name__ == "__main__":
    main()
