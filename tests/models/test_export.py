"""The exported encoder gives torch's vectors, carries its origin, and shows any damage."""

import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import models
from models.training import export
from models.training.checkpoint import WeightsError, fingerprint_weights, load_weights
from models.training.encoder_file import (
    DIGEST,
    ENCODER,
    FINGERPRINT,
    EncoderError,
    read_encoder,
    write_encoder,
)
from models.training.export import export_encoder

# 28 pixels are halved to 7 and then rounded up: there, pooling must keep doing so.
PIXELS = [name for name in models.available() if models.modality(name) == "pixels"]
STROKES = [name for name in models.available() if name not in PIXELS]
SHAPES = [*((name, "tiny") for name in PIXELS), ("pixelvae", "mnist")]
SHAPES += [("pixelcnn", "tiny", "labels"), ("pixelcnn_pp", "tiny", "labels")]


@pytest.fixture(scope="module", params=SHAPES, ids="-".join)
def folder(request, make_weights, tmp_path_factory):
    name, preset, *labels = request.param
    changes = {"classes": 3} if labels else {}
    folder = tmp_path_factory.mktemp("export") / "w"
    made = make_weights(folder, name=name, preset=preset, changes=changes)
    export_encoder(made)
    return made


@pytest.fixture(scope="module")
def whole(make_weights, tmp_path_factory):
    """A folder with a few bytes in the place of a graph: sealed like any other."""
    made = make_weights(tmp_path_factory.mktemp("sealed") / "w")
    write_encoder(made, bytes(range(200)))
    return made


@pytest.mark.parametrize("count", [1, 2, 7])
def test_vectors_are_those_of_torch(folder, count):
    weights = load_weights(folder)
    side, channels = weights.preprocessing.size, weights.preprocessing.channels
    shape = (count, side, side, channels)
    pixels = np.random.default_rng(count).integers(0, 256, shape, dtype=np.uint8)
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.inference_mode():
        expected = torch.nn.functional.normalize(weights.model.embed(x), dim=1).numpy()
    session = onnxruntime.InferenceSession(read_encoder(folder))
    [vectors] = session.run(None, {"pixels": pixels})
    assert vectors.dtype == np.float32
    assert (vectors * expected).sum(1).min() > 0.99999
    assert np.abs((vectors**2).sum(1) - 1).max() < 1e-5


def test_every_onnx_tool_can_read_it(folder):
    model = onnx.load(folder / ENCODER)
    onnx.checker.check_model(model)
    told = {entry.key: entry.value for entry in model.metadata_props}
    assert told[FINGERPRINT] == fingerprint_weights(folder)
    assert len(told[DIGEST]) == 64
    assert "BatchNormalization" not in {node.op_type for node in model.graph.node}
    meta = onnxruntime.InferenceSession(folder / ENCODER).get_modelmeta()
    assert meta.custom_metadata_map[FINGERPRINT] == fingerprint_weights(folder)


def test_the_file_says_nothing_of_the_machine_that_made_it(folder):
    data = read_encoder(folder)
    for trace in (b"site-packages", b"export.py", b'File "', str(folder.parent).encode()):
        assert trace not in data


def test_large_tensors_are_stored_in_half_the_size(folder):
    for tensor in onnx.load(folder / ENCODER).graph.initializer:
        size = int(np.prod(tensor.dims))
        if tensor.data_type == onnx.TensorProto.FLOAT:
            assert size < 1024, tensor.name


def test_pooling_rounds_up_only_where_there_is_something_to_round(folder):
    model = onnx.shape_inference.infer_shapes(onnx.load(folder / ENCODER))
    sides = {
        info.name: info.type.tensor_type.shape.dim[2].dim_value
        for info in model.graph.value_info
        if len(info.type.tensor_type.shape.dim) == 4
    }
    pools = [node for node in model.graph.node if node.op_type == "AveragePool"]
    if not pools:
        pytest.skip("has no pooling")
    found = {
        sides[node.input[0]] % 2: attribute.i
        for node in pools
        for attribute in node.attribute
        if attribute.name == "ceil_mode"
    }
    assert found
    assert found == {parity: parity for parity in found}


def test_another_export_takes_the_place_of_the_first(folder):
    first = (folder / ENCODER).read_bytes()
    (folder / ENCODER).write_bytes(b"old")
    made = export_encoder(folder)
    assert made.path == folder / ENCODER
    assert made.bytes == made.path.stat().st_size == len(first)
    assert made.cosine > 0.99999
    assert not list(folder.glob("*.tmp"))


def test_a_graph_that_differs_from_torch_is_not_written(make_weights, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "LEAST_COSINE", 1.1)
    with pytest.raises(EncoderError, match="differs from torch's"):
        export_encoder(make_weights(tmp_path))
    assert not (tmp_path / ENCODER).exists()


def test_a_missing_package_is_named_with_what_to_do(make_weights, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(EncoderError, match=r"onnxscript.*pip install.*niteru export"):
        export_encoder(make_weights(tmp_path))
    assert not (tmp_path / ENCODER).exists()


def test_weights_that_cannot_be_exported_are_named(make_weights, tmp_path):
    with pytest.raises(WeightsError, match=r"config\.json cannot be read"):
        export_encoder(tmp_path)
    make_weights(tmp_path)
    (tmp_path / "weights.safetensors").write_bytes(b"x")
    with pytest.raises(WeightsError, match="cannot be used"):
        export_encoder(tmp_path)


def test_an_encoder_of_other_weights_is_refused(make_weights, tmp_path):
    one, other = (make_weights(tmp_path / str(seed), seed=seed) for seed in (1, 2))
    path = write_encoder(one, b"graph")
    assert read_encoder(one) == path.read_bytes()
    (other / ENCODER).write_bytes(path.read_bytes())
    with pytest.raises(EncoderError, match=r"made from other weights.*niteru export"):
        read_encoder(other)


def test_an_absent_encoder_is_told_from_an_unreadable_one(make_weights, tmp_path):
    made = make_weights(tmp_path)
    with pytest.raises(EncoderError, match=r"has no encoder\.onnx.*niteru export"):
        read_encoder(made)
    (made / ENCODER).mkdir()
    with pytest.raises(EncoderError, match="cannot be read"):
        read_encoder(made)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_one_turned_bit_anywhere_is_seen(whole, data):
    path = whole / ENCODER
    good = path.read_bytes()
    place = data.draw(st.integers(0, len(good) - 1))
    bad = bytearray(good)
    bad[place] ^= 1 << data.draw(st.integers(0, 7))
    try:
        path.write_bytes(bad)
        with pytest.raises(EncoderError, match="is damaged"):
            read_encoder(whole)
        path.write_bytes(good[:place])
        with pytest.raises(EncoderError, match="is damaged"):
            read_encoder(whole)
    finally:
        path.write_bytes(good)
    assert read_encoder(whole) == good


@pytest.mark.parametrize("name", STROKES)
def test_a_model_of_strokes_is_refused_by_name(make_weights, tmp_path, name):
    folder = make_weights(tmp_path / "w", name=name)
    with pytest.raises(WeightsError, match=f"of a {name}, which takes pen strokes, not pixels"):
        export_encoder(folder)
    assert not (folder / ENCODER).exists()
