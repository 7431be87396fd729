"""The control plane's one road: decide, commit, answer.

All that happens waits in one inbox. What waits together is decided in order and committed in one transaction; only
then is anybody answered, so nobody is ever told what the disk does not hold. If the disk refuses, the whole batch is
taken back, every caller is told ServerException (500, try again), and memory and disk are as they were before: the
control plane may do that because everybody who speaks to it repeats what was not answered.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from sqlite3 import Connection
from typing import Protocol, TypeVar

import msgspec
import structlog

from agent.controlplane import tables
from agent.controlplane.events import Event, PlaneDecision
from agent.controlplane.faults import server
from agent.controlplane.plane import Plane
from agent.controlplane.records import Record
from agent.model.clock import Clock, utc_now
from agent.model.errors import place_of
from agent.store.db import Database, Unreadable, set_aside

log = structlog.get_logger()

T = TypeVar("T")

FILE = "controlplane.db"
MOST_AT_ONCE = 0.01
"""Seconds of deciding before what is decided is committed."""
WAIT_FOR_DISK = 30.0
"""Seconds that a caller waits for a commit before it is told to try again. The commit itself goes on."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event in the inbox, with the place where its decision is awaited."""

    region: str
    event: Event
    decided: asyncio.Future[PlaneDecision] = field(repr=False)


Listener = Callable[[PlaneDecision], None]
"""Hears of every committed decision."""


class Disk(Protocol):
    """Where decisions are committed."""

    async def write(self, change: Callable[[Connection], T]) -> T:
        """Run *change* in one transaction. Raises OSError, and then nothing of it has happened."""
        ...


class Road:
    """Planes by region, their one file, and the order of events."""

    def __init__(self, database: Disk, account: str, records: dict[str, list[Record]]) -> None:
        self._database = database
        self._account = account
        self._planes = {region: Plane(region, account, known) for region, known in records.items()}
        self._inbox: asyncio.Queue[Waiting] = asyncio.Queue()
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Tell *listener* of every committed decision."""
        self._listeners.append(listener)

    @property
    def regions(self) -> Sequence[str]:
        """The regions that somebody has used."""
        return tuple(self._planes)

    async def decide(self, region: str, event: Event) -> PlaneDecision:
        """The committed decision on *event*. Raises Fault: what the API forbids, or 500 where the disk refused."""
        decided: asyncio.Future[PlaneDecision] = asyncio.get_running_loop().create_future()
        self._inbox.put_nowait(Waiting(region, event, decided))
        try:
            async with asyncio.timeout(WAIT_FOR_DISK):
                decision = await decided
        except TimeoutError:
            raise server("The control plane's disk does not answer.") from None
        if decision.fault is not None:
            raise decision.fault
        return decision

    async def run(self) -> None:
        """Serve the inbox until cancelled."""
        while True:
            await self._serve(await self._inbox.get())

    async def _serve(self, first: Waiting) -> None:
        """Decide *first* and what waits behind it, but not for so long that nobody else gets the thread."""
        until = time.monotonic() + MOST_AT_ONCE
        decided = [(first, self._decide(first))]
        while not self._inbox.empty() and time.monotonic() < until:
            waiting = self._inbox.get_nowait()
            decided.append((waiting, self._decide(waiting)))
        try:
            await self._commit(decided)
        except OSError as error:
            log.error("commit_failed", error=str(error), events=len(decided))  # noqa: TRY400  # the text says it all
            self._take_back(decided)
            return
        for waiting, decision in decided:
            if not waiting.decided.done():
                waiting.decided.set_result(decision)
            for listener in self._listeners:
                listener(decision)
            await asyncio.sleep(0)  # writing an answer takes milliseconds: one answer a turn of the event loop

    def _decide(self, waiting: Waiting) -> PlaneDecision:
        """Callers name regions as they like: a plane is kept once there is something in it."""
        plane = self._planes.get(waiting.region) or Plane(waiting.region, self._account)
        try:
            decision = plane.decide(waiting.event)
        except Exception as bug:  # noqa: BLE001  # a bug has the radius of one event
            log.error("decision_broke", occasion=type(waiting.event).__name__, error=place_of(bug))  # noqa: TRY400
            return PlaneDecision(fault=server(f"Internal error: {type(bug).__name__}"))
        if decision.changes:
            self._planes[waiting.region] = plane
        return decision

    async def _commit(self, decided: Sequence[tuple[Waiting, PlaneDecision]]) -> None:
        changed = [(waiting.region, decision.changes) for waiting, decision in decided if decision.changes]
        if not changed:
            return

        def write(connection: Connection) -> None:
            for region, changes in changed:
                tables.write(connection, region, changes)

        await self._database.write(write)

    def _take_back(self, decided: Sequence[tuple[Waiting, PlaneDecision]]) -> None:
        for waiting, decision in reversed(decided):
            if decision.changes:
                self._planes[waiting.region].undo(decision.changes)
            if not waiting.decided.done():
                waiting.decided.set_result(PlaneDecision(fault=server("The control plane cannot write to its disk.")))


@contextlib.asynccontextmanager
async def open_road(data_dir: Path, account: str, clock: Clock = utc_now) -> AsyncIterator[Road]:
    """The road over the file in *data_dir*; a file that cannot be read is set aside, never deleted."""
    path = data_dir / FILE
    async with contextlib.AsyncExitStack() as stack:
        try:
            database = await stack.enter_async_context(Database.open(path, tables.STEPS))
            records = await database.read(tables.read)
        except (Unreadable, msgspec.DecodeError, UnicodeError) as error:
            await stack.aclose()
            aside = await asyncio.to_thread(set_aside, path, clock())
            log.error("file_set_aside", path=str(aside), error=str(error))  # noqa: TRY400  # the text says it all
            database = await stack.enter_async_context(Database.open(path, tables.STEPS))
            records = {}
        yield Road(database, account, records)
