"""The distributed engine: a Milvus collection answers, ``items.sqlite`` is what it is derived from.

Where the store lies beside it, every call first brings the collection up to the store's change
number, so that what was written is found at once; elsewhere it answers what the collection holds.
Candidates come with their true vectors and are ranked by them: scores are exact whatever the index
rounds. Ties: higher score first, then the smaller id.
"""

from collections.abc import Callable, Sequence
from math import ceil
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self, TypeVar

from indexer.database import DATABASE, ReaderPool
from indexer.engines.facets import count_facets
from indexer.engines.milvus_collection import ALL
from indexer.engines.milvus_search import CollectionSearch
from indexer.engines.milvus_server import GONE, LONG, Server
from indexer.engines.milvus_serving import Serving, bring_up, open_collection
from indexer.engines.naming import AttributeNames
from indexer.engines.scores import check_queries
from indexer.engines.turns import Turns
from indexer.errors import (
    FingerprintMismatchError,
    GenerationError,
    IndexerError,
    MilvusError,
    NoGenerationError,
    QueryError,
)
from indexer.filter_milvus import compile_condition, compile_filter
from indexer.filters import Exists, Filter
from indexer.protocols import Facet, Hit, Item, Place, Vectors
from indexer.reading import find_embedder, read_change
from indexer.reading_filters import find_facets

Answer = TypeVar("Answer")

COUNTS = 64  # results of counting that are kept until the store changes
# Where a smaller part passes, all lists are looked at; otherwise so many times as many as without
# a filter, and more as less passes. The same as the embedded engine's.
FEW, FILTERED = 0.01, 12


