import asyncio
from pathlib import Path

import pytest
from aiodocker.exceptions import DockerError

from agent.docker.engine_driver import DockerEngine
from agent.model.errors import BadInput, OutcomeUnknown, TryAgain
from agent.model.identity import Identity
from tests.docker.cutting_proxy import cutting_proxy
from tests.docker.making import NOWHERE, a_room

pytestmark = pytest.mark.docker


async def hold(engine: DockerEngine, opened: asyncio.Semaphore) -> None:
    """Keep a stream open on which nothing comes."""
    async with engine.stream("GET", "events", {"filters": '{"label": ["dockworker.nobody"]}'}) as events:
        opened.release()
        async for _ in events:
            pytest.fail("nobody's event")


def test_an_engine_that_is_there_answers(docker_host: str) -> None:
    async def story() -> None:
        async with DockerEngine.connect(docker_host) as engine:
            await engine.ping()
            facts = await engine.facts()

            assert facts.version == await engine.version()
            assert all(part.isdecimal() for part in facts.version.split(".")[:2])
            assert "+" not in facts.version
            assert "json-file" in facts.logging_drivers
            assert "seccomp" in facts.security_options
            assert "runc" in facts.runtimes
            assert facts.memory > 1 << 20
            assert facts.processors > 0

    asyncio.run(story())


def test_an_engine_that_is_not_there_is_no_failure_until_asked() -> None:
    async def story() -> None:
        async with DockerEngine.connect(NOWHERE) as engine:
            for question in (engine.ping, engine.version, engine.facts):
                with pytest.raises(TryAgain, match="Docker"):
                    await question()

    asyncio.run(story())


def test_a_host_that_is_no_address_is_named() -> None:
    async def story() -> None:
        async with DockerEngine.connect("/var/run/docker.sock"):
            pytest.fail("connected to a path without a scheme")

    with pytest.raises(BadInput, match="DOCKER_HOST: cannot be used"):
        asyncio.run(story())


def test_an_engine_that_went_away_and_came_back_is_spoken_to_again(
    owner: Identity, docker_host: str, tmp_path: Path
) -> None:
    async def story() -> None:
        async with cutting_proxy(docker_host, tmp_path) as proxy, a_room(owner, proxy.host) as room:
            await room.containers.listing()
            asked = proxy.heard.count(b"GET /version ")
            opened = asyncio.Semaphore(0)
            wait = asyncio.create_task(hold(room.engine, opened))
            async with asyncio.timeout(10):
                await opened.acquire()

                proxy.cut()

                with pytest.raises(OutcomeUnknown):
                    await wait
            await room.engine.ping()
            await room.containers.listing()
            assert proxy.heard.count(b"GET /version ") == asked + 1

    asyncio.run(story())


def test_silence_beyond_the_bound_is_a_lost_answer(docker_host: str) -> None:
    async def story() -> None:
        async with DockerEngine.connect(docker_host) as engine:
            with pytest.raises(OutcomeUnknown, match=r"did not answer within 0\.2 s"):
                async with engine.call(0.2):
                    await asyncio.Event().wait()

    asyncio.run(story())


def test_a_refusal_is_passed_on_with_dockers_own_words(docker_host: str) -> None:
    async def story() -> None:
        async with DockerEngine.connect(docker_host) as engine:
            with pytest.raises(DockerError, match="No such container") as told:
                async with engine.stream("GET", "containers/no-such-name/logs", {"stdout": "true"}):
                    pytest.fail("a stream was opened")
            assert told.value.status == 404

    asyncio.run(story())


def test_there_is_no_limit_to_the_calls_that_wait(owner: Identity, docker_host: str) -> None:
    async def story() -> None:
        async with DockerEngine.connect(docker_host) as engine, asyncio.TaskGroup() as jobs:
            opened = asyncio.Semaphore(0)
            streams = [jobs.create_task(hold(engine, opened)) for _ in range(120)]
            async with asyncio.timeout(20):
                for _ in streams:
                    await opened.acquire()
                await engine.ping()
            for stream in streams:
                stream.cancel()

    asyncio.run(story())
