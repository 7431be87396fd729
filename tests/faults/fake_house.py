"""The agent between raw payloads and the Docker in memory: its own engine, runner, watcher, journal and reporter.

Only Docker and ECS are made up. Nothing waits for a clock: time is real, and may be moved on.
"""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from agent.acs.session import received
from agent.engine.engine import Engine
from agent.host.cgroup_driver import CgroupDriver
from agent.host.ports_driver import PortProbe
from agent.images.held import Held
from agent.model.acts import ContainerAct, CreateContainer, StopContainer
from agent.model.credentials import NO_VALUES, ContainerValues, RegistryLogin
from agent.model.decision import Decision
from agent.model.events import Event, TaskStopRequested
from agent.model.names import DockerId, Image, TaskArn
from agent.model.reports import TaskReport, Verdict
from agent.model.rules import Rules
from agent.model.seen import Hint
from agent.model.status import PullBehavior
from agent.model.task import ImageSource
from agent.operator.chronicle import Chronicle
from agent.reporter.loop import Reporter
from agent.runner import story
from agent.runner.loop import Runner
from agent.runner.perform import Hands, Performer
from agent.runner.values import NoValues
from agent.runner.vault import Vault
from agent.runner.watch_loop import Watcher
from agent.store.journal_driver import Journal, own_journal
from tests.bench.plane import a_container, a_task
from tests.contracts.sim_containers import SimContainers, SimVolumes
from tests.engine.sim_docker import OURS, SimDocker

IMAGE = "dockworker.invalid/app:1"
PATIENCE = 60.0
AT_ONCE = 8
"""Calls of a kind that Docker serves at a time."""
PAYLOAD = 10
"""Tasks that ECS puts into one message."""


@dataclass
class MovedClock:
    """Real time, that may be moved on: for the wall clock and for the one that nobody sets alike."""

    ahead: float = 0.0

    def __call__(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.ahead)

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead


class PatientContainers(SimContainers):
    """Containers whose stop takes until it is released, if their task is held. Few calls are served at a time."""

    def __init__(self, docker: SimDocker, clock: MovedClock) -> None:
        super().__init__(docker)
        self._clock = clock
        self.held: dict[TaskArn, asyncio.Event] = {}
        self.happened = asyncio.Event()
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def create(self, act: CreateContainer, values: ContainerValues = NO_VALUES) -> DockerId:
        async with self._turn:
            await asyncio.sleep(0)
            return await super().create(act, values)

    async def start(self, docker_id: DockerId) -> None:
        async with self._turn:
            await asyncio.sleep(0)
            await super().start(docker_id)

    async def stop(self, docker_id: DockerId, grace: float) -> None:
        found = self._docker.containers.get(docker_id)
        if found is not None and (held := self.held.get(found.labels.task)) is not None:
            await held.wait()
        await asyncio.sleep(0)
        self._do(StopContainer(*self._whose(docker_id), docker_id, self._docker.now))

    def _do(self, act: ContainerAct) -> DockerId | None:
        self._docker.now = max(self._docker.now, self._clock())
        made = super()._do(act)
        self.happened.set()
        return made


class SimHints:
    """The event stream of the Docker in memory, and the question whether it is there. Fulfils `Hints` and `Pulse`."""

    def __init__(self, docker: SimDocker, happened: asyncio.Event) -> None:
        self._docker = docker
        self._happened = happened

    async def watch(self, opened: Callable[[], None]) -> AsyncGenerator[Hint, None]:
        opened()
        while True:
            await self._happened.wait()
            self._happened.clear()
            changed, self._docker.events = self._docker.events, []
            for docker_id in changed:
                if (found := self._docker.containers.get(docker_id)) is not None:
                    action = "die" if found.finished_at is not None else "start" if found.runs else "create"
                    yield Hint(docker_id, action, found.labels.task)

    async def ping(self) -> None:
        return

    def is_back(self) -> None:
        return


class AllImages:
    """Every image is on the host. Fulfils the runner's `Images`."""

    async def has(self, _image: Image) -> bool:
        return True

    async def digest(self, _image: Image) -> str:
        return ""

    async def pull(self, _source: ImageSource, _login: RegistryLogin | None, _resolved: Callable[[str], None]) -> str:
        return ""


