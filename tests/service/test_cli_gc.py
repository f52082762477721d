"""``niteru gc`` as a user meets it: told first, then done, and told by the doctor."""

import json
import re
import signal
import subprocess
import sys
import time
from contextlib import closing

import pytest
from PIL import Image

from indexer.catalogues import open_catalogue
from indexer.database import connect
from indexer.embedders import ColourLayoutEmbedder
from indexer.engines.faiss_engine import FaissEngine
from indexer.generations import list_ids
from indexer.locks import WRITER, exclusive
from indexer.pipeline import index_catalogue
from indexer.reading import count_vectors, find_embedder
from indexer.store import open_writer
from service.cli import main

OLD, NEW = ColourLayoutEmbedder(grid=2), ColourLayoutEmbedder()


@pytest.fixture
def store(tmp_path):
    """A store that has gone over from one embedder to another."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(12):
        Image.new("RGB", (20, 20), (20 * number, 90, 200)).save(folder / f"{number}.png")
    for embedder in (OLD, NEW):
        index_catalogue(open_catalogue(folder), tmp_path / "store", embedder, workers=1, batch=8)
    return tmp_path / "store"


@pytest.fixture
def niteru(capsys):
    """Runs a command: its exit code, what it printed, and what it complained of."""

    def run(*words):
        code = 0
        try:
            main([str(word) for word in words])
        except SystemExit as end:
            code = end.code or 0
        return code, *capsys.readouterr()

    return run


def test_what_goes_is_told_first_then_it_goes(niteru, store):
    first, second = list_ids(store)
    code, told, _ = niteru("gc", "--store", store)
    assert code == 0
    assert told.startswith(
        "Nothing to collect.\nFor going back, 1 older indexes are kept: with --k"
    )
    assert list_ids(store) == [first, second]
    code, told, _ = niteru("gc", "--store", store, "--keep", 1, "--dry-run")
    assert code == 0
    assert re.search(rf"^generation {first}: \d+ kB$", told, re.MULTILINE)
    assert re.search(rf"^12 vectors of {OLD.fingerprint}: about \d kB$", told, re.MULTILINE)
    assert told.endswith("would be free. Nothing was changed (--dry-run).\n")
    assert list_ids(store) == [first, second]

    code, told, _ = niteru("gc", "--store", store, "--keep", 1, "--json")
    done = json.loads(told)
    assert [one["id"] for one in done["generations"]] == [first]
    assert done["vectors"] == [
        {"fingerprint": OLD.fingerprint, "vectors": 12, "bytes": done["vectors"][0]["bytes"]}
    ]
    assert done["freed_bytes"] > 0
    assert list_ids(store) == [second]
    assert niteru("gc", "--store", store, "--keep", 1) == (0, "Nothing to collect.\n", "")


def test_what_a_process_answers_from_stays_and_is_named(niteru, store, tmp_path):
    first, _ = list_ids(store)
    niteru("rollback", first, "--store", store)
    with FaissEngine.open(store):
        niteru("rollback", list_ids(store)[1], "--store", store)
        told = niteru("gc", "--store", store, "--keep", 1)[1]
        assert f"generation {first} stays: a process answers from it" in told
    assert list_ids(store)[0] == first


def test_the_doctor_tells_when_there_is_something_to_collect(niteru, store):
    _, told, _ = niteru("doctor", "--store", store)
    assert f"The vectors of '{OLD.fingerprint}' are kept for a rollback alone" in told
    assert f"niteru gc --store {store} --keep 1" in told
    with open_writer(store) as writer:  # as after three more runs
        writer.mark_published(OLD.fingerprint)
    first = store / "generations" / list_ids(store)[0]
    first.rename(store.with_name("gone"))
    code, told, _ = niteru("doctor", "--store", store)
    assert code == 0
    assert f"12 vectors of '{OLD.fingerprint}': nothing needs them" in told
    niteru("gc", "--store", store)
    assert "nothing needs them" not in niteru("doctor", "--store", store)[1]


def test_a_collected_generation_that_is_put_back_is_refused(niteru, store):
    first, second = list_ids(store)
    kept = store.with_name("kept")
    (store / "generations" / first).rename(kept)
    with open_writer(store) as writer:
        writer.mark_published(OLD.fingerprint)
    niteru("gc", "--store", store)
    kept.rename(store / "generations" / first)
    code, _, error = niteru("rollback", first, "--store", store)
    assert code == 1
    assert "niteru gc" in error
    assert "niteru index CATALOGUE" in error
    found = json.loads(niteru("doctor", "--store", store, "--json")[1])["findings"]
    assert any(one["severity"] == "warning" and first in one["what"] for one in found)
    assert list_ids(store) == [first, second]


def test_what_cannot_be_collected_is_an_error_in_words(niteru, store, tmp_path):
    code, _, error = niteru("gc", "--store", tmp_path / "none")
    assert (code, "no niteru store" in error) == (1, True)
    with exclusive(store, WRITER):
        code, _, error = niteru("gc", "--store", store)
        assert (code, "being written by process" in error) == (1, True)
        assert niteru("gc", "--store", store, "--dry-run")[0] == 0
    assert niteru("gc", "--store", store, "--keep", 0)[0] == 2


SLOW = """
import sys, time
from indexer import store
from service.commands import console

def slow(*_):
    print("step", flush=True)
    time.sleep(0.05)

console.Bar.show = slow
store.AT_ONCE = 1
from service.cli import main
main(["gc", "--store", sys.argv[1], "--keep", "1"])
"""


def test_an_interrupt_stops_it_between_two_steps_and_the_next_goes_on(niteru, store):
    with subprocess.Popen(
        [sys.executable, "-c", SLOW, str(store)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    ) as child:  # fmt: skip
        assert child.stdout.readline() == "step\n"
        time.sleep(0.1)
        child.send_signal(signal.SIGINT)
        printed, error = child.communicate(timeout=60)
    assert child.returncode == 130, error
    assert "Traceback" not in error
    assert "Stopped." in printed
    with closing(connect(store)) as connection:
        number, _ = find_embedder(connection, OLD.fingerprint)
        assert 0 < count_vectors(connection, number) < 12
    assert niteru("gc", "--store", store, "--keep", 1)[0] == 0
    with closing(connect(store)) as connection:
        assert find_embedder(connection, OLD.fingerprint) is None
