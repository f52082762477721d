"""Weights are embedded by ONNX Runtime if their export fits, by torch if not, and alike by both."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from indexer.onnx_embedder import OnnxEmbedder
from indexer.runtime import load_embedder
from indexer.torch_embedder import TorchEmbedder
from models.training.checkpoint import WeightsError
from models.training.encoder_file import ENCODER, EncoderError, write_encoder
from models.training.export import export_encoder

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(make_weights, tmp_path_factory):
    made = make_weights(tmp_path_factory.mktemp("onnx") / "w")
    export_encoder(made)
    return made


@pytest.fixture
def damaged(make_weights, folder, tmp_path, request):
    """Weights whose export cannot be used, each for another reason."""
    made = make_weights(tmp_path / "w", seed=3)
    good = (folder / ENCODER).read_bytes()
    if request.param == "stale":
        (made / ENCODER).write_bytes(good)
    elif request.param == "cut off":
        (made / ENCODER).write_bytes(good[:-100])
    elif request.param == "no graph":
        write_encoder(made, b"\x0a\xffnonsense")
    return made


def noise(embedder, count, seed=0):
    side, channels = embedder.preprocessing.size, embedder.preprocessing.channels
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, side, side, channels), dtype=np.uint8)


def test_both_runtimes_are_interchangeable(folder):
    graph, torch = (load_embedder(folder, runtime=runtime) for runtime in ("onnx", "torch"))
    assert isinstance(graph, OnnxEmbedder)
    assert isinstance(torch, TorchEmbedder)
    assert graph.fingerprint == torch.fingerprint
    assert graph.preprocessing == torch.preprocessing
    assert graph.dim == torch.dim == 8
    pixels = noise(graph, 150)  # three batches
    assert (graph.embed(pixels) * torch.embed(pixels)).sum(1).min() > 0.99999


def test_a_good_export_is_taken_without_a_word(folder, caplog):
    assert isinstance(load_embedder(folder), OnnxEmbedder)
    assert not caplog.records


REASONS = [
    ("missing", "has no encoder.onnx"),
    ("stale", "made from other weights"),
    ("cut off", "is damaged"),
    ("no graph", "cannot open"),
]


@pytest.mark.parametrize(("damaged", "reason"), REASONS, indirect=["damaged"])
def test_torch_takes_over_and_says_why(damaged, reason, caplog):
    embedder = load_embedder(damaged)
    assert isinstance(embedder, TorchEmbedder)
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert reason in record.message
    assert f"niteru export {damaged}" in record.message
    pixels = noise(embedder, 3)
    np.testing.assert_array_equal(
        embedder.embed(pixels), load_embedder(damaged, runtime="torch").embed(pixels)
    )


@pytest.mark.parametrize(("damaged", "reason"), REASONS, indirect=["damaged"])
def test_who_asks_for_onnx_gets_it_or_an_error(damaged, reason):
    with pytest.raises(EncoderError, match=reason):
        load_embedder(damaged, runtime="onnx")


def test_torch_takes_over_where_onnx_runtime_is_not_installed(folder, caplog, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "indexer.onnx_embedder")
    assert isinstance(load_embedder(folder), TorchEmbedder)
    assert "onnxruntime" in caplog.text
    with pytest.raises(ImportError, match="onnxruntime"):
        load_embedder(folder, runtime="onnx")


def test_missing_weights_are_an_error_in_any_case(tmp_path):
    for runtime in ("auto", "onnx", "torch"):
        with pytest.raises(WeightsError, match="There are no weights"):
            load_embedder(tmp_path / "nothing", runtime=runtime)


def test_a_setting_of_the_preprocessing_that_is_not_known_is_an_error(folder, tmp_path):
    config = (folder / "config.json").read_text().replace('"fit"', '"fitted"')
    (tmp_path / "weights.safetensors").write_bytes((folder / "weights.safetensors").read_bytes())
    (tmp_path / "config.json").write_text(config)
    write_encoder(tmp_path, onnx.load(folder / ENCODER).SerializeToString())
    for runtime in ("auto", "onnx", "torch"):
        with pytest.raises(WeightsError, match="no setting 'fitted'"):
            load_embedder(tmp_path, runtime=runtime)


def test_more_threads_give_the_same_vectors(folder):
    one, two = (OnnxEmbedder.load(folder, threads=threads) for threads in (1, 2))
    pixels = noise(one, 5)
    np.testing.assert_allclose(one.embed(pixels), two.embed(pixels), atol=1e-5)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc to look at memory")
def test_memory_does_not_grow_with_what_has_been_embedded(folder):
    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    embedder = OnnxEmbedder.load(folder)
    batches = [noise(embedder, count) for count in (64, 1, 17, 3, 100)]
    for _ in range(5):
        for pixels in batches:
            embedder.embed(pixels)
    before = resident()
    for _ in range(200):
        for pixels in batches:
            embedder.embed(pixels)
    assert resident() - before < 4 * 2**20


def test_embedding_needs_no_torch(folder):
    code = (
        "import sys, numpy as np; from indexer.runtime import load_embedder; "
        f"e = load_embedder({str(folder)!r}); "
        "s = e.preprocessing.size; print(e.embed(np.zeros((2, s, s, 3), np.uint8)).shape); "
        "print([m for m in ('torch', 'onnx', 'safetensors') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.splitlines() == ["(2, 8)", "[]"]


@pytest.mark.real_data
def test_the_shipped_encoder_gives_torch_vectors_of_real_photos(real_data):
    graph, torch = (
        load_embedder("pixelvae-clothing", runtime=runtime) for runtime in ("onnx", "torch")
    )
    photos = sorted((real_data / "clothing").rglob("*.jpg"))[:1000]
    pixels = np.stack([graph.preprocessing.read(path.read_bytes()) for path in photos])
    assert len(pixels) == 1000
    assert (graph.embed(pixels) * torch.embed(pixels)).sum(1).min() >= 0.9999


def test_onnx_runtime_tells_its_makers_nothing(folder, tmp_path):
    """Its telemetry would begin by keeping an id of this machine in the home folder."""
    load = f"load_embedder({str(folder)!r}, runtime='onnx')"
    code = f"from indexer.runtime import load_embedder; {load}"
    home = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], env=home, check=True, cwd=ROOT)
    assert list(tmp_path.rglob("*")) == []