@dataclass
class TakesAll:
    """An ECS that takes every report. Fulfils the reporter's `StateChanges`."""

    told: dict[TaskArn, list[str]] = field(default_factory=dict)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def submit(self, report: TaskReport) -> Verdict:
        async with self.changed:
            self.told.setdefault(report.task, []).append(report.status.name)
            self.changed.notify_all()
        return Verdict.SETTLED

    async def until(self, status: str, *tasks: TaskArn) -> None:
        """Return when each of *tasks* was told to be *status*."""
        async with asyncio.timeout(PATIENCE), self.changed:
            await self.changed.wait_for(lambda: all(status in self.told.get(task, ()) for task in tasks))


@dataclass
class FakeHouse:
    """What a story moves and looks at."""

    docker: SimDocker
    containers: PatientContainers
    engine: Engine
    runner: Runner
    journal: Journal
    ecs: TakesAll
    clock: MovedClock

    async def hear(self, *tasks: Mapping[str, Any]) -> list[TaskArn]:
        """Payloads with *tasks*, ten in each, as they come from ECS."""
        for first in range(0, len(tasks), PAYLOAD):
            message = {"messageId": f"m{first}", "clusterArn": "c", "containerInstanceArn": "i", "seqNum": first}
            some = list(tasks[first : first + PAYLOAD])
            frame = json.dumps({"type": "PayloadMessage", "message": {**message, "tasks": some}})
            await self.runner.submit(*received(frame, self.clock(), lambda: secrets.token_hex(40)).events)
        return [TaskArn(task["arn"]) for task in tasks]

    async def ask_to_stop(self, *tasks: TaskArn) -> None:
        await self.runner.submit(*(TaskStopRequested(task, self.clock(), "test", 1) for task in tasks))

    def end(self, task: TaskArn, code: int) -> None:
        """The containers of *task* end by themselves."""
        for found in list(self.docker.containers.values()):
            if found.labels.task == task and found.runs:
                self.docker.now = max(self.docker.now, self.clock())
                self.docker.exit(found, code)
        self.containers.happened.set()

    def is_settled(self, task: TaskArn) -> bool:
        """Has the agent noted that ECS knows the end of *task*?"""
        row = self.engine.tasks.get(task)
        return row is None or row.settled

    def is_admitted(self, task: TaskArn) -> bool:
        return self.engine.tasks[task].admitted is not None


def some_task(memory: int = 4, count: int = 1, stop_timeout: int = 30) -> dict[str, Any]:
    """A task of *count* containers that hold *memory* MiB each, with a name that is new."""
    arn = f"arn:aws:ecs:us-east-1:123456789012:task/tests/{secrets.token_hex(16)}"
    more = {"memory": memory, "cpu": 0, "stopTimeout": stop_timeout}
    return a_task(*(a_container(f"c{number}", IMAGE, ["app"], **more) for number in range(count)), arn=arn)


@asynccontextmanager
async def a_fake_house(folder: Path, **rules: Any) -> AsyncIterator[FakeHouse]:  # noqa: ANN401 -- fields of Rules
    """An agent at work until the block ends."""
    clock = MovedClock()
    docker = SimDocker(clock())
    docker.images.add(Image(IMAGE))
    containers, ecs = PatientContainers(docker, clock), TakesAll()
    async with own_journal(folder / "fake.db", OURS) as (journal, saved):
        engine = Engine(Rules(agent=OURS, pull_behavior=PullBehavior.PREFER_CACHED, **rules), saved.tasks)
        vault, chronicle, held = Vault(lambda: ()), Chronicle(), Held(saved.tasks)

        def committed(decided: Decision) -> None:
            vault.settle(decided.tasks)
            held.hear(decided)

        def note(event: Event, decided: Decision) -> None:
            story.tell(event, decided)
            chronicle.note(event, decided)

        runner = Runner(engine, journal, clock=clock, monotonic=clock.monotonic, after_commit=committed, note=note)
        hints = SimHints(docker, containers.happened)
        watcher = Watcher(engine, runner, containers, hints, hints, clock=clock, pause=asyncio.sleep)
        hands = Hands(containers, AllImages(), PortProbe(), SimVolumes(docker), CgroupDriver(1), NoValues())
        performer = Performer(
            hands, vault, clock=clock, post=runner.post, list_soon=watcher.list_soon, pause=asyncio.sleep
        )
        reporter = Reporter(journal, ecs, runner)
        async with asyncio.TaskGroup() as jobs:
            running = [jobs.create_task(one) for one in (runner.run(performer), watcher.run(), reporter.run())]
            try:
                yield FakeHouse(docker, containers, engine, runner, journal, ecs, clock)
            finally:
                for job in running:
                    job.cancel()
