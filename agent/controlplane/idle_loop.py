"""Hangs up on connections that ask for nothing, or that never finish asking.

Nobody signs a connection, so without this any process of the host could hold all of our file descriptors for ever.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable

import structlog
from aiohttp import web

from agent.model.errors import place_of

log = structlog.get_logger()

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
Connection = web.RequestHandler


class Idle:
    """Since when each open connection has had no whole request in hand, and how long it may be so."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._since: dict[Connection, float] = {}
        self._busy: set[Connection] = set()
        self._open: Callable[[], Iterable[Connection]] = tuple

    def watch(self, connections: Callable[[], Iterable[Connection]]) -> None:
        """Look after what *connections* gives."""
        self._open = connections

    def answering(self, answer: Answer) -> Answer:
        """*answer*, noting which connections are being answered. A bug in it is logged, without what it met."""

        async def noted(request: web.Request) -> web.StreamResponse:
            connection = request.protocol
            self._busy.add(connection)
            try:
                return await answer(request)
            except Exception as bug:
                log.error("request_broke", error=place_of(bug))  # noqa: TRY400  # no values
                raise
            finally:
                self._busy.discard(connection)
                self._since[connection] = time.monotonic()

        return noted

    async def run(self) -> None:
        """Hang up on the idle until cancelled."""
        while True:
            await asyncio.sleep(self._patience / 4)
            self.hang_up(time.monotonic())

    def hang_up(self, now: float) -> None:
        """Close what has been idle for too long at *now*."""
        self._since = {connection: self._since.get(connection, now) for connection in self._open()}
        for connection, since in self._since.items():
            if connection not in self._busy and now - since >= self._patience:
                connection.force_close()
