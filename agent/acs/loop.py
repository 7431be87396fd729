"""The session with ACS, for ever: connect, read, answer, and connect again.

::

    endpoint -> sign -> dial -> read ... end -> wait -> endpoint -> ...

The reader never waits for a commit. Each frame's facts go to the engine in a job of their own, begun in the order of
the frames; one job waits for these, in the same order, and hands the acknowledgements to the writer. Facts outlive the
connection that brought them, acknowledgements do not: ECS sends again what it heard nothing of.
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace

import structlog

from agent.acs.backoff import INACTIVE, PROBATION, Ended, Pace
from agent.acs.heard import Heard
from agent.acs.manifests import Manifests
from agent.acs.ports import Engine, PollEndpoints, Signer, Telemetry, Vault
from agent.acs.renewal import Renewal
from agent.acs.session import Draw, answers, received
from agent.acs.settings import AcsSettings, session_url
from agent.model.clock import Clock, utc_now
from agent.model.errors import AgentError, InactiveInstance, TryAgain
from agent.sockets.client import CannotConnect, CannotSend, Connection, ConnectionEnded, dial
from agent.wire import acs

INACTIVITY = 60.0
INACTIVITY_JITTER = 20.0
"""Seconds without a message that could be read, and up to so many more by chance: the connection is dropped.

The reference adds up to 60. With a third of that, a network that swallows everything is noticed within one and a half
times the shortest silence that makes an agent give up.
"""
LIFE = 30 * 60.0
LIFE_JITTER = 5 * 60.0
RENEW_AFTER = 60.0
"""Seconds from ECS's word that it has let go of this instance to the registration of a new one."""
EXPIRED = "ConnectionExpired: Reconnect to continue"
LACKING = "CredentialsNotRefreshed: Reconnect to receive them"
NORMAL = 1000
PREPARE_TIMEOUT = 150.0
"""Seconds for the endpoint and the signature; DiscoverPollEndpoint alone may take 126."""
FORGET_AFTER = 3
"""Failed attempts in a row at one endpoint until ECS is asked for it afresh."""
MOST_WAITING = 1000
"""Frames that may wait for a commit. While a disk is full ECS sends the same ones over and over."""

log = structlog.get_logger()

Dial = Callable[[str, Mapping[str, str], AcsSettings], Awaitable[Connection]]
Sleep = Callable[[float], Awaitable[object]]


def _draw() -> str:
    return secrets.token_hex(20)


@dataclass(frozen=True, slots=True)
class World:
    """Time, chance and the network, so that a test can hold them in its hand."""

    clock: Clock = utc_now
    monotonic: Callable[[], float] = time.monotonic
    sleep: Sleep = asyncio.sleep
    chance: Callable[[], float] = secrets.SystemRandom().random
    """Gives a number from 0 to 1."""
    draw: Draw = _draw
    dial: Dial = dial


def _why(error: AgentError) -> str:
    """The text of *error* with ECS's own word for it, which decides how long to wait."""
    if isinstance(error, InactiveInstance):
        return f"{INACTIVE}: {error}"
    name = error.name if isinstance(error, TryAgain) else ""
    return f"{name or type(error).__name__}: {error}"


@dataclass(slots=True)
class _Lines:
    """What is on its way out on one connection."""

    commits: asyncio.Queue[asyncio.Task[tuple[acs.Frame, ...]]] = field(default_factory=asyncio.Queue)
    out: asyncio.Queue[acs.Frame] = field(default_factory=asyncio.Queue)


