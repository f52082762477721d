"""What a filter lets pass is followed through changes: the same as if it were found anew."""

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from indexer.database import ReaderPool
from indexer.engines import choosing, faiss_engine, passing
from indexer.engines.candidates import KINDS
from indexer.engines.faiss_engine import FaissEngine
from indexer.engines.faiss_index import IndexPolicy, build_index
from indexer.filters import parse_filter
from indexer.generations import publish
from indexer.protocols import Item
from indexer.reading_filters import find_passing
from indexer.store import Record, StoreWriter, open_writer

COUNT, DIM, STEPS = 1_500, 16, 40
WHERE = parse_filter('{"must": [{"key": "n", "range": {"lt": 300}}]}')
# How a filter is answered: by lists, by codes of 8 bits a number, by product codes.
WAYS = {"lists": (0, {}), "fine codes": (COUNT, {}), "product codes": (20, {1: COUNT})}
BEHIND = 25  # so that codes are made anew several times


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def record(generator: np.random.Generator, number: int) -> Record:
    item = Item(f"{number}", "u", f"{generator.integers(1 << 60)}", {"n": attribute(generator)})
    return Record(item, unit(generator.standard_normal(DIM)))


def attribute(generator: np.random.Generator) -> int:
    return int(generator.integers(COUNT))


def change(writer: StoreWriter, generator: np.random.Generator, kinds: random.Random) -> None:
    """One change of a shop's day: new photos, other attributes, items that went or came back."""
    numbers = generator.choice(COUNT + 200, size=int(generator.integers(1, 6)), replace=False)
    kind = kinds.choice(["photos", "attributes", "delete", "nothing"])
    if kind == "photos":
        writer.upsert([record(generator, int(number)) for number in numbers], fingerprint="f")
    elif kind == "delete":
        writer.delete(f"{number}" for number in numbers)
    elif kind == "attributes":
        known = writer.connection.execute(
            "SELECT id, uri, sha256 FROM items WHERE deleted = 0 ORDER BY id"
        ).fetchall()
        told = [Item(*each, {"n": attribute(generator)}) for each in kinds.sample(known, 3)]
        writer.upsert([Record(item, None) for item in told], fingerprint="f")


@pytest.fixture(params=WAYS, ids=lambda way: way.replace(" ", "-"))
def store(request, tmp_path, monkeypatch) -> Path:
    """A published store whose filters are answered in one way."""
    fine, shared = WAYS[request.param]
    monkeypatch.setattr(passing, "FINE", fine)
    monkeypatch.setattr(passing, "SHARED", shared)
    monkeypatch.setattr(passing, "BEHIND", BEHIND)
    monkeypatch.setattr(choosing, "KINDS", (KINDS[-1],))
    made = tmp_path / "store"
    generator = np.random.default_rng(0)
    with open_writer(made) as writer:
        writer.upsert([record(generator, n) for n in range(COUNT)], fingerprint="f")
    pool = ReaderPool(made)

    def build(path: Path):
        with pool.read() as connection:
            return build_index(connection, path, fingerprint="f", policy=IndexPolicy(flat_limit=0))

    assert publish(made, build).manifest.index != "Flat"
    pool.close()
    return made


def test_a_filter_is_followed_through_changes(store, monkeypatch):
    looked, coded, encode = [], [], passing.encode

    def counted(*given):
        looked.append(1)
        return find_passing(*given)

    def encoded(*given):
        coded.append(1)
        return encode(*given)

    monkeypatch.setattr(faiss_engine, "find_passing", counted)
    monkeypatch.setattr(passing, "encode", encoded)
    generator, kinds = np.random.default_rng(3), random.Random(3)
    queries = unit(generator.standard_normal((3, DIM)))
    with FaissEngine.open(store) as going, open_writer(store) as writer:
        for _ in range(STEPS):
            change(writer, generator, kinds)
            total = going.count(WHERE)
            some = going.search(queries, 10, where=WHERE)
            every = going.search(queries, total, where=WHERE)
            assert len(looked) == 1  # everything was looked at once, in the beginning
            with FaissEngine.open(store) as anew:
                assert total == anew.count(WHERE)
                true = anew.search(queries, total, where=WHERE, exact=True)
            looked.pop()
            assert every == true
            names = [{hit.id for hit in answer} for answer in true]
            assert all(len(answer) == 10 for answer in some)
            assert all({hit.id for hit in a} <= b for a, b in zip(some, names, strict=True))
    if passing.FINE or passing.SHARED:
        # Once in the beginning, by each engine opened anew, and now and then as it goes on.
        assert 1 <= len(coded) - 1 - STEPS < STEPS / 4
    else:
        assert not coded


def test_a_filter_that_nothing_passed_finds_what_comes(store):
    where = parse_filter('{"must": [{"key": "n", "match": -1}]}')
    generator = np.random.default_rng(4)
    query = unit(generator.standard_normal((1, DIM)))
    with FaissEngine.open(store) as engine, open_writer(store) as writer:
        assert (engine.count(where), engine.search(query, 10, where=where)) == (0, [[]])
        for number in (7, COUNT + 7):
            new = record(generator, number)
            writer.upsert(
                [Record(replace(new.item, attributes={"n": -1}), new.vector)], fingerprint="f"
            )
        found = engine.search(query, 10, where=where)[0]
        assert {hit.id for hit in found} == {"7", f"{COUNT + 7}"}
        writer.delete(["7"])
        assert engine.count(where) == 1


def test_rows_are_exchanged():
    rows = np.array([2, 3, 5, 8, 9])
    assert passing.exchange(rows, np.array([3, 4, 9]), np.array([3, 11])).tolist() == [
        2, 3, 5, 8, 11,
    ]  # fmt: skip
    nothing = np.empty(0, np.int64)
    assert passing.exchange(nothing, nothing, np.array([1])).tolist() == [1]
    assert passing.exchange(rows, rows, nothing).tolist() == []
