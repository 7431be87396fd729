"""Watching Docker: hints from its event stream, and listings as the truth.

The stream is opened first, then a listing is taken: at the start, after every reconnect, after an act whose outcome was
lost, and every 20 seconds as the safety net.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing

import structlog

from agent.engine.engine import Engine
from agent.model.clock import Clock
from agent.model.errors import AgentError
from agent.model.events import DockerBack, DockerLost, EndedWell, Listed, Observed
from agent.model.names import DockerId
from agent.model.seen import Hint, Seen
from agent.model.status import Doing
from agent.runner.loop import Runner
from agent.runner.ports import Containers, Hints

log = structlog.get_logger()

LIST_EVERY = 20.0
FIRST_RETRY, LONGEST_RETRY = 0.25, 10.0
FIRST_SPACE, LONGEST_SPACE = 0.1, 2.0
"""Seconds between listings while every act that follows one is lost again: each would bring the next."""
LOOKS_AT_ONCE = 10

Pause = Callable[[float], Awaitable[None]]


class Watcher:
    """Tells the runner what Docker shows."""

    def __init__(
        self, engine: Engine, runner: Runner, containers: Containers, hints: Hints, *, clock: Clock, pause: Pause
    ) -> None:
        self._engine = engine
        self._runner = runner
        self._containers = containers
        self._hints = hints
        self._clock = clock
        self._pause = pause
        self._list_now = asyncio.Event()
        self._looks = asyncio.Semaphore(LOOKS_AT_ONCE)
        self._is_open = asyncio.Event()
        self._is_there = True
        self._retry = FIRST_RETRY
        self._is_lost = False
        self._space = 0.0

    def list_soon(self) -> None:
        """Have a listing taken: the outcome of some act was lost."""
        self._is_lost = True
        self._list_now.set()

    async def run(self) -> None:
        """Run for ever."""
        async with asyncio.TaskGroup() as jobs:
            jobs.create_task(self._follow(jobs), name="docker-events")
            jobs.create_task(self._list_for_ever(), name="docker-listing")

    async def _follow(self, jobs: asyncio.TaskGroup) -> None:
        while True:
            try:
                async with aclosing(self._hints.watch(self._opened)) as hints:
                    async for hint in hints:
                        jobs.create_task(self._look_at(hint), name="docker-look")
            except AgentError as error:
                self._is_open.clear()
                self._lose(error)
            retry = self._retry
            self._retry = min(retry * 2, LONGEST_RETRY)
            await self._pause(retry)

    def _opened(self) -> None:
        log.info("docker_events_followed")
        self._is_open.set()
        self._list_now.set()

    def _lose(self, error: AgentError) -> None:
        """Docker does not answer: hold all acts until it does, and a listing has been heard."""
        log.warning("docker_lost" if self._is_there else "docker_unreachable", error=str(error))
        if self._is_there:
            self._is_there = False
            self._runner.post(DockerLost(self._clock()))

    async def _look_at(self, hint: Hint) -> None:
        if self._is_expected(hint):
            return
        if hint.ended_well is not None:  # who waits for that goes on while Docker still tidies up behind it
            self._runner.post(EndedWell(hint.task, hint.docker_id, hint.ended_well, self._clock()))
        async with self._looks:
            try:
                seen = await self._containers.inspect(hint.docker_id)
            except AgentError as error:
                log.warning("docker_look_failed", container=hint.docker_id[:12], error=str(error))
                self._list_now.set()
                return
        if seen is None:
            self._list_now.set()
        else:
            self._runner.post(Observed(seen, self._clock(), f"docker {hint.action}"))

    def _is_expected(self, hint: Hint) -> bool:
        """Does an act's own answer bring what a look would show? One whose answer is lost brings a listing."""
        task = self._engine.tasks.get(hint.task)
        rows = task.containers if task is not None else ()
        match hint.action:
            case "create":
                return any(not c.docker_id and Doing.CREATE in c.in_flight for c in rows)
            case "start":
                return any(c.docker_id == hint.docker_id and Doing.START in c.in_flight for c in rows)
            case _:
                return False

    async def _list_for_ever(self) -> None:
        while True:
            await self._is_open.wait()
            if self._is_lost and self._space:
                await self._pause(self._space)
            self._space = min(max(self._space * 2, FIRST_SPACE), LONGEST_SPACE) if self._is_lost else 0.0
            self._is_lost = False
            self._list_now.clear()
            try:
                await self._list()
            except AgentError as error:
                self._lose(error)
                await self._pause(FIRST_RETRY)
                continue
            try:
                async with asyncio.timeout(LIST_EVERY):
                    await self._list_now.wait()
            except TimeoutError:
                self._list_now.set()

    async def _list(self) -> None:
        asked = self._engine.step
        listed = await self._containers.listing()
        if not self._is_there:
            self._is_there = True
            await self._runner.submit(DockerBack(self._clock()))
            asked = self._engine.step
            listed = await self._containers.listing()
        wanted = sorted(self._engine.to_inspect(listed))
        present = frozenset(summary.docker_id for summary in listed)
        looks = await asyncio.gather(*(self._look(docker_id) for docker_id in wanted))
        seen: Sequence[Seen] = [look for look in looks if isinstance(look, Seen)]
        gone = frozenset(i for i, look in zip(wanted, looks, strict=True) if look is None and i not in present)
        self._retry = FIRST_RETRY  # Docker is well: when its stream ends, it is a new end
        await self._runner.submit(Listed(tuple(seen), present, gone, asked, self._clock()))

    async def _look(self, docker_id: DockerId) -> Seen | AgentError | None:
        async with self._looks:
            try:
                return await self._containers.inspect(docker_id)
            except AgentError as error:  # a look that failed means nothing
                log.warning("docker_look_failed", container=docker_id[:12], error=str(error))
                return error
