import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest

from agent.model.errors import TryAgain
from agent.tcs import checkup_loop
from agent.tcs.checkup_loop import CheckupLoop, Result, status_frame
from tests.acs.world import PATIENCE
from tests.tcs.rows import INSTANCE, NOW, WHO, later


class Docker:
    """Answers, refuses or says nothing; each look takes a second of the clock."""

    def __init__(self) -> None:
        self.now = NOW
        self.looks = 0
        self.refuses = self.is_silent = False
        self.looked = asyncio.Event()

    async def ping(self) -> None:
        self.looks += 1
        self.now = later(self.looks)
        self.looked.set()
        if self.refuses:
            raise TryAgain("Docker is away")
        if self.is_silent:
            await asyncio.Event().wait()


@asynccontextmanager
async def a_checkup(docker: Docker) -> AsyncIterator[CheckupLoop]:
    checkup = CheckupLoop(docker, lambda: docker.now)
    job = asyncio.create_task(checkup.run())
    try:
        yield checkup
    finally:
        job.cancel()
        await asyncio.wait({job})


async def after_a_look(checkup: CheckupLoop) -> str:
    checkup.look()
    return await until_looked(checkup, checkup.result)


def has_news(checkup: CheckupLoop) -> bool:
    return checkup.news is checkup.result


async def until_looked(checkup: CheckupLoop, before: Result) -> str:
    """Return once there is another result than the one *before*."""
    async with asyncio.timeout(PATIENCE):
        while checkup.result is before:  # noqa: ASYNC110 -- it tells nobody, and the next turn of the loop brings it
            await asyncio.sleep(0)
    return checkup.result.status


def test_a_result_says_since_when_it_is_so_and_when_it_was_looked_at_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup_loop, "PATIENCE", 0.01)

    async def story() -> None:
        docker = Docker()
        async with a_checkup(docker) as checkup:
            seen = [(checkup.result.status, checkup.result.since, checkup.result.looked_at)]
            for refuses, is_silent in ((False, False), (False, False), (True, False), (False, True), (False, False)):
                docker.refuses, docker.is_silent = refuses, is_silent
                await after_a_look(checkup)
                seen.append((checkup.result.status, checkup.result.since, checkup.result.looked_at))

            assert seen == [
                ("INITIALIZING", NOW, NOW),
                ("OK", later(1), later(1)),
                ("OK", later(1), later(2)),
                ("IMPAIRED", later(3), later(3)),
                ("IMPAIRED", later(3), later(4)),
                ("OK", later(5), later(5)),
            ]

    asyncio.run(story())


def test_a_result_is_news_until_it_was_told_even_if_it_is_the_same_as_before() -> None:
    async def story() -> None:
        async with a_checkup(Docker()) as checkup:
            first = checkup.news
            assert first is not None
            await after_a_look(checkup)
            checkup.told(first)  # while it was on its way, there was another look
            assert has_news(checkup)
            checkup.told(checkup.result)
            assert not has_news(checkup)
            assert await after_a_look(checkup) == "OK"
            assert has_news(checkup)

    asyncio.run(story())


def test_heartbeats_that_come_together_are_one_look() -> None:
    async def story() -> None:
        docker = Docker()
        async with a_checkup(docker) as checkup:
            for _ in range(5):
                checkup.look()
            await after_a_look(checkup)

            assert docker.looks == 1

    asyncio.run(story())


def test_the_frame_is_that_of_the_protocol() -> None:
    result = CheckupLoop(Docker(), lambda: NOW).result.then("OK", later(5.2)).then("OK", later(30.1))

    assert json.loads(msgspec.json.encode(status_frame(result, WHO, "f00d", later(40.02)))) == {
        "metadata": {"cluster": "demo", "containerInstance": INSTANCE, "requestId": "f00d"},
        "statuses": [
            {
                "lastStatusChange": 1768478405.2,
                "lastUpdated": 1768478430.1,
                "status": "OK",
                "type": "ContainerRuntime",
            }
        ],
        "timestamp": 1768478440.02,
    }
