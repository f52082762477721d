"""What embeds: ONNX Runtime where the weights have an export that fits, torch where not.

OpenVINO, which reads the same export, embeds where it is asked for by name.
"""

import logging
from pathlib import Path
from typing import Literal

from indexer.protocols import Embedder
from models.training.encoder_file import EncoderError
from models.training.weights import find_weights, read_preprocessing

Runtime = Literal["auto", "onnx", "openvino", "torch"]

logger = logging.getLogger(__name__)


def load_embedder(name: str | Path, *, runtime: Runtime = "auto", threads: int = 1) -> Embedder:
    """Open weights by folder, or by name below ``weights/``.

    Args:
        name: The weights.
        runtime: ``onnx``, ``openvino`` or ``torch``; ``auto`` is ``onnx``, or ``torch`` if there is
            no usable ``encoder.onnx``, which the log says then. All give the same vectors, to a
            cosine of .9999 and better.
        threads: That one call of ``embed`` computes with; torch's are the whole process's.

    Raises:
        models.training.weights.WeightsError: The weights are missing or damaged, take strokes, or
            ``onnx`` or ``openvino`` was asked for and there is no usable export.
        ImportError: The runtime that was asked for is not installed.
    """
    folder = find_weights(name)
    read_preprocessing(folder)  # strokes are refused before anything is loaded
    if runtime == "openvino":
        return _on_openvino(folder, threads)
    if runtime != "torch":
        try:
            return _on_onnx(folder, threads)
        except (EncoderError, ImportError) as error:
            if runtime == "onnx":
                raise
            logger.warning("Embedding with torch, which is slower to start and to run: %s", error)
    return _on_torch(folder, threads)


def _on_onnx(folder: Path, threads: int) -> Embedder:
    from indexer.onnx_embedder import OnnxEmbedder  # noqa: PLC0415 - only where it is used

    return OnnxEmbedder.load(folder, threads=threads)


def _on_openvino(folder: Path, threads: int) -> Embedder:
    try:
        from indexer.openvino_embedder import OpenvinoEmbedder  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ImportError(
            f"Embedding with OpenVINO needs another package: {error}. Install it with: "
            "pip install '.[openvino]', or choose the runtime onnx, which gives the same vectors."
        ) from error
    return OpenvinoEmbedder.load(folder, threads=threads)


def _on_torch(folder: Path, threads: int) -> Embedder:
    import torch  # noqa: PLC0415 - takes a second to import

    from indexer.torch_embedder import TorchEmbedder  # noqa: PLC0415

    torch.set_num_threads(threads)
    return TorchEmbedder.load(folder)
