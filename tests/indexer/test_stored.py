"""The file of vectors and ids beside an index, and generations from before there was one."""

import json
import os
from contextlib import closing

import numpy as np
import pytest

from indexer import checked
from indexer.database import ReaderPool, connect
from indexer.engines import choosing
from indexer.engines.faiss_engine import FaissEngine
from indexer.engines.faiss_index import IndexPolicy, build_index
from indexer.engines.stored import VECTORS, InDatabase, Stored, write_stored
from indexer.errors import GenerationCorruptError, GenerationError
from indexer.generations import activate, publish, verify
from indexer.protocols import Item
from indexer.store import Record, delete, open_writer, upsert


@pytest.fixture
def make(tmp_path):
    """Publish what the store holds; ``old`` leaves the vectors' file out, as it once was."""
    store = tmp_path / "store"

    def publish_one(*, old=False):
        with open_writer(store), closing(ReaderPool(store)) as pool:

            def build(path):
                with pool.read() as connection:
                    contents = build_index(
                        connection, path, fingerprint="f", policy=IndexPolicy(flat_limit=30)
                    )
                if old:
                    path.with_name(VECTORS).unlink()
                return contents

            return publish(store, build)

    return publish_one


def put(store, vectors, start=0, names="é{:03}"):
    records = [
        Record(Item(names.format(start + n), "u", f"{start + n}"), vector)
        for n, vector in enumerate(vectors)
    ]
    with open_writer(store) as writer:
        writer.upsert(records, fingerprint="f")


def test_what_was_written_is_read_back(store, unit_vectors) -> None:
    vectors = unit_vectors(40, 8)
    put(store, vectors, names="é" * 3 + "{}")  # ids of several lengths, in several bytes
    for gaps in (False, True):
        if gaps:
            delete(store, ["ééé3", "ééé39"])
        kept = np.array([n for n in range(40) if not (gaps and n in (3, 39))])
        with closing(connect(store)) as connection:
            stored = write_stored(connection, store / VECTORS, embedder=1, dim=8, count=len(kept))
            some = stored.rows[[30, 2, 5]]
            assert some.tolist() == [kept[30] + 1, kept[2] + 1, kept[5] + 1]
            for truth in (stored, InDatabase(1, 8)):
                np.testing.assert_array_equal(
                    truth.vectors(connection, some), vectors[kept[[30, 2, 5]]]
                )
                assert truth.ids(connection, some) == [f"ééé{kept[n]}" for n in (30, 2, 5)]
                for rows, expected in ((None, kept), (stored.rows[[4, 8]], kept[[4, 8]])):
                    ((numbers, found),) = truth.stream(connection, rows)
                    np.testing.assert_array_equal(numbers, expected + 1)
                    np.testing.assert_array_equal(found, vectors[expected])
            with pytest.raises(GenerationError, match="7 vectors, and"):
                write_stored(connection, store / "x", embedder=1, dim=8, count=7)


def test_a_file_of_another_size_is_refused(store, unit_vectors) -> None:
    put(store, unit_vectors(40, 8))
    with closing(connect(store)) as connection:
        write_stored(connection, store / VECTORS, embedder=1, dim=8, count=40)
    for count, dim in ((39, 8), (40, 7), (4000, 8)):
        with pytest.raises(GenerationCorruptError, match=f"{count} vectors of {dim}"):
            Stored.open(store / VECTORS, count, dim)


def test_a_generation_without_the_file_answers_the_same(
    store, make, unit_vectors, monkeypatch
) -> None:
    # Rounded, so that an exact search is a scan.
    monkeypatch.setattr(choosing, "KINDS", [k for k in choosing.KINDS if k.coding == "SQ8"])
    vectors = unit_vectors(100, 8)
    vectors[50:60] = vectors[3]  # ties are told by ids
    put(store, vectors[:80])
    old, new = make(old=True), make()
    assert VECTORS not in old.manifest.files
    assert VECTORS in new.manifest.files
    put(store, vectors[80:], start=80)
    delete(store, ["é004", "é085"])
    upsert(store, [Record(Item("é007", "u", "x"), vectors[3])], fingerprint="f")
    answers = []
    for generation in (old, new):
        activate(store, generation.id)
        with FaissEngine.open(store) as engine:
            answers.append(
                [
                    engine.search(vectors[:20], 12, exact=exact, exclude=exclude)
                    for exact in (False, True)
                    for exclude in ((), ("é003", "é081", "none"))
                ]
            )
    assert answers[0] == answers[1]
    tied = [hit.id for hit in answers[1][0][3]][:12]
    assert tied[:12] == ["é003", "é007", *(f"é{n:03}" for n in range(50, 60))]


@pytest.fixture
def reads(monkeypatch):
    """The names of the files that are hashed, all of which count as large and settled."""
    monkeypatch.setattr(checked, "LARGE", 1)
    monkeypatch.setattr(checked, "SETTLED_NS", -(10**12))
    from indexer import manifest  # noqa: PLC0415 - what is replaced in it

    names, plain = [], manifest.hash_file
    monkeypatch.setattr(manifest, "hash_file", lambda p: (names.append(p.name), plain(p))[1])
    return names


def test_a_large_file_is_hashed_once(store, make, unit_vectors, reads) -> None:
    put(store, unit_vectors(40, 8))
    made = make()
    for _ in range(2):
        reads.clear()
        FaissEngine.open(store).close()
        assert reads == []  # whoever published has read them
    verify(store, made.id)
    assert sorted(reads) == sorted(made.manifest.files)  # a full check reads everything

    reads.clear()
    path = made.path / VECTORS
    data, status = path.read_bytes(), path.stat()
    path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # it looks as old as it was
    with pytest.raises(GenerationCorruptError, match=f"{VECTORS} was altered"):
        FaissEngine.open(store)
    path.write_bytes(data)
    reads.clear()
    for expected in ([VECTORS], []):
        FaissEngine.open(store).close()
        assert reads == expected
        reads.clear()


def test_a_note_that_is_missing_damaged_or_of_something_else_is_worth_nothing(
    store, make, unit_vectors, reads
) -> None:
    put(store, unit_vectors(40, 8))
    made = make()
    note = made.path / checked.CHECKED
    said = json.loads(note.read_bytes())
    for text in (b"", b"{", b"[]", b'{"index.faiss": 1}', json.dumps({VECTORS: said[VECTORS]})):
        note.write_bytes(text if isinstance(text, bytes) else text.encode())
        reads.clear()
        FaissEngine.open(store).close()
        assert "index.faiss" in reads
    note.write_text(json.dumps({name: ["0" * 64, s] for name, (_, s) in said.items()}))
    reads.clear()
    FaissEngine.open(store).close()
    assert sorted(reads) == sorted(made.manifest.files)


def test_small_files_and_those_just_written_are_not_noted(store, make, unit_vectors) -> None:
    put(store, unit_vectors(40, 8))
    made = make()
    FaissEngine.open(store).close()
    assert not (made.path / checked.CHECKED).exists()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checked, "LARGE", 1)
        patch.setattr(checked, "SETTLED_NS", 10**12)
        FaissEngine.open(store).close()
        assert not (made.path / checked.CHECKED).exists()
