import asyncio
import secrets

import pytest

from agent.docker.engine_driver import DockerEngine
from agent.docker.portrait_driver import PortraitDriver
from agent.model.errors import TryAgain
from agent.model.identity import Identity
from agent.model.names import DockerId
from agent.model.portrait import Portrait
from tests.docker.making import NOWHERE, a_room, an_act

NOBODY = DockerId("0" * 64)


def test_a_running_container_is_shown_with_its_address_and_measured(sample_image: str, owner: Identity) -> None:
    assert sample_image

    async def scene() -> None:
        async with a_room(owner) as room:
            driver = PortraitDriver(room.engine)
            docker_id = await room.containers.create(an_act(docker_config='{"Labels": {"mine": "yes"}}'))
            before = await driver.portrait_now(docker_id)
            await room.containers.start(docker_id)
            found, measured = await asyncio.gather(driver.portrait(docker_id), driver.stats(docker_id))

            assert before is not None
            assert (before.pid, before.addresses, before.started_at) == (0, (), "")
            assert found is not None
            assert found.pid
            assert found.labels["mine"] == "yes"
            assert [network.name for network in found.networks] == ["bridge"]
            assert found.addresses[0].count(".") == 3
            assert measured is not None
            assert list(measured)[:2] == ["read", "preread"]
            assert measured["precpu_stats"]["system_cpu_usage"] < measured["cpu_stats"]["system_cpu_usage"]
            assert measured["id"] == docker_id
            assert await driver.portrait(NOBODY) is None
            assert await driver.stats(NOBODY) is None

    asyncio.run(scene())


def test_an_engine_that_is_not_there_may_be_asked_again() -> None:
    async def scene() -> None:
        async with DockerEngine.connect(NOWHERE) as engine:
            driver = PortraitDriver(engine)
            for question in (driver.portrait, driver.portrait_now, driver.stats):
                with pytest.raises(TryAgain):
                    await question(NOBODY)

    asyncio.run(scene())


class Counting(PortraitDriver):
    """Counts what Docker would be asked, and answers when it is let."""

    def __init__(self, engine: DockerEngine) -> None:
        self.asked = 0
        self.answer = asyncio.Event()
        self.fails = False
        super().__init__(engine)

    async def portrait_now(self, docker_id: DockerId) -> Portrait | None:
        self.asked += 1
        await self.answer.wait()
        if self.fails:
            raise TryAgain("no answer")
        return Portrait(docker_id, "web")


def test_who_asks_at_the_same_time_shares_one_answer_also_when_the_first_goes_away() -> None:
    async def scene() -> None:
        async with DockerEngine.connect(NOWHERE) as engine:
            driver, docker_id = Counting(engine), DockerId(secrets.token_hex(32))
            first, *others = [asyncio.create_task(driver.portrait(docker_id)) for _ in range(20)]
            await asyncio.sleep(0)
            first.cancel()
            driver.answer.set()

            assert {one.name for one in await asyncio.gather(*others) if one} == {"web"}
            assert await driver.portrait(docker_id) is not None
            assert driver.asked == 1
            await asyncio.wait([first])

    asyncio.run(scene())


def test_a_failure_is_shared_by_those_who_waited_and_by_nobody_else() -> None:
    async def scene() -> None:
        async with DockerEngine.connect(NOWHERE) as engine:
            driver, docker_id = Counting(engine), DockerId(secrets.token_hex(32))
            driver.fails = True
            driver.answer.set()
            told = await asyncio.gather(*(driver.portrait(docker_id) for _ in range(3)), return_exceptions=True)
            driver.fails = False

            assert [type(one) for one in told] == [TryAgain] * 3
            assert driver.asked == 1
            assert await driver.portrait(docker_id) is not None

    asyncio.run(scene())
