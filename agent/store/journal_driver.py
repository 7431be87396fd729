"""The agent's journal: tasks, tombstones and unsent reports in ``agent.db``.

The runner commits here before anything happens; the reporter empties the outbox. Both see their own half only.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Self

from structlog import get_logger

from agent.model.clock import Clock, utc_now
from agent.model.decision import Decision
from agent.model.names import TaskArn
from agent.model.saved import OutboxRow, Saved
from agent.store import outbox, tasks
from agent.store.db import Database, Unreadable, set_aside
from agent.store.images_driver import ImageMemory
from agent.store.schema import STEPS

log = get_logger()

FILE_NAME = "agent.db"
"""What the journal is called in the data directory."""


class Journal:
    """What was decided and what is still to be told. Methods raise OSError; Unreadable where a row makes no sense."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._added = asyncio.Event()
        self.images = ImageMemory(database)
        """What is remembered of images; it stands in the same file."""

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path) -> AsyncIterator[Self]:
        """Open the file, or make it. Raises Unreadable for one that is damaged or too new; it can be set aside."""
        async with Database.open(path, STEPS) as database:
            yield cls(database)

    async def claim(self, agent: str) -> str:
        """Write *agent* down as the one whose tasks these are, unless somebody is; gives who is."""
        return await self._database.write(lambda connection: _claim(connection, agent))

    async def load(self) -> Saved:
        """All tasks and tombstones."""
        return await self._database.read(tasks.load)

    async def commit(self, decision: Decision) -> None:
        """Write everything of *decision* in one transaction, or nothing. On the disk when this returns."""
        if decision.changes_nothing:
            return

        def change(connection: sqlite3.Connection) -> None:
            tasks.write(connection, decision)
            outbox.append(connection, decision.reports)

        try:
            await self._database.write(change)
        finally:  # a cancelled commit may have been made: better to look in vain than not to look
            if decision.reports:
                self._added.set()

    async def unsent(self, after: int = 0) -> tuple[OutboxRow, ...]:
        """Every unsettled row with a number above *after*, in the order of the numbers."""
        return await self._database.read(lambda connection: outbox.unsent(connection, after))

    async def all_told(self) -> frozenset[TaskArn]:
        """The tasks whose end was told and settled, though the rows do not say so yet."""
        return await self._database.read(tasks.all_told)

    async def freeze(self, numbers: Iterable[int], call: int) -> None:
        """Bind the rows together into one call."""
        bound = tuple(numbers)
        await self._database.write(lambda connection: outbox.freeze(connection, bound, call))

    async def settle(self, numbers: Iterable[int]) -> frozenset[TaskArn]:
        """Forget rows; gives their tasks that have nothing unsent left."""
        done = tuple(numbers)
        return await self._database.write(lambda connection: outbox.settle(connection, done))

    async def changed(self) -> None:
        """Return when rows have been added since the last return. For one listener."""
        await self._added.wait()
        self._added.clear()


@asynccontextmanager
async def own_journal(path: Path, agent: str, clock: Clock = utc_now) -> AsyncIterator[tuple[Journal, Saved]]:
    """The journal of *agent* at *path*, and its rows. Raises OSError where there cannot be any.

    A file that cannot be read to its end, or that holds the tasks of another agent (a disk that was copied), is set
    aside and a new one begun: tasks that run here are then rebuilt from Docker.
    """
    async with AsyncExitStack() as stack:
        try:
            opened = await _open_whole(stack, path, agent)
        except Unreadable as error:
            await stack.aclose()  # before the file goes: SQLite would finish its log under the old name
            aside = set_aside(path, clock())
            log.error("journal_set_aside", path=str(path), aside=str(aside), error=str(error))  # noqa: TRY400 -- expected
            opened = await _open_whole(stack, path, agent)
        yield opened


async def _open_whole(stack: AsyncExitStack, path: Path, agent: str) -> tuple[Journal, Saved]:
    journal = await stack.enter_async_context(Journal.open(path))
    owner = await journal.claim(agent)
    if owner != agent:
        raise Unreadable(f"cannot use {path}: its tasks are those of agent {owner}, and this is {agent}")
    await journal.unsent()
    return journal, await journal.load()


def _claim(connection: sqlite3.Connection, agent: str) -> str:
    found = connection.execute("SELECT agent FROM owner").fetchone()
    if found is None:
        connection.execute("INSERT INTO owner (agent) VALUES (?)", (agent,))
        return agent
    return str(found[0])
