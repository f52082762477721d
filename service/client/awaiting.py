"""The client for programs that run in asyncio."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import aclosing
from functools import wraps
from itertools import count
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import httpx

from service.client import (
    calls_items,
    calls_jobs,
    calls_models,
    calls_search,
    calls_server,
    calls_sketches,
)
from service.client.calls import Call
from service.client.events import EventReader
from service.client.reading import read_as
from service.client.results import Event, Job, Progress
from service.client.retrying import Retry
from service.client.sending import (
    ADDRESS,
    BROKEN_STREAM,
    RETRY,
    TIMEOUT,
    Settings,
    answered,
    events_request,
    finished,
    in_time,
    request,
    stream_failed,
    without_wait,
)

P = ParamSpec("P")
T = TypeVar("T")


def method(
    make: Callable[P, Call[T]],
) -> "Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]]":
    """A method that sends the call; photos are read in a thread."""

    @wraps(make)
    async def send(self: "AsyncClient", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.send(await asyncio.to_thread(make, *args, **kwargs))

    return send


class AsyncClient:
    """Calls a niteru server from one event loop.

    Args:
        address: Where the server is, with the prefix that a proxy may put before it.
        key: One of the server's keys, for a server that has some.
        timeout: Seconds for each step of a request, or what httpx takes for it.
        retry: Whether and when to try again.
        transport: Sends in place of a network.
        sleep: Waits, in seconds.
        clock: Seconds, never going back.
        chance: Gives numbers from 0 to 1, so that many clients do not come back at once.
    """

    def __init__(
        self,
        address: str = ADDRESS,
        *,
        key: str | None = None,
        timeout: float | httpx.Timeout = TIMEOUT,
        retry: Retry = RETRY,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.settings = Settings(address, key, timeout, retry, chance)
        self._http = httpx.AsyncClient(transport=transport, **self.settings.of_httpx())
        self._sleep, self._clock = sleep, clock

    search = method(calls_search.search)
    search_batch = method(calls_search.search_batch)
    embed = method(calls_search.embed)
    explain = method(calls_search.explain)
    explain_sheet = method(calls_search.explain_sheet)
    explain_item = method(calls_search.explain_item)
    explain_item_sheet = method(calls_search.explain_item_sheet)

    welcome = method(calls_server.welcome)
    alive = method(calls_server.alive)
    healthy = method(calls_server.healthy)
    ready = method(calls_server.ready)
    metrics = method(calls_server.metrics)
    generations = method(calls_server.generations)
    activate = method(calls_server.activate)
    facets = method(calls_server.facets)
    catalogue_map = method(calls_server.catalogue_map)

    item = method(calls_items.item)
    item_image = method(calls_items.item_image)
    put_item = method(calls_items.put_item)
    change_item = method(calls_items.change_item)
    delete_item = method(calls_items.delete_item)
    write_items = method(calls_items.write_items)

    models = method(calls_models.models)
    model = method(calls_models.model)
    samples = method(calls_models.samples)
    completions = method(calls_models.completions)
    enlargements = method(calls_models.enlargements)
    reconstructions = method(calls_models.reconstructions)
    interpolations = method(calls_models.interpolations)
    arithmetic = method(calls_models.arithmetic)
    frames = method(calls_models.frames)
    likelihoods = method(calls_models.likelihoods)

    complete_sketch = method(calls_sketches.complete_sketch)
    reconstruct_sketches = method(calls_sketches.reconstruct_sketches)
    interpolate_sketches = method(calls_sketches.interpolate_sketches)
    add_sketches = method(calls_sketches.add_sketches)

    reindex = method(calls_jobs.reindex)
    collect = method(calls_jobs.collect)
    jobs = method(calls_jobs.jobs)
    job = method(calls_jobs.job)
    cancel = method(calls_jobs.cancel)
    result = method(calls_jobs.result)

    async def send(self, call: Call[T]) -> T:
        """Make a call, again if that may help, and read its answer; a job is waited for.

        Raises:
            ClientError: See ``service.client.errors``.
        """
        response = await self._attempt(call)
        if call.waits and response.status_code == 202:
            job = await self.wait(read_as(Job, response).id, progress=call.progress)
            response = await self._attempt(calls_jobs.result(job.id))
        return call.read(response)

    async def start(self, call: Call[object]) -> Job:
        """Make a call of a model and be answered with its job at once.

        Args:
            call: Such as ``calls_models.samples("pixelvae")``.
        """
        return read_as(Job, await self._attempt(without_wait(call)))

    async def wait(
        self,
        job_id: str,
        *,
        progress: Callable[[Progress], None] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the error says that the job goes on
    ) -> Job:
        """Wait for the end of a job.

        Args:
            job_id: The job's.
            progress: Told how far it is.
            timeout: Seconds after which to give up, judged whenever the server says something,
                which it does every 15 s at least. The job goes on.

        Raises:
            JobError: It failed or was cancelled.
            TimeoutError: It has not ended in time.
        """
        until = None if timeout is None else self._clock() + timeout
        async with aclosing(self._follow(job_id, 0)) as news:
            async for event in news:
                if event is not None and event.job is not None:
                    return finished(event.job)
                if event is not None and event.progress is not None and progress is not None:
                    progress(event.progress)
                in_time(job_id, self._clock(), until)
        raise AssertionError("what follows a job ends with the job's end")

    async def events(self, job_id: str, *, after: int = 0) -> AsyncIterator[Event]:
        """What happens to a job, as it happens, until its end.

        A stream that breaks off is gone on with where it was.

        Args:
            job_id: The job's.
            after: Begin after the event of this number.
        """
        async with aclosing(self._follow(job_id, after)) as news:
            async for event in news:
                if event is not None:
                    yield event

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        """Use it in ``async with``, which closes it."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        await self.close()

    async def _attempt(self, call: Call[object]) -> httpx.Response:
        for made in count(1):
            outcome = await self._once(call)
            pause = self.settings.pause(call, outcome, made)
            if pause is None:
                return answered(outcome, self.settings.address)
            await self._sleep(pause)
        raise AssertionError("attempts come to an end")

    async def _once(self, call: Call[object]) -> httpx.Response | httpx.RequestError:
        try:
            return await self._http.send(request(self._http, call))
        except httpx.RequestError as error:
            return error

    async def _follow(self, job_id: str, after: int) -> AsyncGenerator[Event | None, None]:
        """The events until the end, None where the server shows that it is alive."""
        reader, call, made = EventReader(after), calls_jobs.job(job_id), 0
        while True:
            outcome: httpx.Response | httpx.RequestError = BROKEN_STREAM
            try:
                asked = events_request(self._http, job_id, reader.last)
                async with aclosing(await self._http.send(asked, stream=True)) as opened:
                    if not opened.is_success:
                        await opened.aread()
                        outcome = opened
                    else:
                        async for line in opened.aiter_lines():
                            event = reader.feed(line)
                            made = made if event is None else 0
                            if not line:
                                yield event
            except httpx.RequestError as error:
                outcome = error
            if reader.ended:
                return
            reader.restart()
            made += 1
            pause = self.settings.pause(call, outcome, made)
            if pause is None:
                raise stream_failed(outcome, self.settings.address)
            await self._sleep(pause)
