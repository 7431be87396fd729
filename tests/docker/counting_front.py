"""The real Docker Engine behind a front that counts, and that cannot tell digests if it is dumb."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

UNIX = "unix://"


@dataclass
class Front:
    """Where it listens, what it was asked, and how often for a digest, and for a pull."""

    host: str = ""
    asked: int = 0
    pulls: int = 0
    paths: list[str] = field(default_factory=list)


@asynccontextmanager
async def a_front(docker_host: str, *, dumb: bool) -> AsyncIterator[Front]:
    front = Front()
    connector = aiohttp.UnixConnector(docker_host.removeprefix(UNIX))

    async def pass_on(request: web.Request) -> web.StreamResponse:
        front.paths.append(request.path)
        front.asked += "/distribution/" in request.path
        front.pulls += request.path.endswith("/images/create")
        if dumb and "/distribution/" in request.path:
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
