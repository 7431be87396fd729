"""The telemetry session, for ever: connect, tell, listen, and connect again.

::

    endpoint -> sign -> dial -> tell every 20 s ... end -> wait -> endpoint -> ...

Each frame is signed by itself, with the keys of the moment. Nobody acknowledges a frame by name, so none is sent twice;
what was not written stays with its owner, and goes with the next frame. Nothing of the agent's work waits for any of
this.
"""

import asyncio
import secrets
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from agent.model.clock import Clock, utc_now
from agent.model.errors import AgentError, BadInput, InactiveInstance, TryAgain
from agent.sockets.client import CannotConnect, CannotSend, Connection, ConnectionEnded, dial
from agent.tcs.backoff import Ended, Pace
from agent.tcs.checkup_loop import CheckupLoop, status_frame
from agent.tcs.pages import Figures, health_pages, idle_page, metrics_pages
from agent.tcs.ports import Signer, Tasks, TelemetryEndpoint
from agent.tcs.settings import TcsSettings, session_url
from agent.wire import tcs

EVERY = 20.0
"""Seconds between two batches, and between two looks for news of the instance."""
INACTIVITY = 60.0
INACTIVITY_JITTER = 60.0
"""Seconds without a sign of life from the server, and up to so many more by chance: the session is closed."""
LIFE = 30 * 60.0
LIFE_JITTER = 5 * 60.0
EXPIRED = "ConnectionExpired: Reconnect to continue"
NORMAL = 1000
PREPARE_TIMEOUT = 150.0
"""Seconds for the endpoint and the signature; DiscoverPollEndpoint alone may take 126."""
FORGET_AFTER = 3
"""Failed attempts in a row at one endpoint until ECS is asked for it afresh."""

log = structlog.get_logger()

Dial = Callable[[str, Mapping[str, str], TcsSettings], Awaitable[Connection]]


@dataclass(frozen=True, slots=True)
class World:
    """Time, chance and the network, so that a test can hold them in its hand."""

    clock: Clock = utc_now
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    chance: Callable[[], float] = secrets.SystemRandom().random
    """Gives a number from 0 to 1."""
    name: Callable[[], str] = lambda: str(uuid.uuid4())
    """Gives a name for a batch, another one each time."""
    dial: Dial = dial


class Measured(Protocol):
    """The figures of this instance."""

    @property
    def is_idle(self) -> bool:
        """Is nothing measured?"""
        ...

    def collect(self) -> Sequence[Figures]:
        """What ECS has not heard of yet, by task."""
        ...


