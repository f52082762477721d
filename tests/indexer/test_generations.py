"""Publishing: old or new, never a mixture; and what is refused, with the reason."""

import json
import shutil
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from indexer.database import ReaderPool, connect
from indexer.engines.faiss_engine import FaissEngine
from indexer.engines.faiss_index import IndexPolicy, build_index
from indexer.engines.stored import VECTORS
from indexer.errors import (
    GenerationCorruptError,
    GenerationError,
    NoGenerationError,
    NoStoreError,
    StoreBusyError,
    StoreFullError,
    UnknownGenerationError,
    VectorsGoneError,
)
from indexer.filesystem import LocalFileSystem
from indexer.generations import (
    CURRENT,
    GENERATIONS,
    INDEX,
    activate,
    current,
    garbage_collect,
    list_generations,
    list_ids,
    new_id,
    next_id,
    publish,
    read_current,
    remove_old,
    verify,
)
from indexer.locks import PUBLISHER, exclusive
from indexer.manifest import MANIFEST, checksum
from indexer.reading import find_embedder
from indexer.store import open_writer, upsert


class CrashError(Exception):
    """The machine stops here: nothing after this step happens, no clean-up either."""


class CrashingFileSystem(LocalFileSystem):
    """Crashes before step number ``fatal``; counts the steps it lets through."""

    def __init__(self, fatal: int) -> None:
        self.fatal, self.steps = fatal, 0

    def _step(self) -> None:
        if self.steps == self.fatal:
            raise CrashError
        self.steps += 1

    def make_directory(self, path):
        self._step()
        super().make_directory(path)

    def write(self, path, data):
        self._step()
        path.write_bytes(data[: len(data) // 2])  # a crash half-way through writing
        self._step()
        super().write(path, data)

    def sync(self, path):
        self._step()
        super().sync(path)

    def replace(self, source, target):
        self._step()
        super().replace(source, target)

    def remove_tree(self, path):
        self._step()
        for file in sorted(path.iterdir())[:1]:  # a crash half-way through removing
            file.unlink()
        self._step()
        super().remove_tree(path)


class FullFileSystem(LocalFileSystem):
    def sync(self, path):
        if path.name == INDEX:
            raise OSError(28, "No space left on device", str(path))
        super().sync(path)


@pytest.fixture
def make(tmp_path, records, clock):
    """Publish a generation of so many items; every one has its own id."""

    def publish_one(count=5, *, fingerprint="f", files=None, store=tmp_path / "store", seed=0):
        with open_writer(store) as writer:
            writer.upsert(records(count, seed=seed), fingerprint=fingerprint)
            with closing(ReaderPool(store)) as pool:

                def build(path: Path):
                    with pool.read() as connection:
                        return build_index(
                            connection, path, fingerprint=fingerprint, policy=IndexPolicy()
                        )

                return publish(store, build, clock=clock, files=files)

    return publish_one


def test_a_published_generation_says_what_it_is(make, store) -> None:
    made = make(7)
    manifest = current(store).manifest
    assert manifest == made.manifest == verify(store, made.id)
    assert (store / CURRENT).read_text() == f"{made.id}\n"
    assert made.id.startswith("20261123T1833")
    assert manifest.created == "2026-11-23T18:33:02+00:00"
    assert (manifest.count, manifest.dim, manifest.fingerprint) == (7, 8, "f")
    assert (manifest.index, manifest.nprobe, manifest.change) == ("Flat", 0, 1)
    assert manifest.recall_at_10 == 1.0
    assert manifest.recall_queries == 7
    assert set(manifest.files) == {INDEX, VECTORS}
    assert manifest.files[INDEX].bytes == (made.path / INDEX).stat().st_size
    assert sorted(path.name for path in made.path.iterdir()) == [INDEX, MANIFEST, VECTORS]


def test_ids_sort_by_age_even_if_the_clock_goes_back(make, store, clock) -> None:
    ids = [make().id, make().id]
    clock.now -= timedelta(days=3)
    ids += [make().id, make().id]
    assert ids == sorted(set(ids)) == list_ids(store)
    assert [g.current for g in list_generations(store)] == [False, False, False, True]


def test_ids_are_unique_within_a_tick(tmp_path) -> None:
    now = datetime(2026, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    first = new_id(tmp_path, lambda: now)
    assert first == "20261231T235959Z-ffff"
    assert next_id(first) == "20270101T000000Z-0000"
    (tmp_path / GENERATIONS / first).mkdir(parents=True)
    assert new_id(tmp_path, lambda: now) == "20270101T000000Z-0000"


def test_rollback_and_forward_again(make, store) -> None:
    old, new = make(3), make(5)
    with FaissEngine.open(store) as engine:
        assert activate(store, old.id).id == old.id
        assert current(store).id == old.id
        assert engine.refresh() is True
        assert engine.generation == old.id
        assert len(engine) == 5  # what came since lies beside the old index: nothing is lost
        assert activate(store, new.id).current
        assert engine.refresh() is True


def test_unknown_and_foreign_ids(make, store) -> None:
    made = make()
    for name in ("20200101T000000Z-0000", "../store", "", "."):
        with pytest.raises(UnknownGenerationError, match=made.id):
            activate(store, name)
    assert current(store).id == made.id
    with pytest.raises(NoStoreError):
        activate(store.parent / "none", made.id)
    with pytest.raises(NoStoreError):
        list_generations(store.parent / "none")


def test_no_generation_yet(store, records) -> None:
    with open_writer(store) as writer:
        writer.upsert(records(1), fingerprint="f")
    assert current(store) is None
    assert list_generations(store) == []
    with pytest.raises(NoGenerationError, match="niteru index CATALOGUE --store"):
        FaissEngine.open(store)


def damage(path: Path, kind: str) -> None:
    data = path.read_bytes()
    if kind == "missing":
        path.unlink()
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "truncated":
        path.write_bytes(data[: len(data) * 2 // 3])
    elif kind == "flipped":
        middle = len(data) // 2
        path.write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
    else:
        path.write_bytes(b"\x89PNG\r\n\x1a\n" * 40)


@pytest.mark.parametrize("kind", ["missing", "empty", "truncated", "flipped", "foreign"])
@pytest.mark.parametrize("name", [INDEX, MANIFEST, VECTORS])
def test_damaged_files_are_refused_and_the_last_good_generation_serves(
    make, store, name, kind
) -> None:
    good, bad = make(3), make(6)
    activate(store, good.id)
    with FaissEngine.open(store) as engine:
        damage(bad.path / name, kind)
        with pytest.raises(GenerationCorruptError, match=bad.id):
            activate(store, bad.id)
        assert current(store).id == good.id
        (store / CURRENT).write_text(bad.id)
        for _ in range(2):
            with pytest.raises(GenerationCorruptError, match=name):
                engine.refresh()
        assert engine.generation == good.id
        assert len(engine) == 6
        with pytest.raises(GenerationCorruptError):
            FaissEngine.open(store)
    assert [g.id for g in list_generations(store)] == [good.id, bad.id]


def test_a_manifest_that_was_edited_or_moved_is_refused(make, store) -> None:
    made = make()
    path = made.path / MANIFEST
    body = json.loads(path.read_bytes())
    path.write_text(json.dumps({**body, "recall_at_10": 0.999}))
    with pytest.raises(GenerationCorruptError, match="checksum differs"):
        verify(store, made.id)
    del body["checksum"]
    for change, reason in (
        ({"format": 2}, "format 2, this niteru reads 1"),
        ({"colour": "red"}, "colour"),
        ({"count": 0}, "count"),
        ({"id": "20200101T000000Z-0000"}, "belongs to generation '20200101T000000Z-0000'"),
    ):
        changed = {**body, **change}
        path.write_text(json.dumps({**changed, "checksum": checksum(changed)}))
        with pytest.raises(GenerationCorruptError, match=reason):
            verify(store, made.id)


def test_a_damaged_current_is_named_with_a_way_out(make, store) -> None:
    made = make()
    for content in (b"", b"../../etc", b"\xff\xfe", b"20261123T183300Z-00"):
        (store / CURRENT).write_bytes(content)
        with pytest.raises(GenerationCorruptError, match=f"{made.id} with: niteru rollback"):
            current(store)
        assert [g.current for g in list_generations(store)] == [False]
    activate(store, made.id)
    assert current(store).id == made.id


def test_an_older_copy_of_the_items_does_not_meet_a_newer_index(make, store) -> None:
    make(3)
    for suffix in ("-wal", "-shm"):
        (store / f"items.sqlite{suffix}").unlink(missing_ok=True)
    shutil.copy(store / "items.sqlite", store / "copy")
    make(6, seed=1)
    (store / "copy").replace(store / "items.sqlite")
    with pytest.raises(VectorsGoneError, match="an older copy was put back"):
        FaissEngine.open(store)


def test_a_crash_before_any_step_of_a_publish_leaves_old_or_new(make, store, tmp_path) -> None:
    old = make(3)
    shutil.copytree(store, tmp_path / "base")
    outcomes = []
    for fatal in range(100):
        shutil.rmtree(store)
        shutil.copytree(tmp_path / "base", store)
        files = CrashingFileSystem(fatal)
        try:
            made = make(6, files=files)
        except CrashError:
            made = None
        outcomes.append(read_current(store) == old.id)
        verify(store, read_current(store))
        with FaissEngine.open(store) as engine:
            assert len(engine) == 6  # the items were committed before
        after = make(7)
        assert current(store).id == after.id
        assert not list((store / GENERATIONS).glob(".*"))
        if made is not None:
            break
    assert made is not None
    assert outcomes == sorted(outcomes, reverse=True)  # old, old, ..., then new
    assert outcomes.count(True) >= 8
    assert outcomes.count(False) >= 2


def test_a_crash_before_any_step_of_a_rollback_leaves_old_or_new(make, store) -> None:
    old, new = make(3), make(4)
    for fatal in range(20):
        activate(store, new.id)
        files = CrashingFileSystem(fatal)
        try:
            activate(store, old.id, files=files)
        except CrashError:
            assert current(store).id in (old.id, new.id)
        else:
            break
    assert files.steps == 4
    assert current(store).id == old.id


def test_a_crash_while_collecting_leaves_no_half_generation(make, store) -> None:
    for fatal in range(20):
        while len(list_ids(store)) < 3:
            make()
        files = CrashingFileSystem(fatal)
        try:
            garbage_collect(store, keep=1, files=files)
        except CrashError:
            for generation in list_ids(store):
                verify(store, generation)
            continue
        break
    assert len(list_ids(store)) == 1
    assert not list((store / GENERATIONS).glob(".*"))


def test_a_full_disk_leaves_the_old_generation_and_takes_no_space(make, store) -> None:
    old = make(3)
    with pytest.raises(StoreFullError, match="free some space"):
        make(6, files=FullFileSystem())
    assert current(store).id == old.id
    assert [path.name for path in (store / GENERATIONS).iterdir()] == [old.id]
    make(6)


def test_collecting_keeps_the_newest_and_the_current(make, store) -> None:
    ids = [make().id for _ in range(5)]
    activate(store, ids[0])
    assert garbage_collect(store, keep=2) == ids[1:3]
    assert list_ids(store) == [ids[0], *ids[3:]]
    assert garbage_collect(store, keep=2) == []
    with pytest.raises(ValueError, match="keep must be at least 1"):
        garbage_collect(store, keep=0)
    with open_writer(store) as writer, pytest.raises(StoreBusyError):
        garbage_collect(store)
    assert remove_old(writer, keep=5) == []


def test_vectors_go_with_the_last_generation_of_their_embedder(make, store, records) -> None:
    make(4, fingerprint="old-weights")
    engine = FaissEngine.open(store)
    with open_writer(store) as writer:  # an indexing that was interrupted before its first publish
        writer.upsert(records(2), fingerprint="next-weights")
    for _ in range(2):
        make(4, fingerprint="new-weights")
    with closing(connect(store)) as connection:
        garbage_collect(store, keep=3)
        assert find_embedder(connection, "old-weights") is not None
        assert len(engine.search(engine.vectors(["a01"])[0][None], 9)[0]) == 4
        query = engine.vectors(["a01"])[0][None]
        assert garbage_collect(store, keep=2) == []  # the engine answers from the old one
        assert find_embedder(connection, "old-weights") is not None
        engine._lease.release()  # as if it ran on another machine, where no lock is seen
        garbage_collect(store, keep=2)
        assert find_embedder(connection, "old-weights") is None
        assert find_embedder(connection, "next-weights") is not None
        assert find_embedder(connection, "new-weights") is not None
    with pytest.raises(GenerationError, match=r"old-weights.*were garbage-collected"):
        engine.search(query, 3)
    engine.close()


def test_a_rollback_waits_for_nobody_but_is_refused_while_another_switches(
    make, store, monkeypatch
) -> None:
    old, _ = make(), make()
    with open_writer(store):
        activate(store, old.id)  # a run that indexes does not hold up a rollback
    monkeypatch.setattr("indexer.generations.PUBLISHER_WAIT", 0.1)
    with exclusive(store, PUBLISHER), pytest.raises(StoreBusyError):
        activate(store, old.id)


def test_upserts_survive_beside_the_generation(make, store, records) -> None:
    make(3)
    upsert(store, records(2, seed=8, first=10), fingerprint="f")
    with FaissEngine.open(store) as engine:
        assert (len(engine), engine.pending) == (5, 2)
    make(3)
    with FaissEngine.open(store) as engine:
        assert (len(engine), engine.pending) == (5, 0)
