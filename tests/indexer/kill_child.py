"""The process that ``test_kill.py`` kills: it indexes, or changes items, and says what is safe."""

import sys
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from indexer.catalogues import open_catalogue
from indexer.database import ReaderPool
from indexer.embedders import ColourLayoutEmbedder
from indexer.engines.faiss_index import IndexPolicy, build_index
from indexer.generations import publish
from indexer.pipeline import index_catalogue
from indexer.protocols import Item
from indexer.store import Record, open_writer


@dataclass
class SlowEmbedder:
    """Takes its time, so that a kill comes in the middle."""

    inner: ColourLayoutEmbedder = field(default_factory=ColourLayoutEmbedder)

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def embed(self, pixels):
        time.sleep(0.004 * len(pixels))
        return self.inner.embed(pixels)


def say(number: int) -> None:
    print(number, flush=True)


def index(store: Path, folder: Path) -> None:
    index_catalogue(
        open_catalogue(folder),
        store,
        SlowEmbedder(),
        workers=2,
        batch=4,
        progress=lambda progress: say(progress.done),
    )


def change(store: Path, seed: int) -> None:
    """A history drawn from a seed: number n is acknowledged by printing n."""
    rng = np.random.default_rng(seed)
    with open_writer(store) as writer, closing(ReaderPool(store)) as pool:

        def build(path: Path):
            with pool.read() as connection:
                return build_index(connection, path, fingerprint="f", policy=IndexPolicy())

        for number in range(10_000):
            name, delete = f"i{rng.integers(30):02}", number > 3 and rng.random() < 0.4
            vector = rng.standard_normal(8).astype(np.float32)
            vector /= np.linalg.norm(vector)
            if delete:
                writer.delete([name])
            else:
                writer.upsert([Record(Item(name, "u", str(number)), vector)], fingerprint="f")
            say(number)
            if number % 9 == 3:
                publish(store, build)


if __name__ == "__main__":
    if sys.argv[1] == "index":
        index(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        change(Path(sys.argv[2]), int(sys.argv[3]))
