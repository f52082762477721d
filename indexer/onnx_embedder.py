"""The trained encoder on ONNX Runtime: the vectors that torch gives, sooner, and without torch."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from indexer.protocols import Pixels, Vectors
from models.images import Preprocessing
from models.training.encoder_file import (
    INPUT,
    OUTPUT,
    EncoderError,
    keep_from_telling,
    read_encoder,
)
from models.training.weights import find_weights, fingerprint_weights, read_preprocessing

keep_from_telling()

import onnxruntime  # noqa: E402
from onnxruntime.capi.onnxruntime_pybind11_state import (  # noqa: E402
    Fail,
    InvalidArgument,
    InvalidGraph,
    InvalidProtobuf,
    RuntimeException,
)
from onnxruntime.capi.onnxruntime_pybind11_state import (  # noqa: E402
    NotImplemented as NotSupported,
)

# What opening a graph raises; these have no class in common but Exception.
REFUSALS = (Fail, InvalidArgument, InvalidGraph, InvalidProtobuf, NotSupported, RuntimeException)
BATCH = 64  # pictures a run; more gains nothing on a processor, and costs memory


@dataclass(frozen=True)
class OnnxEmbedder:
    """Embeds with the ``encoder.onnx`` of a weights folder.

    Attributes:
        session: The opened encoder; threads may run it together.
        dim: Numbers in a vector.
        fingerprint: That of the weights, because the vectors are those that torch gives.
        preprocessing: What the encoder expects of a photo.
    """

    session: onnxruntime.InferenceSession
    dim: int
    fingerprint: str
    preprocessing: Preprocessing

    @classmethod
    def load(cls, name: str | Path, *, threads: int = 1) -> "OnnxEmbedder":
        """Open weights by folder, or by name below ``weights/``.

        Args:
            name: The weights.
            threads: That one call of ``embed`` computes with.

        Raises:
            models.training.encoder_file.EncoderError: No usable encoder.onnx of these weights.
            models.training.weights.WeightsError: The weights are missing or damaged.
        """
        folder = find_weights(name)
        session = _open(read_encoder(folder), threads, folder)
        return cls(
            session,
            dim=int(session.get_outputs()[0].shape[1]),
            fingerprint=fingerprint_weights(folder),
            preprocessing=read_preprocessing(folder),
        )

    def embed(self, pixels: Pixels) -> Vectors:
        """(B, H, W, C) uint8 -> (B, dim) float32 of unit length. Threads may call it together."""
        self.preprocessing.check(pixels)
        vectors = np.empty((len(pixels), self.dim), np.float32)
        for start in range(0, len(pixels), BATCH):
            part = np.ascontiguousarray(pixels[start : start + BATCH])
            vectors[start : start + BATCH] = self.session.run([OUTPUT], {INPUT: part})[0]
        return vectors


def _open(data: bytes, threads: int, folder: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors; what it cannot do, it raises
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except REFUSALS as error:
        raise EncoderError(
            f"ONNX Runtime {onnxruntime.__version__} cannot open the encoder of {folder}: {error} "
            f"Make it again with: niteru export {folder}"
        ) from error
