"""An engine that may not be there yet: a server may be started before anything is indexed."""

import threading
from collections.abc import Callable, Sequence

from indexer.errors import NoGenerationError, NoStoreError
from indexer.filters import Filter
from indexer.protocols import Engine, Facet, Hit, Item, Place, Vectors
from service.errors import NotReadyError


class AwaitedEngine:
    """An ``Engine`` that is opened as soon as there is something to open.

    Until then every question raises ``NotReadyError`` with what to run, and ``refresh`` tries
    again. Afterwards it is the opened engine.

    Args:
        open_engine: Opens the engine; raises ``NoStoreError`` or ``NoGenerationError`` if there is
            nothing yet. Any other error, such as weights that do not fit, is the caller's to see.
        fingerprint: What the engine's will have to be.
    """

    def __init__(self, open_engine: Callable[[], Engine], *, fingerprint: str) -> None:
        self._open = open_engine
        self._expected = fingerprint
        self._engine: Engine | None = None
        self._opening = threading.Lock()
        self.refresh()

    @property
    def fingerprint(self) -> str:
        """Of the embedder that made the vectors, or has to make them."""
        return self._engine.fingerprint if self._engine is not None else self._expected

    @property
    def generation(self) -> str:
        """The id of the generation that answers."""
        return self._opened().generation

    def __len__(self) -> int:
        """How many items can be found; none before there is a generation."""
        return 0 if self._engine is None else len(self._engine)

    @property
    def pending(self) -> int:
        """As the opened engine."""
        return self._opened().pending

    def search(
        self,
        queries: Vectors,
        limit: int,
        *,
        exact: bool = False,
        exclude: Sequence[str] = (),
        where: Filter | None = None,
    ) -> list[list[Hit]]:
        """As the opened engine."""
        return self._opened().search(queries, limit, exact=exact, exclude=exclude, where=where)

    def count(self, where: Filter | None = None) -> int:
        """As the opened engine."""
        return self._opened().count(where)

    def facets(self, where: Filter | None = None, *, most: int = 20) -> dict[str, Facet]:
        """As the opened engine."""
        return self._opened().facets(where, most=most)

    def attributes(self, *, sought: str | None = None) -> frozenset[str]:
        """As the opened engine."""
        return self._opened().attributes(sought=sought)

    def layout(self) -> list[Place]:
        """As the opened engine."""
        return self._opened().layout()

    def get(self, ids: Sequence[str]) -> list[Item | None]:
        """As the opened engine."""
        return self._opened().get(ids)

    def vectors(self, ids: Sequence[str]) -> list[Vectors | None]:
        """As the opened engine."""
        return self._opened().vectors(ids)

    def refresh(self) -> bool:
        """Open the engine if there is one now, or let it take up a new generation."""
        if self._engine is not None:
            return self._engine.refresh()
        with self._opening:
            return self._try_to_open()

    def _try_to_open(self) -> bool:
        if self._engine is not None:  # by another thread, while this one waited
            return False
        try:
            self._engine = self._open()
        except (NoStoreError, NoGenerationError):
            return False
        return True

    def close(self) -> None:
        """Close the engine if it was opened."""
        if self._engine is not None:
            self._engine.close()

    def _opened(self) -> Engine:
        if self._engine is None:
            # Without the store's path: whoever reads this over HTTP has no business with it.
            raise NotReadyError(
                "Nothing has been indexed yet. Run: niteru index CATALOGUE --store STORE "
                "with the store of this server; it is taken up without a restart.",
                headers={"Retry-After": "10"},
            )
        return self._engine
