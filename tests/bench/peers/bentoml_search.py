"""The same search behind BentoML: a worker for each core, adaptive batches of up to 16.

An endpoint that is to be batched takes and answers lists; a client sends a list of one.
"""

from pathlib import Path
from typing import Any

import bentoml
from same_search import BATCH, Search


@bentoml.service(
    workers="cpu_count", metrics={"enabled": True}, logging={"access": {"enabled": False}}
)
class Searching:
    """``POST /search`` with a form whose files are ``photos``."""

    def __init__(self) -> None:
        self.search_with = Search()

    @bentoml.api(batchable=True, max_batch_size=BATCH, max_latency_ms=1000)
    def search(self, photos: list[Path]) -> list[dict[str, Any]]:
        """What was found for each photo."""
        pixels = [self.search_with.decode(photo.read_bytes()) for photo in photos]
        return [{"items": items} for items in self.search_with.find(pixels)]
