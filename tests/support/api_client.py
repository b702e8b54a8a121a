"""Requests to an application in this process, without a socket."""

import asyncio
import contextlib

import httpx


@contextlib.asynccontextmanager
async def client_of(app, **options):
    """A client of an application whose lifespan has begun."""
    begun, end = asyncio.Event(), asyncio.Event()

    async def receive():
        if begun.is_set():
            await end.wait()
            return {"type": "lifespan.shutdown"}
        return {"type": "lifespan.startup"}

    async def send(message):
        begun.set()

    lifespan = asyncio.create_task(
        app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)
    )
    await begun.wait()
    try:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://localhost", **options
        ) as client:
            yield client
    finally:
        end.set()
        await lifespan


def exchange(app, *requests, **options):
    """The responses to (method, path, keywords), one after the other."""

    async def run():
        async with client_of(app, **options) as client:
            return [
                await client.request(method, path, **keywords)
                for method, path, keywords in requests
            ]

    return asyncio.run(run())


def post(path, body, **keywords):
    """A request for `exchange` with a body of JSON."""
    return ("POST", path, {"json": body, **keywords})
