"""Containers that another agent made, and that are ours by their ids alone."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from agent.docker.clearing_driver import ClearingDriver
from agent.docker.container_driver import ContainerDriver
from agent.docker.engine_driver import DockerEngine
from agent.docker.event_driver import EventDriver
from agent.docker.labels import Taken
from agent.docker.trace_driver import TraceDriver
from agent.model.identity import Identity
from agent.model.names import DockerId, TaskArn
from agent.model.seen import Labels, Phase
from tests.conftest import a_mark
from tests.docker.making import an_act
from tests.sample_image import SAMPLE, client

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("sample_image")]

TASK = TaskArn("arn:aws:ecs:us-east-1:123456789012:task/tests/" + secrets.token_hex(16))


async def a_container(owner: Identity, host: str, *words: str) -> DockerId:
    """As another agent labels it, started."""
    mark, _, value = a_mark(owner).partition("=")
    labels = {
        "com.amazonaws.ecs.task-arn": TASK,
        "com.amazonaws.ecs.container-name": "web",
        "com.amazonaws.ecs.cluster": "tests",
        mark: value,
    }
    async with client(host) as docker:
        config: dict[str, Any] = {"Image": SAMPLE, "Cmd": list(words), "Labels": labels}
        container = await docker.containers.create(config)
        await container.start()
        return DockerId(container.id)


def taken_by(owner: Identity, docker_id: DockerId) -> Taken:
    return {docker_id: Labels(owner.agent_id, owner.instance_arn, TASK, "web", "shop", "7", stop_timeout=1.0)}


def run(owner: Identity, host: str, story: Callable[[DockerEngine, DockerId, Taken], Awaitable[None]]) -> None:
    async def told() -> None:
        one = await a_container(owner, host, "sleep", "600")
        await a_container(owner, host, "sleep", "600")  # that one nobody took over
        async with DockerEngine.connect(host) as engine:
            await story(engine, one, taken_by(owner, one))

    asyncio.run(told())


def test_what_was_taken_over_is_listed_beside_our_own_inspected_and_stopped(owner: Identity, docker_host: str) -> None:
    async def story(engine: DockerEngine, one: DockerId, taken: Taken) -> None:
        containers = ContainerDriver(engine, lambda: owner, taken=taken)
        own = await containers.create(an_act())
        listed = {summary.docker_id: summary for summary in await containers.listing()}
        assert listed.keys() == {one, own}
        assert (listed[one].task, listed[one].container, listed[one].phase) == (TASK, "web", Phase.RUNNING)
        seen = await containers.inspect(one)
        assert seen is not None
        assert seen.labels == taken[one]
        await containers.stop(one, 0.0)
        stopped = await containers.inspect(one)
        assert stopped is not None
        assert (stopped.phase, stopped.exit_code) == (Phase.EXITED, 137)
        blind = ContainerDriver(engine, lambda: owner)
        assert await blind.inspect(one) is None
        assert [summary.docker_id for summary in await blind.listing()] == [own]

    run(owner, docker_host, story)


def test_events_of_what_was_taken_over_are_heard_and_of_strangers_not(owner: Identity, docker_host: str) -> None:
    async def story(engine: DockerEngine, one: DockerId, taken: Taken) -> None:
        opened = asyncio.Event()
        hints = EventDriver(engine, lambda: owner, taken).watch(opened.set)
        first = asyncio.ensure_future(anext(hints))
        await asyncio.wait_for(opened.wait(), 10)
        async with client(docker_host) as docker:
            await docker.containers.container(one).kill(signal="SIGKILL")
        hint = await asyncio.wait_for(first, 10)
        assert (hint.docker_id, hint.action, hint.task) == (one, "die", TASK)
        await hints.aclose()

    run(owner, docker_host, story)


def test_what_was_taken_over_tells_who_we_are_and_goes_with_us(owner: Identity, docker_host: str) -> None:
    async def story(engine: DockerEngine, one: DockerId, taken: Taken) -> None:
        mine = [trace for trace in await TraceDriver(engine, taken).traces() if trace.agent_id == owner.agent_id]
        assert [(trace.task, trace.is_alive) for trace in mine] == [(TASK, True)]
        assert not [trace for trace in await TraceDriver(engine).traces() if trace.task == TASK]
        clearing = ClearingDriver(engine, owner.agent_id, taken)
        assert await clearing.containers() == [one]
        await clearing.stop(one, 30.0)  # its own grace is a second
        await clearing.remove(one)
        assert await ContainerDriver(engine, lambda: owner, taken=taken).inspect(one) is None

    run(owner, docker_host, story)
