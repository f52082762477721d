"""The trained encoder on OpenVINO: the same ``encoder.onnx`` and the vectors that torch gives.

Needs the extra ``openvino``. It computes in float32, which has to be asked for: where the processor
has bfloat16 OpenVINO would take that, and a photo's vector would depend on the batch it comes in.
"""

import os
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import openvino

from indexer.protocols import Pixels, Vectors
from models.images import Preprocessing
from models.training.encoder_file import EncoderError, read_encoder
from models.training.weights import find_weights, fingerprint_weights, read_preprocessing

BATCH = 64  # pictures a run; more gains nothing on a processor, and costs memory


@dataclass(frozen=True)
class OpenvinoEmbedder:
    """Embeds with the ``encoder.onnx`` of a weights folder.

    Attributes:
        compiled: The encoder for this processor; it computes as many calls at once as it has
            streams, and lets further ones wait.
        dim: Numbers in a vector.
        fingerprint: That of the weights, because the vectors are those that torch gives.
        preprocessing: What the encoder expects of a photo.
    """

    compiled: Any
    dim: int
    fingerprint: str
    preprocessing: Preprocessing
    # A request holds one call's buffers; a call borrows one, and only finding none makes another.
    _idle: deque[Any] = field(default_factory=deque, repr=False, compare=False)

    @classmethod
    def load(cls, name: str | Path, *, threads: int = 1) -> "OpenvinoEmbedder":
        """Open weights by folder, or by name below ``weights/``.

        Args:
            name: The weights.
            threads: That one call of ``embed`` computes with.

        Raises:
            models.training.encoder_file.EncoderError: No usable encoder.onnx of these weights.
            models.training.weights.WeightsError: The weights are missing or damaged.
        """
        folder = find_weights(name)
        compiled = _compile(read_encoder(folder), threads, folder)
        return cls(
            compiled,
            dim=int(compiled.output(0).get_partial_shape()[1].get_length()),
            fingerprint=fingerprint_weights(folder),
            preprocessing=read_preprocessing(folder),
        )

    def embed(self, pixels: Pixels) -> Vectors:
        """(B, H, W, C) uint8 -> (B, dim) float32 of unit length. Threads may call it together."""
        self.preprocessing.check(pixels)
        vectors = np.empty((len(pixels), self.dim), np.float32)
        try:
            request = self._idle.pop()
        except IndexError:
            request = self.compiled.create_infer_request()
        try:
            for start in range(0, len(pixels), BATCH):
                part = np.ascontiguousarray(pixels[start : start + BATCH])
                # The answer is copied here, before another call can borrow the request.
                found = request.infer({0: part}, share_inputs=True, share_outputs=True)
                vectors[start : start + BATCH] = found[0]
        finally:
            self._idle.append(request)
        return vectors


def _compile(data: bytes, threads: int, folder: Path) -> Any:
    """The graph for this processor, with a stream for every call that it has threads for."""
    streams = max(1, _cores() // threads)
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "NUM_STREAMS": streams,
        "INFERENCE_NUM_THREADS": streams * threads,
        "ENABLE_CPU_PINNING": False,  # other threads of the service need the cores too
    }
    try:
        core = openvino.Core()
        return core.compile_model(core.read_model(data), "CPU", settings)
    except RuntimeError as error:  # all that OpenVINO raises
        raise EncoderError(
            f"OpenVINO {openvino.__version__} cannot open the encoder of {folder}: {error} "
            f"Make it again with: niteru export {folder}"
        ) from error


def _cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
