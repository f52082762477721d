"""What the compared servers serve: the same encoder and the same index as niteru, no HTTP.

    NITERU_BENCH_STORE=store NITERU_BENCH_WEIGHTS=pixelvae-clothing

are read by whichever process the server loads its model in.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from indexer.engines.faiss_engine import FaissEngine
from indexer.protocols import Pixels
from indexer.runtime import load_embedder

LIMIT = 10
BATCH = 16  # as NITERU_MAX_BATCH


class Search:
    """Decodes, embeds and searches."""

    def __init__(self) -> None:
        self.embedder = load_embedder(os.environ["NITERU_BENCH_WEIGHTS"])
        self.engine = FaissEngine.open(
            Path(os.environ["NITERU_BENCH_STORE"]), fingerprint=self.embedder.fingerprint
        )

    def decode(self, photo: bytes) -> Pixels:
        """(H, W, C) uint8."""
        return self.embedder.preprocessing.read(photo)

    def find(self, pixels: Sequence[Pixels]) -> list[list[dict[str, Any]]]:
        """The items to answer to each of some photos."""
        found = self.engine.search(self.embedder.embed(np.stack(pixels)), LIMIT)
        ids = list(dict.fromkeys(hit.id for hits in found for hit in hits))
        items = dict(zip(ids, self.engine.get(ids), strict=True))
        return [
            [
                {
                    "id": hit.id,
                    "score": hit.score,
                    "attributes": dict(item.attributes) if (item := items[hit.id]) else {},
                }
                for hit in hits
            ]
            for hits in found
        ]
