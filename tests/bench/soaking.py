"""What the parts of the soak share: items made of numbers, and what must hold of a store."""

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np

from indexer.database import ReaderPool, connect
from indexer.engines.faiss_engine import FaissEngine
from indexer.engines.faiss_index import IndexPolicy, build_index
from indexer.filesystem import FileSystem
from indexer.generations import publish, read_current, verify
from indexer.protocols import Item
from indexer.reading import find_items
from indexer.store import Record, open_writer

DIM, NAMES = 8, [f"i{number:02}" for number in range(40)]
Model = dict[str, str]  # id -> hash


class SoakError(AssertionError):
    """Something that must never happen did."""


def require(held: bool, told: str) -> None:
    """Stop with what was found."""
    if not held:
        raise SoakError(told)


def vector_of(name: str) -> np.ndarray:
    """(DIM,) of unit length, the same for the same name."""
    seed = [ord(letter) for letter in name]
    vector = np.random.default_rng(seed).standard_normal(DIM).astype(np.float32)
    return vector / np.linalg.norm(vector)


def record(name: str, sha: str) -> Record:
    """An item whose vector follows from its id and its hash."""
    return Record(Item(name, "u", sha, {"n": int(name[1:])}), vector_of(name + sha))


def make(store: Path, *, files: FileSystem | None = None) -> None:
    """Publish; the caller holds the writer's lock."""
    with closing(ReaderPool(store)) as pool:

        def build(path: Path):
            with pool.read() as connection:
                return build_index(connection, path, fingerprint="f", policy=IndexPolicy(queries=5))

        publish(store, build, files=files)


def stored(store: Path) -> Model:
    """What ``items.sqlite`` holds, which passes SQLite's own check."""
    with closing(connect(store)) as connection:
        (verdict,) = connection.execute("PRAGMA quick_check").fetchone()
        require(verdict == "ok", f"items.sqlite: {verdict}")
        return {item.id: item.sha256 for item in find_items(connection, NAMES) if item}


def check_answers(store: Path, model: Model) -> None:
    """The current generation is sound and answers just what there is, with the true scores."""
    generation = read_current(store)
    if generation is None:
        return
    verify(store, generation)
    with FaissEngine.open(store) as engine:
        query = vector_of("query")
        for exact in (False, True):
            hits = engine.search(query[None], 99, exact=exact)[0]
            require({h.id for h in hits} == set(model), "the answer is not what is stored")
            for hit in hits:
                true = float(vector_of(hit.id + model[hit.id]) @ query)
                require(abs(hit.score - true) < 1e-5, f"{hit.id} has an old vector's score")
        require(len(engine) == len(model), f"{len(engine)} counted, {len(model)} stored")


def in_child(work: Callable[[int], None]) -> tuple[int, int]:
    """Run ``work(pipe)`` in a fork; its process id and the pipe's other end."""
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        return child, reader
    os.close(reader)
    status = 1
    try:
        work(writer)
        status = 0
    finally:
        os._exit(status)


def fill(store: Path, count: int) -> Model:
    """Make a store of so many items with a generation of them."""
    model = dict.fromkeys(NAMES[:count], "1")
    with open_writer(store) as writer:
        writer.upsert([record(*pair) for pair in model.items()], fingerprint="f")
        make(store)
    return model
