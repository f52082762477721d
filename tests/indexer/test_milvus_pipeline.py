"""Indexing a catalogue into Milvus: the same run, published as collections behind an alias."""

import os
from contextlib import closing

import numpy as np
import pytest

from indexer.catalogues import open_catalogue
from indexer.embedders import ColourLayoutEmbedder
from indexer.engines.choice import EngineChoice
from indexer.engines.faiss_engine import FaissEngine
from indexer.errors import MilvusError
from indexer.garbage import collect
from indexer.pipeline import index_catalogue
from tests.indexer.conftest import LONG_AGO, CountingEmbedder, encode_photo

pytest.importorskip("pymilvus", reason="pymilvus is not installed: pip install '.[milvus]'")

from indexer.milvus_doctor import examine_milvus


@pytest.fixture
def choice(milvus_lite, request):
    """The shared server, under a name of this test's own."""
    return EngineChoice("milvus", milvus_lite.uri, f"p{abs(hash(request.node.name))}")


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "photos"
    made.mkdir()
    for number in range(20):
        path = made / f"{number:02}.png"
        path.write_bytes(encode_photo(number))
        os.utime(path, (LONG_AGO, LONG_AGO))  # a new file is looked at again, and counts as changed
    return made


def index(choice, folder, store, embedder, **options):
    with closing(choice.generations(store)) as generations:
        return index_catalogue(
            open_catalogue(folder), store, embedder, workers=1, batch=8, generations=generations,
            **options,
        )  # fmt: skip


def test_both_engines_answer_the_same_of_one_catalogue(choice, folder, tmp_path):
    embedder = ColourLayoutEmbedder()
    report = index(choice, folder, tmp_path / "milvus", embedder)
    assert (report.published, report.items) == (True, 20)
    assert not (tmp_path / "milvus" / "generations").exists()
    index_catalogue(open_catalogue(folder), tmp_path / "faiss", embedder, workers=1, batch=8)
    queries = embedder.embed(
        np.stack([embedder.preprocessing.read(encode_photo(n)) for n in (3, 77)])
    )
    with (
        choice.open(tmp_path / "milvus", fingerprint=embedder.fingerprint) as milvus,
        FaissEngine.open(tmp_path / "faiss") as faiss,
    ):
        assert milvus.search(queries, 20) == faiss.search(queries, 20)
        assert milvus.generation == report.generation
        names = [f"{number:02}" for number in range(20)]
        assert milvus.get(names) == faiss.get(names)
        assert sorted(milvus.layout()) == sorted(faiss.layout())


def test_a_run_after_small_changes_goes_into_the_collection_there_is(choice, folder, tmp_path):
    store, embedder = tmp_path / "store", CountingEmbedder()
    first = index(choice, folder, store, embedder)
    (folder / "00.png").unlink()
    (folder / "new.png").write_bytes(encode_photo(99))
    second = index(choice, folder, store, embedder, prune=True)
    assert (second.published, second.generation) == (False, first.generation)
    assert "20 items already, 1 embedded now" in second.message
    assert embedder.seen == 21
    with choice.open(tmp_path / "elsewhere") as engine:  # the run itself has brought it up
        assert len(engine) == 20
        assert [item is None for item in engine.get(["00", "new"])] == [True, False]


def test_a_run_after_large_changes_makes_a_new_collection(choice, folder, tmp_path):
    store, embedder = tmp_path / "store", CountingEmbedder()
    first = index(choice, folder, store, embedder)
    for number in range(100, 110):
        (folder / f"{number}.png").write_bytes(encode_photo(number))
    second = index(choice, folder, store, embedder)
    assert second.published
    with closing(choice.generations(store)) as generations:
        assert [g.id for g in generations.listed()] == [first.generation, second.generation]
        assert generations.read_sound().count == 30


def test_other_weights_are_published_beside_what_answers(choice, folder, tmp_path):
    store = tmp_path / "store"
    first = index(choice, folder, store, CountingEmbedder())
    with choice.open(store) as engine:
        second = index(choice, folder, store, CountingEmbedder(name="others"), keep=1)
        assert second.collected == (first.generation,)
        with choice.open(store, fingerprint="others") as other:
            assert len(other) == 20
        assert engine.generation == first.generation


def test_a_collection_that_has_lost_items_is_made_again(choice, folder, tmp_path):
    store, embedder = tmp_path / "store", CountingEmbedder()
    first = index(choice, folder, store, embedder)
    with closing(choice.generations(store)) as generations:
        server = generations.server
        server.call("delete", server.find_alias(choice.name), filter='key < "8"')
    second = index(choice, folder, store, embedder)
    assert (second.published, embedder.seen) == (True, 20)
    assert second.generation != first.generation


def test_a_server_that_refuses_leaves_what_was_stored(choice, folder, tmp_path):
    store, embedder = tmp_path / "store", CountingEmbedder()
    other = EngineChoice("milvus", choice.uri, f"{choice.name}b")
    index(choice, folder, store, embedder)
    strange = tmp_path / "strange"
    with pytest.raises(MilvusError, match="another store"):
        index(choice, folder, strange, embedder)
    report = index(other, folder, strange, embedder)
    assert (embedder.seen, report.unchanged, report.published) == (40, 20, True)


def test_the_doctor_looks_at_the_server(choice, folder, tmp_path):
    store, embedder = tmp_path / "store", CountingEmbedder()

    def told(**options):
        found = examine_milvus(store, choice, **options)
        return [f"{finding.severity}: {finding.what}" for finding in found]

    report = index(choice, folder, store, embedder)
    well = told(fingerprint=embedder.fingerprint)
    assert all(line.startswith("note") for line in well)
    assert any(f"'{report.generation}' answers" in line for line in well)
    assert any("made with these weights" in line for line in well)
    assert any(line.startswith("error: The index was made") for line in told(fingerprint="no"))
    with closing(choice.generations(store)) as generations:
        server, name = generations.server, generations.name
        collection = server.find_alias(name)
        server.call("delete", collection, filter='key < "8"')
        assert any("of 20 items" in line for line in told() if line.startswith("error"))
        server.call("drop_alias", name)
        assert any(line.startswith("error: The alias") for line in told())
        server.call("drop_collection", collection)
        assert any(line.startswith("warning: Nothing was published") for line in told())


def test_vectors_go_with_the_last_collection_of_their_weights(choice, folder, tmp_path):
    store, embedder = tmp_path / "store", CountingEmbedder()
    first = index(choice, folder, store, embedder)
    index(choice, folder, store, CountingEmbedder(name="others"))
    with closing(choice.generations(store)) as generations:
        assert not collect(store, generations)
        done = collect(store, generations, keep=1)
        assert [old.id for old in done.generations] == [first.generation]
        assert [one.fingerprint for one in done.vectors] == [embedder.fingerprint]
        assert len(generations.listed()) == 1
    with choice.open(store, fingerprint="others") as engine:
        assert len(engine) == 20
