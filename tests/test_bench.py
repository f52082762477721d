"""The benchmarks run, and write what they say they write; what they measure is not judged here."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parent / "bench"
SMALL = {
    "bench_http": ["--items", "12", "--requests", "24", "--rounds", "1"],
    "bench_http_load": ["--items", "12", "--requests", "12", "--seconds", "1", "--rounds", "1"],
    "bench_indexing": ["--items", "12", "--rounds", "1"],
    "bench_embedding": ["--items", "12", "--rounds", "1"],
    "bench_search": ["--items", "3000", "--dim", "32", "--queries", "20", "--publishes", "2"],
    "bench_sampling": [
        "--preset",
        "tiny",
        "--sizes",
        "4",
        "--base",
        "2",
        "--batches",
        "1",
        "2",
        "--rounds",
        "1",
    ],
    "bench_sampling_gpu": ["--device", "cpu", "--models", "pixelcnn-mnist-gated", "--batches", "1"],
}


def test_every_benchmark_is_run_here():
    assert {path.stem for path in BENCH.glob("bench_*.py")} == set(SMALL)


@pytest.mark.parametrize("name", SMALL)
def test_a_benchmark_prints_a_table_and_writes_json(name, tmp_path):
    file = tmp_path / "figures.json"
    done = subprocess.run(
        [sys.executable, BENCH / f"{name}.py", *SMALL[name], "--json", file],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(file.read_text("utf-8"))
    assert all(value >= 0 for value in told["figures"].values())
    assert any(value > 0 for value in told["figures"].values())
    if name == "bench_sampling":
        assert told["figures"]["4 px, batch 2: multiscale, ms"] > 0
    for target in told["targets"]:
        best = (
            target["value"] <= target["bound"]
            if target["most"]
            else target["value"] >= target["bound"]
        )
        assert target["met"] == best
        assert target["name"] in done.stdout
