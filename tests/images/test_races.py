"""A thousand removals while tasks come, pull, run and go: none is of an image in use or on its way."""

import asyncio
import random
from collections.abc import Sequence

import pytest

from agent.images.ports import HostContainer, HostImage
from agent.model.errors import GiveUp
from agent.model.names import DockerId, Image
from tests.images.scene import Host, container

REMOVALS = 1000
IMAGES = 30
TASKS = 8


class Busy(Host):
    """A host that takes its time, so that whatever may come between two steps does. Docker refuses what is in use."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self.chance = chance
        self.wrong: list[str] = []
        self.refused = 0
        self.asked = 0

    async def take_time(self) -> None:
        for _ in range(self.chance.randrange(4)):
            await asyncio.sleep(0)

    async def images(self) -> Sequence[HostImage]:
        await self.take_time()
        return await super().images()

    async def containers(self) -> Sequence[HostContainer]:
        listed = list(await super().containers())
        await self.take_time()
        return listed

    async def remove_image(self, name: str) -> None:
        """The moment of asking is the agent's; the moment of doing is Docker's."""
        self.asked += 1
        key = next((one.id for one in self.shown.values() if name in one.tags), "")
        if Image(name) in self.wanted | self.pulling:
            self.wrong.append(name)
        await self.take_time()
        if any(one.image_id == key for one in self.running):
            self.refused += 1
            raise GiveUp("CannotRemoveImageError", "it is in use")
        await super().remove_image(name)


class Tasks:
    """Tasks that each take one image for a while."""

    def __init__(self, host: Busy) -> None:
        self.host = host
        self.holders = dict[str, int]()
        self.again = 0
        self.ran = 0

    async def run(self, number: int) -> None:
        while len(self.host.removed) < REMOVALS:
            await self.one(f"i{self.host.chance.randrange(IMAGES)}", f"{number}-{self.ran}")

    async def one(self, key: str, name: str) -> None:
        """One task from its arrival to its cleanup."""
        host, image = self.host, Image(f"{key}:1")
        self.holders[image] = self.holders.get(image, 0) + 1
        host.wanted.add(image)
        await host.take_time()
        await self.pull(key, image)
        while key not in host.shown:  # Docker says that there is no such image: it is fetched once more
            self.again += 1
            await self.pull(key, image)
        run = container(key, name=name)
        host.running = [*host.running, run]
        for _ in range(3):
            await host.take_time()
            assert key in host.shown, f"{image} was removed under a container"
        host.running = [one for one in host.running if one.id != DockerId(name)]
        self.holders[image] -= 1
        if not self.holders[image]:
            host.wanted.discard(image)
        host.cleaner.dropped({image: None})
        self.ran += 1

    async def pull(self, key: str, image: Image) -> None:
        self.host.pulling.add(image)
        await self.host.take_time()
        self.host.fetch(image, key)
        self.host.pulling.discard(image)


@pytest.mark.parametrize("seed", range(3))
def test_of_a_thousand_removals_none_is_of_an_image_in_use_or_being_pulled(seed: int) -> None:
    chance = random.Random(seed)
    host = Busy(chance)
    tasks = Tasks(host)

    async def never() -> bool:
        await host.take_time()
        return False

    async def clean() -> None:
        while len(host.removed) < REMOVALS:
            await host.cleaner.make_room(never, REMOVALS)
            await asyncio.sleep(0)

    async def story() -> None:
        async with asyncio.timeout(60), asyncio.TaskGroup() as jobs:
            jobs.create_task(clean())
            for number in range(TASKS):
                jobs.create_task(tasks.run(number))

    asyncio.run(story())

    assert host.wrong == []
    assert len(host.removed) >= REMOVALS
    assert tasks.ran > REMOVALS / 2, "tasks came and went meanwhile"
