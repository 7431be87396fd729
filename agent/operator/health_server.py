"""Answers ``GET /health/ready``: 200 while the agent can do its work, 503 and what is wrong while it cannot.

On the operator's socket, and by TCP for those who balance loads and raise alarms. Nothing is told there that is secret,
and nothing can be asked for but this.
"""

import asyncio
from collections.abc import Callable, Sequence

import structlog
from aiohttp import web

from agent.operator.health import Condition, view

log = structlog.get_logger()

PATH = "/health/ready"
OFF = "off"
WAITING_CALLERS = 16
LAST_WORDS = 1.0
"""Seconds for an answer that is under way when the agent ends."""


class HealthDesk:
    """Answers from what *conditions* gives at that moment; it must not take long."""

    def __init__(self, conditions: Callable[[], Sequence[Condition]]) -> None:
        self._conditions = conditions

    async def ready(self, _request: web.Request) -> web.Response:
        """Answer one request."""
        status, body = view(self._conditions())
        return web.json_response(body, status=status, headers={"Cache-Control": "no-store"})


class HealthServer:
    """Serves at *address* (``host:port``) as long as the agent lives. Where it cannot, the agent does without."""

    def __init__(self, address: str, desk: HealthDesk) -> None:
        self._address = address
        self._desk = desk

    async def run(self) -> None:
        """Run for ever, or not at all."""
        if self._address == OFF:
            return
        host, _, port = self._address.rpartition(":")
        app = web.Application()
        app.router.add_get(PATH, self._desk.ready)
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=LAST_WORDS)
        await runner.setup()
        try:
            site = web.TCPSite(runner, host.strip("[]"), int(port), backlog=WAITING_CALLERS)
            await site.start()
        except OSError as error:
            await runner.cleanup()
            log.warning("health_address_not_opened", address=self._address, error=str(error))
            return
        try:
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()
