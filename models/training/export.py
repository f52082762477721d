"""From trained weights to ``encoder.onnx``: the encoder as a graph that ONNX Runtime runs.

The graph holds all of ``embed``, from pixels to vectors of unit length, for any number of pictures.
Batch normalisation is folded into the convolutions; their kernels are stored as float16 and cast
back, which a runtime does once, when it opens the file: half the size, computed in float32. Before
anything is written, the graph's vectors are compared with torch's.

Needs the extra ``train`` (onnx, onnxscript); running the result needs neither, nor torch.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models.training.checkpoint import HALF_LIMIT, Weights, load_weights
from models.training.encoder_file import (
    INPUT,
    OUTPUT,
    EncoderError,
    keep_from_telling,
    write_encoder,
)

OPSET = 18
LEAST_COSINE = 0.9999
SMALL = 1024  # numbers; below that a tensor costs nothing in float32
CHECKED = (1, 8)  # pictures in the batches that are compared with torch


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export made.

    Attributes:
        path: The file.
        bytes: Its size.
        cosine: The least cosine between its vectors and torch's.
    """

    path: Path
    bytes: int
    cosine: float


class PixelEncoder(nn.Module):
    """Pixels to vectors of unit length, as every embedder does it."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.model = weights.model

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, H, W, C) uint8 -> (B, dim) float32."""
        x = pixels.permute(0, 3, 1, 2).float() / 127.5 - 1  # (B, C, H, W)
        return nn.functional.normalize(self.model.embed(x), dim=1)


def export_encoder(folder: Path) -> Exported:
    """Make ``encoder.onnx`` of the weights in a folder, replacing one that is there.

    Raises:
        EncoderError: A package is missing, the model cannot be exported, or the graph's vectors
            differ from torch's; nothing is written then.
        models.training.checkpoint.WeightsError: The weights cannot be used.
        OSError: The file cannot be written.
    """
    weights = load_weights(folder)
    _ = weights.preprocessing  # a model of strokes is refused by name
    encoder = PixelEncoder(weights).eval()
    graph = _trace(encoder, _noise(weights, 2), folder)
    cosine = _compare(graph, encoder, weights)
    if not cosine >= LEAST_COSINE:  # NaN too
        raise EncoderError(
            f"The exported encoder of {folder} differs from torch's: cosine {cosine:.6f}, expected "
            f"at least {LEAST_COSINE}. Nothing was written; niteru goes on with torch."
        )
    path = write_encoder(folder, graph)
    return Exported(path, path.stat().st_size, cosine)


def _trace(encoder: PixelEncoder, pixels: Tensor, folder: Path) -> bytes:
    """The encoder as a serialised ONNX model."""
    try:
        import onnxscript  # noqa: F401, PLC0415 - an extra; torch's exporter is built on it
        from onnx import TypeProto  # noqa: F401, PLC0415
    except ImportError as error:
        raise EncoderError(
            f"Exporting an encoder needs another package: {error}. Install it with: "
            f"pip install '.[train]', then run: niteru export {folder}"
        ) from error
    with _quietly():
        try:
            program = torch.onnx.export(
                encoder, (pixels,), input_names=[INPUT], output_names=[OUTPUT], verbose=False,
                opset_version=OPSET, dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("batch")},),
            )  # fmt: skip
        except torch.onnx.errors.OnnxExporterError as error:
            raise EncoderError(
                f"The encoder of {folder} cannot be exported to ONNX: {error}"
            ) from error
    assert program is not None
    model = program.model_proto
    _round_down(model)
    _halve(model)
    _forget_origin(model)
    data: bytes = model.SerializeToString()
    return data


def _forget_origin(model: Any) -> None:
    """Drop what the exporter notes of its source: stack traces with the paths of this machine."""
    graph = model.graph
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info,
                 *graph.initializer):  # fmt: skip
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    model.ClearField("doc_string")


def _round_down(model: Any) -> None:
    """Turn rounding up off in poolings where it changes nothing: ONNX Runtime has no fast one."""
    from onnx import shape_inference  # noqa: PLC0415 - an extra

    graph = shape_inference.infer_shapes(model).graph
    shapes = {
        info.name: [dim.dim_value for dim in info.type.tensor_type.shape.dim]
        for info in graph.value_info
    }
    for node in model.graph.node:
        settings = {attribute.name: attribute for attribute in node.attribute}
        if node.op_type != "AveragePool" or "ceil_mode" not in settings:
            continue
        sides = shapes[node.input[0]][2:]
        kernel, strides = settings["kernel_shape"].ints, settings["strides"].ints
        unpadded = not any(settings["pads"].ints) if "pads" in settings else True
        if unpadded and all(
            (side - width) % stride == 0
            for side, width, stride in zip(sides, kernel, strides, strict=True)
        ):
            settings["ceil_mode"].i = 0


def _halve(model: Any) -> None:
    """Store large float32 tensors as float16, each behind a node that casts it back."""
    from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415 - an extra

    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(tensor)
        if values.size < SMALL or np.abs(values).max() >= HALF_LIMIT:
            continue
        name = tensor.name
        stored = f"{name}.half"
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), stored))
        casts.append(helper.make_node("Cast", [stored], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _compare(graph: bytes, encoder: PixelEncoder, weights: Weights) -> float:
    """The least cosine between the graph's vectors and torch's, over batches of noise."""
    # Here, because training on a machine that never serves can do without.
    keep_from_telling()
    from onnxruntime import InferenceSession  # noqa: PLC0415

    session = InferenceSession(graph, providers=["CPUExecutionProvider"])
    cosines = []
    for count in CHECKED:
        pixels = _noise(weights, count)
        [found] = session.run([OUTPUT], {INPUT: pixels.numpy()})
        with torch.inference_mode():
            expected = encoder(pixels).numpy()
        cosines.append((found * expected).sum(1).min())
    return float(min(cosines))


def _noise(weights: Weights, count: int) -> Tensor:
    """Pictures (count, H, W, C) of coarse coloured noise, the same ones every time."""
    side, channels = weights.preprocessing.size, weights.preprocessing.channels
    generator = torch.Generator().manual_seed(count)
    coarse = torch.rand(count, channels, 7, 7, generator=generator)
    fine = nn.functional.interpolate(coarse, size=(side, side), mode="bilinear")
    return (255 * fine).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


@contextmanager
def _quietly() -> Iterator[None]:
    """Silence what torch's exporter says of itself: deprecations within, and absent torchvision."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
