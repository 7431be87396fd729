"""A long stop, a large task behind it, and small ones that need not wait: rounds of it on the Docker in memory."""

import asyncio
import random
import time
from dataclasses import dataclass
from pathlib import Path

from tests.faults.fake_house import FakeHouse, a_fake_house, some_task

MEMORY = 1000
HALF = MEMORY // 2
SMALL = 20
MINUTES = 300
"""The grace of the task that stops, in seconds; it ends when the round has seen what it wants."""


@dataclass(frozen=True)
class Round:
    """How long the small ones took, and how long the large one took after the release; in seconds."""

    small: float
    large: float


async def one_round(house: FakeHouse, chance: random.Random) -> Round:
    """Raises TimeoutError where somebody waits who should not, AssertionError where somebody runs who should not."""
    (stops,) = await house.hear(some_task(HALF, stop_timeout=MINUTES))
    await house.ecs.until("RUNNING", stops)
    release = house.containers.held[stops] = asyncio.Event()
    await house.ask_to_stop(stops)
    small = [some_task(chance.randint(1, 20)) for _ in range(SMALL)]
    taken = sum(task["containers"][0]["memory"] for task in small)
    large = some_task(chance.randint(HALF + 1, MEMORY - taken))
    early = chance.randint(0, SMALL // 2)  # so many come before the large one
    began = time.monotonic()
    first = await house.hear(*small[:early])
    (waits,) = await house.hear(large)
    others = await house.hear(*small[early:])
    await house.ecs.until("RUNNING", *first, *others)
    ran = time.monotonic()
    assert not house.is_admitted(waits), "the large one was let in beside what is still there"
    assert "STOPPED" not in house.ecs.told[stops]
    release.set()
    await house.ecs.until("RUNNING", waits)
    over = time.monotonic()
    await house.ask_to_stop(*first, *others, waits)
    await house.ecs.until("STOPPED", stops, *first, *others, waits)
    house.ecs.told.clear()
    house.containers.held.clear()
    house.clock.ahead += 2 * 3600  # what is left of the round is cleared away
    return Round(ran - began, over - ran)


def play(folder: Path, rounds: int, seed: int = 1) -> list[Round]:
    """So many rounds, one after the other in one agent."""

    async def whole() -> list[Round]:
        chance = random.Random(seed)
        async with a_fake_house(folder, memory=MEMORY) as house:
            return [await one_round(house, chance) for _ in range(rounds)]

    return asyncio.run(whole())
