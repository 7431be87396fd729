"""A Docker Engine that cannot tell digests: the real one, but for that question."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from aiohttp import web

UNIX = "unix://"


@dataclass
class Front:
    """Where it listens, and how often it was asked for a digest."""

    host: str = ""
    asked: int = 0


@asynccontextmanager
async def a_dumb_front(docker_host: str) -> AsyncIterator[Front]:
    front = Front()
    connector = aiohttp.UnixConnector(docker_host.removeprefix(UNIX))

    async def pass_on(request: web.Request) -> web.StreamResponse:
        if "/distribution/" in request.path:
            front.asked += 1
            return web.json_response(
                {"message": "unsupported manifest media type and no default available"}, status=400
            )
        headers = {name: value for name, value in request.headers.items() if name != "Host"}
        async with session.request(
            request.method, f"http://docker{request.path_qs}", headers=headers, data=await request.read()
        ) as answer:
            return web.Response(status=answer.status, body=await answer.read(), content_type=answer.content_type)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", pass_on)
    async with aiohttp.ClientSession(connector=connector) as session:
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            host, port = runner.addresses[0][:2]
            front.host = f"tcp://{host}:{port}"
            yield front
        finally:
            await runner.cleanup()
