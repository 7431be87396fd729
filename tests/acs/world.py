"""The world around a session: a server on loopback, and time that stands still until it is told to go on."""

import asyncio
import json
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import WSMessage, WSMsgType, web

from agent.acs.loop import AcsLoop, World
from agent.acs.manifests import Manifests
from agent.acs.ports import Telemetry
from agent.acs.settings import AcsSettings
from agent.model.credentials import RoleCredentials
from agent.model.events import Event
from agent.sockets.client import dial
from tests.wire.acs_samples import INSTANCE

PATIENCE = 10.0
"""Seconds after which a test that waits for something gives up."""

SETTINGS = AcsSettings("demo", INSTANCE, agent_version="1.105.1", agent_hash="a8b3e7d3", docker_version="25.0.14")


@dataclass
class Accepted:
    """The server's end of one connection."""

    request: web.Request
    ws: web.WebSocketResponse
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def tell(self, kind: str, **message: object) -> None:
        """Send one frame."""
        await self.ws.send_str(json.dumps({"type": kind, "message": message}))

    async def hear(self) -> tuple[str, dict[str, Any]]:
        """The type and the message of the next frame."""
        got = await self.receive()
        assert got.type is WSMsgType.TEXT, got
        frame = json.loads(got.data)
        return frame["type"], frame["message"]

    async def receive(self) -> WSMessage:
        async with asyncio.timeout(PATIENCE):
            return await self.ws.receive()

    def write(self, octets: bytes) -> None:
        """Put raw octets on the wire."""
        self.transport.write(octets)

    @property
    def transport(self) -> asyncio.Transport:
        assert isinstance(self.request.transport, asyncio.Transport)
        return self.request.transport

    def hang_up(self) -> None:
        """End the TCP connection in good order, without a close frame."""
        self.transport.close()

    def reset(self) -> None:
        """Break the TCP connection."""
        at = self.transport.get_extra_info("socket")
        at.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


class Server:
    """An ACS that does what the test says."""

    def __init__(self, *, answers_close: bool = True) -> None:
        self._answers_close = answers_close
        self.refusals: list[web.Response] = []
        self.refused = 0
        self._accepted: asyncio.Queue[Accepted] = asyncio.Queue()
        self._all: list[Accepted] = []
        self._runner = web.ServerRunner(web.Server(self._serve), shutdown_timeout=0)
        self.port = 0

    async def open(self, tls: ssl.SSLContext | None = None) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def shut(self) -> None:
        for accepted in self._all:
            accepted.over.set()
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    async def accepted(self) -> Accepted:
        """The next connection that was opened."""
        async with asyncio.timeout(PATIENCE):
            return await self._accepted.get()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        assert isinstance(request, web.BaseRequest)
        if self.refusals:
            self.refused += 1
            return self.refusals.pop(0)
        ws = web.WebSocketResponse(autoping=False, autoclose=self._answers_close, max_msg_size=0, timeout=1)
        await ws.prepare(request)
        accepted = Accepted(request, ws)  # type: ignore[arg-type]  # a bare server gives the request without an app
        self._all.append(accepted)
        self._accepted.put_nowait(accepted)
        await accepted.over.wait()
        return ws


@asynccontextmanager
async def a_server(tls: ssl.SSLContext | None = None, *, answers_close: bool = True) -> AsyncIterator[Server]:
    server = Server(answers_close=answers_close)
    await server.open(tls)
    try:
        yield server
    finally:
        await server.shut()


