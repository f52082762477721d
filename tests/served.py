"""Servers in processes of their own, over a store on the disk."""

import json
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
def running(store, **settings):
    """A server that listens: its address and the process, which ends with the block."""
    with start(store, **settings) as process:
        lines = []
        for line in process.stderr:
            lines.append(line)
            if address := re.search(r"running on (http://127\.0\.0\.1:\d+)", line):
                break
        else:
            pytest.fail("The server did not start:\n" + "".join(lines))
        try:
            yield address[1], process
        finally:
            process.kill()
