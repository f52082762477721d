"""Every kind of index answers rightly once it is chosen, and the cheapest that suffices is."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from indexer.database import ReaderPool, connect
from indexer.embedders import ColourLayoutEmbedder
from indexer.engines import choosing, passing
from indexer.engines.candidates import KINDS, is_exact, is_graph
from indexer.engines.choosing import Candidate, better
from indexer.engines.estimating import expected_time
from indexer.engines.faiss_engine import FaissEngine
from indexer.engines.faiss_index import build_index, held_out_queries
from indexer.engines.policy import IndexPolicy
from indexer.errors import GenerationError
from indexer.filters import parse_filter
from indexer.generations import current, publish
from indexer.manifest import Trial
from indexer.protocols import Item
from indexer.store import Record, delete, open_writer, upsert
from indexer.views import draw_view, embed_views

COUNT, DIM = 4000, 32


def clustered(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(9).standard_normal((40, DIM))
    vectors = centres[rng.integers(40, size=count)] + 0.7 * rng.standard_normal((count, DIM))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


VECTORS = clustered(COUNT, 0)
QUERIES = clustered(60, 1)


def make(store: Path, policy: IndexPolicy, vectors=VECTORS):
    with open_writer(store) as writer:
        records = [Record(Item(f"i{n:04}", "u", f"{n}", {"n": n}), v)
                   for n, v in enumerate(vectors)]  # fmt: skip
        writer.upsert(records, fingerprint="f")
    with closing(ReaderPool(store)) as pool:

        def build(path: Path):
            with pool.read() as connection:
                return build_index(connection, path, fingerprint="f", policy=policy)

        return publish(store, build).manifest


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def only(request, monkeypatch):
    """There is one kind of index only."""
    monkeypatch.setattr(choosing, "KINDS", (request.param,))
    monkeypatch.setattr(passing, "FINE", 100)  # of the filters below some keep codes, some do not
    monkeypatch.setattr(passing, "SHARED", {})
    return request.param


def share(engine, queries, where=None):
    found = engine.search(queries, 10, where=where)
    true = engine.search(queries, 10, where=where, exact=True)
    assert all(len(hits) == 10 for hits in (*found, *true))
    same = [len({h.id for h in a} & {h.id for h in b}) for a, b in zip(found, true, strict=True)]
    return sum(same) / (10 * len(queries))


def test_each_kind_finds_enough_under_every_filter_and_beside_changes(tmp_path, only) -> None:
    vectors = VECTORS.copy()
    vectors[2000:2100] = vectors[77]  # a tie longer than any list of candidates
    manifest = make(tmp_path, IndexPolicy(flat_limit=0, recall=0.95, queries=100), vectors)
    assert manifest.index == only.factory(manifest.nlist, manifest.dim)
    assert manifest.breadth == only.breadth
    assert manifest.recall_at_10 >= 0.95
    with FaissEngine.open(tmp_path) as engine:
        truth = -np.sort(-(QUERIES @ vectors.T), axis=1)[:, :10]
        exact = engine.search(QUERIES, 10, exact=True)
        scores = [[hit.score for hit in hits] for hits in exact]
        np.testing.assert_allclose(scores, truth, atol=1e-5)
        assert share(engine, QUERIES) >= 0.93
        for part in (0.5, 0.1, 0.02, 0.008):
            where = parse_filter(
                f'{{"must": [{{"key": "n", "range": {{"lt": {int(part * COUNT)}}}}}]}}'
            )
            assert share(engine, QUERIES, where) >= 0.99
        tie = [hit.id for hit in engine.search(vectors[77][None], 30)[0]]
        assert tie == ["i0077", *(f"i{n}" for n in range(2000, 2029))]
        delete(tmp_path, [f"i{n:04}" for n in range(0, COUNT, 2)])
        upsert(tmp_path, [Record(Item("new", "u", "n"), QUERIES[0])], fingerprint="f")
        assert engine.search(QUERIES[:1], 1)[0][0].id == "new"
        everything = engine.search(QUERIES[:1], COUNT)[0]
        assert len(everything) == COUNT // 2 + 1  # never short, whatever the index leads to
        assert not {hit.id for hit in everything} & {"i0000", "i0002"}


def test_memory_is_kept_to_and_told_where_nothing_fits(tmp_path) -> None:
    small = make(tmp_path, IndexPolicy(flat_limit=0, recall=0.9, memory=COUNT * (DIM + 8)))
    assert small.index.partition(",")[2] in {"SQ8", "RaBitQfs", "PQ8x4fs"}
    sizes = [trial.bytes_per_item for trial in small.curve[:-1]]
    assert max(sizes) <= DIM + 8
    with closing(connect(tmp_path)) as connection:
        policy = IndexPolicy(flat_limit=0, memory=1000)
        with pytest.raises(GenerationError, match=r"1,000 bytes.*Flat takes 544,000"):
            build_index(connection, tmp_path / "x", fingerprint="f", policy=policy)


def test_a_kind_that_misses_on_all_items_makes_way_for_the_next(tmp_path, monkeypatch) -> None:
    asked = []

    def refuse(kind, *rest):
        asked.append(kind.name)

    monkeypatch.setattr(choosing, "build_candidate", refuse)
    assert make(tmp_path, IndexPolicy(flat_limit=0, recall=0.5)).index == "Flat"
    assert sorted(asked) == sorted(kind.name for kind in KINDS)


def test_looking_takes_longer_among_more_items_and_ranking_does_not() -> None:
    trial = Trial(index="x", nprobe=1, recall_at_10=1, microseconds=100 + 72, items=100)
    assert expected_time(trial, 72, 10_000) == pytest.approx(100 * 2 + 72)


def test_the_smaller_of_two_that_are_about_as_fast_is_taken() -> None:
    def candidate(microseconds, size):
        return Candidate(None, "x", 1, 1, 1, microseconds, size)

    large, small = candidate(100, 520), candidate(109, 136)
    assert better(large, small) is small
    assert better(small, large) is small
    assert better(large, candidate(111, 136)) is large
    assert better(small, candidate(98, 520)).microseconds == 98
    assert better(None, large) is large
    assert better(large, None) is large


def test_a_recall_is_reached_by_more_than_its_error() -> None:
    policy = IndexPolicy(recall=0.95)
    # Of 400 queries, .96 has a standard error of sqrt(.96 * .04 / 400) = .0098.
    assert policy.reached_by(0.96, 400)
    assert not policy.reached_by(0.959, 400)
    assert not policy.reached_by(0.96, 300)
    assert policy.reached_by(1.0, 1)


def test_filters_get_codes_as_coarse_as_their_number_allows() -> None:
    assert passing.coarseness(50_000, 128) == [1]
    assert passing.coarseness(50_001, 128) == [2, 1]
    assert passing.coarseness(1_000_000, 128) == [4, 2, 1]
    assert passing.coarseness(2_000_000, 128) == [4, 2]  # one number a code would take 128 MB
    assert passing.coarseness(2_000_001, 128) == []
    assert passing.coarseness(50_000, 6) == []  # too few parts to tell vectors apart


def test_what_is_exact_is_told_from_its_name() -> None:
    names = ["Flat", "IVF64,Flat", "IVF64,SQ8", "IVF64,RaBitQfs", "HNSW32", "HNSW32,Flat"]
    assert [is_exact(name) for name in names] == [True, True, False, False, False, False]
    assert [is_graph(name) for name in names] == [False] * 4 + [True] * 2


def test_views_look_like_the_photo_but_are_not_it(tmp_path, photo) -> None:
    embedder = ColourLayoutEmbedder()
    for seed in range(6):
        (tmp_path / f"{seed}.png").write_bytes(photo(seed))
    (tmp_path / "bad.png").write_bytes(b"no photo")
    uris = [*(str(tmp_path / f"{seed}.png") for seed in range(6)), "bad.png", "nowhere.png"]

    def look(seed=0):
        return embed_views(
            uris, read=lambda uri: (tmp_path / uri).read_bytes(), embedder=embedder, seed=seed
        )

    views = look()
    assert [view is None for view in views] == [False] * 6 + [True] * 2
    stored = [embedder.embed(embedder.preprocessing.read(photo(n))[None])[0] for n in range(6)]
    cosines = [float(view @ vector) for view, vector in zip(views, stored, strict=False)]
    assert all(-1 < cosine < 0.99999 for cosine in cosines)
    np.testing.assert_array_equal(views[:6], look()[:6])
    assert not np.array_equal(views[:6], look(1)[:6])
    for channels in (1, 3):
        pixels = np.full((9, 14, channels), 100, np.uint8)
        assert draw_view(pixels, np.random.default_rng(0)).shape == pixels.shape


def test_noise_is_as_far_as_the_views_are(unit_vectors) -> None:
    stored = unit_vectors(50, 24)
    tilted = stored + 0.5 * np.roll(stored, 1, axis=0)
    tilted = (tilted / np.linalg.norm(tilted, axis=1, keepdims=True)).astype(np.float32)
    rng = np.random.default_rng(0)
    views = [tilted[n] if n < 9 else None for n in range(50)]
    queries, count = held_out_queries(stored, views, 0.8, rng)
    assert count == 9
    np.testing.assert_array_equal(queries[:9], tilted[:9])
    middle = float(np.median((tilted[:9] * stored[:9]).sum(axis=1)))
    np.testing.assert_allclose((queries[9:] * stored[9:]).sum(axis=1), middle, atol=1e-5)
    queries, count = held_out_queries(stored, [None] * 50, 0.8, rng)
    assert count == 0
    np.testing.assert_allclose((queries * stored).sum(axis=1), 0.8, atol=1e-5)


def test_the_pipeline_measures_with_views_of_the_photos(run, store) -> None:
    assert run(policy=IndexPolicy(flat_limit=5, recall=0.1)).published
    manifest = current(store).manifest
    assert (manifest.recall_views, manifest.recall_queries) == (12, 12)


def test_choose_is_deterministic_but_for_times(tmp_path) -> None:
    manifests = [make(tmp_path / name, IndexPolicy(flat_limit=0, sample=1000)) for name in "ab"]
    curves = [
        {(t.index, t.nprobe): t.recall_at_10 for t in m.curve if t.items == 1000} for m in manifests
    ]
    assert curves[0] == curves[1]
