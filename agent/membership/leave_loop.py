"""Told to stop: drains the instance where that is wished, sends what ECS is still to hear, and bounds both.

Whatever is not done in time is not lost: it stands in the journal, and the containers run on. An instance that this
agent has set DRAINING it sets ACTIVE again when it is back; one that was DRAINING before is somebody else's, and stays.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Protocol

from structlog import get_logger

from agent.config.settings import Settings
from agent.membership import drain
from agent.membership.ports import InstanceState
from agent.model.clock import Clock, utc_now
from agent.model.errors import AgentError
from agent.model.events import Event, OperatorStop
from agent.model.identity import Identity
from agent.model.names import TaskArn, task_id
from agent.model.task import Task

log = get_logger()

LAST_REPORTS_WITHIN = 5.0
"""Seconds for reports that ECS takes at once; what it does not take then it hears after the next start."""
ASKED_WITHIN, KNOWN_WITHIN = 5.0, 1.0
"""Seconds for one call that changes the instance's state, and for finding out what it is."""
TRY_AGAIN, LONGEST_WAIT = 1.0, 30.0
TURN = 0.1
SAY_EVERY = 1.0
PATIENCE = timedelta(seconds=30)
"""How much more time systemd is asked for, each time that it is told of progress."""
ACTIVE, DRAINING = "ACTIVE", "DRAINING"
DRAINER = "drain_on_stop=all of the agent, which was told to stop"


class Tasks(Protocol):
    """The rows of tasks, as they are now."""

    @property
    def tasks(self) -> Mapping[TaskArn, Task]:
        """The rows; not to be changed."""
        ...


class Inbox(Protocol):
    """The way to the engine."""

    async def submit(self, *events: Event) -> None:
        """Return when everything before, and *events*, is decided and committed."""
        ...

    def post(self, *events: Event) -> None:
        """Have *events* decided."""
        ...


class Reports(Protocol):
    """The sending of reports."""

    @property
    def is_refused(self) -> bool:
        """Does ECS take no reports at the moment?"""
        ...

    def flush(self) -> None:
        """Try at once."""
        ...

    async def is_done(self) -> bool:
        """Is nothing left to tell? Raises OSError."""
        ...


class Owner(Protocol):
    """Holds who we are, as far as that is known."""

    identity: Identity


class Place(Protocol):
    """This instance's place in its cluster."""

    async def status(self, identity: Identity) -> str:
        """ACTIVE or DRAINING. Raises AgentError."""
        ...

    async def mark(self, identity: Identity, *, drained: bool) -> None:
        """Remember whose drain it is."""
        ...


@dataclass(frozen=True, slots=True)
class Rooms:
    """What leaving has to do with."""

    owner: Owner
    place: Place
    state: InstanceState
    engine: Tasks
    inbox: Inbox
    reports: Reports


Progress = Callable[[int, timedelta], None]
"""Hears how many tasks are still to end, and how much more time that is to be given."""


def nobody_listens(_left: int, _patience: timedelta) -> None:
    """Progress that nobody wants to hear of."""


