"""Choosing and measuring an index."""

from contextlib import closing
from pathlib import Path

import faiss
import numpy as np
import pytest

from indexer.database import ReaderPool, connect
from indexer.engines.faiss_engine import FaissEngine
from indexer.engines.faiss_index import IndexPolicy, build_index, load_index, write_index
from indexer.engines.recall import measure, photo_like, true_neighbours
from indexer.errors import GenerationCorruptError, GenerationError
from indexer.generations import publish
from indexer.protocols import Item
from indexer.store import Record, open_writer


def from_vectors(store: Path, vectors: np.ndarray) -> None:

    with open_writer(store) as writer:
        items = [Item(f"v{n:05}", "u", f"{n}") for n in range(len(vectors))]
        writer.upsert([Record(i, v) for i, v in zip(items, vectors, strict=True)], fingerprint="f")


def test_a_larger_catalogue_gets_the_fastest_index_that_was_measured_to_find_enough(
    tmp_path, unit_vectors
) -> None:
    store, count, dim = tmp_path / "large", 3000, 16
    rng = np.random.default_rng(4)
    centres = unit_vectors(30, dim, 1)
    vectors = centres[rng.integers(0, 30, count)] + 0.25 * unit_vectors(count, dim, 2)
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    from_vectors(store, vectors)
    policy = IndexPolicy(flat_limit=0, recall=0.95, queries=100, sample=800)
    with open_writer(store), closing(ReaderPool(store)) as pool:

        def build(path: Path):
            with pool.read() as connection:
                return build_index(connection, path, fingerprint="f", policy=policy)

        manifest = publish(store, build).manifest
    assert manifest.recall_at_10 >= 0.95
    assert {t.index for t in manifest.curve if t.items == 800} == {"HNSW32"}
    everything = [t for t in manifest.curve[:-1] if t.items == count]
    codings = {t.index.rpartition(",")[2] for t in everything}
    assert codings - {"HNSW32"} == {"Flat", "SQ8", "RaBitQfs", "PQ4x4fs"}
    enough = [t for t in everything if policy.reached_by(t.recall_at_10, 100)]
    least = {  # the effort that suffices, of each kind
        name: min((t.nprobe, t.microseconds) for t in enough if t.index == name)
        for name in {t.index for t in enough}
    }
    assert manifest.nprobe == least[manifest.index][0]
    assert least[manifest.index][1] <= 1.3 * min(time for _, time in least.values())
    assert all(t.bytes_per_item for t in manifest.curve)
    with FaissEngine.open(store) as engine:
        exact = engine.search(vectors[:20], 10, exact=True)
        quick = engine.search(vectors[:20], 10)
        truth = np.sort(vectors[:20] @ vectors.T, axis=1)[:, ::-1][:, :10]
        np.testing.assert_allclose([[h.score for h in hits] for hits in exact], truth, atol=1e-5)
        shared = sum(len(set(a) & set(b)) for a, b in zip(exact, quick, strict=True))
        assert shared >= 180
        assert len(engine.search(vectors[:1], 2500, effort=1)[0]) == 2500  # effort rises by itself


def test_an_index_that_cannot_reach_the_recall_is_flat(tmp_path, records) -> None:
    store = tmp_path / "store"
    with open_writer(store) as writer:
        writer.upsert(records(400), fingerprint="f")
    policy = IndexPolicy(flat_limit=100, recall=1.1)
    with closing(connect(store)) as connection:
        contents = build_index(connection, store / "x", fingerprint="f", policy=policy)
        with pytest.raises(GenerationError, match="no vectors of the embedder 'g'"):
            build_index(connection, store / "x", fingerprint="g", policy=policy)
    assert (contents.index, contents.recall_at_10) == ("Flat", 1.0)
    assert len(contents.curve) > 2  # what was tried in vain is kept


def test_photo_like_queries_lie_at_the_stated_cosine(unit_vectors) -> None:
    vectors = unit_vectors(200, 24)
    moved = photo_like(vectors, 0.8, np.random.default_rng(9))
    assert moved.dtype == np.float32
    np.testing.assert_allclose((moved * vectors).sum(axis=1), 0.8, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(moved, axis=1), 1, atol=1e-5)
    line = np.array([[1.0], [-1.0]], np.float32)  # one dimension has no room to move in
    np.testing.assert_array_equal(photo_like(line, 0.8, np.random.default_rng(0)), line)


def test_recall_by_hand() -> None:
    # Twelve vectors on a circle, 10 degrees apart; the query is the first one.
    angles = np.radians(10 * np.arange(12))
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    held_out = true_neighbours(vectors[:1], [vectors[:5], vectors[5:]], 12)
    assert held_out.thresholds[0] == pytest.approx(np.cos(np.radians(90)), abs=1e-6)
    for proposed, expected in (
        (range(12), 1.0),  # all ten, and two that are not
        ([0, 1, 2, 3, 4, 5, 6, 10, 11, -1], 0.7),
        ([10, 11, -1], 0.0),
    ):
        rows = np.array([list(proposed)], np.int64)
        recall, _ = measure(
            vectors.__getitem__, held_out, lambda q, k, rows=rows: (q, rows), width=12
        )
        assert recall == pytest.approx(expected)


def test_recall_counts_an_equal_neighbour_as_found() -> None:
    vectors = np.repeat(np.eye(2, dtype=np.float32), 15, axis=0)
    held_out = true_neighbours(vectors[:1], [vectors], 30)
    last_ten = np.arange(5, 15)[None]
    assert measure(vectors.__getitem__, held_out, lambda q, k: (q, last_ten), width=10)[0] == 1.0


def test_a_full_disk_and_a_foreign_file_are_said_in_our_words(tmp_path) -> None:
    index = faiss.IndexFlatIP(64)
    index.add(np.zeros((1000, 64), np.float32))
    if Path("/dev/full").exists():
        with pytest.raises(OSError, match="No space left"):
            write_index(index, Path("/dev/full"))
        with pytest.raises(OSError, match="No space left"):  # told of only at its closing
            write_index(faiss.IndexFlatIP(4), Path("/dev/full"))
    with pytest.raises(FileNotFoundError):
        write_index(index, tmp_path / "no" / "folder")
    with pytest.raises(OSError, match="FAISS could not write"):
        write_index(faiss.IndexSplitVectors(4), tmp_path / "x")
    (tmp_path / "x").write_bytes(b"IxFIgarbage")
    with pytest.raises(GenerationCorruptError, match="no index FAISS can read"):
        load_index(tmp_path / "x")
