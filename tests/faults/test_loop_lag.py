"""The agent's one thread is never busy for long: heartbeats, stops and exits are heard while a hundred tasks start."""

import asyncio
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from agent.cli import logs
from tests.faults.fake_house import a_fake_house, some_task
from tests.faults.lag import lags, percentile

TASKS = 100
TIMES = 3
"""Each time beside those that run already."""
BOUND = 0.1


async def start_a_hundred(folder: Path) -> list[float]:
    async with a_fake_house(folder) as house, lags() as found:
        for _ in range(TIMES):
            tasks = await house.hear(*(some_task(count=2) for _ in range(TASKS)))
            await house.ecs.until("RUNNING", *tasks)
        return list(found)


@pytest.fixture
def a_services_logs() -> Iterator[None]:
    """Lines in the form that a service writes. Nothing of it outlives the test: modules would keep their loggers."""
    root = logging.getLogger()
    before = list(root.handlers), root.level
    with Path(os.devnull).open("w") as nowhere:
        logs.configure("info", "json", nowhere)
        structlog.configure(cache_logger_on_first_use=False)
        yield
        structlog.reset_defaults()
        root.handlers[:] = before[0]
        root.setLevel(before[1])


def test_the_loop_is_at_most_a_tenth_of_a_second_late_while_a_hundred_tasks_start(
    tmp_path: Path, a_services_logs: None, record_property: Callable[[str, object], None]
) -> None:
    found = asyncio.run(start_a_hundred(tmp_path))
    p99, worst = percentile(found, 0.99), max(found)
    record_property("loop lag p99, ms", round(1000 * p99, 1))
    record_property("loop lag at worst, ms", round(1000 * worst, 1))
    assert len(found) > TASKS, "too few samples to speak of a percentile"
    assert p99 <= BOUND, f"p99 of {len(found)} samples is {p99:.3f} s, the worst {worst:.3f} s"


def test_a_loop_that_is_busy_is_seen_to_be_late() -> None:
    async def busy() -> list[float]:
        loop = asyncio.get_running_loop()
        async with lags() as found:
            await asyncio.sleep(0)
            until = loop.time() + 0.15
            while loop.time() < until:
                pass
            await asyncio.sleep(0.01)
            return list(found)

    assert max(asyncio.run(busy())) > BOUND
