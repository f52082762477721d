"""The processes of ``test_ray_embedding.py``: a cluster of two nodes, and runs it works for."""

import json
import os
import sys
import time
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path

import ray
from ray.cluster_utils import Cluster

from indexer.catalogues import open_catalogue
from indexer.embedders import ColourLayoutEmbedder
from indexer.pipeline import index_catalogue
from indexer.ray_embedding import RayWorkers
from indexer.report import Progress


@dataclass(frozen=True)
class NotingEmbedder:
    """Takes its time, and notes in a folder which node embedded how many photos."""

    notes: Path
    seconds: float
    inner: ColourLayoutEmbedder

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def embed(self, pixels):
        time.sleep(self.seconds * len(pixels))
        node = ray.get_runtime_context().get_node_id()
        with (self.notes / f"{node}-{os.getpid()}").open("a") as file:
            file.write(f"{len(pixels)}\n")
        return self.inner.embed(pixels)


@dataclass(frozen=True)
class Load:
    """Gives an embedder on a node."""

    notes: Path
    seconds: float
    grid: int

    def __call__(self):
        return NotingEmbedder(self.notes, self.seconds, ColourLayoutEmbedder(grid=self.grid))


def serve_cluster() -> None:
    """Two nodes of one processor each; says its address, and loses the second node when told."""
    settings = {
        "num_cpus": 1, "object_store_memory": 80 * 2**20, "node_ip_address": "127.0.0.1",
        "include_dashboard": False,
    }  # fmt: skip
    cluster = Cluster(initialize_head=True, head_node_args=settings)
    try:
        second = cluster.add_node(**settings)
        print(cluster.address, flush=True)
        for _ in sys.stdin:
            cluster.remove_node(second, allow_graceful=False)
            print("killed", flush=True)
    finally:
        cluster.shutdown()


def index(
    store: Path, catalogue: Path, notes: Path, *, seconds: float, grid: int, stop: int | None
) -> None:
    """Index; says how many entries are settled, and in the end what the run reports."""
    told: list[Progress] = []
    out = sys.stdout

    def note(progress: Progress) -> None:
        told.append(progress)
        print(progress.done, file=out, flush=True)

    with redirect_stdout(sys.stderr):  # what Ray prints is no data
        report = index_catalogue(
            open_catalogue(catalogue), store, ColourLayoutEmbedder(), batch=8, progress=note,
            workers=RayWorkers(Load(notes, seconds, grid), batch=8, block=8),
            should_stop=lambda: stop is not None and bool(told) and told[-1].done >= stop,
        )  # fmt: skip
    print(json.dumps(asdict(report)), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "cluster":
        serve_cluster()
    else:
        index(*(Path(word) for word in sys.argv[2:5]), **json.loads(sys.argv[5]))
