"""What the routes share: the settings, the searcher and the threads it works in."""

import asyncio
import copy
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Self, TypeVar, cast

from fastapi import Depends, Request

from indexer.errors import GenerationError, StoreError
from indexer.protocols import Embedder, Engine, Pixels, Vectors
from models.images import Crop
from service.batching import Admission, Batcher
from service.cropping import crop_of, refuse_crop
from service.decoding import Decoders
from service.ending import Ending
from service.errors import InvalidRequestError, NotReadyError, UrlRefusedError
from service.fetching import Fetcher
from service.jobs import Jobs
from service.lazy_explainer import LazyExplainer
from service.metrics import Metrics
from service.queries import Examples
from service.reindexing import Reindexer
from service.schemas_search import SearchOptions, Wanted
from service.searcher import Answer, Found, Searcher, Sought, Stopwatch
from service.selection import Selection
from service.settings import Settings
from service.shelf import Shelf
from service.studio import Studio
from service.succession import Succession

Result = TypeVar("Result")

# Batches that are worked on at the same time: while one is put together or its answers are looked
# up, which is Python's work, the other is multiplied.
AT_ONCE = 2


class State:
    """Everything a request needs, made once by ``create_app``.

    Decoding and searching have ``threads`` threads, which hand photos to processes that decode
    (``service.decoding``). Embedding several photos, and searching with them, has ``AT_ONCE``, fed
    by the batcher; explaining, the jobs of models, and re-indexing have one each. A lone search
    stays in one thread from decoding on. The event loop does none of them.

    Attributes:
        succession: Lets another one answer when the weights change; set by ``create_app``.
    """

    succession: Succession

    def __init__(
        self, settings: Settings, searcher: Searcher, decoders: Decoders | None = None
    ) -> None:
        self.decoders = decoders
        self.admission = Admission(settings.max_concurrent)
        self.threads = ThreadPoolExecutor(settings.threads, thread_name_prefix="niteru")
        self.embedding = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="niteru-embed")
        self.metrics = Metrics(searcher, self.admission)
        self.fetcher = fetcher_of(settings)
        self.jobs = Jobs(waiting=settings.max_jobs, keep=settings.keep_jobs)
        self.ending = Ending(self.jobs.begin_no_more)
        self.take(settings, searcher)
        self.reindexer.recall()

    def take(self, settings: Settings, searcher: Searcher) -> None:
        """Make all that depends on the weights."""
        fingerprint = searcher.embedder.fingerprint
        self.settings = settings
        self.searcher = searcher
        self.metrics.index.searcher = searcher
        self.batcher = Batcher(
            searcher.find_each,
            self.embedding,
            max_batch=settings.max_batch,
            at_once=AT_ONCE,
            common=(StoreError, GenerationError, NotReadyError),
            note=self.metrics.batches.observe,
        )
        self.explainer = LazyExplainer(
            settings.weights, fingerprint=fingerprint, threads=settings.embedder_threads
        )
        self.studio = Studio(settings.weights, self.jobs, searcher.decoder)
        self.reindexer = Reindexer(
            settings.catalogue,
            settings.store,
            searcher.embedder,
            workers=settings.reindex_workers,
            jobs=self.jobs,
            choice=settings.engine_choice(),
            photos_from=settings.photos_from,
            runtime=settings.runtime,
            weights=settings.weights,
        )
        self.probing: asyncio.Future[Answer] | None = None
        self.shelf = Shelf(
            settings.store, searcher.engine, fingerprint=fingerprint, refresh=searcher.refresh
        )

    def succeed(self, embedder: Embedder, engine: Engine, *, weights: str) -> Self:
        """One that answers with other weights, and shares threads, jobs, bounds and counts."""
        successor = copy.copy(self)
        settings = self.settings.model_copy(update={"weights": weights})
        successor.take(settings, searcher_of(settings, embedder, engine, self.decoders))
        return successor

    @classmethod
    def of(cls, settings: Settings, embedder: Embedder, engine: Engine) -> Self:
        """Put embedder and engine together; refuses a pair that does not fit."""
        decoders = None
        if settings.decoders:
            decoders = Decoders(
                max_pixels=settings.max_pixels,
                count=settings.decoders,
                timeout=settings.decode_timeout,
            )
        return cls(settings, searcher_of(settings, embedder, engine, decoders), decoders)

    async def run(self, work: Callable[[], Result], watch: Stopwatch | None = None) -> Result:
        """Do blocking work in one of the threads; the wait for it counts as ``queue``."""
        asked = time.perf_counter()

        def run() -> Result:
            if watch is not None:
                watch.add("queue", time.perf_counter() - asked)
            return work()

        return await asyncio.get_running_loop().run_in_executor(self.threads, run)

    async def probe(self) -> Answer:
        """Search with an empty picture. Whoever asks while one searches waits for that answer.

        Nobody needs a key for this, so it must cost no more however many ask.
        """
        if self.probing is None or self.probing.done():
            self.probing = asyncio.ensure_future(self.run(self.searcher.probe))
        return await asyncio.shield(self.probing)

    async def embed(self, data: bytes, watch: Stopwatch, crop: Crop | None = None) -> Vectors:
        """The vector (dim,) of an image file, or of a part of the image."""
        return (await self.find(data, None, watch, crop)).vector

    async def find(
        self, data: bytes, wanted: Selection | None, watch: Stopwatch, crop: Crop | None = None
    ) -> Found:
        """The vector of an image file and, if any are wanted, the items nearest to it.

        What others ask for at the same time is done together with it.
        """

        def decode() -> Pixels:
            with watch.step("decode"):
                return self.searcher.decode(data, crop)

        pixels = await self.run(decode, watch)
        asked = time.perf_counter()
        done = await self.batcher.ask(Sought(pixels, wanted))
        for step, milliseconds in done.made.timings.items():
            watch.add(step, milliseconds / 1000)
        watch.add("queue", time.perf_counter() - asked - done.seconds)
        return done.made

    async def search_image(
        self, data: bytes, options: SearchOptions, watch: Stopwatch, *, alone: bool = True
    ) -> Answer:
        """The items nearest to an image file; ``alone`` if no other comes with it."""
        # Wrong options are told before the work is done.
        wanted, crop = self.selection(options), crop_of(options)
        if self.admission.active > 1 or not alone:
            found = await self.find(data, wanted, watch, crop)
            assert found.answer is not None
            return found.answer
        # There is nobody to share a batch with, so one thread does it all: every change of thread
        # is a wait for the processor.
        return await self.run(
            lambda: self.searcher.search_image(data, wanted, crop=crop, watch=watch), watch
        )

    async def fetch(self, url: str) -> bytes:
        """The bytes of the photo at a URL; wrong options are to be told before.

        Raises:
            UrlRefusedError, UrlFailedError, UploadTooLargeError: See ``service.fetching``.
        """
        return await self.fetches().fetch(url)

    def fetches(self) -> Fetcher:
        """What fetches photos.

        Raises:
            UrlRefusedError: Nothing does: it is off.
        """
        if self.fetcher is None:
            raise UrlRefusedError(
                "url: this server fetches nothing. Send the photo itself, or start the server with "
                "NITERU_FETCH_URLS=true."
            )
        return self.fetcher

    async def search_item(self, item_id: str, options: SearchOptions, watch: Stopwatch) -> Answer:
        """The items nearest to an item, without that one."""
        refuse_crop(options, "An item is searched with as it was indexed, whole.")
        wanted = self.selection(options)
        return await self.run(
            lambda: self.searcher.search_item(item_id, wanted, watch=watch), watch
        )

    async def search_examples(self, examples: Examples, watch: Stopwatch) -> Answer:
        """The items that look like some examples and unlike others, without any of these."""
        every = (*examples.positives, *examples.negatives)
        without = tuple(example for example in every if isinstance(example, str))
        wanted = self.selection(examples.options, without)

        def work() -> Answer:
            vector = self.searcher.combine(examples.positives, examples.negatives, watch=watch)
            return self.searcher.search(vector, wanted, watch=watch)

        return await self.run(work, watch)

    def selection(self, options: Wanted, without: tuple[str, ...] = ()) -> Selection:
        """What to answer; refuses more items than the settings allow.

        Args:
            options: Of the request.
            without: Ids that are not answered, beside those that the request excludes.
        """
        limit, most = options.limit or self.settings.default_limit, self.settings.max_limit
        if limit > most:
            raise InvalidRequestError(
                f"limit: {limit} items were asked for; at most {most} are answered at once.",
                extensions={"errors": [{"field": "limit", "message": f"expected 1 to {most}"}]},
            )
        if options.group_by is None and options.group_size != 1:
            raise InvalidRequestError(
                f"group_size: {options.group_size} items of each group were asked for, and there "
                "are no groups. Say with group_by by which attribute.",
                extensions={"errors": [{"field": "group_size", "message": "needs group_by"}]},
            )
        return Selection(
            limit=limit,
            offset=options.offset,
            exact=options.exact,
            exclude=(*without, *options.exclude),
            where=options.where,
            score_threshold=options.score_threshold,
            group_by=options.group_by,
            group_size=options.group_size,
            collapse=options.collapse,
        )

    def close(self) -> None:
        """Let running work end, drop what waits, and close the engine."""
        self.threads.shutdown(cancel_futures=True)
        self.embedding.shutdown(cancel_futures=True)
        if self.decoders is not None:
            self.decoders.close()
        self.jobs.close()
        self.succession.close()
        self.close_pair()

    def close_pair(self) -> None:
        """Close what depends on the weights alone."""
        self.explainer.close()
        self.searcher.engine.close()


def searcher_of(
    settings: Settings, embedder: Embedder, engine: Engine, decoders: Decoders | None
) -> Searcher:
    """What searches; refuses a pair that does not fit."""
    return Searcher(
        embedder,
        engine,
        max_pixels=settings.max_pixels,
        decoder=decoders,
        refresh_interval=settings.refresh_interval,
    )


def fetcher_of(settings: Settings) -> Fetcher | None:
    """What fetches photos, None where none may be."""
    if not settings.fetch_urls:
        return None
    return Fetcher(
        max_bytes=settings.max_upload_bytes,
        seconds=settings.fetch_timeout,
        at_once=settings.max_fetches,
    )


async def state_of(request: Request) -> State:
    """The app's state, for routes: ``state: Shared``.

    A coroutine, because the framework calls any other dependency in a thread.
    """
    return cast("State", request.app.state.niteru)


Shared = Annotated[State, Depends(state_of)]