class MilvusEngine:
    """The ``Engine`` over a Milvus server; made by ``open``. Thread-safe."""

    def __init__(self, server: Server, name: str, store: Path, serving: Serving) -> None:
        self.server, self.name, self.store = server, name, store
        self._serving = serving
        self._applied = -1
        self._pool: ReaderPool | None = None
        self._turns = Turns()
        self._lock = Lock()
        self._refresh_lock = Lock()
        self._refused: tuple[str, IndexerError] | None = None
        self._names = AttributeNames()
        self._counts: dict[tuple[str, int, str], int] = {}

    @classmethod
    def open(
        cls, server: Server, name: str, store: Path, *, fingerprint: str | None = None
    ) -> Self:
        """Open the generation behind an alias.

        Args:
            server: The connection; the engine closes it.
            name: The alias.
            store: The store's folder. Without a store in it the collection is answered from as it
                is, and some other machine keeps it up to date.
            fingerprint: The embedder's that queries will come from; None takes the collection's.

        Raises:
            NoGenerationError: Nothing was published yet; names the command that does.
            FingerprintMismatchError: The collection is another embedder's; names both.
            GenerationCorruptError: It is none of niteru's, or of another store.
        """
        store = store.absolute()
        current = server.find_alias(name)
        if current is None:
            raise NoGenerationError(store)
        return cls(server, name, store, open_collection(server, name, current, fingerprint))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection and the store."""
        if self._pool is not None:
            self._pool.close()
        self.server.close()

    @property
    def fingerprint(self) -> str:
        """The embedder's whose queries can be answered."""
        return self._serving.manifest.fingerprint

    @property
    def dim(self) -> int:
        """Numbers in a query."""
        return self._serving.manifest.dim

    @property
    def generation(self) -> str:
        """The id of the generation that answers."""
        return self._serving.manifest.id

    def __len__(self) -> int:
        return self.count()

    @property
    def pending(self) -> int:
        """None: Milvus itself searches what its index does not hold yet."""
        return 0

    def search(
        self,
        queries: Vectors,
        limit: int,
        *,
        exact: bool = False,
        exclude: Sequence[str] = (),
        where: Filter | None = None,
        effort: int | None = None,
    ) -> list[list[Hit]]:
        """The nearest items of each query; see ``Engine.search``.

        Args:
            queries: (B, dim) float32, rows of unit length.
            limit: At most so many answers, at least 1.
            exact: Look at every list instead of the promising ones.
            exclude: Ids that are not answered; they do not shorten the answer.
            where: What the items have to pass; it does not shorten the answer either.
            effort: Lists to look at first; None takes the number the index was measured with.

        Raises:
            QueryError: Queries of another shape, not finite or not of unit length; limit below 1.
            MilvusError: The server cannot be reached, or refuses.
        """
        queries = check_queries(queries, self.dim)
        if limit < 1:
            raise QueryError(f"limit must be at least 1; found {limit}.")
        expression = None if where is None else compile_filter(where)

        def answer(serving: Serving) -> list[list[Hit]]:
            lists = ALL if exact or not serving.manifest.nprobe else effort or serving.lists
            if expression is not None and lists < ALL:
                lists = self._more(serving, lists, expression)
            search = CollectionSearch(serving.collection, limit, frozenset(exclude), expression)
            return search.run(queries, lists)

        return self._ask(answer)

    def count(self, where: Filter | None = None) -> int:
        """How many items can be found and pass a filter."""
        expression = "" if where is None else compile_filter(where)
        return self._ask(lambda serving: self._count(serving, expression))

    def facets(self, where: Filter | None = None, *, most: int = 20) -> dict[str, Facet]:
        """What the attributes of the items that pass a filter hold; see ``Engine.facets``.

        ``items.sqlite`` counts if it is here; elsewhere all that pass are read.
        """
        pool = self._open_store()
        if pool is not None:
            with pool.read() as connection:
                found = find_embedder(connection, self.fingerprint)
                return {} if found is None else find_facets(connection, found[0], where, most)
        expression = None if where is None else compile_filter(where)
        return self._ask(
            lambda serving: count_facets(serving.collection.attributes(expression), most)
        )

    def attributes(self, *, sought: str | None = None) -> frozenset[str]:
        """The names of the attributes that items have; see ``Engine.attributes``.

        Without ``items.sqlite`` here, the server counts those that have the one that is sought; if
        there are none, all items are read.
        """
        pool = self._open_store()
        if pool is None:
            if sought is not None and self._has(sought):
                return frozenset({sought})
            return frozenset(self.facets(most=1))
        with pool.read() as connection:
            return self._names.known(connection, sought)

    def _has(self, name: str) -> bool:
        # Not checked as a filter's name is: whatever it holds, it becomes digits.
        expression = compile_condition(Exists.model_construct(key=name, exists=True))
        return self._ask(lambda serving: self._count(serving, expression)) > 0

    def layout(self) -> list[Place]:
        """The map of the generation that answers, without the items that are gone since."""
        return self._ask(lambda serving: serving.collection.places())

    def get(self, ids: Sequence[str]) -> list[Item | None]:
        """The items with these ids, None where there is none (any more)."""
        return self._ask(lambda serving: serving.collection.get(ids))

    def vectors(self, ids: Sequence[str]) -> list[Vectors | None]:
        """The vectors (dim,) of these items, None where there is none (any more)."""
        return self._ask(lambda serving: serving.collection.vectors(ids))

    def refresh(self) -> bool:
        """Take up the collection that the alias stands for now.

        Raises:
            FingerprintMismatchError: The new generation is another embedder's; names both.
            GenerationCorruptError: It is none of niteru's, or of another store.
        """
        if not self._refresh_lock.acquire(blocking=False):
            return False  # another thread is at it; this one goes on with what there is
        try:
            return self._take_up(self.server.find_alias(self.name))
        finally:
            self._refresh_lock.release()

    def _take_up(self, current: str | None) -> bool:
        if current is None or current == self._serving.collection.name:
            self._refused = None
            return False
        if self._refused is not None and self._refused[0] == current:
            raise self._refused[1].with_traceback(None)
        try:
            serving = open_collection(self.server, self.name, current, self.fingerprint)
        except (GenerationError, FingerprintMismatchError) as error:
            self._refused = (current, error)
            raise
        with self._turns.writing():
            self._serving, self._applied = serving, -1
        return True

    def _ask(self, question: Callable[[Serving], Answer]) -> Answer:
        """Put a question to the collection as of one moment.

        A collection that was let go of meanwhile was followed by another one, or its server was
        started anew and has to be told to read it into memory.
        """
        try:
            return self._ask_once(question)
        except MilvusError as error:
            if error.code not in GONE:
                raise
            with self._refresh_lock:  # another thread may have noticed first: wait for it
                self._take_up(self.server.find_alias(self.name))
                name = self._serving.collection.name
                self.server.call("load_collection", name, seconds=LONG)
        return self._ask_once(question)

    def _ask_once(self, question: Callable[[Serving], Answer]) -> Answer:
        self._catch_up()
        with self._turns.reading():
            return question(self._serving)

    def _catch_up(self) -> None:
        """Bring the collection up to the store, if there is one here."""
        pool = self._open_store()
        if pool is None:
            return
        with pool.read() as connection:
            change = read_change(connection)
        if self._applied >= change:
            return
        with self._turns.writing():
            if self._applied < change:
                self._applied = bring_up(self._serving, pool)

    def _open_store(self) -> ReaderPool | None:
        """The store's connections, None while there is no store in the folder."""
        with self._lock:
            if self._pool is None and (self.store / DATABASE).is_file():
                self._pool = ReaderPool(self.store)
            return self._pool

    def _count(self, serving: Serving, expression: str) -> int:
        """How many items pass, from an earlier count if nothing changed since."""
        key = (serving.collection.name, self._applied, expression)
        with self._lock:
            known = self._counts.get(key)
        if known is not None and self._pool is not None:
            return known
        found = serving.collection.count(expression or None)
        with self._lock:
            self._counts[key] = found
            while len(self._counts) > COUNTS:
                del self._counts[next(iter(self._counts))]
        return found

    def _more(self, serving: Serving, lists: int, expression: str) -> int:
        """Lists to look at for a filter: more, the less passes."""
        everything, passing = self._count(serving, ""), self._count(serving, expression)
        if passing < FEW * everything or not passing:
            return ALL
        return min(ALL, ceil(FILTERED * lists * everything / passing))
