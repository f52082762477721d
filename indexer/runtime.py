"""What embeds: ONNX Runtime where the weights have an export that fits, torch where not."""

import logging
from pathlib import Path
from typing import Literal

from indexer.protocols import Embedder
from models.training.encoder_file import EncoderError
from models.training.weights import find_weights

Runtime = Literal["auto", "onnx", "torch"]

logger = logging.getLogger(__name__)


def load_embedder(name: str | Path, *, runtime: Runtime = "auto", threads: int = 1) -> Embedder:
    """Open weights by folder, or by name below ``weights/``.

    Args:
        name: The weights.
        runtime: ``onnx`` or ``torch``; ``auto`` is ``onnx``, or ``torch`` if there is no usable
            ``encoder.onnx``, which the log says then. Both give the same vectors, to a cosine of
            .9999 and better.
        threads: That one call of ``embed`` computes with; torch's are the whole process's.

    Raises:
        models.training.weights.WeightsError: The weights are missing or damaged, or ``onnx`` was
            asked for and there is no usable export.
        ImportError: ``onnx`` was asked for and ONNX Runtime is not installed.
    """
    folder = find_weights(name)
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


def _on_torch(folder: Path, threads: int) -> Embedder:
    import torch  # noqa: PLC0415 - takes a second to import

    from indexer.torch_embedder import TorchEmbedder  # noqa: PLC0415

    torch.set_num_threads(threads)
    return TorchEmbedder.load(folder)
