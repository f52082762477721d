"""kill -9 at random moments: what was acknowledged is there, what answers is whole."""

import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

import indexer
from indexer.catalogues import open_catalogue
from indexer.database import connect
from indexer.embedders import ColourLayoutEmbedder
from indexer.engines.faiss_engine import FaissEngine
from indexer.generations import read_current, verify
from indexer.pipeline import index_catalogue
from indexer.reading import count_vectors, find_items

CHECKOUT = Path(indexer.__file__).parents[1]
CHILD = Path(__file__).parent / "kill_child.py"
PHOTOS = 300


def kill_later(arguments: list[object], seconds: float) -> list[int]:
    """Start the child, kill it so long after its first word, and give what it acknowledged."""
    command = [sys.executable, str(CHILD), *map(str, arguments)]
    with subprocess.Popen(
        command, cwd=CHECKOUT, env={"PYTHONPATH": str(CHECKOUT)}, stdout=subprocess.PIPE, text=True
    ) as child:
        first = child.stdout.readline()
        time.sleep(seconds)
        child.kill()
        lines = [first, *child.stdout.read().splitlines(keepends=True)]
    return [int(line) for line in lines if line.endswith("\n")]


def test_indexing_goes_on_where_it_was_killed(tmp_path, put_photo) -> None:
    folder, store, embedder = tmp_path / "photos", tmp_path / "store", ColourLayoutEmbedder()
    for seed in range(PHOTOS):
        put_photo(folder / f"{seed:03}.png", seed)
    stored = 0
    for seconds in np.random.default_rng(7).uniform(0, 0.25, 4):
        acknowledged = kill_later(["index", store, folder], seconds)
        assert acknowledged
        with closing(connect(store)) as connection:
            before, stored = stored, count_vectors(connection, 1)
            (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
        assert verdict == "ok"
        assert stored >= max(acknowledged[-1], before)
        current = read_current(store)
        if current is not None:  # it was quicker than the kill
            verify(store, current)
    report = index_catalogue(open_catalogue(folder), store, embedder, workers=1, batch=16)
    assert report.items == PHOTOS
    assert report.embedded == PHOTOS - stored
    assert report.failures == ()
    with FaissEngine.open(store, fingerprint=embedder.fingerprint) as engine:
        assert len(engine) == PHOTOS


def replay(seed: int, count: int) -> dict[str, str]:
    """The items after the first ``count`` changes of the child's history: id and hash."""
    rng, items = np.random.default_rng(seed), {}
    for number in range(count):
        name, delete = f"i{rng.integers(30):02}", number > 3 and rng.random() < 0.4
        rng.standard_normal(8)
        if delete:
            items.pop(name, None)
        else:
            items[name] = str(number)
    return items


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_acknowledged_changes_survive_and_deleted_items_stay_away(tmp_path, seed) -> None:
    seconds = np.random.default_rng(seed).uniform(0.05, 0.5)
    acknowledged = kill_later(["change", tmp_path, seed], seconds)
    assert acknowledged == list(range(len(acknowledged)))
    names = [f"i{number:02}" for number in range(30)]
    with closing(connect(tmp_path)) as connection:
        items = {item.id: item.sha256 for item in find_items(connection, names) if item}
    # The change under way when the kill came was committed or was not.
    assert items in (replay(seed, len(acknowledged)), replay(seed, len(acknowledged) + 1))
    current = read_current(tmp_path)
    if current is None:
        assert len(acknowledged) < 9
        return
    verify(tmp_path, current)
    with FaissEngine.open(tmp_path) as engine:
        assert len(engine) == len(items)
        query = np.eye(1, 8, dtype=np.float32)
        assert {hit.id for hit in engine.search(query, 99)[0]} == set(items)
