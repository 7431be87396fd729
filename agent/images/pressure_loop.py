"""Watches the disks, makes room while they fill, and says when they are too full for new tasks.

What has stopped goes first, then images; the least recently used of each before the others. A round takes a few of
them, so that whoever reads the log sees how it goes on. Images keep to the same rules as at any other cleanup, but for
age and number: one that a task holds, that a container uses, or that is being pulled never goes.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from agent.engine import pressure
from agent.images.loop import Cleaner, Gone
from agent.images.ports import Disks, Look, Rows
from agent.images.watermarks import Marks, has_room, in_words, refusal, wants_room
from agent.model.clock import Clock
from agent.model.errors import AgentError
from agent.model.events import Event, Reclaim
from agent.model.names import TaskArn

log = structlog.get_logger()

LOOK_EVERY = 0.5
"""Seconds between looks at the disks. One over the critical mark is known within a second."""
TRY_AGAIN_EVERY = 5.0
"""Seconds until something may have become removable where nothing was."""
TASKS_AT_ONCE, IMAGES_AT_ONCE = 10, 20
CLEARED_WITHIN, STILL_FOR = 60.0, 5.0
"""Seconds for Docker to remove the containers and volumes of a round's tasks; after that the next things go.

They go earlier where for a while not one task has gone: what is left of some waits for a disk that takes nothing, and
that disk waits for room.
"""

ROOM_WITHIN = 120.0
"""Seconds for one round of images. A call of Docker's that hangs must not keep stopped tasks from going first again."""

Pause = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Making:
    """What room is made with."""

    rows: Rows
    submit: Callable[[Event], Awaitable[None]]
    """Returns when the event is decided and committed."""
    cleaner: Cleaner
    clock: Clock


class DiskWatch:
    """One job looks at the disks, the other makes room. *strain* is told why no new task may be taken, or ``""``."""

    def __init__(
        self, disks: Disks, marks: Marks, making: Making, *, strain: Callable[[str], None], pause: Pause
    ) -> None:
        self._disks = disks
        self._marks = marks
        self._making = making
        self._strain = strain
        self._pause = pause
        self._wanted = asyncio.Event()
        self._silent: tuple[str, ...] = ()
        self._is_unseen = False
        self._found_nothing = False
        self._reason = ""
        self.latest = Look()

    @property
    def trouble(self) -> str:
        """What is wrong with the disks, if anything is: too full, or silent."""
        return self._reason or "".join(f"{path} does not answer" for path in self._silent[:1])

    async def run(self) -> None:
        """Run for ever."""
        async with asyncio.TaskGroup() as jobs:
            jobs.create_task(self._watch(), name="disk-watch")
            jobs.create_task(self._make_room_for_ever(), name="disk-room")

    # -- looking ----------------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        while True:
            await self._look()
            await self._pause(LOOK_EVERY)

    async def _look(self) -> Look:
        look = await self._disks.look()
        self.latest = look
        self._tell_of_silence(look)
        if not look.silent:  # what does not answer is as full as it last was
            self._reason = refusal(look, self._marks)
            self._strain(self._reason)
        if wants_room(look, self._marks):
            self._wanted.set()
        return look

    def _tell_of_silence(self, look: Look) -> None:
        if look.silent != self._silent:
            log.warning("disk_silent" if look.silent else "disk_answered", paths=look.silent or self._silent)
            self._silent = look.silent
        is_unseen = look.docker is None and not look.silent
        if is_unseen and not self._is_unseen:
            log.warning(
                "docker_root_not_seen",
                watched=look.data.path if look.data else "",
                hint="to have Docker's disk watched, mount its root directory at its own path, or the host's at /host",
            )
        self._is_unseen = is_unseen

    # -- making room ------------------------------------------------------------------------------------------------

    async def _make_room_for_ever(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            if not wants_room(await self._look(), self._marks):
                continue
            log.warning("disk_filled", disks=in_words(self.latest), high=self._marks.high, low=self._marks.low)
            while not await self._has_room():
                if not await self._round():
                    await self._pause(TRY_AGAIN_EVERY)
                    if not wants_room(await self._look(), self._marks):
                        break
            self._wanted.clear()
            self._found_nothing = False

    async def _has_room(self) -> bool:
        return has_room(await self._look(), self._marks)

    async def _round(self) -> bool:
        """Take the next few things away; False if there was nothing to be taken."""
        before = self.latest.gains
        tasks = await self._clear_tasks()
        gone = Gone()
        if not tasks:
            try:
                async with asyncio.timeout(ROOM_WITHIN):
                    gone = await self._making.cleaner.make_room(self._has_room, IMAGES_AT_ONCE)
            except TimeoutError:  # an OSError too, and without a word
                log.warning("disk_room_not_made", error=f"Docker was not done within {ROOM_WITHIN:g} s")
            except (AgentError, OSError) as error:
                log.warning("disk_room_not_made", error=str(error))
        after = (await self._look()).gains
        has_found = bool(tasks or gone.images or gone.containers)
        if has_found or not self._found_nothing:
            log.info(
                "disk_room_made" if has_found else "disk_nothing_left",
                freed_mib=round((after.bytes_free - before.bytes_free) / 2**20, 1) if after and before else None,
                tasks=tasks,
                images=gone.images,
                containers=gone.containers,
                tasks_left=len(self._reclaimable()),
                images_left=gone.images_left,
                disks=in_words(self.latest),
            )
        self._found_nothing = not has_found
        return has_found

    def _reclaimable(self) -> tuple[TaskArn, ...]:
        rows = self._making.rows.tasks.values()
        return tuple(task.arn for task in pressure.reclaimable(rows, self._making.clock()))

    async def _clear_tasks(self) -> int:
        """Have a few stopped tasks cleared away; gives how many went."""
        chosen = self._reclaimable()[:TASKS_AT_ONCE]
        if not chosen:
            return 0
        try:
            async with asyncio.timeout(CLEARED_WITHIN):
                await self._making.submit(Reclaim(len(chosen), self._making.clock()))
                left = await self._wait_while_they_go(chosen)
        except TimeoutError:
            left = self._going(chosen)
        if left:
            log.warning("stopped_tasks_not_cleared", tasks=left, hint="Docker is slow, or the disk takes no rows")
        return sum(arn not in self._making.rows.tasks for arn in chosen)

    async def _wait_while_they_go(self, chosen: tuple[TaskArn, ...]) -> int:
        """Return when all have gone, or none has for a while; gives how many are left."""
        left, still = self._going(chosen), 0.0
        while left and still < STILL_FOR:
            await self._pause(LOOK_EVERY)
            still += LOOK_EVERY
            if (now := self._going(chosen)) < left:
                left, still = now, 0.0
        return left

    def _going(self, chosen: tuple[TaskArn, ...]) -> int:
        """How many of them are about to go? While Docker is lost none is."""
        rows = self._making.rows.tasks
        return sum(arn in rows and rows[arn].remove_at is None for arn in chosen)
