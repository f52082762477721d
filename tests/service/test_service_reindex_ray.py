"""``NITERU_REINDEX_WORKERS=ray``: the machines of a cluster embed for ``POST /v1/reindex``."""

import importlib.util
import json
import shutil
import threading
import urllib.request

import pytest

from indexer.torch_embedder import TorchEmbedder
from service import reindexing
from tests.served import address_of, niteru_serve

RAY = importlib.util.find_spec("ray") is not None
SECONDS = 240.0  # of which a cluster's start takes most; more is a hang


@pytest.fixture
def shop(tmp_path, make_weights, folder):
    make_weights(tmp_path / "weights" / "one", seed=0)
    make_weights(tmp_path / "weights" / "two", seed=1)
    shutil.copytree(folder, tmp_path / "photos")
    return tmp_path


def reindexed(address, **options):
    """The report of a run."""
    asked = urllib.request.Request(
        f"{address}/v1/reindex", json.dumps(options).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(asked) as answer:
        job = json.load(answer)
    with urllib.request.urlopen(f"{address}{job['events']}") as events:
        ended = events.read().decode()
    assert '"state": "done"' in ended.replace('":"', '": "'), ended
    with urllib.request.urlopen(f"{address}{job['url']}/result") as answer:
        return json.load(answer)


@pytest.mark.slow
@pytest.mark.skipif(not RAY, reason="ray is not installed: pip install '.[ray]'")
def test_a_server_has_a_cluster_embed(shop, photos):
    """Its own weights at first, and then others; Ray says so where none runs here before."""
    environment = {
        "NITERU_WEIGHTS": "weights/one", "NITERU_RUNTIME": "torch", "NITERU_CATALOGUE": "photos",
        "NITERU_REINDEX_WORKERS": "ray", "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0", "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    with niteru_serve(shop, **environment) as process:
        timer = threading.Timer(SECONDS, process.kill)
        timer.start()
        try:
            address, _ = address_of(process)
            first = reindexed(address)
            second = reindexed(address, weights="two")
        finally:
            timer.cancel()
            process.terminate()
        said = process.stderr.read()
    assert (first["published"], first["embedded"], first["left_out"]) == (True, len(photos), 0)
    assert (second["published"], second["embedded"]) == (True, len(photos))
    assert said.count("No Ray cluster is running here") == 2
    two = TorchEmbedder.load(shop / "weights" / "two").fingerprint
    manifest = shop / "store" / "generations" / second["generation"] / "manifest.json"
    assert json.loads(manifest.read_text())["fingerprint"] == two


def test_without_ray_a_server_that_is_to_use_it_does_not_start(serve, monkeypatch):
    monkeypatch.setattr(reindexing, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"NITERU_REINDEX_WORKERS is ray.*\.\[ray\]"):
        serve(reindex_workers="ray")


@pytest.mark.skipif(not RAY, reason="ray is not installed: pip install '.[ray]'")
def test_nodes_cannot_load_weights_that_nobody_knows_of(serve, folder, tmp_path):
    """An embedder that was given to the server in Python, without a folder."""
    client = serve(reindex_workers="ray", catalogue=folder, store=tmp_path / "store")
    job = client.post("/v1/reindex").json()
    client.get(job["events"])
    told = client.get(job["url"]).json()
    assert (told["state"], told["problem"]["status"]) == ("failed", 409)
    assert "weights cannot embed" in told["problem"]["detail"]
