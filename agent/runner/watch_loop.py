"""Watching Docker: hints from its event stream, and listings as the truth.

The stream is opened first, then a listing is taken: at the start, after every reconnect, after an act whose outcome was
lost, and every 20 seconds as the safety net; where no stream can be had, every two. A listing or a look that hangs is
left and tried again: it blinds nobody to the other containers, and says nothing of Docker. That is for pings to say.
"""

import asyncio
from collections.abc import Collection, Sequence
from contextlib import aclosing

import structlog

from agent.engine.engine import Engine
from agent.model.clock import Clock
from agent.model.errors import AgentError, TryAgain
from agent.model.events import DockerBack, DockerLost, EndedWell, Listed, Observed
from agent.model.names import DockerId
from agent.model.seen import Hint, Seen, Summary
from agent.model.status import Doing
from agent.runner.loop import Runner
from agent.runner.ports import Containers, Hints, Pulse
from agent.runner.pulse_loop import FIRST_RETRY, LONGEST_RETRY, Pause, PulseLoop

log = structlog.get_logger()

LIST_EVERY = 20.0
LIST_EVERY_DEAF = 2.0
"""Seconds between listings while there is no event stream."""
LIST_WITHIN, LONGEST_LIST_WITHIN = 8.0, 60.0
"""Seconds for a listing before another is asked for and gets twice as many: Docker may be slow, or that call dead."""
LOOKS_WITHIN = 8.0
"""Seconds for all the looks of a listing; what was not seen by then is left to the next."""
FIRST_SPACE, LONGEST_SPACE = 0.1, 2.0
"""Seconds between listings while every act that follows one is lost again: each would bring the next."""
LOOKS_AT_ONCE = 10


class Watcher:
    """Tells the runner what Docker shows."""

    def __init__(
        self,
        engine: Engine,
        runner: Runner,
        containers: Containers,
        hints: Hints,
        pulse: Pulse,
        *,
        clock: Clock,
        pause: Pause,
    ) -> None:
        self._engine = engine
        self._runner = runner
        self._containers = containers
        self._hints = hints
        self._clock = clock
        self._pause = pause
        self._pulse = PulseLoop(pulse, lost=self._lost, back=self._back, pause=pause)
        self._list_now = asyncio.Event()
        self._looks = asyncio.Semaphore(LOOKS_AT_ONCE)
        self._is_followed = False
        self._retry = FIRST_RETRY
        self._list_within = LIST_WITHIN
        self._is_lost = False
        self._space = 0.0

    @property
    def is_there(self) -> bool:
        """Does Docker answer? Its silence is known within ten seconds."""
        return self._pulse.is_there

    def list_soon(self) -> None:
        """Have a listing taken: the outcome of some act was lost."""
        self._is_lost = True
        self._list_now.set()

    async def run(self) -> None:
        """Run for ever."""
        async with asyncio.TaskGroup() as jobs:
            jobs.create_task(self._pulse.run(), name="docker-pulse")
            jobs.create_task(self._follow(jobs), name="docker-events")
            jobs.create_task(self._list_for_ever(), name="docker-listing")

    def _lost(self, _error: AgentError) -> None:
        """Hold all acts until Docker answers, and a listing has been heard."""
        self._runner.post(DockerLost(self._clock()))

    async def _back(self) -> None:
        await self._runner.submit(DockerBack(self._clock()))
        self._retry, self._list_within = FIRST_RETRY, LIST_WITHIN

    async def _follow(self, jobs: asyncio.TaskGroup) -> None:
        while True:
            await self._pulse.until_there()
            try:
                async with self._pulse.while_there(), aclosing(self._hints.watch(self._opened)) as hints:
                    async for hint in hints:
                        jobs.create_task(self._look_at(hint), name="docker-look")
            except (AgentError, TimeoutError) as error:
                log.warning("docker_events_ended", error=str(error))
                self._pulse.doubt()
            self._is_followed = False
            retry = self._retry
            self._retry = min(retry * 2, LONGEST_RETRY)
            await self._pause(retry)

    def _opened(self) -> None:
        log.info("docker_events_followed")
        self._is_followed = True
        self._list_now.set()

    async def _look_at(self, hint: Hint) -> None:
        if self._is_expected(hint):
            return
        if hint.ended_well is not None:  # who waits for that goes on while Docker still tidies up behind it
            self._runner.post(EndedWell(hint.task, hint.docker_id, hint.ended_well, self._clock()))
        try:
            async with self._pulse.while_there(LOOKS_WITHIN):
                seen = await self._look(hint.docker_id)
        except (AgentError, TimeoutError) as error:
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
        await self._until_wanted(LIST_EVERY_DEAF)  # the stream is opened first, if it can be had
        while True:
            await self._pulse.until_there()
            if self._is_lost and self._space:
                await self._pause(self._space)
            self._space = min(max(self._space * 2, FIRST_SPACE), LONGEST_SPACE) if self._is_lost else 0.0
            self._is_lost = False
            self._list_now.clear()
            try:
                await self._list()
            except AgentError as error:
                log.warning("docker_listing_failed", error=str(error))
                self._pulse.doubt()
                await self._pause(FIRST_RETRY)
                continue
            await self._until_wanted(LIST_EVERY if self._is_followed else LIST_EVERY_DEAF)

    async def _until_wanted(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._list_now.wait()
        except TimeoutError:
            self._list_now.set()

    async def _list(self) -> None:
        asked = self._engine.step
        listed = await self._listing()
        wanted = self._engine.to_inspect(listed)
        present = frozenset(summary.docker_id for summary in listed)
        looks = await self._look_into(wanted)
        seen = tuple(look for look in looks.values() if look is not None)
        gone = frozenset(docker_id for docker_id, look in looks.items() if look is None and docker_id not in present)
        self._retry = FIRST_RETRY  # Docker is well: when its stream ends, it is a new end
        await self._runner.submit(Listed(seen, present, gone, asked, self._clock()))

    async def _listing(self) -> Sequence[Summary]:
        within = self._list_within
        try:
            async with self._pulse.while_there(within):
                listed = await self._containers.listing()
        except TimeoutError as error:
            self._list_within = min(within * 2, LONGEST_LIST_WITHIN)
            raise TryAgain(f"Docker did not list its containers within {within:g} s") from error
        self._list_within = LIST_WITHIN
        return listed

    async def _look_into(self, wanted: Collection[DockerId]) -> dict[DockerId, Seen | None]:
        """What looks show; a look that failed, or takes too long, means nothing and is not in the answer."""
        looks: dict[DockerId, Seen | None] = {}

        async def look(docker_id: DockerId) -> None:
            try:
                looks[docker_id] = await self._look(docker_id)
            except AgentError as error:
                log.warning("docker_look_failed", container=docker_id[:12], error=str(error))

        try:
            async with self._pulse.while_there(LOOKS_WITHIN), asyncio.TaskGroup() as jobs:
                for docker_id in sorted(wanted):
                    jobs.create_task(look(docker_id), name="docker-look")
        except TimeoutError:
            log.warning("docker_looks_unanswered", containers=len(wanted) - len(looks))
            self.list_soon()
        return looks

    async def _look(self, docker_id: DockerId) -> Seen | None:
        async with self._looks:
            return await self._containers.inspect(docker_id)
