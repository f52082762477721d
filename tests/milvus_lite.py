"""A Milvus Lite server as a process of its own, over loopback, for the tests that need one."""

import importlib.util
import socket
import subprocess
import sys
import time
from pathlib import Path

INSTALLED = all(importlib.util.find_spec(name) for name in ("pymilvus", "milvus_lite"))


class MilvusLite:
    """Runs ``milvus-lite server`` over a folder; ``kill`` and ``start`` it as often as needed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "milvus_lite", "server", "--data-dir", self.folder]
        # One worker: Milvus Lite keeps the effort of a search in its index, where another would
        # change it meanwhile.
        command += ["--host", "127.0.0.1", "--port", str(self.port), "--max-workers", "1"]
        log = (self.folder.parent / f"{self.folder.name}.log").open("ab")
        with log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        give_up = time.monotonic() + 60
        while time.monotonic() < give_up and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        self.kill()
        raise RuntimeError(Path(log.name).read_text("utf-8"))

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
