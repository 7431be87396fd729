import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from agent.host.sampler_driver import SamplerDriver
from agent.model.errors import TryAgain
from agent.model.figures import Sample, Watched
from agent.model.names import DockerId, TaskArn
from agent.model.portrait import Portrait
from agent.model.status import Status
from agent.model.task import Task
from agent.tcs.figures_loop import FiguresLoop
from tests.acs.world import PATIENCE, Time
from tests.host.kernel_files import ID, a_group, a_process
from tests.tcs.rows import NOW, a_sample, a_task, later, restarted

SECOND = 10**9


@dataclass
class Host:
    """Rows, Docker and the kernel, which do what the test says."""

    rows: dict[TaskArn, Task] = field(default_factory=dict)
    looks: list[tuple[Watched, ...]] = field(default_factory=list)
    asked: list[DockerId] = field(default_factory=list)
    mode: str = "default"
    pid: int = 77
    docker_answers: bool = True
    broken: str = ""
    """The container that Docker cannot look at."""
    closed: bool = False

    @property
    def tasks(self) -> Mapping[TaskArn, Task]:
        return self.rows

    async def portrait_now(self, docker_id: DockerId) -> Portrait | None:
        self.asked.append(docker_id)
        if not self.docker_answers or docker_id == self.broken:
            raise TryAgain("Docker is away")
        started_at = f"start-{len(self.asked)}"
        return Portrait(docker_id, "name", pid=self.pid, network_mode=self.mode, started_at=started_at)

    async def sample(self, watched: Sequence[Watched]) -> Mapping[DockerId, Sample]:
        self.looks.append(tuple(watched))
        at = len(self.looks)
        return {
            one.docker_id: a_sample(at, at * SECOND, rx=at * 100, tx=at, docker_id=one.docker_id) for one in watched
        }

    def close(self) -> None:
        self.closed = True

    def run(self, *tasks: Task) -> None:
        self.rows = {task.arn: task for task in tasks}


@dataclass
class Figured:
    """The loop that is tested, and what it runs in."""

    loop: FiguresLoop
    host: Host
    time: Time

    async def seconds(self, number: int) -> None:
        """Let so many looks be taken."""
        for _ in range(number):
            await self.time.asleep(1.0)
            self.time.advance(1.0)
        await self.time.asleep(1.0)

    @property
    def last_look(self) -> list[tuple[str, int, bool]]:
        return [(one.docker_id, one.pid, one.shares_network) for one in self.host.looks[-1]]


@asynccontextmanager
async def figures(*tasks: Task) -> AsyncIterator[Figured]:
    host, time = Host(), Time()
    host.run(*tasks)
    loop = FiguresLoop(host, host, host, processors=2, monotonic=lambda: time.now, sleep=time.sleep)
    job = asyncio.create_task(loop.run())
    try:
        yield Figured(loop, host, time)
    finally:
        job.cancel()
        await asyncio.wait({job}, timeout=PATIENCE)
        assert host.closed


def test_running_containers_are_looked_at_each_second_and_docker_is_asked_once() -> None:
    async def story() -> None:
        async with figures(a_task(1, "a", "b"), a_task(2, known=Status.CREATED)) as here:
            await here.seconds(5)

            assert here.host.asked == ["a1", "b1"]
            assert here.last_look == [("a1", 77, False), ("b1", 77, False)]
            assert len(here.host.looks) == 6
            [found] = here.loop.collect()
            cpu = [one.cpu_stats_set for one in found.metric.container_metrics or ()]
            assert [one and (one.sample_count, one.max) for one in cpu] == [(4, 50), (4, 50)]

    asyncio.run(story())


def test_a_container_that_ended_is_forgotten() -> None:
    async def story() -> None:
        async with figures(a_task()) as here:
            await here.seconds(3)
            assert here.loop.rates(DockerId("a1")) == (100, 1)
            here.host.run(a_task(known=Status.STOPPED))
            assert here.loop.is_idle
            await here.seconds(1)

            assert here.last_look == []
            assert here.loop.collect() == []
            assert here.loop.rates(DockerId("a1")) is None

    asyncio.run(story())


def test_a_container_that_was_started_again_is_asked_for_again_and_goes_on() -> None:
    async def story() -> None:
        async with figures(a_task(policy=True)) as here:
            await here.seconds(2)
            here.host.pid = 78
            here.host.run(restarted(a_task(policy=True), 1))
            await here.seconds(2)

            assert here.host.asked == ["a1", "a1"]
            assert here.last_look == [("a1", 78, False)]
            [found] = here.loop.collect()
            [only] = list(found.metric.container_metrics or ())
            assert only.restart_stats_set is not None
            assert only.restart_stats_set.restart_count == 1

    asyncio.run(story())