class TcsLoop:
    """Keeps one telemetry session open, whatever happens to its connections. *who* gives who we are now."""

    def __init__(
        self,
        who: Callable[[], TcsSettings],
        *,
        figures: Measured,
        tasks: Tasks,
        checkup: CheckupLoop,
        endpoints: TelemetryEndpoint,
        signer: Signer,
        world: World | None = None,
    ) -> None:
        self._who = who
        self._figures = figures
        self._tasks = tasks
        self._checkup = checkup
        self._endpoints = endpoints
        self._signer = signer
        self._world = world or World()
        self._failures = 0
        self._due: float | None = None
        """When the next batch is to be told."""
        self._cut = asyncio.Event()
        self.is_connected = False

    def cut(self) -> None:
        """ECS has let go of this instance: end the session, if there is one."""
        self._cut.set()

    async def run(self) -> None:
        """Run until cancelled."""
        pace = Pace()
        async with asyncio.TaskGroup() as jobs:
            while True:
                # In a job of its own: a TaskGroup forgets to be cancelled while it winds up a connection's failure.
                connection = jobs.create_task(self._one_connection(), name="tcs connection")
                await asyncio.wait({connection})
                ended = connection.result()
                pace, wait = pace.after(ended, chance=self._world.chance())
                tell = log.info if ended.clean else log.warning
                tell("tcs_connection_ended", why=ended.why, lasted=round(ended.lasted, 3), next_in=round(wait, 3))
                if wait:
                    await self._world.sleep(wait)

    async def _one_connection(self) -> Ended:
        who = self._who()
        try:
            url, connection = await self._connect(who)
        except AgentError as error:
            return Ended(_why(error))
        began = self._world.monotonic()
        try:
            self._failures = 0
            self.is_connected = True
            log.info("tcs_connected")
            ended = await self._converse(_Session(connection, url, who))
        finally:
            self.is_connected = False
            await connection.drop()
        return Ended(str(ended), ended.clean, self._world.monotonic() - began)

    async def _connect(self, who: TcsSettings) -> tuple[str, Connection]:
        """Find the endpoint, sign, dial. Raises AgentError."""
        try:
            async with asyncio.timeout(PREPARE_TIMEOUT):
                url = session_url(await self._endpoints.telemetry_endpoint(who.instance_arn), who)
                headers = await self._signer.upgrade_headers(url)
        except TimeoutError:
            raise CannotConnect(f"no endpoint and signature within {PREPARE_TIMEOUT:.0f} seconds") from None
        try:
            return url, await self._world.dial(url, headers, who)
        except CannotConnect as error:
            if error.date and self._signer.refused(url, error.date, str(error)):
                raise
            self._failures += 1
            if self._failures % FORGET_AFTER == 0:
                self._endpoints.forget()
            raise

    async def _converse(self, session: "_Session") -> ConnectionEnded:
        """Serve *session* to its end; says how it ended."""
        self._cut.clear()
        ends: list[ConnectionEnded] = []
        try:
            async with asyncio.TaskGroup() as jobs:
                jobs.create_task(self._read(session, jobs), name="tcs reader")
                jobs.create_task(self._tell_figures(session), name="tcs figures")
                jobs.create_task(self._tell_status(session), name="tcs status")
                jobs.create_task(self._close_after(session, LIFE, LIFE_JITTER), name="tcs life timer")
                jobs.create_task(self._end_when_cut(), name="tcs cut")
        except* ConnectionEnded as group:
            ends += [end for end in group.exceptions if isinstance(end, ConnectionEnded)]
        return next((end for end in ends if end.clean), ends[0])

    async def _read(self, session: "_Session", jobs: asyncio.TaskGroup) -> None:
        def timer() -> asyncio.Task[None]:
            return jobs.create_task(
                self._close_after(session, INACTIVITY, INACTIVITY_JITTER), name="tcs inactivity timer"
            )

        inactivity = timer()
        while True:
            frame = await session.connection.receive()
            try:
                message = tcs.decode(frame)
            except BadInput as error:
                log.warning("tcs_frame_dropped", error=str(error), size=len(frame))
                continue
            if isinstance(message, tcs.KEEP_ALIVE):
                inactivity.cancel()
                inactivity = timer()
            elif isinstance(message, tcs.Said):
                log.warning("tcs_message_noted", type=type(message).__name__, message=message.message)

    async def _tell_figures(self, session: "_Session") -> None:
        """Tell a batch at once, if one is due, and every 20 seconds, while the instance is the one of the session."""
        while True:
            now = self._world.monotonic()
            due = now if self._due is None else self._due
            if due > now:
                await self._world.sleep(due - now)
            if self._who() != session.who:
                raise ConnectionEnded("the instance was registered anew", clean=True)
            now = self._world.monotonic()
            self._due = due + EVERY if due + EVERY > now else now + EVERY
            try:
                await self._tell_batch(session)
            except CannotSend as error:
                log.info("tcs_figures_not_sent", error=str(error))
                return  # the reader hears how the connection ended

    async def _tell_batch(self, session: "_Session") -> None:
        name, now = self._world.name(), self._world.clock()
        if self._figures.is_idle:
            pages = [idle_page(session.who, name, now)]
        else:
            pages = metrics_pages(self._figures.collect(), session.who, name, now)
        for page in pages:
            if not await self._send(session, page.frame):
                return
            page.sent()
        for health in health_pages(self._tasks.tasks, session.who, self._world.name(), now):
            await self._send(session, health)

    async def _tell_status(self, session: "_Session") -> None:
        """Tell of the instance where there is news, every 20 seconds from the beginning of the session."""
        while True:
            await self._world.sleep(EVERY)
            news = self._checkup.news
            if news is None:
                continue
            frame = status_frame(news, session.who, self._world.name(), self._world.clock())
            try:
                if await self._send(session, frame):
                    self._checkup.told(news)
            except CannotSend as error:
                log.info("tcs_status_not_sent", error=str(error))
                return

    async def _send(self, session: "_Session", frame: tcs.Publish) -> bool:
        """Sign *frame* and send it; False where there are no keys now. Raises CannotSend and ConnectionEnded."""
        document = tcs.encode(frame)
        try:
            headers = await self._signer.frame_headers(session.url, document)
        except TryAgain as error:
            log.warning("tcs_frame_not_signed", type=type(frame).__name__, error=str(error))
            return False
        await session.connection.send(tcs.seal(headers, document).decode())
        return True

    async def _close_after(self, session: "_Session", seconds: float, jitter: float) -> None:
        """End the session in good order after a while; the reader hears the peer's answer."""
        await self._world.sleep(seconds + jitter * self._world.chance())
        await session.connection.close(NORMAL, EXPIRED)

    async def _end_when_cut(self) -> None:
        await self._cut.wait()
        raise ConnectionEnded("ECS has let go of this instance")


@dataclass(frozen=True, slots=True)
class _Session:
    """One open connection, and whom it was opened for."""

    connection: Connection
    url: str
    who: TcsSettings


def _why(error: AgentError) -> str:
    """The text of *error* with ECS's own word for it."""
    name = "InactiveInstanceException" if isinstance(error, InactiveInstance) else ""
    name = name or (error.name if isinstance(error, TryAgain) else "") or type(error).__name__
    return f"{name}: {error}"
