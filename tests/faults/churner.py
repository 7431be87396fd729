"""A program: tasks come and go by the thousand on the Docker in memory, and what the agent keeps of them is measured.

``python -m tests.faults.churner 400 FOLDER`` prints one JSON document. Half of the tasks end by themselves and half are
stopped. After each batch time is moved on by what the agent keeps rows, three hours, and then tombstones, one hour.
"""

import asyncio
import gc
import json
import logging
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
import structlog

from tests.faults.fake_house import FakeHouse, a_fake_house, some_task

BATCH = 50
WARM = 150
"""Tasks after which everything that is made once has been made."""
KEPT = (3 * 3600 + 60, 3600 + 60)
LEFT = 0.05
"""Seconds between looks whether everything is cleared away."""


@dataclass(frozen=True)
class Footprint:
    """What a process holds."""

    bytes: int
    descriptors: int
    jobs: int
    rows: int
    """Tasks and tombstones that the engine knows, and containers of Docker's."""


def footprint(house: FakeHouse) -> Footprint:
    gc.collect()
    process = psutil.Process()
    known = house.engine.snapshot()
    rows = len(known.tasks) + len(known.tombstones) + len(house.docker.containers)
    return Footprint(process.memory_full_info().uss, process.num_fds(), len(asyncio.all_tasks()), rows)


async def until(come_true: Callable[[], bool]) -> None:
    while not come_true():  # noqa: ASYNC110 -- it comes true in many places
        await asyncio.sleep(LEFT)


async def batch(house: FakeHouse) -> None:
    """Some tasks, from their payload until nothing of them is left."""
    tasks = await house.hear(*(some_task(count=1 + number % 2) for number in range(BATCH)))
    await house.ecs.until("RUNNING", *tasks)
    for task in tasks[::2]:
        house.end(task, 3)
    await house.ask_to_stop(*tasks[1::2])
    await house.ecs.until("STOPPED", *tasks)
    assert all(len(house.ecs.told[task]) == len(set(house.ecs.told[task])) for task in tasks)
    async with asyncio.timeout(60):
        for seconds in KEPT:
            await until(lambda: all(house.is_settled(task) for task in tasks))
            house.clock.ahead += seconds
            await house.runner.submit()
            await until(lambda: not any(task in house.engine.tasks for task in tasks))
        await until(lambda: not house.engine.snapshot().tombstones)
    house.ecs.told.clear()
    for made in (house.docker.created, house.docker.started):
        made.clear()
    house.docker.exited.clear()


async def churn(count: int, folder: Path) -> tuple[Footprint, Footprint]:
    """What is held after the first tasks, and after *count* more."""
    async with a_fake_house(folder) as house:
        for _ in range(WARM // BATCH):
            await batch(house)
        before = footprint(house)
        for _ in range(count // BATCH):
            await batch(house)
        return before, footprint(house)


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    before, after = asyncio.run(churn(int(sys.argv[1]), Path(sys.argv[2])))
    print(json.dumps({"before": asdict(before), "after": asdict(after)}))  # noqa: T201 -- what it is for


if __name__ == "__main__":
    main()
