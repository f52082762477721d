"""A short run of the soak of a store: the same parts as ``make soak``, fewer times."""

import json
import subprocess
import sys
from pathlib import Path

SOAK = Path(__file__).parent / "bench" / "soak_store.py"
SHORT = ["--kills", "6", "--publishes", "4", "--damages", "24", "--writers", "2",
         "--histories", "2"]  # fmt: skip
PARTS = ["kills", "crashes", "writers", "damage", "disk", "histories", "publishes"]


def test_nothing_is_lost_mixed_or_let_pass(tmp_path):
    file = tmp_path / "found.json"
    done = subprocess.run(
        [sys.executable, SOAK, *SHORT, "--json", file],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(file.read_text("utf-8"))
    assert f"seed {told['seed']}" in done.stdout
    assert list(told)[1:] == PARTS
    assert "0 lost, 0 came back" in told["kills"]
    assert "0 failed, 0 mixed" in told["publishes"]
    assert told["disk"].startswith(("full after", "skipped: "))
