"""The agent's journal: tasks, tombstones and unsent reports in ``agent.db``.

The runner commits here before anything happens; the reporter empties the outbox. Both see their own half only. A disk
that does not take what is written ends neither: see mirror_db.py.
"""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Self

import msgspec
from structlog import get_logger

from agent.model.clock import Clock, utc_now
from agent.model.decision import Decision
from agent.model.identity import Identity
from agent.model.names import TaskArn
from agent.model.saved import OutboxRow, Saved
from agent.store import outbox, tasks, vetting
from agent.store.images_driver import ImageMemory
from agent.store.mirror_db import Mirror, look
from agent.store.schema import STEPS

log = get_logger()

FILE_NAME = "agent.db"
"""What the journal is called in the data directory."""


class Journal:
    """What was decided and what is still to be told. Methods raise nothing for what the disk says.

    What a method has written is in the journal when it returns, and on the disk as well unless the disk is behind.
    """

    def __init__(self, rows: Mirror) -> None:
        self._rows = rows
        self._added = asyncio.Event()
        self.commits = 0
        self.commit_seconds = 0.0
        """How long all commits took."""
        self.images = ImageMemory(rows)
        """What is remembered of images; it stands in the same file."""

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, agent: str = "", clock: Clock = utc_now) -> AsyncIterator[Self]:
        """Open the file. One that is damaged, too new or another agent's is set aside, and a new one made."""
        async with Mirror.open(path, STEPS, lambda rows: vetting.check(rows, agent, path), clock) as rows:
            yield cls(rows)

    @property
    def is_durable(self) -> bool:
        """Does the disk have everything that was committed?"""
        return self._rows.is_durable

    @property
    def lack(self) -> str:
        """Why the disk is behind: a name such as ``DiskFull``, a colon and more; empty while it is not."""
        return self._rows.lack

    def tell(self, heard: Callable[[str], None]) -> None:
        """Have *heard* called with `lack` each time it changes, and now if there is one."""
        self._rows.tell(heard)

    async def run(self) -> None:
        """Run for ever: put on the disk what it does not have, as soon as it can be written again."""
        await self._rows.run()

    async def saved(self) -> None:
        """Return when the disk has everything that was committed before this was called."""
        await self._rows.on_disk()

    async def claim(self, agent: str) -> None:
        """Write *agent* down as the one whose tasks these are, unless somebody is."""
        await self._rows.write(lambda rows: _claim(rows, agent))

    async def keep_identity(self, identity: Identity) -> None:
        """Keep a copy of the identity beside the tasks. For another instance ECS may count its lists of tasks anew."""
        await self._rows.write(lambda rows: _keep(rows, identity))

    async def manifest(self) -> int:
        """The number of the newest list of tasks that was taken from ECS."""
        return await self._rows.read(tasks.manifest)

    async def vet(self, clock: Clock = utc_now) -> None:
        """Put each row aside that makes no sense; it costs the row alone, and its task is told or found anew."""
        now = clock()
        for place, error in await self._rows.write(lambda rows: vetting.vet(rows, now)):
            log.error("row_set_aside", place=place, error=error)

    async def load(self) -> Saved:
        """All tasks and tombstones. Raises Unreadable for a row that makes no sense."""
        return await self._rows.read(tasks.load)

    async def commit(self, decision: Decision) -> None:
        """Write everything of *decision* in one transaction, or nothing."""
        if decision.changes_nothing:
            return

        def change(connection: sqlite3.Connection) -> None:
            tasks.write(connection, decision)
            outbox.append(connection, decision.reports)

        began = time.monotonic()
        try:
            await self._rows.write(change)
            self.commits += 1
            self.commit_seconds += time.monotonic() - began
        finally:  # a cancelled commit may have been made: better to look in vain than not to look
            if decision.reports:
                self._added.set()

    async def unsent(self, after: int = 0, most: int = outbox.ALL) -> tuple[OutboxRow, ...]:
        """Unsettled rows with a number above *after*, in the order of the numbers; *most* of them, or every one."""
        return await self._rows.read(lambda connection: outbox.unsent(connection, after, most))

    async def backlog(self) -> tuple[int, datetime | None]:
        """How many reports wait to be settled, and from when the oldest is."""
        return await self._rows.read(outbox.backlog)

    async def all_told(self) -> frozenset[TaskArn]:
        """The tasks whose end was told and settled, though the rows do not say so yet."""
        return await self._rows.read(tasks.all_told)

    async def freeze(self, numbers: Iterable[int], call: int) -> None:
        """Bind the rows together into one call."""
        bound = tuple(numbers)
        await self._rows.write(lambda connection: outbox.freeze(connection, bound, call))

    async def settle(self, numbers: Iterable[int]) -> frozenset[TaskArn]:
        """Forget rows; gives their tasks that have nothing unsent left."""
        done = tuple(numbers)
        return await self._rows.write(lambda connection: outbox.settle(connection, done))

    async def changed(self) -> None:
        """Return when rows have been added since the last return. For one listener."""
        await self._added.wait()
        self._added.clear()


@asynccontextmanager
async def own_journal(path: Path, agent: str, clock: Clock = utc_now) -> AsyncIterator[tuple[Journal, Saved]]:
    """The journal of *agent* at *path*, and its rows. Where the disk fails, it is one in memory.

    A file that cannot be read to its end, or that holds the tasks of another agent (a disk that was copied), is set
    aside and a new one begun; a single row that makes no sense is put aside alone. Tasks of which nothing is left here
    are then rebuilt from Docker.
    """
    async with Journal.open(path, agent, clock) as journal:
        await journal.claim(agent)
        await journal.vet(clock)
        yield journal, await journal.load()


async def peek_identity(path: Path) -> Identity | None:
    """The copy of the identity in the journal at *path*; None where there is none, or none that can be read.

    Nothing is written or moved. The lock of the data directory must be held.
    """
    return await asyncio.to_thread(_peek, path)


def _peek(path: Path) -> Identity | None:
    try:
        rows = look(path)
        try:
            identity = _kept(rows)
        finally:
            rows.close()
    except (OSError, sqlite3.Error, msgspec.DecodeError, UnicodeDecodeError) as error:
        log.info("identity_not_in_journal", path=str(path), error=str(error))
        return None
    return identity if identity.agent_id else None


def _kept(connection: sqlite3.Connection) -> Identity:
    """The copy of the identity. Raises msgspec.DecodeError or UnicodeDecodeError where none can be read."""
    (text,) = connection.execute("SELECT CAST(identity AS BLOB) FROM owner").fetchone() or (b"",)
    return msgspec.json.decode(text, type=Identity)


def _keep(connection: sqlite3.Connection, identity: Identity) -> None:
    with suppress(msgspec.DecodeError, UnicodeDecodeError):  # nobody knows of which instance the lists were, then
        if _kept(connection).instance_arn not in ("", identity.instance_arn):
            connection.execute("DELETE FROM manifest")
    connection.execute("UPDATE owner SET identity = ?", (msgspec.json.encode(identity).decode(),))


def _claim(connection: sqlite3.Connection, agent: str) -> None:
    if connection.execute("SELECT 1 FROM owner").fetchone() is None:
        connection.execute("INSERT INTO owner (agent) VALUES (?)", (agent,))
