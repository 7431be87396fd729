"""Answers containers at one address: who asks is found out, how often is limited, and the desks are asked in turn.

What clients may rely on is what the agent's router does that they were written against: paths that are not clean are
led to the clean one, unknown ones get a text and not JSON, and each answer says what the limits are.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Protocol
from weakref import WeakKeyDictionary

import structlog
from aiohttp import web
from multidict import CIMultiDict

from agent.endpoints import paths
from agent.endpoints.calls import Answer, Asked, Caller, Desk, Known
from agent.endpoints.doorway_server import Doorway, cut, ends, read_body
from agent.endpoints.limits import Limiter

log = structlog.get_logger()

OFF = "off"
PATIENCE = 5.0
"""Seconds that a request may take to arrive, and its answer to be made and sent; and that a connection may be idle."""
WAITING_CALLERS = 128
LAST_WORDS = 1.0
"""Seconds for an answer that is under way when the agent ends."""
FIRST_PAUSE, LAST_PAUSE, JITTER = 1.0, 60.0, 0.2
"""Seconds between two tries to listen, doubled each time; and the share of them that is drawn by chance."""

TEXT = "text/plain; charset=utf-8"
NOT_FOUND = Answer(404, b"404 page not found\n", TEXT, {"X-Content-Type-Options": "nosniff"})
TOO_MANY = Answer(429, b"You have reached maximum request limit.", TEXT)
TOO_LARGE = Answer(413, content_type=TEXT)
BROKEN = Answer(500, content_type=TEXT)


class Visitors(Protocol):
    """Knows who calls."""

    async def who(self, peer: tuple[str, int], server: tuple[str, int]) -> Caller:
        """Who holds the other end of the connection between *peer* and *server*, both as the server sees them."""
        ...


def nobody_told(_asked: Asked) -> None:
    """Let a request that went beyond the limit pass unnoticed."""


class EndpointServer:
    """Serves at *address* (``host:port``) and nowhere else, as long as the agent lives.

    Where it cannot listen it says so and tries again: the agent does its other work meanwhile. *limited* hears of each
    request that went beyond the limit; who sent it is not found out.
    """

    def __init__(
        self,
        address: str,
        desks: Sequence[Desk],
        visitors: Visitors,
        limiter: Limiter,
        *,
        limited: Callable[[Asked], None] = nobody_told,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        patience: float = PATIENCE,
    ) -> None:
        self._address = address
        self._desks = desks
        self._visitors = visitors
        self._limiter = limiter
        self._limited = limited
        self._pause = pause
        self._patience = patience
        self._known: WeakKeyDictionary[asyncio.Transport, Caller] = WeakKeyDictionary()
        """Who holds the open connections: a connection does not change hands."""
        self.is_listening = asyncio.Event()

    async def run(self) -> None:
        """Run for ever; not at all where the address is ``off``."""
        if self._address == OFF:
            return
        wait = FIRST_PAUSE
        while True:
            try:
                async with self._serving():
                    await asyncio.Event().wait()
            except OSError as error:
                log.warning("task_address_not_opened", address=self._address, error=str(error), again_in=wait)
            await self._pause(wait * (1 + random.uniform(-JITTER, JITTER)))  # noqa: S311 -- to spread, not to hide
            wait = min(wait * 2, LAST_PAUSE)

    @asynccontextmanager
    async def _serving(self) -> AsyncIterator[None]:
        host, _, port = self._address.rpartition(":")
        runner = web.ServerRunner(
            Doorway(self._serve, self._patience), handle_signals=False, shutdown_timeout=LAST_WORDS
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, host.strip("[]"), int(port), backlog=WAITING_CALLERS).start()
            log.info("task_address_opened", address=self._address)
            self.is_listening.set()
            yield
        finally:
            self.is_listening.clear()
            await runner.cleanup()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        transport = request.transport
        if transport is None:
            raise ConnectionResetError
        path, query = paths.split(request.raw_path)
        try:
            async with asyncio.timeout(self._patience):
                if (tidy := paths.clean(path)) != path:
                    led = web.Response(status=301, headers={"Location": paths.location(tidy, query)})
                    return await _sent(request, led)
                peer, server = ends(transport)
                asked = _asked(request, path, query, peer)
                answer = await self._answer(request, asked, transport, (peer, server))
                return await _sent(request, self._written(asked, answer))
        except TimeoutError:
            cut(transport)
            raise ConnectionResetError from None

    async def _answer(
        self,
        request: web.BaseRequest,
        asked: Asked,
        transport: asyncio.Transport,
        connection: tuple[tuple[str, int], tuple[str, int]],
    ) -> Answer:
        if not self._limiter.lets(connection[0][0], asked.path, asyncio.get_running_loop().time()):
            self._limited(asked)
            return TOO_MANY
        body = await read_body(request)
        if body is None:
            return TOO_LARGE
        try:
            caller = self._known.get(transport) or await self._visitors.who(*connection)
            if caller.known is not Known.NOBODY:
                self._known[transport] = caller
            return await self._of_desks(replace(asked, body=body, caller=caller))
        except Exception:  # a bug has the radius of one request
            log.exception("request_broke", method=asked.method, remote=asked.remote)
            return BROKEN

    async def _of_desks(self, asked: Asked) -> Answer:
        for desk in self._desks:
            if (answer := await desk.answer(asked)) is not None:
                return answer
        return NOT_FOUND

    def _written(self, asked: Asked, answer: Answer) -> web.Response:
        headers = CIMultiDict(
            {
                "X-Rate-Limit-Limit": f"{self._limiter.steady:.2f}",
                "X-Rate-Limit-Duration": "1",
                "X-Rate-Limit-Request-Forwarded-For": asked.headers.get("x-forwarded-for", ""),
                "X-Rate-Limit-Request-Remote-Addr": asked.remote,
                "Content-Type": answer.content_type,
            }
        )
        headers.extend(answer.headers)  # a desk with a limit of its own tells it beside this one
        return web.Response(status=answer.status, body=answer.body, headers=headers)


def _asked(request: web.BaseRequest, path: str, query: str, peer: tuple[str, int]) -> Asked:
    address, port = peer
    return Asked(
        method=request.method,
        path=path,
        remote=f"[{address}]:{port}" if ":" in address else f"{address}:{port}",
        query=paths.read_query(query),
        headers={name.lower(): value for name, value in request.headers.items()},
    )


async def _sent(request: web.BaseRequest, response: web.Response) -> web.Response:
    """Send *response* here, where there is a bound: the library alone would wait for the reader for ever."""
    await response.prepare(request)
    await response.write_eof()
    await request.writer.drain()
    return response