class AcsLoop:
    """Keeps one session with ACS open, whatever happens to its connections."""

    def __init__(  # noqa: PLR0913 -- each is a room next door
        self,
        settings: AcsSettings,
        *,
        engine: Engine,
        vault: Vault,
        endpoints: PollEndpoints,
        signer: Signer,
        manifests: Manifests | None = None,
        connected: Callable[[], None] = lambda: None,
        renew: Callable[[], Awaitable[str]] | None = None,
        telemetry: Telemetry | None = None,
        world: World | None = None,
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._vault = vault
        self._endpoints = endpoints
        self._signer = signer
        self._manifests = manifests or Manifests()
        self._connected = connected
        self._renew = renew
        self._telemetry = telemetry
        self._world = world or World()
        self._has_connected = False
        self._renewal = Renewal()
        self._failures = 0
        self._waiting = 0
        self._latest = 0
        self.is_connected = False
        self.attempts = self.connections = 0
        self.changed_at: float | None = None
        """When a connection was opened or lost last."""
        self.heard_at: float | None = None

    async def run(self) -> None:
        """Run until cancelled.

        An instance that ECS calls inactive asks again once an hour; with `renew`, which registers a new one and gives
        its ARN, that is done after a minute, and also where ECS does not know the instance.
        """
        pace = Pace()
        async with asyncio.TaskGroup() as submits:
            while True:
                probation = self._around(PROBATION, PROBATION)
                # In a job of its own: a TaskGroup forgets to be cancelled while it winds up a connection's failure.
                connection = submits.create_task(self._one_connection(submits), name="acs connection")
                await asyncio.wait({connection})
                ended = connection.result()
                if self._telemetry is not None and ended.is_inactive:
                    self._telemetry.let_go()
                if self._renew is not None and (ended.is_inactive or ended.is_unknown):
                    pace = await self._start_over(ended, self._renew)
                    continue
                pace, wait = pace.after(ended, probation=probation, chance=self._world.chance())
                tell = log.info if ended.clean else log.warning
                tell("acs_connection_ended", why=ended.why, lasted=round(ended.lasted, 3), next_in=round(wait, 3))
                if wait:
                    await self._world.sleep(wait)

    async def _start_over(self, ended: Ended, renew: Callable[[], Awaitable[str]]) -> Pace:
        """Go on as a new instance: whoever deregistered the old one may have a minute to end the agent, too."""
        log.warning("instance_let_go", instance=self._settings.instance_arn, why=ended.why, renewed_in=RENEW_AFTER)
        await self._world.sleep(RENEW_AFTER)
        self._settings = replace(self._settings, instance_arn=await renew())
        self._has_connected, self._latest = False, 0
        return Pace()

    async def _one_connection(self, submits: asyncio.TaskGroup) -> Ended:
        self.attempts += 1
        try:
            connection = await self._connect()
        except AgentError as error:
            return Ended(_why(error))
        self.changed_at = began = self._world.monotonic()
        try:
            self._failures = 0
            self.connections += 1
            self._has_connected = self.is_connected = True
            log.info("acs_connected")
            self._connected()
            ended = await self._converse(connection, submits)
        finally:
            self.is_connected = False
            self.changed_at = self._world.monotonic()
            await connection.drop()
        return Ended(str(ended), ended.clean, self._world.monotonic() - began, opened=True)

    async def _connect(self) -> Connection:
        """Find the endpoint, sign, dial. Raises AgentError."""
        try:
            async with asyncio.timeout(PREPARE_TIMEOUT):
                endpoint = await self._endpoints.acs_endpoint(self._settings.instance_arn)
                wanted = not self._has_connected or self._vault.is_missing_any()
                url = session_url(endpoint, self._settings, send_credentials=wanted)
                headers = await self._signer.upgrade_headers(url)
        except TimeoutError:
            raise CannotConnect(f"no endpoint and signature within {PREPARE_TIMEOUT:.0f} seconds") from None
        try:
            return await self._world.dial(url, headers, self._settings)
        except CannotConnect as error:
            if error.date and self._signer.refused(url, error.date, str(error)):
                raise
            self._failures += 1
            if self._failures % FORGET_AFTER == 0:
                self._endpoints.forget()
            raise

    async def _converse(self, connection: Connection, submits: asyncio.TaskGroup) -> ConnectionEnded:
        """Serve *connection* to its end; says how it ended."""
        lines = _Lines()
        ends: list[ConnectionEnded] = []
        try:
            async with asyncio.TaskGroup() as jobs:
                jobs.create_task(self._read(connection, lines, submits, jobs), name="acs reader")
                jobs.create_task(self._acknowledge(lines), name="acs acknowledgements")
                jobs.create_task(self._write(connection, lines), name="acs writer")
                jobs.create_task(self._expire(connection), name="acs life timer")
        except* ConnectionEnded as group:
            ends += [end for end in group.exceptions if isinstance(end, ConnectionEnded)]
        return next((end for end in ends if end.clean), ends[0])

    async def _read(
        self, connection: Connection, lines: _Lines, submits: asyncio.TaskGroup, jobs: asyncio.TaskGroup
    ) -> None:
        inactivity = jobs.create_task(self._miss(), name="acs inactivity timer")
        while True:
            frame = await connection.receive()
            self.heard_at = self._world.monotonic()
            heard = received(frame, self._world.clock(), self._world.draw, self._latest)
            self._latest = max(self._latest, heard.seq)
            if heard.understood:
                inactivity.cancel()
                inactivity = jobs.create_task(self._miss(), name="acs inactivity timer")
            if self._telemetry is not None and heard.is_heartbeat:
                self._telemetry.heartbeat()
            for note in heard.notes:
                (log.warning if note.warning else log.info)(note.event, **note.fields)
            for reply in heard.replies:
                lines.out.put_nowait(reply)
            self._pass_on(heard, lines, submits)
            if self._renewal.is_due(self._world.monotonic(), lacks=self._vault.is_missing_any()):
                log.warning("credentials_not_refreshed", next="the connection is opened anew, to ask for them")
                jobs.create_task(connection.close(NORMAL, LACKING), name="acs renewal")

    def _pass_on(self, heard: Heard, lines: _Lines, submits: asyncio.TaskGroup) -> None:
        """Values into the vault, facts to the engine, and a place in the line for the acknowledgements."""
        if self._waiting >= MOST_WAITING and not heard.wants_a_stop:
            log.warning("acs_message_not_taken", waiting=self._waiting)
            return
        for credentials in heard.credentials:
            self._vault.put(credentials)
        if heard.events or heard.acks:
            self._waiting += 1
            commit = submits.create_task(self._submit(heard), name="acs submit")
            lines.commits.put_nowait(commit)

    async def _submit(self, heard: Heard) -> tuple[acs.Frame, ...]:
        """The answers to *heard*, once its events are committed. The engine takes them in before it waits."""
        try:
            if heard.events:
                await self._engine.save(*heard.events)
        finally:
            self._waiting -= 1
        # Values come for tasks that are over or refused, too, and nobody else would drop them.
        self._vault.forget(credentials.credentials_id for credentials in heard.credentials)
        return heard.acks if heard.manifest is None else self._answers(heard.manifest)

    def _answers(self, manifest: acs.TaskManifestMessage) -> tuple[acs.Frame, ...]:
        taken = self._manifests.take(manifest.message_id or "")
        if taken is None:
            log.info("acs_manifest_outdated", message_id=manifest.message_id, number=manifest.timeline)
            return ()
        log.info("acs_manifest_taken", number=taken.number, stop_candidates=len(taken.candidates))
        return answers(manifest, taken.candidates)

    async def _acknowledge(self, lines: _Lines) -> None:
        while True:
            commit = await lines.commits.get()
            await asyncio.wait({commit})
            if commit.cancelled() or commit.exception():
                continue  # the failure is told by the group that holds the job
            for ack in commit.result():
                lines.out.put_nowait(ack)

    async def _write(self, connection: Connection, lines: _Lines) -> None:
        while True:
            frame = await lines.out.get()
            try:
                await connection.send(acs.encode(frame))
            except CannotSend as error:
                log.info("acs_answer_not_sent", type=type(frame).__name__, error=str(error))
                return  # the reader hears how the connection ended, and the peer asks again

    async def _miss(self) -> None:
        """Give the peer up if it is silent for too long. Another message replaces this job by a fresh one."""
        seconds = self._around(INACTIVITY, INACTIVITY_JITTER)
        await self._world.sleep(seconds)
        raise ConnectionEnded(f"nothing was heard for {seconds:.0f} seconds")

    async def _expire(self, connection: Connection) -> None:
        """End a connection that is old, in good order; the reader hears the peer's answer."""
        await self._world.sleep(self._around(LIFE, LIFE_JITTER))
        await connection.close(NORMAL, EXPIRED)

    def _around(self, seconds: float, jitter: float) -> float:
        return seconds + jitter * self._world.chance()
