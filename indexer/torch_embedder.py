"""A trained model of ``models`` on torch: the reference that faster runtimes are measured by."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from indexer.protocols import Pixels, Vectors
from models.images import Preprocessing
from models.training.checkpoint import Weights, find_weights, load_weights

BATCH = 64  # pictures a forward pass; more gains nothing on a processor


@dataclass(frozen=True)
class TorchEmbedder:
    """Embeds with a weights folder.

    Attributes:
        weights: The trained model with its preprocessing and fingerprint.
    """

    weights: Weights

    @classmethod
    def load(cls, name: str | Path) -> "TorchEmbedder":
        """Load weights by folder, or by name below ``weights/``.

        Raises:
            models.training.checkpoint.WeightsError: Missing or damaged.
        """
        weights = load_weights(find_weights(name))
        weights.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return cls(weights)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self.weights.model.embedding_dim

    @property
    def fingerprint(self) -> str:
        """Hash of weights, preprocessing and version."""
        return self.weights.fingerprint

    @property
    def preprocessing(self) -> Preprocessing:
        """What the model expects of a photo."""
        return self.weights.preprocessing

    def embed(self, pixels: Pixels) -> Vectors:
        """(B, H, W, C) uint8 -> (B, dim) float32 of unit length. Threads may call it together."""
        self.preprocessing.check(pixels)
        if not len(pixels):
            return np.zeros((0, self.dim), np.float32)
        with torch.inference_mode():
            parts = [self._embed(torch.from_numpy(part)) for part in _split(pixels)]
            return torch.cat(parts).numpy()

    def _embed(self, pixels: Tensor) -> Tensor:
        x = pixels.permute(0, 3, 1, 2).float() / 127.5 - 1  # (B, C, H, W)
        return nn.functional.normalize(self.weights.model.embed(x), dim=1)


def _split(pixels: Pixels) -> list[Pixels]:
    return [np.ascontiguousarray(pixels[i : i + BATCH]) for i in range(0, len(pixels), BATCH)]
