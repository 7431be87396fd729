import asyncio
import json
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from agent.docker.engine_driver import DockerEngine
from agent.docker.event_driver import EventDriver
from agent.model.errors import TryAgain
from agent.model.identity import Identity
from agent.model.seen import Hint
from agent.model.status import Health
from tests.docker.cutting_proxy import cutting_proxy
from tests.docker.making import NOWHERE, Room, a_room, an_act

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("sample_image")]


async def gather(events: EventDriver, opened: asyncio.Event, hints: list[Hint], last: str = "") -> None:
    async with aclosing(events.watch(opened.set)) as watched:
        async for hint in watched:
            hints.append(hint)
            if hint.action == last:
                return


def test_hints_tell_of_create_start_die_and_destroy_and_of_nothing_else(owner: Identity) -> None:
    async def story(room: Room) -> None:
        opened, hints = asyncio.Event(), list[Hint]()
        async with asyncio.timeout(20), asyncio.TaskGroup() as jobs:
            jobs.create_task(gather(room.events, opened, hints, "destroy"))
            await opened.wait()
            made = await room.containers.create(an_act())
            await room.containers.start(made)
            async with room.engine.call(10) as docker:
                execution = await docker.containers.container(made).exec(["true"])
                async with execution.start(detach=False) as output:
                    assert await output.read_out() is None
            await room.containers.kill(made)
            await room.containers.remove(made, force=True)

        assert [(hint.docker_id, hint.action) for hint in hints] == [
            (made, action) for action in ("create", "start", "die", "destroy")
        ]
        assert not any(hint.ended_well for hint in hints), "it was killed"

    async def told() -> None:
        async with a_room(owner) as room:
            await story(room)

    asyncio.run(told())


def test_a_container_that_ends_with_exit_code_0_says_when(owner: Identity) -> None:
    async def story() -> None:
        async with a_room(owner) as room:
            opened, hints = asyncio.Event(), list[Hint]()
            async with asyncio.timeout(20), asyncio.TaskGroup() as jobs:
                jobs.create_task(gather(room.events, opened, hints, "die"))
                await opened.wait()
                act = an_act("true")
                made = await room.containers.create(act)
                await room.containers.start(made)
            seen = await room.containers.inspect(made)
            assert seen is not None
            assert seen.started_at is not None
            assert hints[-1].task == act.task
            assert hints[-1].ended_well is not None
            assert seen.started_at < hints[-1].ended_well

    asyncio.run(story())


def test_a_health_check_that_passes_is_a_hint_and_its_runs_are_none(owner: Identity) -> None:
    check = {"Test": ["CMD-SHELL", "echo fine"], "Interval": 100_000_000, "Timeout": 5_000_000_000}

    async def story() -> None:
        async with a_room(owner) as room:
            opened, hints = asyncio.Event(), list[Hint]()
            async with asyncio.timeout(20), asyncio.TaskGroup() as jobs:
                jobs.create_task(gather(room.events, opened, hints, "health_status: healthy"))
                await opened.wait()
                made = await room.containers.create(an_act(docker_config=json.dumps({"Healthcheck": check})))
                await room.containers.start(made)
            seen = await room.containers.inspect(made)

        assert [hint.action for hint in hints] == ["create", "start", "health_status: healthy"]
        assert seen is not None
        assert (seen.health, seen.health_output) == (Health.HEALTHY, "fine\n")

    asyncio.run(story())


def test_hints_are_about_ours_alone(owner: Identity) -> None:
    async def story() -> None:
        stranger = replace(owner, instance_arn="arn:stranger")
        async with a_room(owner) as room, a_room(replace(stranger, agent_id=f"{owner.agent_id}-2")) as theirs:
            opened, hints = asyncio.Event(), list[Hint]()
            async with asyncio.timeout(20), asyncio.TaskGroup() as jobs:
                jobs.create_task(gather(room.events, opened, hints, "destroy"))
                await opened.wait()
                other = await theirs.containers.create(an_act())
                await theirs.containers.remove(other, force=False)
                made = await room.containers.create(an_act())
                await room.containers.remove(made, force=False)

            assert {hint.docker_id for hint in hints} == {made}

    asyncio.run(story())


def test_a_stream_that_ends_is_told(owner: Identity, docker_host: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with cutting_proxy(docker_host, tmp_path) as proxy, a_room(owner, proxy.host) as room:
            opened = asyncio.Event()
            watch = asyncio.create_task(gather(room.events, opened, []))
            async with asyncio.timeout(10):
                await opened.wait()

                proxy.cut()

                with pytest.raises(TryAgain):
                    await watch

    asyncio.run(story())


def test_closing_the_connection_ends_the_stream(owner: Identity, docker_host: str) -> None:
    async def story() -> None:
        opened = asyncio.Event()
        async with DockerEngine.connect(docker_host) as engine:
            watch = asyncio.create_task(gather(EventDriver(engine, lambda: owner), opened, []))
            await opened.wait()
        async with asyncio.timeout(10):
            with pytest.raises(TryAgain):
                await watch

    asyncio.run(story())


def test_without_docker_the_stream_is_never_called_open(owner: Identity) -> None:
    async def story() -> None:
        opened = asyncio.Event()
        async with DockerEngine.connect(NOWHERE) as engine:
            with pytest.raises(TryAgain):
                await gather(EventDriver(engine, lambda: owner), opened, [])
        assert not opened.is_set()

    asyncio.run(story())
