"""The explainer of a server: loaded on the first request, working in a thread of its own."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from indexer.protocols import Pixels
from models.training.weights import WeightsError
from service.batching import Admission
from service.errors import CannotExplainError
from service.explanation import Explanation

if TYPE_CHECKING:  # torch takes seconds to import, and a server that only searches needs none
    from service.explaining import Explainer

logger = logging.getLogger(__name__)

# One is explained and one waits: 16 draws pixel by pixel take seconds, and a third request would
# run out of time, holding the place of a search meanwhile.
AT_ONCE = 2


class LazyExplainer:
    """Explains one photo after the other, beside the searches.

    Args:
        weights: A folder, or a name below ``weights/``; None if the server was given none.
        fingerprint: What theirs has to be: that of the embedder.
        threads: That drawing computes with.

    Attributes:
        admission: The bound on requests that are explained or wait for it.
    """

    def __init__(self, weights: str | None, *, fingerprint: str, threads: int) -> None:
        self.weights = weights
        self.fingerprint = fingerprint
        self.threads = threads
        self.admission = Admission(AT_ONCE)
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="niteru-explain")
        self._explainer: Explainer | None = None

    async def explain(self, pixels: Pixels, *, draws: int, seed: int) -> Explanation:
        """As ``Explainer.explain``.

        Raises:
            NoDecoderError: The model cannot draw from a vector.
            CannotExplainError: The server has no fitting weights, or no torch.
        """

        def work() -> Explanation:
            if self._explainer is None:  # there is one thread, so it is loaded once
                self._explainer = self._load()
            return self._explainer.explain(pixels, draws=draws, seed=seed)

        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    def close(self) -> None:
        """Let running work end and drop what waits."""
        self._executor.shutdown(cancel_futures=True)

    def _load(self) -> "Explainer":
        if self.weights is None:
            raise CannotExplainError(
                f"This server embeds with '{self.fingerprint}', which comes from no weights folder "
                f"that it was told of, so there is no decoder. "
                "Start it with weights: niteru serve --store STORE --weights WEIGHTS."
            )
        try:
            import torch  # noqa: PLC0415 - takes seconds, see above

            from models.training.checkpoint import find_weights, load_weights  # noqa: PLC0415
            from service.explaining import Explainer  # noqa: PLC0415
        except ImportError as error:
            logger.warning("Nothing can be explained: %s", error)
            raise CannotExplainError(
                f"Decoding needs torch, and this server cannot import '{error.name}'. "
                "Install torch where the server runs."
            ) from error
        torch.set_num_threads(self.threads)  # those of this thread: others stay free for searches
        try:
            weights = load_weights(find_weights(self.weights))
        except WeightsError as error:
            # It names paths of this machine, which are for the log.
            logger.warning("Nothing can be explained: %s", error)
            raise CannotExplainError(
                "The weights of this server cannot be read (any more). Its log says why, under "
                "the time of this answer."
            ) from error
        if weights.fingerprint != self.fingerprint:
            raise CannotExplainError(
                f"The weights of this server have the fingerprint '{weights.fingerprint}', but it "
                f"embeds with '{self.fingerprint}': they were replaced after it started. "
                "Start it again."
            )
        return Explainer(weights)
