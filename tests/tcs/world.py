"""The world around a telemetry session: figures and keys that do what the test says. Time stands still (tests.acs)."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import WSMsgType

from agent.model.errors import TryAgain
from agent.model.names import DockerId, TaskArn
from agent.model.task import Task
from agent.tcs.checkup_loop import CheckupLoop
from agent.tcs.loop import TcsLoop, World
from agent.tcs.pages import Figures, figures_of
from agent.tcs.ring import Ring
from agent.tcs.settings import TcsSettings
from agent.wire import tcs
from tests.acs.world import PATIENCE, Accepted, Time
from tests.tcs.rows import NOW, WHO, a_sample

SECOND = 10**9


@dataclass
class Containers:
    """Tasks with one container each, whose samples the test makes."""

    tasks: dict[TaskArn, Task] = field(default_factory=dict)
    rings: dict[DockerId, Ring] = field(default_factory=dict)

    @property
    def is_idle(self) -> bool:
        return not self.tasks

    def collect(self) -> list[Figures]:
        found = (figures_of(task, self.rings) for task in self.tasks.values())
        return [one for one in found if one is not None]

    def add(self, task: Task, *seconds: int) -> None:
        """Let *task* run, and look at it at these seconds."""
        self.tasks[task.arn] = task
        for container in task.containers:
            ring = self.rings.setdefault(container.docker_id, Ring())
            for second in seconds:
                ring.add(a_sample(second, second * SECOND, rx=second), processors=1)


@dataclass
class Docker:
    """Answers, or does not."""

    answers: bool = True
    asked: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))

    async def ping(self) -> None:
        self.asked.release()
        if not self.answers:
            raise TryAgain("Docker is away")


@dataclass
class Signer:
    """Signs with headers that show what was signed; has no keys if the test says so."""

    has_keys: bool = True
    dates: list[str] = field(default_factory=list)

    async def upgrade_headers(self, url: str) -> dict[str, str]:
        return {"Authorization": f"signed {url}", "X-Amz-Date": "20260115T120000Z"}

    async def frame_headers(self, url: str, body: bytes) -> dict[str, str]:
        if not self.has_keys:
            raise TryAgain("there are no keys")
        return {"Authorization": f"signed {url} {len(body)}", "Host": "tcs", "X-Amz-Date": "20260115T120000Z"}

    def refused(self, url: str, date: str, why: str) -> bool:
        self.dates.append(date)
        return False


@dataclass
class Endpoints:
    """Knows where TCS is, or fails as the test says."""

    url: str
    failures: list[Exception] = field(default_factory=list)
    forgotten: int = 0
    asked: list[str] = field(default_factory=list)

    async def telemetry_endpoint(self, instance_arn: str) -> str:
        self.asked.append(instance_arn)
        if self.failures:
            raise self.failures.pop(0)
        return self.url

    def forget(self) -> None:
        self.forgotten += 1


@dataclass
class Agent:
    """A session that runs, and what it runs in."""

    loop: TcsLoop
    time: Time
    containers: Containers
    checkup: CheckupLoop
    docker: Docker
    endpoints: Endpoints
    signer: Signer
    who: list[TcsSettings]
    """The last of these is who the agent is."""


async def heard(server: Accepted) -> tuple[Mapping[str, str], tcs.Frame]:
    """The headers and the content of the next frame."""
    got = await server.receive()
    assert got.type is WSMsgType.TEXT, got
    headers, document = tcs.unseal(got.data.encode())
    return headers, tcs.decode(document)


async def metrics(server: Accepted) -> tcs.PublishMetricsRequest:
    """The next frame, which is of metrics."""
    _, frame = await heard(server)
    assert isinstance(frame, tcs.PublishMetricsRequest), frame
    return frame


@asynccontextmanager
async def an_agent(
    url: str,
    *,
    failures: tuple[Exception, ...] = (),
    who: TcsSettings = WHO,
    has_news: bool = False,
) -> AsyncIterator[Agent]:
    """Run a session at *url* until the block ends. Chance says one half until told otherwise.

    Unless it *has_news*, ECS has heard already that the instance is being looked at.
    """
    time, containers, docker, signer, whose = Time(), Containers(), Docker(), Signer(), [who]
    endpoints, checkup = Endpoints(url, list(failures)), CheckupLoop(docker, lambda: NOW)
    if not has_news:
        checkup.told(checkup.result)
    names = (f"name-{number}" for number in itertools.count(1))
    world = World(lambda: NOW, lambda: time.now, time.sleep, lambda: time.chance, lambda: next(names))
    loop = TcsLoop(
        lambda: whose[-1],
        figures=containers,
        tasks=containers,
        checkup=checkup,
        endpoints=endpoints,
        signer=signer,
        world=world,
    )
    jobs = [asyncio.create_task(loop.run()), asyncio.create_task(checkup.run())]
    try:
        yield Agent(loop, time, containers, checkup, docker, endpoints, signer, whose)
    finally:
        for job in jobs:
            job.cancel()
        done, still_there = await asyncio.wait(jobs, timeout=PATIENCE)
        assert not still_there, "the session was cancelled and did not end"
        for job in done:
            if not job.cancelled() and (bug := job.exception()):
                raise bug
