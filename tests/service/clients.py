"""Both Python clients behind one face, so that every test of a call is a test of both."""

import asyncio
import inspect

import httpx

from service.client import AsyncClient, Client


class Through(httpx.BaseTransport):
    """Lets a blocking client call an application that is asynchronous, in the loop of a runner."""

    def __init__(self, app, runner: asyncio.Runner) -> None:
        self.inner = httpx.ASGITransport(app, raise_app_exceptions=False)
        self.runner = runner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        async def send() -> httpx.Response:
            response = await self.inner.handle_async_request(request)
            content = await response.aread()
            return httpx.Response(response.status_code, headers=response.headers, content=content)

        return self.runner.run(send())


class Awaited:
    """An ``AsyncClient`` whose calls are waited for."""

    def __init__(self, client: AsyncClient, runner: asyncio.Runner) -> None:
        self.client, self.runner = client, runner

    def __getattr__(self, name):
        def call(*args, **kwargs):
            outcome = getattr(self.client, name)(*args, **kwargs)
            if inspect.isasyncgen(outcome):
                return iter(self.runner.run(listed(outcome)))
            return self.runner.run(outcome)

        return call


async def listed(outcome):
    return [one async for one in outcome]


def over_app(kind: str, app, runner: asyncio.Runner, **settings):
    """A client of an application: ``kind`` is ``blocking`` or ``awaiting``."""
    settings = {"address": "http://niteru.test", **settings}
    if kind == "blocking":
        return Client(transport=Through(app, runner), **settings)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return Awaited(AsyncClient(transport=transport, **settings), runner)
