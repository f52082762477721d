"""``--engine milvus`` on the command line: one command indexes, the others find it."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from service.cli import main
from tests.indexer.conftest import encode_photo

ROOT = Path(__file__).parents[2]


@pytest.fixture
def shop(milvus_lite, make_weights, tmp_path, monkeypatch, request):
    """Photos and weights, and the environment that names the server."""
    (tmp_path / "photos").mkdir()
    for number in range(12):
        (tmp_path / "photos" / f"{number:02}.png").write_bytes(encode_photo(number))
    make_weights(tmp_path / "weights")
    monkeypatch.setenv("NITERU_MILVUS_URI", milvus_lite.uri)
    monkeypatch.setenv("NITERU_MILVUS_NAME", f"c{abs(hash(request.node.name))}")
    return tmp_path


def on(shop, store="store"):
    return ["--store", str(shop / store), "--weights", str(shop / "weights")]


def told(capsys, *words):
    run([*words, "--json"])
    return json.loads(capsys.readouterr().out)


def run(words, code=0):
    try:
        main(words)
        found = 0
    except SystemExit as end:
        found = end.code or 0
    assert found == code


def test_one_command_indexes_and_the_others_find_it(shop, capsys, monkeypatch):
    photos, query = str(shop / "photos"), str(shop / "photos" / "03.png")
    milvus = ["--engine", "milvus"]
    run(["index", photos, *on(shop), *milvus])
    assert "Published" in capsys.readouterr().out
    report = told(capsys, "index", photos, *on(shop), *milvus)
    assert (report["published"], report["items"]) == (False, 12)
    told(capsys, "index", photos, *on(shop, "faiss"))
    found = told(capsys, "search", query, *on(shop), *milvus)
    assert found == told(capsys, "search", query, *on(shop, "faiss"))
    assert found[0]["id"] == "03"

    monkeypatch.setenv("NITERU_ENGINE", "milvus")
    store = ["--store", str(shop / "store")]
    (listed,) = told(capsys, "generations", *store)
    assert (listed["engine"], listed["index"], listed["current"]) == ("milvus", "FLAT", True)
    run(["rollback", listed["id"], *store])
    assert "answers now" in capsys.readouterr().out
    assert told(capsys, "doctor", *on(shop))["well"]
    out = str(shop / "explained.png")
    explained = told(capsys, "explain", query, *on(shop), "--draws", "1", "--out", out)
    assert explained["items"][0]["id"] == "03"


def test_what_cannot_be_is_refused_in_a_sentence(shop, capsys, monkeypatch):
    photos = str(shop / "photos")
    run(["index", photos, *on(shop), "--engine", "milvus", "--memory", "1GB"], code=2)
    assert "faiss" in capsys.readouterr().err
    run(["index", photos, *on(shop), "--engine", "milvus", "--milvus-uri", "x.db"], code=1)
    assert "no address of a Milvus server" in capsys.readouterr().err
    run(["index", photos, *on(shop), "--engine", "milvus", "--milvus-name", "a-b"], code=1)
    assert "'a-b' cannot be the name" in capsys.readouterr().err
    run(["search", f"{photos}/03.png", *on(shop), "--engine", "milvus"], code=1)
    assert "niteru index" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["index", "search", "generations", "doctor"])
def test_without_the_package_it_is_said_how_to_install_it(
    command, tmp_path, make_weights, capsys, monkeypatch
):
    for name in [name for name in sys.modules if name.startswith("indexer.") and "milvus" in name]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    photo = tmp_path / "photos" / "0.png"
    photo.parent.mkdir()
    photo.write_bytes(encode_photo(0))
    make_weights(tmp_path / "weights")
    given = {"index": [str(photo.parent)], "search": [str(photo)]}.get(command, [])
    options = on(tmp_path) if given else ["--store", str(tmp_path / "store")]
    run([command, *given, *options, "--engine", "milvus"], code=1)
    assert "pip install '.[milvus]'" in capsys.readouterr().err
    assert not (tmp_path / "store").exists()


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed: pip install '.[ray]'")
def test_many_machines_embed_for_a_server_in_one_command(shop, capsys):
    # Ray's workers give way to everything else on the machine, and would never come to their turn.
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1",
                   "RAY_worker_niceness": "0"}  # fmt: skip
    environment.pop("RAY_ADDRESS", None)
    words = ["index", str(shop / "photos"), "--store", str(shop / "store")]
    words += ["--engine", "milvus", "--workers", "ray", "--json"]
    # Into files: what Ray leaves behind for a while would keep a pipe open.
    with (shop / "out").open("w") as out, (shop / "err").open("w") as err:
        done = subprocess.run(
            [sys.executable, "-m", "service", *words],
            cwd=ROOT, env=environment, stdout=out, stderr=err, timeout=240, check=False,
        )  # fmt: skip
    assert done.returncode == 0, (shop / "err").read_text()
    report = json.loads((shop / "out").read_text())
    assert (report["published"], report["items"], report["embedded"]) == (True, 12, 12)
    query = [str(shop / "photos" / "03.png"), "--store", str(shop / "store")]
    assert told(capsys, "search", *query, "--engine", "milvus")[0]["id"] == "03"
