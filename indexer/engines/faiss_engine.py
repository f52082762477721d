"""The embedded engine: FAISS for what a generation holds, SQLite for what is true.

What came since the generation was built is scanned exactly beside it, and what went is masked, as
of the change number that the search reads first. Candidates are ranked by their true vectors, which
lie beside the index (``indexer.engines.stored``): scores are exact whatever the index rounds, and a
deleted item or an old vector cannot be answered.
Ties: higher score first, then the smaller id.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import Connection
from threading import Lock
from types import TracebackType
from typing import Self

import faiss

from indexer.database import ReaderPool
from indexer.engines.facets import KeptFacets
from indexer.engines.naming import AttributeNames
from indexer.engines.passing import follow, passing_rows
from indexer.engines.remembered import Remembered
from indexer.engines.scores import check_queries
from indexer.engines.search import Search
from indexer.engines.view import (
    RowSet,
    View,
    catch_up,
    first_view,
    open_index,
)
from indexer.errors import (
    FingerprintMismatchError,
    GenerationError,
    IndexerError,
    NoGenerationError,
    QueryError,
)
from indexer.filters import Filter
from indexer.generations import GENERATIONS, check_known, read_current
from indexer.layout import read_layout
from indexer.leases import Lease, hold
from indexer.protocols import Facet, Hit, Item, Place, Vectors
from indexer.reading import find_items, find_vectors_by_id, read_change
from indexer.reading_filters import find_facets, find_passing

# What filters let pass is kept: shops ask with the same few.
FILTERS, FILTER_BYTES = 32, 512_000_000


class FaissEngine:
    """The ``Engine`` over a store's current generation; made by ``open``. Thread-safe."""

    def __init__(
        self, store: Path, pool: ReaderPool, view: View, lease: Lease, threads: int
    ) -> None:
        self.store = store
        self.threads = threads
        self._pool = pool
        self._view, self._lease = view, lease
        self._view_lock = Lock()
        self._refresh_lock = Lock()
        self._refused: tuple[str, IndexerError] | None = None
        self._passing = Remembered[tuple[int, str, int, str], RowSet](
            FILTERS, room=FILTER_BYTES, size=lambda rows: rows.nbytes, name=lambda key: key[2:]
        )
        self._names = AttributeNames()
        self._facets = KeptFacets()

    @classmethod
    def open(cls, store: Path, *, fingerprint: str | None = None, threads: int = 1) -> Self:
        """Open the current generation of a store.

        Args:
            store: The store's folder.
            fingerprint: The embedder's that queries will come from; None takes the index's.
            threads: That FAISS shares a batch of queries between. A single query gains nothing
                from more than one, and waits for the second where the cores are busy.

        Raises:
            NoStoreError: There is no store at this path.
            NoGenerationError: Nothing was published yet; names the command that does.
            FingerprintMismatchError: The index is another embedder's; names both.
            GenerationCorruptError: Its files are truncated, altered or foreign.
        """
        store = store.absolute()
        pool = ReaderPool(store)
        try:
            return cls(store, pool, *open_view(store, pool, fingerprint), threads)
        except BaseException:
            pool.close()
            raise

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
        """Close the store; searches under way end well, later ones are refused."""
        self._pool.close()
        self._lease.release()

    @property
    def fingerprint(self) -> str:
        """The embedder's whose queries can be answered."""
        return self._view.opened.manifest.fingerprint

    @property
    def dim(self) -> int:
        """Numbers in a query."""
        return self._view.opened.manifest.dim

    @property
    def generation(self) -> str:
        """The id of the generation that answers."""
        return self._view.opened.manifest.id

    def __len__(self) -> int:
        with self._snapshot() as (_, view):
            return len(view)

    @property
    def pending(self) -> int:
        """How many findable items are not in the built index yet, and are scanned beside it."""
        with self._snapshot() as (_, view):
            return len(view.added)

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
            exact: Look at every vector instead of the promising lists.
            exclude: Ids that are not answered; they do not shorten the answer.
            where: What the items have to pass; it does not shorten the answer either.
            effort: Lists to probe at first; None takes the number the index was measured with.

        Raises:
            QueryError: Queries of another shape, not finite or not of unit length; limit below 1.
        """
        queries = check_queries(queries, self.dim)
        if limit < 1:
            raise QueryError(f"limit must be at least 1; found {limit}.")
        faiss.omp_set_num_threads(self.threads)  # of the calling thread: each has its own number
        with self._snapshot() as (connection, view):
            passing = None if where is None else self._find_passing(connection, view, where)
            return Search(connection, view, limit, frozenset(exclude), passing).run(
                queries, exact=exact, effort=effort
            )

    def count(self, where: Filter | None = None) -> int:
        """How many items can be found and pass a filter."""
        with self._snapshot() as (connection, view):
            return len(view if where is None else self._find_passing(connection, view, where))

    def facets(self, where: Filter | None = None, *, most: int = 20) -> dict[str, Facet]:
        """What the attributes of the items that pass a filter hold; see ``Engine.facets``."""
        with self._snapshot() as (connection, view):
            found = self._facets.get(
                view.change,
                (view.embedder, text_of(where), most),
                lambda: find_facets(connection, view.embedder, where, most),
            )
        # Copies, for what is kept is everyone's.
        return {key: facet._replace(values=list(facet.values)) for key, facet in found.items()}

    def attributes(self, *, sought: str | None = None) -> frozenset[str]:
        """The names of the attributes that items have; see ``Engine.attributes``."""
        with self._pool.read() as connection:
            return self._names.known(connection, sought)

    def layout(self) -> list[Place]:
        """The map of the generation that answers, without the items that are gone since.

        Raises:
            GenerationCorruptError: The map is damaged.
        """
        places = read_layout(self.store / GENERATIONS / self.generation)
        with self._pool.read() as connection:
            there = find_items(connection, [place.id for place in places])
        return [place for place, item in zip(places, there, strict=True) if item is not None]

    def _find_passing(self, connection: Connection, view: View, where: Filter) -> RowSet:
        """What a filter lets pass, from an earlier search and what changed since."""
        key = view.change, view.opened.manifest.id, view.embedder, text_of(where)

        def find() -> RowSet:
            earlier = self._passing.earlier(key)
            if earlier is not None and earlier[0][0] <= view.change:
                (since, index, *_), before = earlier
                same = index == key[1]
                return follow(connection, view, where, before, since=since, same_index=same)
            rows = find_passing(connection, view.embedder, where)
            return passing_rows(connection, view, rows)

        return self._passing.get(key, find)

    def get(self, ids: Sequence[str]) -> list[Item | None]:
        """The items with these ids, None where there is none (any more)."""
        with self._pool.read() as connection:
            return find_items(connection, ids)

    def vectors(self, ids: Sequence[str]) -> list[Vectors | None]:
        """The vectors (dim,) of these items, None where there is none (any more)."""
        with self._snapshot() as (connection, view):
            return find_vectors_by_id(connection, view.embedder, self.dim, ids)

    def refresh(self) -> bool:
        """Take up a newly published generation, or an older one after a rollback.

        Costs the reading of one line if there is none. A generation that is refused is refused
        again without another look, and the one that answers goes on.

        Raises:
            FingerprintMismatchError: The new generation is another embedder's; names both.
            GenerationCorruptError: Its files are truncated, altered or foreign.
        """
        if not self._refresh_lock.acquire(blocking=False):
            return False  # another thread is at it; this one goes on with what there is
        try:
            return self._take_up(read_current(self.store))
        finally:
            self._refresh_lock.release()

    def _take_up(self, current: str | None) -> bool:
        if current is None or current == self.generation:
            self._refused = None
            return False
        if self._refused is not None and self._refused[0] == current:
            raise self._refused[1].with_traceback(None)
        try:
            view, lease = open_view(self.store, self._pool, self.fingerprint)
        except (GenerationError, FingerprintMismatchError) as error:
            self._refused = (current, error)
            raise
        # A search that began with the old one goes on in the snapshot and the files it has open.
        with self._view_lock:
            self._view, old, self._lease = view, self._lease, lease
        old.release()
        return True

    @contextmanager
    def _snapshot(self) -> Iterator[tuple[Connection, View]]:
        """A read transaction and the view of exactly its change number."""
        while True:
            with self._pool.read() as connection:
                change = read_change(connection)
                view = self._view_at(connection, change)
                if view is not None:
                    yield connection, view
                    return
            # Another thread has seen a later change meanwhile: begin again, later.

    def _view_at(self, connection: Connection, change: int) -> View | None:
        view = self._view
        if view.change == change:
            return view
        with self._view_lock:
            if self._view.change < change:
                self._view = catch_up(connection, self._view)
            return self._view if self._view.change == change else None


def text_of(where: Filter | None) -> str:
    """A filter as text: to Python, trees that differ in 1 and true only are equal."""
    return "" if where is None else where.model_dump_json()


def open_view(store: Path, pool: ReaderPool, fingerprint: str | None) -> tuple[View, Lease]:
    """Open whatever is current, trying again if it is replaced and removed meanwhile."""
    while True:
        current = read_current(store)
        if current is None:
            raise NoGenerationError(store)
        lease = hold(store / GENERATIONS / current)
        try:
            return view_of(store, current, pool, fingerprint), lease
        except GenerationError:
            lease.release()
            if read_current(store) == current:
                raise
        except BaseException:
            lease.release()
            raise


def view_of(store: Path, generation: str, pool: ReaderPool, fingerprint: str | None) -> View:
    """The first view of a generation, if it is of the embedder that is asked for."""
    opened = open_index(store, generation)
    found = opened.manifest.fingerprint
    if fingerprint is not None and found != fingerprint:
        raise FingerprintMismatchError(
            found=found, expected=fingerprint, where=f"Generation '{generation}' of '{store}'"
        )
    with pool.read() as connection:
        check_known(connection, opened.manifest)
        return first_view(connection, opened)
