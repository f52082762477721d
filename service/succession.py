"""Going over to other weights while serving, when a generation of theirs becomes the current one.

Whoever publishes such a generation, from the command line or by ``POST /v1/reindex``, has it built
beside the old one, which goes on being served. A server that finds it looks for its weights by the
fingerprint, below ``weights/`` and where the run had them, loads them beside its own, and from then
on every request that begins is answered by the new pair of embedder and index. One that has begun
ends with the old pair: a vector never meets an index of other weights.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from indexer.errors import IndexerError
from indexer.protocols import Embedder, Engine
from indexer.runtime import load_embedder
from indexer.weights_at_hand import find_made_with
from models.training.weights import WeightsError

if TYPE_CHECKING:
    from service.settings import Settings
    from service.state import State

logger = logging.getLogger(__name__)

AGAIN = 5.0  # seconds until weights that were not there are looked for again


class Succession:
    """Puts the pair of embedder and index that fits the current generation in its place.

    Args:
        state: What answers now.
        seat: Lets another one answer, from the next request on.
        open_engine: Opens the settings' store for an embedder.
        clock: Seconds, never going back.

    Attributes:
        state: What answers now.
    """

    def __init__(
        self,
        state: "State",
        *,
        seat: Callable[["State"], None],
        open_engine: Callable[["Settings", Embedder], Engine],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.state = state
        self.clock = clock
        self._seat, self._open_engine = seat, open_engine
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="niteru-succession")
        self._going = threading.Lock()
        self._asked: tuple[str, float] | None = None
        self._closed = False
        self._retired: list[tuple[State, threading.Timer]] = []
        state.searcher.on_mismatch = self.begin

    def begin(self, fingerprint: str) -> None:
        """Go over to these weights in a thread of its own, unless that was tried just now."""
        now = self.clock()
        if self._closed:
            return
        if self._asked is not None and self._asked[0] == fingerprint and now < self._asked[1]:
            return
        self._asked = (fingerprint, now + AGAIN)
        self._executor.submit(self._try, fingerprint)

    def _try(self, fingerprint: str) -> None:
        try:
            self.go_over(fingerprint)
        except Exception:  # nobody asks the executor for it, so it would be lost unsaid
            logger.exception("The weights '%s' are not taken up.", fingerprint)

    def go_over(self, fingerprint: str) -> bool:
        """Answer with these weights from now on: whether that is so at the end.

        It is not if they are not at hand, cannot be loaded, or if the current generation
        is another one by now. Then all stays as it was, and the log says why.
        """
        with self._going:
            old = self.state
            if old.searcher.embedder.fingerprint == fingerprint:
                old.searcher.take_up()
                return True
            successor = self._successor(old, fingerprint)
            if successor is None:
                return False
            successor.searcher.probe()  # so that the first request does not wait for what is lazy
            successor.searcher.on_mismatch = self.begin
            self.state = successor
            self._seat(successor)
            self._retire(old)
            logger.info(
                "Serving generation %s, with the weights '%s'; a server that is started again "
                "finds them, too.",
                successor.searcher.serving(),
                successor.settings.weights,
            )
            return True

    def _successor(self, old: "State", fingerprint: str) -> "State | None":
        settings = old.settings
        folder = find_made_with(settings.store, fingerprint)
        if folder is None:
            logger.warning("There are no weights '%s' below weights/.", fingerprint)
            return None
        try:
            embedder = load_embedder(
                folder, runtime=settings.runtime, threads=settings.embedder_threads
            )
            engine = self._open_engine(settings, embedder)
        except (WeightsError, ImportError, IndexerError) as error:
            logger.warning("The weights '%s' are not taken up: %s", folder, error)
            return None
        return old.succeed(embedder, engine, weights=str(folder))

    def _retire(self, old: "State") -> None:
        """Close what is not asked any more as soon as no request can hold it."""
        timer = threading.Timer(old.settings.request_timeout + 1, old.close_pair)
        timer.daemon = True
        timer.start()
        self._retired = [pair for pair in self._retired if pair[1].is_alive()]
        self._retired.append((old, timer))

    def close(self) -> None:
        """Close all that has retired, and begin nothing more."""
        self._closed = True
        self._executor.shutdown(cancel_futures=True)
        for old, timer in self._retired:
            timer.cancel()
            old.close_pair()
