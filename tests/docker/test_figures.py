"""What is measured of a real container, beside what Docker measures of it itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiodocker

from agent.docker.engine_driver import DockerEngine
from agent.docker.portrait_driver import PortraitDriver
from agent.host.sampler_driver import SamplerDriver
from agent.model.figures import Sample, Watched
from agent.model.names import DockerId, Image
from agent.model.task import Task
from agent.tcs.figures_loop import FiguresLoop
from tests.acs.world import PATIENCE, Time
from tests.docker.counting_front import a_front
from tests.sample_image import client
from tests.tcs.rows import a_task

BUSY = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo > /tmp/done; exec sleep 300"


class Rows:
    """One task whose container is a real one."""

    def __init__(self, docker_id: DockerId) -> None:
        task = a_task()
        self._task = replace(task, containers=tuple(replace(one, docker_id=docker_id) for one in task.containers))

    @property
    def tasks(self) -> dict[Any, Task]:
        return {self._task.arn: self._task}


@asynccontextmanager
async def a_container(docker: aiodocker.Docker, image: Image) -> AsyncIterator[DockerId]:
    """One that was busy for a moment, and sleeps."""
    made = await docker.containers.create({"Image": image, "Cmd": ["sh", "-c", BUSY]})
    try:
        await made.start()
        await busy_no_more(docker, DockerId(made.id))
        yield DockerId(made.id)
    finally:
        await made.delete(force=True)


async def busy_no_more(docker: aiodocker.Docker, docker_id: DockerId) -> None:
    made = docker.containers.container(docker_id)
    run = await made.exec(["sh", "-c", "while [ ! -e /tmp/done ]; do usleep 10000; done"])
    async with asyncio.timeout(PATIENCE), run.start() as stream:
        await stream.read_out()  # it says nothing, and ends


async def dockers_own(docker: aiodocker.Docker, docker_id: DockerId) -> dict[str, Any]:
    url = f"{docker.docker_host}/{docker.api_version}/containers/{docker_id}/stats"
    async with docker.session.get(url, params={"stream": "0", "one-shot": "1"}) as answer:
        told: dict[str, Any] = await answer.json()
        return told


def cpu_of(stats: dict[str, Any]) -> int:
    return int(stats["cpu_stats"]["cpu_usage"]["total_usage"])


def test_a_container_is_measured_as_docker_measures_it_and_goes_on_when_it_is_started_again(
    docker_host: str, sample_image: Image
) -> None:
    async def story() -> None:
        sampler = SamplerDriver()
        async with client(docker_host) as docker, a_container(docker, sample_image) as made:
            shown = await docker.containers.container(made).show()
            first = Watched(made, shown["State"]["Pid"], since="1")
            before = (await sampler.sample([first]))[made]
            stats = await dockers_own(docker, made)
            after = (await sampler.sample([first]))[made]

            assert 0 < before.cpu <= cpu_of(stats) <= after.cpu
            assert abs(stats["memory_stats"]["usage"] - after.memory) < 8 << 20
            assert {name: one.rx_bytes for name, one in (after.network or {}).items()}.keys() == stats[
                "networks"
            ].keys()
            low, high = (one.network["eth0"].rx_bytes if one.network else -1 for one in (before, after))
            assert low <= stats["networks"]["eth0"]["rx_bytes"] <= high

            await docker.containers.container(made).kill()
            await docker.containers.container(made).wait()
            await docker.containers.container(made).start()
            assert await sampler.sample([first]) == {}
            pid = (await docker.containers.container(made).show())["State"]["Pid"]
            again = (await sampler.sample([Watched(made, pid, since="2")]))[made]
            assert_goes_on(after, again)
        sampler.close()

    asyncio.run(story())


def assert_goes_on(before: Sample, after: Sample) -> None:
    """All that is counted is at least what it was, though the kernel began anew."""
    assert after.cpu > before.cpu
    assert after.read_bytes >= before.read_bytes
    assert before.network
    assert after.network
    assert after.network["eth0"].rx_bytes >= before.network["eth0"].rx_bytes


def test_docker_is_asked_for_the_process_and_never_for_statistics(docker_host: str, sample_image: Image) -> None:
    async def story() -> None:
        async with (
            client(docker_host) as docker,
            a_container(docker, sample_image) as made,
            a_front(docker_host, dumb=False) as front,
            DockerEngine.connect(front.host) as engine,
        ):
            rows, time = Rows(made), Time()
            portraits = PortraitDriver(engine)
            loop = FiguresLoop(
                rows, SamplerDriver(), portraits, processors=1, monotonic=lambda: time.now, sleep=time.sleep
            )
            job = asyncio.create_task(loop.run())
            async with asyncio.timeout(PATIENCE):
                while not loop.collect():
                    await time.asleep(1.0)
                    time.advance(1.0)
            job.cancel()
            await asyncio.wait({job})

            [figures] = loop.collect()
            [container] = list(figures.metric.container_metrics or ())
            assert container.cpu_stats_set is not None
            assert container.network_stats_set is not None
            assert [path for path in front.paths if path.endswith("/json")]
            assert not [path for path in front.paths if "stats" in path]

    asyncio.run(story())