def test_what_a_run_came_to_is_not_lost_before_the_next_one_is_measured(tmp_path: Path) -> None:
    root, proc, time, host = tmp_path / "cgroup", tmp_path / "proc", Time(), Host()
    sampler = SamplerDriver(root, proc, clock=lambda: later(time.now))
    a_group(root / "docker" / ID)
    a_process(proc, 77, f"0::/docker/{ID}\n")

    def row(**now: object) -> None:
        task = a_task(policy=True)
        one = replace(task.containers[0], docker_id=DockerId(ID), first_started_at=NOW, **now)  # type: ignore[arg-type]
        host.run(replace(task, containers=(one,)))

    async def story() -> None:
        row()
        loop = FiguresLoop(host, sampler, host, processors=1, monotonic=lambda: time.now, sleep=time.sleep)
        here, job = Figured(loop, host, time), asyncio.create_task(loop.run())
        try:
            await here.seconds(3)
            shutil.rmtree(proc / "77")
            row(known=Status.CREATED, restarts=1)  # it has ended, and is to start again
            await here.seconds(2)
            idle = loop.is_idle
            a_process(proc, 78, f"0::/docker/{ID}\n")
            host.pid = 78
            row(restarts=1, started_at=later(1))
            await here.seconds(3)
        finally:
            job.cancel()
            await asyncio.wait({job}, timeout=PATIENCE)

        [found] = loop.collect()
        [only] = list(found.metric.container_metrics or ())
        assert not idle
        assert only.restart_stats_set is not None
        assert only.restart_stats_set.restart_count == 1
        assert only.cpu_stats_set is not None
        assert only.cpu_stats_set.min == 0
        assert only.storage_stats_set is not None
        read = only.storage_stats_set.read_size_bytes
        assert read is not None
        assert (read.min, read.max) == (45056, 2 * 45056)

    asyncio.run(story())


def test_while_docker_does_not_answer_known_containers_are_looked_at_all_the_same() -> None:
    async def story() -> None:
        async with figures(a_task(1)) as here:
            await here.seconds(2)
            here.host.docker_answers = False
            here.host.run(a_task(1), a_task(2), a_task(3))
            await here.seconds(2)
            assert here.last_look == [("a1", 77, False)]
            assert here.host.asked == ["a1", "a2", "a3", "a2"][: len(here.host.asked)]  # one at a time

            here.host.docker_answers = True
            await here.seconds(2)
            assert len(here.last_look) == 3

    asyncio.run(story())


def test_a_container_that_docker_cannot_look_at_keeps_no_other_from_being_measured() -> None:
    async def story() -> None:
        async with figures() as here:
            here.host.broken = "a1"
            here.host.run(a_task(1), a_task(2), a_task(3))
            await here.seconds(3)

            assert here.last_look == [("a2", 77, False), ("a3", 77, False)]

    asyncio.run(story())


def test_a_container_whose_process_is_not_there_yet_is_asked_for_again() -> None:
    async def story() -> None:
        async with figures(a_task()) as here:
            here.host.pid = 0
            await here.seconds(2)
            assert here.last_look == []
            here.host.pid = 5
            await here.seconds(2)
            assert here.last_look == [("a1", 5, False)]

    asyncio.run(story())


@pytest.mark.parametrize(
    ("of_task", "of_docker", "shares"),
    [
        ("bridge", "default", False),
        ("bridge", "bridge", False),
        ("host", "host", True),
        ("none", "none", True),
        ("bridge", "container:0123", True),
        ("awsvpc", "container:0123", False),
    ],
)
def test_a_network_is_looked_at_where_it_is_not_the_hosts(of_task: str, of_docker: str, *, shares: bool) -> None:
    async def story() -> None:
        async with figures(a_task(mode=of_task)) as here:
            here.host.mode = of_docker
            await here.seconds(2)

            assert here.last_look == [("a1", 77, shares)]
            assert [one.keeps_network for one in here.host.looks[-1]] == [of_task == "awsvpc"]

    asyncio.run(story())


def test_an_instance_with_a_container_that_runs_is_not_idle_before_it_was_looked_at() -> None:
    async def story() -> None:
        async with figures() as here:
            await here.seconds(1)
            idle = [here.loop.is_idle]
            for task in (a_task(), a_task(known=Status.STOPPED)):
                here.host.run(task)
                idle.append(here.loop.is_idle)

            assert idle == [True, False, True]

    asyncio.run(story())
