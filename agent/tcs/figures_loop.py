"""Looks at all running containers once a second, and keeps what ECS and the stats endpoints want to know.

Docker is asked once for each run of a container, for the number of its first process. All else is read from the
kernel's files: no stream of statistics is ever opened.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import datetime
from math import isnan

import structlog

from agent.model.errors import TryAgain
from agent.model.figures import Watched
from agent.model.names import DockerId
from agent.model.status import Status
from agent.model.task import Container, Task
from agent.tcs.pages import Figures, figures_of
from agent.tcs.ports import Portraits, Sampler, Tasks
from agent.tcs.ring import Ring

EVERY = 1.0
AWSVPC = "awsvpc"
OF_ANOTHER = ("host", "none", "container:")
"""Docker's network modes of containers without a network of their own."""

log = structlog.get_logger()

Run = tuple[DockerId, datetime | None]
"""One run of a container: its id, and when it was started."""


class FiguresLoop:
    """Owns the rings of all running containers."""

    def __init__(
        self,
        tasks: Tasks,
        sampler: Sampler,
        portraits: Portraits,
        *,
        processors: int,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._tasks = tasks
        self._sampler = sampler
        self._portraits = portraits
        self._processors = processors
        self._monotonic = monotonic
        self._sleep = sleep
        self._watched: dict[DockerId, tuple[Run, Watched]] = {}
        self._rings: dict[DockerId, Ring] = {}
        self._asking: asyncio.Task[None] | None = None
        self._unanswered: frozenset[Run] = frozenset()
        """Those of which Docker told nothing when it was asked last: they come after the others."""

    @property
    def is_idle(self) -> bool:
        """Is nothing measured?"""
        return not any(True for _ in self._begun())

    def rates(self, docker_id: DockerId) -> tuple[float, float] | None:
        """Bytes received and sent a second; None until it was measured twice, and for one without own network."""
        ring = self._rings.get(docker_id)
        if ring is None or not ring.entries or isnan(ring.entries[-1].rx_rate):
            return None
        return ring.entries[-1].rx_rate, ring.entries[-1].tx_rate

    def collect(self) -> list[Figures]:
        """What ECS has not heard of yet, by task."""
        tasks = {task.arn: task for task, _ in self._begun()}
        found = (figures_of(task, self._rings) for task in tasks.values())
        return [one for one in found if one is not None]

    async def run(self) -> None:
        """Measure until cancelled."""
        due = self._monotonic()
        try:
            async with asyncio.TaskGroup() as jobs:
                while True:
                    await self._look(jobs)
                    due = max(due + EVERY, self._monotonic())
                    await self._sleep(due - self._monotonic())
        finally:
            self._sampler.close()

    async def _look(self, jobs: asyncio.TaskGroup) -> None:
        """Take one sample of each. The process of a run that is over stays until that of the next one is known.

        So what the run came to is not forgotten between the two; of a process that has ended no sample is made.
        """
        rows = {one.docker_id: (task, one) for task, one in self._begun()}
        self._watched = {docker_id: known for docker_id, known in self._watched.items() if docker_id in rows}
        self._rings = {docker_id: ring for docker_id, ring in self._rings.items() if docker_id in rows}
        unknown = {run: task for run, task in self._runs(rows) if self._known_run(run[0]) != run}
        if unknown and (self._asking is None or self._asking.done()):
            self._asking = jobs.create_task(self._ask(unknown), name="figures portraits")
        samples = await self._sampler.sample(tuple(watched for _, watched in self._watched.values()))
        for docker_id, sample in samples.items():
            ring = self._rings.setdefault(docker_id, Ring())
            ring.add(sample, processors=self._processors, restarts=rows[docker_id][1].restarts)

    def _runs(self, rows: Mapping[DockerId, tuple[Task, Container]]) -> Iterator[tuple[Run, Task]]:
        for task, one in rows.values():
            if one.known is Status.RUNNING:
                yield (one.docker_id, one.started_at), task

    def _known_run(self, docker_id: DockerId) -> Run | None:
        known = self._watched.get(docker_id)
        return None if known is None else known[0]

    async def _ask(self, unknown: Mapping[Run, Task]) -> None:
        """Find the processes of containers; one that has none yet is asked for again a second later."""
        self._unanswered &= unknown.keys()
        for run, task in sorted(unknown.items(), key=lambda one: one[0] in self._unanswered):
            try:
                portrait = await self._portraits.portrait_now(run[0])
            except TryAgain as error:
                log.debug("process_not_found", container=run[0][:12], error=str(error))
                self._unanswered |= {run}
                return  # Docker does not answer: the others are not asked for in vain
            self._unanswered -= {run}
            if portrait is not None and portrait.pid:
                of_task = task.spec.network_mode == AWSVPC
                shares = not of_task and portrait.network_mode.startswith(OF_ANOTHER)
                process = Watched(run[0], portrait.pid, shares, portrait.started_at, keeps_network=of_task)
                self._watched[run[0]] = run, process

    def _begun(self) -> Iterator[tuple[Task, Container]]:
        """Containers that run, and those that have run and are to start again: for ECS these have run all the time."""
        for task in self._tasks.tasks.values():
            if task.known is not Status.STOPPED:
                for one in task.containers:
                    waits = one.known < Status.RUNNING and one.first_started_at is not None
                    if one.docker_id and (waits or one.known is Status.RUNNING):
                        yield task, one


class NoFigures:
    """Stands in the place of the loop where metrics are switched off: nothing is measured."""

    is_idle = True

    def collect(self) -> list[Figures]:
        """Nothing."""
        return []

    def rates(self, _docker_id: DockerId) -> tuple[float, float] | None:
        """Nothing to say."""
        return None
