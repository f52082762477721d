"""Every engine with the ways to change what it holds, for the contract.

A further engine is one more entry of ``ENGINES``: something that starts with items, takes upserts
and deletes, and publishes.
"""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Protocol

import numpy as np

from indexer.database import ReaderPool
from indexer.engines.exact import ExactEngine
from indexer.engines.faiss_engine import FaissEngine
from indexer.engines.faiss_index import IndexPolicy, build_index
from indexer.generations import publish
from indexer.layout import MAP, write_layout
from indexer.protocols import Engine, Hit, Item
from indexer.store import Record, delete, open_writer, upsert

DIM = 16
Pairs = Sequence[tuple[Item, np.ndarray]]


class Harness(Protocol):
    """An engine with the ways to change what it holds."""

    engine: Engine

    def upsert(self, pairs: Pairs) -> None: ...

    def delete(self, ids: Sequence[str]) -> None: ...

    def publish(self, pairs: Pairs, fingerprint: str = "f") -> None:
        """Make these all there is, as a new generation."""


class FaissHarness:
    """The embedded engine; ``beside`` builds the index before the items come."""

    def __init__(
        self, folder: Path, pairs: Pairs, policy: IndexPolicy, *, beside: bool = False
    ) -> None:
        self.store, self.policy, self.ids = folder / "store", policy, {i.id for i, _ in pairs}
        first = (Item("first", "u", "s"), np.eye(1, DIM, dtype=np.float32)[0])
        self._store([first] if beside else pairs, "f")
        self._publish("f")
        self.engine = FaissEngine.open(self.store, fingerprint="f")
        if beside:
            self.upsert(pairs)
            self.delete(["first"])

    def _store(self, pairs: Pairs, fingerprint: str) -> None:
        with open_writer(self.store) as writer:
            writer.upsert([Record(*pair) for pair in pairs], fingerprint=fingerprint)

    def _publish(self, fingerprint: str) -> None:
        pool = ReaderPool(self.store)

        def build(path: Path):
            with pool.read() as connection:
                write_layout(connection, path.with_name(MAP), fingerprint=fingerprint)
                return build_index(connection, path, fingerprint=fingerprint, policy=self.policy)

        publish(self.store, build)
        pool.close()

    def upsert(self, pairs: Pairs) -> None:
        upsert(self.store, [Record(*pair) for pair in pairs], fingerprint="f")
        self.ids |= {item.id for item, _ in pairs}

    def delete(self, ids: Sequence[str]) -> None:
        delete(self.store, ids)

    def publish(self, pairs: Pairs, fingerprint: str = "f") -> None:
        self.delete(sorted(self.ids - {item.id for item, _ in pairs}))
        self._store(pairs, fingerprint)
        self._publish(fingerprint)


class ExactHarness:
    """The engine in memory."""

    def __init__(self, folder: Path, pairs: Pairs) -> None:
        self.engine = ExactEngine(pairs, dim=DIM, fingerprint="f")
        self.upsert, self.delete = self.engine.upsert, self.engine.delete
        self.published = 0

    def publish(self, pairs: Pairs, fingerprint: str = "f") -> None:
        self.published += 1
        self.engine.publish(pairs, generation=str(self.published), fingerprint=fingerprint)


class MilvusHarness:
    """The distributed engine, over a real server."""

    def __init__(self, folder: Path, pairs: Pairs, policy: IndexPolicy, *, uri: str) -> None:
        from indexer.engines.milvus_engine import MilvusEngine  # noqa: PLC0415 - an extra
        from indexer.engines.milvus_server import Server  # noqa: PLC0415
        from indexer.milvus_generations import MilvusGenerations  # noqa: PLC0415

        self.store, self.policy, self.ids = folder / "store", policy, {i.id for i, _ in pairs}
        name = f"t{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"
        self.server = Server(uri)
        self.generations = MilvusGenerations(self.server, name, self.store)
        self._publish(pairs, "f")
        self.engine = MilvusEngine.open(Server(uri), name, self.store, fingerprint="f")

    def _publish(self, pairs: Pairs, fingerprint: str) -> None:
        with open_writer(self.store) as writer, closing(ReaderPool(self.store)) as pool:
            writer.upsert([Record(*pair) for pair in pairs], fingerprint=fingerprint)
            self.generations.publish(writer, pool, fingerprint=fingerprint, policy=self.policy)

    def upsert(self, pairs: Pairs) -> None:
        upsert(self.store, [Record(*pair) for pair in pairs], fingerprint="f")
        self.ids |= {item.id for item, _ in pairs}

    def delete(self, ids: Sequence[str]) -> None:
        delete(self.store, ids)

    def publish(self, pairs: Pairs, fingerprint: str = "f") -> None:
        self.delete(sorted(self.ids - {item.id for item, _ in pairs}))
        self._publish(pairs, fingerprint)

    def close(self) -> None:
        with open_writer(self.store) as writer:
            self.generations.remove_old(writer, keep=1)
        self.server.close()


# What an index in Milvus is measured with: a server's tests need not wait for 200 queries.
MILVUS = {
    "milvus-flat": IndexPolicy(queries=5),
    "milvus-lists": IndexPolicy(queries=5, flat_limit=0),
}
ENGINES: dict[str, Callable[[Path, Pairs], Harness]] = {
    "exact": ExactHarness,
    "faiss-flat": lambda folder, pairs: FaissHarness(folder, pairs, IndexPolicy()),
    "faiss-lists": lambda folder, pairs: FaissHarness(folder, pairs, IndexPolicy(flat_limit=0)),
    "faiss-beside": lambda folder, pairs: FaissHarness(folder, pairs, IndexPolicy(), beside=True),
}


def draw_pairs(count: int, seed: int = 0, prefix: str = "i") -> list[tuple[Item, np.ndarray]]:
    vectors = np.random.default_rng(seed).standard_normal((count, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return [
        (Item(f"{prefix}{n:03}", f"/p/{n}", f"{seed}:{n}", {"n": n}), vector)
        for n, vector in enumerate(vectors)
    ]


def brute_force(pairs: Pairs, query: np.ndarray, limit: int) -> list[Hit]:
    hits = [Hit(item.id, float(vector.astype(float) @ query)) for item, vector in pairs]
    return sorted(hits, key=lambda hit: (-hit.score, hit.id))[:limit]


def assert_same(found: list[Hit], expected: list[Hit]) -> None:
    assert [hit.id for hit in found] == [hit.id for hit in expected]
    np.testing.assert_allclose(
        [hit.score for hit in found], [hit.score for hit in expected], atol=1e-5
    )


PAIRS = draw_pairs(300)
QUERIES = np.stack([vector for _, vector in draw_pairs(7, seed=1)])
