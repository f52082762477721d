"""Servers in processes of their own, over a store on the disk."""

import json
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SERVE = """
import json
import sys
from indexer.embedders import ColourLayoutEmbedder
from service.app import run_server
from service.settings import Settings

settings = Settings(**json.loads(sys.argv[1]))
run_server(settings, embedder=ColourLayoutEmbedder(grid=int(sys.argv[2])))
"""


def start(store, grid=4, **settings):
    """A server that is about to listen on a free port; its lines come from ``stderr``."""
    given = {"store": str(store), "port": 0, "threads": 1, **settings}
    return subprocess.Popen(
        [sys.executable, "-c", SERVE, json.dumps(given), str(grid)],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def niteru_serve(folder, *words, **environment):
    """``niteru serve`` over the store in a folder, as it is typed there; killed with the block."""
    given = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    command = [sys.executable, "-m", "service", "serve", "--store", "store", "--port", "0", *words]
    with subprocess.Popen(
        command, cwd=folder, env=given, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def address_of(process):
    """Where a server listens, as soon as it does, and what it said until then."""
    said = ""
    for line in process.stderr:
        said += line
        if address := re.search(r"running on (http://127\.0\.0\.1:\d+)", line):
            return address[1], said
    pytest.fail(f"The server did not start:\n{said}")


@contextmanager
def running(store, **settings):
    """A server that listens: its address and the process, which ends with the block."""
    with start(store, **settings) as process:
        address, _ = address_of(process)
        try:
            yield address, process
        finally:
            process.kill()