class Leaving:
    """The end of an agent's life, and the beginning of the next. Without `rooms` there is nothing to leave yet."""

    def __init__(self, settings: Settings, progress: Progress = nobody_listens, clock: Clock = utc_now) -> None:
        self.rooms: Rooms | None = None
        self._mode = settings.drain_on_stop
        self._seconds = settings.drain_timeout.total_seconds()
        self._progress = progress
        self._clock = clock

    async def leave(self) -> None:
        """Do what is to be done before the end. Returns in time, and raises nothing for what the world does."""
        if self.rooms is None:
            return
        if self._mode != drain.OFF:
            await self._drain()
        await self._last_reports()

    async def come_back(self) -> None:
        """Have the instance ACTIVE again, if it was this agent that drained it. Tries until ECS has answered."""
        identity = self._rooms.owner.identity
        if not identity.drained:
            return
        refusal = await self._insist(identity, ACTIVE)
        log.info("instance_active_again", instance=identity.instance_arn, refusal=refusal)
        await self._mark(drained=False)

    async def _drain(self) -> None:
        end = time.monotonic() + self._seconds
        log.info("drain_began", mode=self._mode, tasks=len(self._left()), timeout=self._seconds)
        self._progress(len(self._left()), PATIENCE)
        asking = asyncio.create_task(self._have_it_drained(), name="draining")
        try:
            await asyncio.wait({asking}, timeout=ASKED_WITHIN)  # first, or new tasks take the place of those that end
            await self._wait_for_ends(end)
        finally:
            asking.cancel()
            (broken,) = await asyncio.gather(asking, return_exceptions=True)
            if isinstance(broken, Exception):  # a bug, at the end of a life: what is left to do is done all the same
                log.error("drain_broke", exc_info=broken)

    async def _wait_for_ends(self, end: float) -> None:
        asked: set[TaskArn] = set()
        said = time.monotonic()
        while left := self._left():
            for arn in drain.to_end(self._rooms.engine.tasks.values(), self._mode):
                if arn not in asked:
                    asked.add(arn)
                    self._rooms.inbox.post(OperatorStop(arn, False, DRAINER, self._clock(), "drain"))  # noqa: FBT003
            now = time.monotonic()
            if now >= end:
                log.warning("drain_ended_early", left_running=[task_id(arn) for arn in left], seconds=self._seconds)
                return
            if now - said >= SAY_EVERY:
                said = now
                self._progress(len(left), PATIENCE)
            await asyncio.sleep(min(TURN, end - now))
        log.info("drained", tasks_ended=len(asked))

    @property
    def _rooms(self) -> Rooms:
        assert self.rooms is not None, "there is something to leave"
        return self.rooms

    def _left(self) -> list[TaskArn]:
        return drain.left(self._rooms.engine.tasks.values(), self._mode)

    async def _have_it_drained(self) -> None:
        """Set the instance DRAINING, as soon as ECS lets us; unless somebody has done so already."""
        identity = self._rooms.owner.identity
        if not identity.instance_arn:
            return
        if await self._status(identity) == DRAINING:
            log.info("instance_draining", instance=identity.instance_arn, by="somebody else, before")
            return
        await self._mark(drained=True)
        if refusal := await self._insist(identity, DRAINING, longest=TRY_AGAIN):
            log.warning("instance_not_drained", instance=identity.instance_arn, reason=refusal)
            await self._mark(drained=False)
            return
        log.info("instance_draining", instance=identity.instance_arn, by="this agent")

    async def _mark(self, *, drained: bool) -> None:
        """Remember whose drain it is; a disk that hangs is not waited for. Who we are may have changed meanwhile."""
        identity = self._rooms.owner.identity
        self._rooms.owner.identity = replace(identity, drained=drained)
        with suppress(TimeoutError):
            async with asyncio.timeout(KNOWN_WITHIN):
                await self._rooms.place.mark(identity, drained=drained)

    async def _insist(self, identity: Identity, status: str, longest: float = LONGEST_WAIT) -> str:
        """Ask until ECS has answered. Gives why it would not, ``""`` if it did."""
        wait = TRY_AGAIN
        while True:
            refusal = await self._set_state(identity, status)
            if refusal is not None:
                return refusal
            await asyncio.sleep(wait)
            wait = min(wait * 2, longest)

    async def _status(self, identity: Identity) -> str:
        try:
            async with asyncio.timeout(KNOWN_WITHIN):
                return await self._rooms.place.status(identity)
        except (AgentError, TimeoutError) as error:
            log.warning("instance_status_unknown", error=str(error) or "no answer in time")
            return ""

    async def _set_state(self, identity: Identity, status: str) -> str | None:
        """Why ECS would not, ``""`` if it did, None where it could not be asked."""
        try:
            async with asyncio.timeout(ASKED_WITHIN):
                return await self._rooms.state.set_state(identity.cluster, identity.instance_arn, status)
        except (AgentError, TimeoutError) as error:
            log.warning("instance_state_not_set", status=status, error=str(error) or "no answer in time")
            return None

    async def _last_reports(self) -> None:
        reports = self._rooms.reports
        try:
            async with asyncio.timeout(LAST_REPORTS_WITHIN):
                await self._rooms.inbox.submit()
                reports.flush()
                while not await reports.is_done():
                    await asyncio.sleep(TURN / 2)
                    if reports.is_refused:
                        break
        except (OSError, TimeoutError) as error:
            log.warning("last_reports_not_sent", error=str(error) or "not in time", kept="for the next start")
