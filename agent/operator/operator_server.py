"""Answers people on this machine: a socket in the data directory that only its owner may open.

``GET /v1/tasks`` lists the tasks, ``GET /v1/tasks/{ARN, id or beginning of one}`` says everything that is known of one,
``POST /v1/tasks/{...}/stop`` stops it (stop_server.py), ``GET /health/ready`` and ``/health/live`` say whether it is
well.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
from aiohttp import web

from agent.model.clock import utc_now
from agent.operator import views
from agent.operator.chronicle import Chronicle
from agent.operator.health_server import LIVE, PATH, HealthDesk
from agent.operator.ports import Credentials, Outbox, Pulls, Tasks
from agent.operator.stop_server import AMBIGUOUS, UNKNOWN, StopDesk

log = structlog.get_logger()

SOCKET = "dockworker.sock"
"""What the socket is called in the data directory."""

OWNER_ONLY = 0o600
WAITING_CALLERS = 16
LAST_WORDS = 1.0
"""Seconds for an answer that is under way when the agent ends."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Whatever answers are made of."""

    engine: Tasks
    chronicle: Chronicle
    outbox: Outbox
    pulls: Pulls
    credentials: Credentials


class OperatorServer:
    """Serves as long as the agent lives. The agent does its work without it where no socket can be opened."""

    def __init__(
        self, folder: Path, sources: Sources, desk: StopDesk | None = None, health: HealthDesk | None = None
    ) -> None:
        self._folder = folder
        self._sources = sources
        self._desk = desk
        self._health = health

    async def run(self) -> None:
        """Run for ever."""
        try:
            listening = await asyncio.to_thread(_open, self._folder)
        except OSError as error:
            log.warning("operator_socket_not_opened", path=str(self._folder / SOCKET), error=str(error))
            return
        async with self._serving(listening):
            await asyncio.Event().wait()

    @asynccontextmanager
    async def _serving(self, listening: socket.socket) -> AsyncIterator[None]:
        app = web.Application()
        app.router.add_get("/v1/tasks", self._list)
        app.router.add_get("/v1/tasks/{task:.+}", self._show)
        if self._health is not None:
            app.router.add_get(PATH, self._health.ready)
            app.router.add_get(LIVE, self._health.live)
        if self._desk is not None:
            app.router.add_post("/v1/tasks/{task:.*}/stop", self._desk.stop)
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=LAST_WORDS)
        await runner.setup()
        try:
            await web.SockSite(runner, listening, backlog=WAITING_CALLERS).start()
            yield
        finally:
            await asyncio.to_thread((self._folder / SOCKET).unlink, missing_ok=True)
            await runner.cleanup()

    async def _list(self, _request: web.Request) -> web.Response:
        rows = sorted(self._sources.engine.tasks.values(), key=lambda task: task.arrived)
        return web.json_response({"tasks": [views.in_brief(task) for task in rows]})

    async def _show(self, request: web.Request) -> web.Response:
        question = request.match_info["task"]
        tasks = self._sources.engine.tasks
        found = views.matches(question, tasks)
        if not found:
            return web.json_response({"error": UNKNOWN}, status=404)
        if len(found) > 1:
            return web.json_response({"error": AMBIGUOUS, "matches": found}, status=409)
        task = tasks[found[0]]  # before anything is awaited: it may be forgotten meanwhile
        try:
            unsent = await self._sources.outbox.unsent()
        except OSError as error:
            log.warning("outbox_not_read", error=str(error))
            unsent = None
        view = views.in_full(
            task,
            story=self._sources.chronicle.of(task.arn),
            unsent=unsent,
            pulls=self._sources.pulls.snapshot(),
            credentials=self._sources.credentials,
        )
        return web.json_response(view)


def _open(folder: Path) -> socket.socket:
    """Listen in *folder*. A socket that is there was left by a process that has ended: the folder has one owner."""
    try:
        (folder / SOCKET).unlink(missing_ok=True)
    except IsADirectoryError:
        (folder / SOCKET).rename(folder / f"{SOCKET}.aside-{utc_now():%Y%m%dT%H%M%S.%fZ}")
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.fchmod(listening.fileno(), OWNER_ONLY)  # before it has a name that others could open
        _bind(listening, folder)
        listening.listen(WAITING_CALLERS)
    except BaseException:
        listening.close()
        raise
    return listening


def _bind(listening: socket.socket, folder: Path) -> None:
    """The name of a socket is short (unix, 108 bytes), and that of a folder need not be: go there by its number."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        listening.bind(f"/proc/self/fd/{handle}/{SOCKET}")
    finally:
        os.close(handle)
