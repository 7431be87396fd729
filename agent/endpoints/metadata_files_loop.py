"""Gives each container its file of metadata, completes it once the container runs, and takes it away with the task.

A container does not fail for want of its file, nor is it held up for long: it goes without. What could not be completed
is tried again a few times, and after a start of the agent.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from agent.endpoints import metadata_file
from agent.endpoints.metadata_file import Here, Subject
from agent.endpoints.ports import FileState, MetadataShelf, Portraits, Tasks
from agent.model.acts import CreateContainer
from agent.model.decision import Decision
from agent.model.errors import AgentError
from agent.model.names import TaskArn
from agent.model.status import Status
from agent.model.task import Container, Task

log = structlog.get_logger()

AGAIN_AFTER = 5.0
"""Seconds until a file that could not be completed is tried again."""
MOST_TRIES = 5
WRITTEN_WITHIN = 2.0
"""Seconds for which a disk may keep a container from being created."""


class MetadataFiles:
    """The files of one agent's containers. *here* is asked each time: the instance may have no name yet.

    Where they are not *enabled* no container gets a new one; those that have some keep them as long as they are there.
    """

    def __init__(
        self,
        shelf: MetadataShelf,
        tasks: Tasks,
        portraits: Portraits,
        here: Callable[[], Awaitable[Here]],
        *,
        enabled: bool = True,
        selinux: bool = False,
        again_after: float = AGAIN_AFTER,
    ) -> None:
        self._shelf = shelf
        self._tasks = tasks
        self._portraits = portraits
        self._here = here
        self._enabled = enabled
        self._selinux = selinux
        self._again_after = again_after
        self._changed: set[TaskArn] = set()
        self._gone: set[TaskArn] = set()
        self._complete: dict[tuple[TaskArn, str], int] = {}
        """The run of each container that its file tells of, or of which it is known that it tells of none."""
        self._tries: Counter[tuple[TaskArn, str]] = Counter()
        self._news = asyncio.Event()
        self._is_over = False
        self._beginning = asyncio.Lock()
        """Files that are begun must not be taken for such as a crash left: held by who begins one, and who sweeps."""

    async def prepare(self, act: CreateContainer) -> CreateContainer:
        """Write the first form, and give *act* for a container that is told where it is; as it was, if that fails."""
        subject = Subject(act.task, act.family, act.version, act.container)
        try:
            async with asyncio.timeout(WRITTEN_WITHIN):
                text = metadata_file.first_form(subject, await self._here())
                async with self._beginning:
                    folder = await self._shelf.begin(act.task, act.container, text)
        except (OSError, AgentError) as error:  # TimeoutError is one
            log.warning("metadata_file_not_written", task=act.task, container=act.container, error=str(error))
            return act
        return metadata_file.given(act, folder, selinux=self._selinux)

    def hear(self, decided: Decision) -> None:
        """Something was decided and committed."""
        if self._is_over:
            return
        self._changed.update(task.arn for task in decided.tasks)
        self._gone.update(decided.forgotten)
        if decided.tasks or decided.forgotten:
            self._news.set()

    async def run(self) -> None:
        """Run for ever; not at all where there are no files, and will be none."""
        self._changed.update(self._tasks.tasks)
        if not await self._sweep() and not self._enabled:
            self._is_over = True
            return
        while True:
            changed, self._changed = self._changed, set()
            gone, self._gone = self._gone, set()
            self._news.clear()
            for arn in gone:
                await self._remove(arn)
            for arn in changed:
                if (task := self._tasks.tasks.get(arn)) is not None and not await self._catch_up(task):
                    self._changed.add(arn)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._again_after if self._changed else None):
                    await self._news.wait()

    async def _sweep(self) -> bool:
        """Take away what a crash has left of tasks that are forgotten; is there anything else?"""
        try:
            async with self._beginning:
                return await self._shelf.keep(frozenset(self._tasks.tasks))
        except OSError as error:
            log.warning("metadata_files_not_removed", error=str(error))
            return True

    async def _remove(self, arn: TaskArn) -> None:
        self._complete = {key: run for key, run in self._complete.items() if key[0] != arn}
        self._tries = Counter({key: count for key, count in self._tries.items() if key[0] != arn})
        try:
            await self._shelf.remove(arn)
        except OSError as error:
            log.warning("metadata_files_not_removed", task=arn, error=str(error))

    async def _catch_up(self, task: Task) -> bool:
        """Complete the files of *task*'s containers that run; False if one of them is to be tried again."""
        results = [await self._completed(task, one) for one in task.containers if _is_to_be_told(one)]
        return all(results)

    async def _completed(self, task: Task, row: Container) -> bool:
        key = (task.arn, row.name)
        if self._complete.get(key) == row.run:
            return True
        try:
            state = await self._shelf.state(*key)
            if state is FileState.ABSENT or (state is FileState.READY and key not in self._complete):
                self._complete[key] = row.run  # it has none, or an agent before this one has completed it
                return True
            portrait = await self._portraits.portrait(row.docker_id)
            if portrait is None or not portrait.pid:  # it has ended: what is decided next says so
                return True
            subject = Subject(task.arn, task.spec.family, task.spec.version, row.name)
            text = metadata_file.full_form(subject, await self._here(), portrait)
            await self._shelf.complete(*key, text)
        except (OSError, AgentError) as error:
            self._tries[key] += 1
            log.warning("metadata_file_not_completed", task=task.arn, container=row.name, error=str(error))
            if self._tries[key] < MOST_TRIES:
                return False
        self._complete[key] = row.run
        self._tries.pop(key, None)
        return True


def _is_to_be_told(row: Container) -> bool:
    return row.known is Status.RUNNING and bool(row.docker_id)
