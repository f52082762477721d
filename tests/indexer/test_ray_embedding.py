"""Ray workers against threads: the same store, whatever happens to a node."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

import indexer
from indexer.catalogues import open_catalogue
from indexer.database import connect
from indexer.embedders import ColourLayoutEmbedder
from indexer.pipeline import index_catalogue

CHECKOUT = Path(indexer.__file__).parents[1]
CHILD = Path(__file__).parent / "ray_child.py"
PHOTOS = 240
SECONDS = 240.0  # for a run, which takes 20 to 30 on two busy cores; more is a hang
ENVIRONMENT = {
    "PYTHONPATH": str(CHECKOUT),
    "OMP_NUM_THREADS": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # so that a cluster stays on the loopback interface
    "RAY_worker_niceness": "0",
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        find_spec("ray") is None, reason="ray is not installed: pip install '.[ray]'"
    ),
]


@dataclass
class Nodes:
    """A cluster of two nodes in other processes."""

    process: subprocess.Popen[str]
    address: str

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, **ENVIRONMENT, "RAY_ADDRESS": self.address}

    def lose_one(self) -> None:
        """Kill the second node; returns when it is dead."""
        self.process.stdin.write("kill\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "killed\n"


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    # A group of its own, so that nothing of it is left behind.
    with subprocess.Popen(
        [sys.executable, str(CHILD), "cluster"], cwd=CHECKOUT, env={**os.environ, **ENVIRONMENT},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            address = process.stdout.readline().strip()
            assert address.startswith("127.0.0.1:")
            yield Nodes(process, address)
            process.stdin.close()
            process.wait(30)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture
def notes(tmp_path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    return folder


@contextmanager
def started(nodes, store, catalogue, notes, *, seconds=0.0, grid=4, stop=None):
    """A run with Ray, which is killed when it takes too long; what it complains of is a file."""
    settings = json.dumps({"seconds": seconds, "grid": grid, "stop": stop})
    words = [sys.executable, str(CHILD), "index", *map(str, (store, catalogue, notes)), settings]
    with (
        notes.with_name("complaints").open("w") as complaints,
        subprocess.Popen(
            words, cwd=CHECKOUT, env=nodes.environment, text=True,
            stdout=subprocess.PIPE, stderr=complaints,
        ) as process,
    ):  # fmt: skip
        timer = threading.Timer(SECONDS, process.kill)
        timer.start()
        try:
            yield process
        finally:
            timer.cancel()
            process.kill()


def index(nodes, store, catalogue, notes, **settings):
    """A run with Ray; gives its report, None if there is none, and what it complained of."""
    with started(nodes, store, catalogue, notes, **settings) as process:
        said = process.stdout.read()
        status = process.wait()
    complaints = notes.with_name("complaints").read_text()
    return json.loads(said.splitlines()[-1]) if status == 0 else None, complaints


def content(store):
    """All that a store says of its items, by id, and the vectors of each."""
    with closing(connect(store)) as connection:
        return connection.execute(
            "SELECT i.id, i.uri, i.sha256, i.size, i.mtime_ns, i.attributes, e.fingerprint, "
            "v.sha256, v.vector FROM items i LEFT JOIN vectors v ON v.item = i.item "
            "AND v.removed IS NULL LEFT JOIN embedders e ON e.embedder = v.embedder "
            "WHERE i.deleted = 0 ORDER BY i.id"
        ).fetchall()


def written(folder, lines):
    manifest = folder / "items.jsonl"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return manifest


def test_the_store_is_as_threads_make_it(nodes, notes, photos, put_photo, tmp_path):
    put_photo(photos / "bad/empty.jpg", data=b"")
    put_photo(photos / "twin.png", 3)
    lines = [
        {"id": path.stem, "path": str(path), "price": n, "brand": None if n % 2 else "ü"}
        for n, path in enumerate(sorted(photos.rglob("*.*")))
    ]
    lines.append({"id": "gone", "path": str(photos / "nowhere.png")})
    catalogue, other = written(photos, lines), {"ray": tmp_path / "ray", "threads": tmp_path / "t"}

    def both():
        local = index_catalogue(
            open_catalogue(catalogue), other["threads"], ColourLayoutEmbedder(), workers=1, batch=8
        )
        report, complaints = index(nodes, other["ray"], catalogue, notes)
        assert report is not None, complaints
        assert content(other["ray"]) == content(other["threads"])
        assert [list(f.values()) for f in report["failures"]] == [
            [f.id, f.uri, f.reason] for f in local.failures
        ]
        for name in ("entries", "described", "unchanged", "items", "published", "stopped"):
            assert report[name] == getattr(local, name)
        assert report["embedded"] + report["reused"] == local.embedded + local.reused
        return local, report

    _, report = both()
    assert (report["items"], len(report["failures"])) == (13, 2)
    # Another photo, another price, the same photo written again, a known photo under another name.
    put_photo(Path(lines[0]["path"]), 100, when=1_600_000_001)
    put_photo(Path(lines[2]["path"]), data=Path(lines[2]["path"]).read_bytes(), when=1_600_000_002)
    lines[1]["price"] = 999
    lines.append({"id": "renamed", "path": lines[4]["path"]})
    written(photos, lines)
    looked = sum(int(word) for note in notes.iterdir() for word in note.read_text().split())
    local, report = both()
    assert (report["embedded"], report["reused"]) == (local.embedded, local.reused) == (1, 1)
    again = sum(int(word) for note in notes.iterdir() for word in note.read_text().split())
    assert again - looked == 1


def test_a_node_with_other_weights_is_named(nodes, notes, photos, store):
    report, complaints = index(nodes, store, photos, notes, grid=2)
    assert report is None
    assert "WorkersError: The node 127.0.0.1 cannot embed: its weights are" in complaints
    assert content(store) == []


def command(address, photos, store):
    """``niteru index --workers ray`` with the shipped weights."""
    words = ["index", str(photos), "--store", str(store), "--workers", "ray", "--json"]
    return subprocess.run(
        [sys.executable, "-c", "from service.cli import main; main()", *words],
        cwd=CHECKOUT, env={**os.environ, **ENVIRONMENT, "RAY_ADDRESS": address},
        capture_output=True, text=True, check=False, timeout=SECONDS,
    )  # fmt: skip


def test_the_command_line_embeds_with_the_shipped_weights(nodes, photos, store):
    done = command(nodes.address, photos, store)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["embedded"] == 12
    # Nothing is left to do, so nobody is asked for it.
    done = command("127.0.0.1:1", photos, store)
    assert json.loads(done.stdout)["unchanged"] == 12


def test_a_cluster_that_is_not_there_is_named(photos, store):
    done = command("127.0.0.1:1", photos, store)
    assert done.returncode == 1
    assert "Nothing answers at '127.0.0.1:1'" in done.stderr
    assert "Traceback" not in done.stderr


# The last with this cluster: it has one node afterwards.
def test_every_item_is_there_once_though_a_node_is_lost_half_way(
    nodes, notes, tmp_path, put_photo, store
):
    folder = tmp_path / "many"
    for seed in range(PHOTOS):
        put_photo(folder / f"{seed:03}.png", seed)
    stopped, complaints = index(nodes, store, folder, notes, stop=16, seconds=0.02)
    assert stopped is not None, complaints
    assert stopped["stopped"]
    assert 16 <= stopped["embedded"] == stopped["items"] < PHOTOS
    for note in notes.iterdir():
        note.unlink()
    half = (stopped["embedded"] + PHOTOS) // 2
    with started(nodes, store, folder, notes, seconds=0.08) as process:
        done, lost, working = 0, False, set()
        for line in process.stdout:
            if line.startswith("{"):
                report = json.loads(line)
                break
            done = int(line)
            if done >= half and not lost:
                working = {note.name.partition("-")[0] for note in notes.iterdir()}
                if len(working) == 2:  # both have embedded
                    nodes.lose_one()
                    lost = True
        assert process.wait() == 0, notes.with_name("complaints").read_text()
    assert lost, working
    assert done == PHOTOS
    assert report["unchanged"] == stopped["embedded"]
    assert report["embedded"] == PHOTOS - stopped["embedded"]
    assert (report["items"], report["failures"], report["published"]) == (PHOTOS, [], True)
    local = tmp_path / "local"
    index_catalogue(open_catalogue(folder), local, ColourLayoutEmbedder(), workers=1, batch=8)
    assert content(store) == content(local)
    with closing(connect(store)) as connection:
        # Not even written twice: every row that was ever given is an item's.
        (rows,) = connection.execute("SELECT max(row) FROM vectors").fetchone()
        (removed,) = connection.execute(
            "SELECT count(*) FROM vectors WHERE removed IS NOT NULL"
        ).fetchone()
    assert (rows, removed) == (PHOTOS, 0)
