"""Indexing when something is wrong: nothing is lost, and nothing half-made answers."""

import os
from dataclasses import dataclass, field

import numpy as np
import pytest

from indexer import database
from indexer.catalogues import MemoryCatalogue, open_catalogue
from indexer.embedders import ColourLayoutEmbedder
from indexer.engines.faiss_engine import FaissEngine
from indexer.errors import (
    EmbedderError,
    NothingToIndexError,
    StoreBusyError,
    StoreFullError,
)
from indexer.filesystem import LocalFileSystem
from indexer.generations import INDEX, current, list_ids
from indexer.protocols import Entry, Pixels, Vectors
from indexer.report import Progress


def test_an_empty_catalogue_changes_nothing(run, tmp_path, store) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(NothingToIndexError, match="no photo was found"):
        run(catalogue=open_catalogue(empty))
    assert not store.exists()
    first = run()
    with pytest.raises(NothingToIndexError):
        run(catalogue=open_catalogue(empty), prune=True)
    assert current(store).id == first.generation


def test_a_catalogue_without_a_usable_photo_changes_nothing(run, store) -> None:
    first = run()
    gone = MemoryCatalogue([Entry(f"x{n}", f"/unmounted/{n}.jpg") for n in range(5)])
    with pytest.raises(NothingToIndexError, match=r"None of the 5 photos.*No such file"):
        run(catalogue=gone, prune=True)
    assert current(store).id == first.generation
    with FaissEngine.open(store) as engine:
        assert len(engine) == 12


def test_a_damaged_generation_is_built_again(run, store) -> None:
    first = run()
    index = store / "generations" / first.generation / INDEX
    index.write_bytes(index.read_bytes()[:-1])
    second = run()
    assert second.published
    assert second.embedded == 0
    assert FaissEngine.open(store).generation == second.generation


def test_two_runs_at_once(run, store) -> None:
    refused: list[StoreBusyError] = []

    def second(_: Progress) -> None:
        with pytest.raises(StoreBusyError, match=str(os.getpid())) as caught:
            run()
        refused.append(caught.value)

    assert run(progress=second).published
    assert refused


def test_old_generations_are_collected(run, photos, put_photo, store) -> None:
    for seed in range(5):
        put_photo(photos / f"new{seed}.png", 200 + seed)
        report = run(keep=2)
    assert len(report.collected) == 1
    assert len(list_ids(store)) == 2


def test_a_full_disk_while_storing_keeps_what_was_stored(run, photos, put_photo, monkeypatch):
    for seed in range(300):
        put_photo(photos / f"many/{seed:03}.png", 1000 + seed)
    monkeypatch.setattr("indexer.pipeline.COMMIT_RECORDS", 16)
    with monkeypatch.context() as patch:
        limited = (*database.WRITER_PRAGMAS, "max_page_count=60")
        patch.setattr(database, "WRITER_PRAGMAS", limited)
        with pytest.raises(StoreFullError, match="Everything stored so far is kept"):
            run()
    report = run()
    assert report.items == 312
    assert 16 <= report.unchanged < 312
    assert report.embedded == 312 - report.unchanged


def test_a_full_disk_while_publishing_keeps_the_old_generation(run, photos, put_photo, store):
    class FullFileSystem(LocalFileSystem):
        def write(self, path, data):
            raise OSError(28, "No space left on device", str(path))

    first = run()
    put_photo(photos / "new.png", 77)
    with pytest.raises(StoreFullError):
        run(files=FullFileSystem())
    assert current(store).id == first.generation
    with FaissEngine.open(store) as engine:
        assert len(engine) == 13  # the new item is stored, and found beside the old index
    report = run()
    assert (report.published, report.embedded) == (True, 0)


@dataclass(frozen=True)
class BrokenEmbedder:
    """Gives what no embedder may give."""

    kind: str = "nan"
    inner: ColourLayoutEmbedder = field(default_factory=ColourLayoutEmbedder)

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def embed(self, pixels: Pixels) -> Vectors:
        vectors = self.inner.embed(pixels)
        if self.kind == "shape":
            return vectors[:, :-1]
        if self.kind == "dtype":
            return vectors.astype(np.float64)
        vectors[pixels[:, 0, 0, 0] < 128] = np.nan
        return vectors


def test_an_embedder_that_breaks_its_promise(run, photos) -> None:
    for kind in ("shape", "dtype"):
        with pytest.raises(EmbedderError, match="expected float32 of shape"):
            run(BrokenEmbedder(kind=kind))
    twin = photos / "twin.png"
    twin.write_bytes((photos / "b/04.png").read_bytes())  # equal to a photo that gives no vector
    report = run(BrokenEmbedder(), batch=1, workers=1)
    twin.unlink()
    assert {"b/04", "twin"} <= {failure.id for failure in report.failures}
    assert 0 < len(report.failures) < 12
    assert "has length nan" in report.failures[0].reason
    assert report.items == 13 - len(report.failures)
