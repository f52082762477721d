"""A filtered search finds what a scan of all that passes finds, at any selectivity."""

from pathlib import Path

import numpy as np
import pytest

from indexer.database import ReaderPool
from indexer.engines import choosing, passing, search
from indexer.engines.candidates import KINDS
from indexer.engines.faiss_engine import FaissEngine
from indexer.engines.faiss_index import IndexPolicy, build_index
from indexer.engines.recall import photo_like
from indexer.filters import parse_filter
from indexer.generations import publish
from indexer.protocols import Item
from indexer.store import Record, open_writer

COUNT, DIM, LIMIT = 20_000, 32, 10


@pytest.fixture(scope="module")
def vectors():
    """Clusters that overlap, so that neighbours lie in several lists."""
    generator = np.random.default_rng(0)
    centres = generator.standard_normal((200, DIM))
    drawn = centres[generator.integers(200, size=COUNT)]
    drawn = drawn + 0.7 * generator.standard_normal((COUNT, DIM))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


# How filters are answered: by the index, whichever kind it is, or by codes of what passes.
BY_INDEX = [(kind, 0, {}) for kind in KINDS]
BY_CODES = [(KINDS[-1], 20_000, {}), (KINDS[-1], 700, {4: 20_000})]
NAMES = [*(kind.name for kind in KINDS), "fine codes", "product codes"]


@pytest.fixture(scope="module", params=BY_INDEX + BY_CODES, ids=NAMES)
def engine(request, tmp_path_factory, vectors):
    """An engine over one kind of index, which answers filters in one way."""
    kind, fine, shared = request.param
    store = tmp_path_factory.mktemp("filtered") / "store"
    order = np.random.default_rng(1).permutation(COUNT)  # attributes say nothing of the place
    flags = {0: {"flag": True}, 1: {"flag": 1}}  # equal to Python, not to a filter
    # What items look like: 0 for whoever lies furthest in some direction, and so on.
    looks = np.argsort(np.argsort(-vectors @ vectors[0])).tolist()
    records = [
        Record(
            Item(f"{n}", "u", f"{n}", {"n": int(order[n]), "look": looks[n], **flags.get(n, {})}),
            vectors[n],
        )
        for n in range(COUNT)
    ]
    with open_writer(store) as writer:
        writer.upsert(records, fingerprint="f")
    pool = ReaderPool(store)

    def build(path: Path):
        with pool.read() as connection:
            return build_index(connection, path, fingerprint="f", policy=IndexPolicy(flat_limit=0))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(choosing, "KINDS", (kind,))
        made = publish(store, build)
    pool.close()
    assert made.manifest.index != "Flat"
    with FaissEngine.open(store) as opened, pytest.MonkeyPatch.context() as patch:
        patch.setattr(passing, "FINE", fine)
        patch.setattr(passing, "SHARED", shared)
        yield opened


@pytest.mark.parametrize("key", ["n", "look"])
@pytest.mark.parametrize("share", [0.5, 0.25, 0.1, 0.02, 0.011, 0.009, 0.001])
def test_recall_under_a_filter(engine, vectors, share, key):
    generator = np.random.default_rng(2)
    queries = photo_like(vectors[generator.integers(COUNT, size=100)], 0.8, generator)
    most = int(share * COUNT)
    where = parse_filter(f'{{"must": [{{"key": "{key}", "range": {{"lt": {most}}}}}]}}')

    found = engine.search(queries, LIMIT, where=where)
    true = engine.search(queries, LIMIT, where=where, exact=True)

    hits = sum(len({h.id for h in a} & {h.id for h in b}) for a, b in zip(found, true, strict=True))
    assert all(len(answer) == LIMIT for answer in found)
    assert hits / (LIMIT * len(queries)) >= 0.99


def test_a_filter_that_the_usual_effort_does_not_serve_gets_more(engine, vectors, monkeypatch):
    # As among a million items, whose lists are many times as many as are probed.
    for name in ("FILTERED_WIDE", "FILTERED", "FILTERED_GRAPH"):
        monkeypatch.setattr(search, name, 0.5)
    generator = np.random.default_rng(5)
    queries = photo_like(vectors[generator.integers(COUNT, size=100)], 0.8, generator)
    where = parse_filter(f'{{"must": [{{"key": "look", "range": {{"gte": {COUNT // 2}}}}}]}}')

    found = engine.search(queries, LIMIT, where=where)
    true = engine.search(queries, LIMIT, where=where, exact=True)

    hits = sum(len({h.id for h in a} & {h.id for h in b}) for a, b in zip(found, true, strict=True))
    assert hits / (LIMIT * len(queries)) >= 0.98  # measured on other queries: chance is in it


def test_excluded_items_that_do_not_pass_do_not_shorten_the_answer(engine, vectors):
    where = parse_filter('{"must": [{"key": "n", "range": {"lt": 3}}]}')
    passing = [hit.id for hit in engine.search(vectors[:1], LIMIT, where=where)[0]]
    others = [f"{n}" for n in range(50) if f"{n}" not in passing]
    assert len(passing) == 3

    for exact in (False, True):
        for exclude, expected in ((others, passing), ([*others, passing[1]], passing[::2])):
            found = engine.search(vectors[:1], LIMIT, exact=exact, exclude=exclude, where=where)[0]
            assert [hit.id for hit in found] == expected


def test_filters_that_python_calls_equal_are_told_apart(engine, vectors):
    for value, expected in (("1", "1"), ("true", "0"), ("1.0", "1")):
        where = parse_filter(f'{{"must": [{{"key": "flag", "match": {value}}}]}}')
        assert [hit.id for hit in engine.search(vectors[:1], LIMIT, where=where)[0]] == [expected]
        assert engine.count(where) == 1
