"""OpenVINO, an extra, gives torch's vectors; it is taken where it is asked for, and only there."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from indexer.onnx_embedder import OnnxEmbedder
from indexer.runtime import load_embedder
from models.training.checkpoint import WeightsError
from models.training.encoder_file import ENCODER, EncoderError, write_encoder
from models.training.export import export_encoder

ROOT = Path(__file__).parents[2]
needs_openvino = pytest.mark.skipif(
    find_spec("openvino") is None, reason="openvino is not installed: pip install '.[openvino]'"
)


@pytest.fixture(scope="module")
def folder(make_weights, tmp_path_factory):
    made = make_weights(tmp_path_factory.mktemp("openvino") / "w")
    export_encoder(made)
    return made


def noise(embedder, count):
    side, channels = embedder.preprocessing.size, embedder.preprocessing.channels
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, side, side, channels), dtype=np.uint8)


@needs_openvino
def test_it_is_interchangeable_with_the_other_runtimes(folder):
    here, onnx, torch = (
        load_embedder(folder, runtime=runtime) for runtime in ("openvino", "onnx", "torch")
    )
    assert type(here).__name__ == "OpenvinoEmbedder"
    assert here.fingerprint == onnx.fingerprint == torch.fingerprint
    assert here.preprocessing == torch.preprocessing
    assert here.dim == torch.dim == 8
    pixels = noise(here, 150)  # three runs
    vectors = here.embed(pixels)
    assert (vectors * torch.embed(pixels)).sum(1).min() > 0.99999
    assert (vectors * onnx.embed(pixels)).sum(1).min() > 0.99999


@needs_openvino
def test_the_shipped_encoder_gives_torch_vectors():
    here, torch = (
        load_embedder("pixelvae-clothing", runtime=runtime) for runtime in ("openvino", "torch")
    )
    coarse = noise(here, 20)[:, ::8, ::8]
    pixels = coarse.repeat(8, 1).repeat(8, 2)
    assert (here.embed(pixels) * torch.embed(pixels)).sum(1).min() > 0.9999


@needs_openvino
def test_it_computes_in_float32_even_where_the_processor_has_less(folder):
    embedder = load_embedder(folder, runtime="openvino")
    hint = embedder.compiled.get_property("INFERENCE_PRECISION_HINT")
    assert hint.to_dtype() == np.float32


@needs_openvino
@pytest.mark.parametrize("threads", [1, 2])
def test_threads_are_those_of_a_call(folder, threads):
    embedder = load_embedder(folder, runtime="openvino", threads=threads)
    streams = embedder.compiled.get_property("NUM_STREAMS")
    assert embedder.compiled.get_property("INFERENCE_NUM_THREADS") == streams * threads
    pixels = noise(embedder, 5)
    np.testing.assert_allclose(
        embedder.embed(pixels), OnnxEmbedder.load(folder).embed(pixels), atol=1e-5
    )


@needs_openvino
def test_what_was_embedded_stays_when_more_is_embedded(folder):
    """A request's buffers are used again; an answer must not lie in them."""
    embedder = load_embedder(folder, runtime="openvino")
    one, other = noise(embedder, 2)[:, None]
    first = embedder.embed(one)
    kept = first.copy()
    assert not np.allclose(embedder.embed(other), kept, atol=1e-3)
    np.testing.assert_array_equal(first, kept)


@needs_openvino
def test_photos_that_may_only_be_read_are_embedded(folder):
    embedder = load_embedder(folder, runtime="openvino")
    pixels = noise(embedder, 3)
    expected = embedder.embed(pixels)
    pixels.flags.writeable = False
    np.testing.assert_array_equal(embedder.embed(pixels), expected)
    np.testing.assert_array_equal(embedder.embed(pixels[::-1])[::-1], expected)


@needs_openvino
def test_an_export_that_cannot_be_used_is_an_error_not_torch(make_weights, folder, tmp_path):
    made = make_weights(tmp_path / "w", seed=3)
    with pytest.raises(EncoderError, match=r"has no encoder\.onnx"):
        load_embedder(made, runtime="openvino")
    (made / ENCODER).write_bytes((folder / ENCODER).read_bytes())
    with pytest.raises(EncoderError, match="made from other weights"):
        load_embedder(made, runtime="openvino")
    write_encoder(made, b"\x0a\xffnonsense")
    with pytest.raises(EncoderError, match="cannot open the encoder"):
        load_embedder(made, runtime="openvino")


@needs_openvino
def test_it_needs_no_torch_and_tells_nobody(folder):
    code = (
        "import sys, numpy as np; from indexer.runtime import load_embedder; "
        "sys.addaudithook(lambda name, _: sys.exit(name) if name.startswith('socket.') else None); "
        f"e = load_embedder({str(folder)!r}, runtime='openvino'); "
        "s = e.preprocessing.size; print(e.embed(np.zeros((2, s, s, 3), np.uint8)).shape); "
        "print([m for m in ('torch', 'onnx', 'onnxruntime') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.splitlines() == ["(2, 8)", "[]"]


def test_where_it_is_not_installed_the_error_says_what_to_do(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.delitem(sys.modules, "indexer.openvino_embedder", raising=False)
    with pytest.raises(ImportError, match=r"pip install '\.\[openvino\]'"):
        load_embedder(folder, runtime="openvino")


def test_missing_weights_are_named_before_a_missing_package(tmp_path):
    with pytest.raises(WeightsError, match="There are no weights"):
        load_embedder(tmp_path / "nothing", runtime="openvino")