class Time:
    """Time that stands still. Whoever sleeps is woken by the test."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.chance = 0.5
        self.asked: list[float] = []
        """Every sleep that anybody asked for, in order."""
        self._sleepers: list[tuple[float, float, asyncio.Future[None]]] = []
        self._changed = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.asked.append(seconds)
        sleeper = (self.now + seconds, seconds, asyncio.get_running_loop().create_future())
        self._sleepers.append(sleeper)
        self._changed.set()
        try:
            await sleeper[2]
        finally:
            self._sleepers.remove(sleeper)

    def advance(self, seconds: float) -> None:
        """Let time go on, and wake who is due."""
        self.now += seconds
        for until, _, future in self._sleepers:
            if until <= self.now and not future.done():
                future.set_result(None)

    async def asleep(self, seconds: float, number: int = 1) -> None:
        """Return when so many sleep for so many seconds."""
        async with asyncio.timeout(PATIENCE):
            while len(self._find(seconds)) < number:
                self._changed.clear()
                await self._changed.wait()

    async def wake(self, seconds: float) -> None:
        """Wake who sleeps for so many seconds, as soon as somebody does."""
        await self.asleep(seconds)
        for future in self._find(seconds):
            future.set_result(None)

    def _find(self, seconds: float) -> list[asyncio.Future[None]]:
        return [f for _, s, f in self._sleepers if abs(s - seconds) < 1e-9 and not f.done()]


class Engine:
    """Takes facts in, and commits when the test says so."""

    def __init__(self, vault: "Vault", *, holds: bool = False) -> None:
        self.submitted: list[tuple[Event, ...]] = []
        self.commits: list[asyncio.Future[None]] = []
        self.vault_then: list[list[str]] = []
        """Which credentials the vault held when each of the facts came in."""
        self._vault = vault
        self._holds = holds
        self._changed = asyncio.Event()

    async def save(self, *events: Event) -> None:
        commit = asyncio.get_running_loop().create_future()
        self.submitted.append(events)
        self.vault_then.append(list(self._vault.held))
        self.commits.append(commit)
        self._changed.set()
        if self._holds:
            await commit

    async def got(self, number: int) -> None:
        """Return when so many submissions came in."""
        async with asyncio.timeout(PATIENCE):
            while len(self.submitted) < number:
                self._changed.clear()
                await self._changed.wait()


class Vault:
    """Keeps credentials, and misses some if the test says so."""

    def __init__(self) -> None:
        self.held: dict[str, RoleCredentials] = {}
        self.misses = False
        self.unused: set[str] = set()

    def forget(self, ids: Iterable[str]) -> None:
        for unused in self.unused & set(ids):
            del self.held[unused]

    def put(self, credentials: RoleCredentials) -> None:
        self.held[credentials.credentials_id] = credentials

    def is_missing_any(self) -> bool:
        return self.misses


class Endpoints:
    """Knows where ACS is, or fails as the test says."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.instances = {INSTANCE, "arn:new"}
        self.failures: list[Exception] = []
        self.forgotten = 0

    async def acs_endpoint(self, instance_arn: str) -> str:
        assert instance_arn in self.instances
        if self.failures:
            raise self.failures.pop(0)
        return self.url

    def forget(self) -> None:
        self.forgotten += 1


class Signer:
    """Signs with a header that shows what was signed."""

    async def upgrade_headers(self, url: str) -> dict[str, str]:
        return {"Authorization": f"signed {url}", "X-Amz-Date": "20260115T120000Z"}

    def refused(self, url: str, date: str, why: str) -> bool:
        return False


@dataclass
class Agent:
    """A session that runs, and what it runs in."""

    loop: AcsLoop
    time: Time
    engine: Engine
    vault: Vault
    endpoints: Endpoints
    job: "asyncio.Task[None]"
    manifests: Manifests
    greeted: list[bool]
    """One entry for each call of `connected`, saying what `is_connected` was then."""


@asynccontextmanager
async def an_agent(
    url: str,
    *,
    holds: bool = False,
    failures: tuple[Exception, ...] = (),
    settings: AcsSettings = SETTINGS,
    dial: Callable[..., Awaitable[Any]] = dial,
    renew: Callable[[], Awaitable[str]] | None = None,
    telemetry: Telemetry | None = None,
) -> AsyncIterator[Agent]:
    """Run a session at *url* until the block ends. Chance says one half until told otherwise."""
    time, vault, endpoints, greeted = Time(), Vault(), Endpoints(url), list[bool]()
    endpoints.failures.extend(failures)
    engine, manifests = Engine(vault, holds=holds), Manifests()
    loop = AcsLoop(
        settings,
        engine=engine,
        vault=vault,
        endpoints=endpoints,
        signer=Signer(),
        manifests=manifests,
        connected=lambda: greeted.append(loop.is_connected),
        renew=renew,
        telemetry=telemetry,
        world=World(monotonic=lambda: time.now, sleep=time.sleep, chance=lambda: time.chance, dial=dial),
    )
    job = asyncio.create_task(loop.run())
    try:
        yield Agent(loop, time, engine, vault, endpoints, job, manifests, greeted)
    finally:
        job.cancel()
        _, still_there = await asyncio.wait({job}, timeout=PATIENCE)
        assert not still_there, "the session was cancelled and did not end"
        if not job.cancelled() and job.done() and (bug := job.exception()):
            raise bug
