"""What the indexer's tests share: small photos, vectors, a clock that stands until it is moved."""

import io
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from indexer.catalogues import open_catalogue
from indexer.embedders import ColourLayoutEmbedder
from indexer.pipeline import index_catalogue
from indexer.protocols import Item, Pixels, Vectors
from indexer.report import IndexReport
from indexer.store import Record

LONG_AGO = 1_600_000_000


class StandingClock:
    """A clock that moves a second each time it is read."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, 18, 33, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def encode_photo(seed: int, kind: str = "PNG") -> bytes:
    """A photo of coloured blocks; every seed another one."""
    blocks = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(blocks).resize((40, 40), Image.Resampling.NEAREST).save(file, kind)
    return file.getvalue()


@dataclass
class CountingEmbedder:
    """Counts the photos it looks at, over all threads."""

    inner: ColourLayoutEmbedder = field(default_factory=ColourLayoutEmbedder)
    name: str | None = None
    seen: int = 0
    threads: set[int] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def dim(self) -> int:
        return self.inner.dim

    @property
    def fingerprint(self) -> str:
        return self.name or self.inner.fingerprint

    @property
    def preprocessing(self):
        return self.inner.preprocessing

    def embed(self, pixels: Pixels) -> Vectors:
        with self.lock:
            self.seen += len(pixels)
            self.threads.add(threading.get_ident())
        return self.inner.embed(pixels)


@pytest.fixture
def photo() -> Callable[..., bytes]:
    return encode_photo


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture
def embedder() -> ColourLayoutEmbedder:
    return ColourLayoutEmbedder()


@pytest.fixture
def put_photo() -> Callable[..., Path]:
    """Write a photo that was there long ago, so that its time of modification can be trusted."""

    def put(path: Path, seed: int = 0, data: bytes | None = None, when: int = LONG_AGO) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = {".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}.get(path.suffix.lower(), "PNG")
        path.write_bytes(encode_photo(seed, kind) if data is None else data)
        os.utime(path, (when, when))
        return path

    return put


@pytest.fixture
def photos(tmp_path: Path, put_photo: Callable[..., Path]) -> Path:
    """A folder of twelve photos in three folders."""
    folder = tmp_path / "photos"
    for seed in range(12):
        put_photo(folder / "abc"[seed % 3] / f"{seed:02}.png", seed)
    return folder


@pytest.fixture
def unit_vectors() -> Callable[..., np.ndarray]:
    def draw(count: int, dim: int = 8, seed: int = 0) -> np.ndarray:
        vectors = np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    return draw


@pytest.fixture
def records(unit_vectors) -> Callable[..., list[Record]]:
    """Records with the ids ``a00``, ``a01`` ... and vectors drawn from a seed."""

    def make(count: int, *, seed: int = 0, dim: int = 8, first: int = 0) -> list[Record]:
        names: Sequence[str] = [f"a{n:02}" for n in range(first, first + count)]
        return [
            Record(Item(name, f"/photos/{name}.jpg", f"{seed}-{name}"), vector)
            for name, vector in zip(names, unit_vectors(count, dim, seed), strict=True)
        ]

    return make


@pytest.fixture
def counting() -> type[CountingEmbedder]:
    return CountingEmbedder


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Where a store may be made."""
    return tmp_path / "store"


@pytest.fixture
def run(photos: Path, store: Path, clock: StandingClock) -> Callable[..., IndexReport]:
    """Index ``photos`` into ``store``."""

    def index(embedder=None, catalogue=None, **settings) -> IndexReport:
        return index_catalogue(
            open_catalogue(photos) if catalogue is None else catalogue,
            store,
            embedder or CountingEmbedder(),
            **{"workers": 2, "batch": 4, "clock": clock, **settings},
        )

    return index
