"""Serves those who watch the machine: health, metrics, and what Amazon's agent tells of itself (introspection).

On loopback, unless the operator opens it to the network. Whatever the method, a path is answered; an unknown one by the
list of those that there are.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack

import structlog
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

log = structlog.get_logger()

PATIENCE = 5.0
"""Seconds for a request to arrive, for its answer to be made, and to be sent; and that a connection may be idle."""
MOST_CONNECTIONS = 64
WAITING_CALLERS = 16
LAST_WORDS = 1.0
"""Seconds for an answer that is under way when the agent ends."""
FIRST_PAUSE, LONGEST_PAUSE, JITTER = 1.0, 60.0, 0.2
"""Seconds between two tries to listen: twice as many each time, and up to a fifth more or less by chance."""

Page = Callable[[web.BaseRequest], Awaitable[web.Response]]
Address = tuple[str, int]


class HostServer:
    """Serves *pages* at the addresses that *find* gives, as long as the agent lives. *otherwise* answers the rest.

    Where it cannot listen, it says so and tries again: the agent does its work without it.
    """

    def __init__(
        self,
        find: Callable[[], Sequence[Address]],
        pages: Mapping[str, Page],
        otherwise: Page,
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._find = find
        self._pages = pages
        self._otherwise = otherwise
        self._pause = pause
        self.addresses: tuple[Address, ...] = ()
        """Where it listens."""

    async def run(self) -> None:
        """Run for ever."""
        wait = FIRST_PAUSE
        while True:
            try:
                await self._listen()
            except OSError as error:
                log.warning("health_address_not_opened", error=str(error), next_try_in=wait)
            await self._pause(wait * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311 -- to be out of step
            wait = min(wait * 2, LONGEST_PAUSE)

    async def _listen(self) -> None:
        """Serve until cancelled. Raises OSError where an address cannot be had."""
        async with AsyncExitStack() as stack:
            runner = web.ServerRunner(_Doorway(self._answer), handle_signals=False, shutdown_timeout=LAST_WORDS)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            for host, port in await asyncio.to_thread(self._find):
                await web.TCPSite(runner, host, port, backlog=WAITING_CALLERS).start()
            self.addresses = tuple((name[0], name[1]) for name in runner.addresses)
            stack.callback(self._closed)
            await asyncio.Event().wait()

    def _closed(self) -> None:
        self.addresses = ()

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        try:
            path = request.path
            if (clean := _clean(path)) != path:
                return _led(clean, request.query_string)
            async with asyncio.timeout(PATIENCE):
                return await self._pages.get(path, self._otherwise)(request)
        except TimeoutError:
            return web.Response(status=503)
        except Exception:  # a bug has the radius of one request
            log.exception("request_broke", path=request.path)
            return web.Response(status=500, headers={"Connection": "close"})


def _led(path: str, query: str) -> web.Response:
    return web.Response(status=301, headers={"Location": f"{path}?{query}" if query else path})


def _clean(path: str) -> str:
    """*path* without doubled slashes, dots and what they take back; a slash at its end stays."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    ends_open = bool(parts) and path.endswith(("/", "/.", "/.."))
    return "/" + "/".join(parts) + ("/" if ends_open else "")


class _Doorway(web.Server):
    """Lets in so many connections and no more, and closes those on which nothing is asked for."""

    def __init__(self, serve: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> None:
        super().__init__(self._serve, access_log=None, keepalive_timeout=PATIENCE, lingering_time=0)
        self._answer = serve
        self._silent: dict[asyncio.BaseTransport, asyncio.TimerHandle] = {}
        self._open: set[RequestHandler] = set()

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        """Let it in, or not."""
        super().connection_made(handler, transport)
        self._open.add(handler)
        if len(self._open) > MOST_CONNECTIONS:
            asyncio.get_running_loop().call_soon(transport.abort)  # the library is not ready to lose it yet
            return
        self._silent[transport] = asyncio.get_running_loop().call_later(PATIENCE, self._give_up, transport)

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        """Make room for another."""
        super().connection_lost(handler, exc)
        self._open.discard(handler)

    def _give_up(self, transport: asyncio.Transport) -> None:
        self._silent.pop(transport, None)
        transport.abort()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.transport is not None and (timer := self._silent.pop(request.transport, None)) is not None:
            timer.cancel()
        response = await self._answer(request)
        try:
            async with asyncio.timeout(PATIENCE):  # the library alone would wait for the reader for ever
                await response.prepare(request)
                await response.write_eof()
                await request.writer.drain()
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()
        return response
