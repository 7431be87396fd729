"""The wall clock is set by an hour, forth or back, while tasks run and stop.

Promised: nothing is stopped or killed earlier or later; the restart policy counts time that has passed; no connection
is lost for it; ECS takes what is signed by a clock that is an hour wrong, from the start and after a step.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.model.identity import Identity
from agent.model.status import Status
from tests.faults.front import Front, a_front
from tests.sample_image import SAMPLE
from tests.stories.house import House, containers, standing, until
from tests.stories.raw import a_raw_agent
from tests.stories.test_one_task import IGNORES_TERM, sh

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("sample_image")]

HOUR = 3600.0
GRACE = 3.0
LATER = 1.5
"""Seconds by which Docker, and a machine that is busy, may be late."""
BOTH = pytest.mark.parametrize("by", [HOUR, -HOUR], ids=["forth", "back"])


class Clock:
    """A wall clock in the test's hand."""

    def __init__(self) -> None:
        self.offset = 0.0

    def __call__(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.offset)


@BOTH
def test_stops_and_the_restart_policy_count_time_that_has_passed(
    tmp_path: Path, owner: Identity, by: float, record_property: Callable[[str, object], None]
) -> None:
    """The agent in this process. The shortest attempt period is a minute in ECS; here it is two seconds, 1:30."""
    clock = Clock()

    async def story() -> float:
        async with a_raw_agent(owner, tmp_path, clock=clock) as agent:
            tasks = agent.engine.tasks
            app = {"name": "app", "image": SAMPLE, "essential": True, "memory": 32, "stopTimeout": int(GRACE)}
            again = app | {"restartPolicy": {"enabled": True, "restartAttemptPeriod": 2}}
            deaf = await agent.hear(containers=[app | {"command": ["sh", "-c", IGNORES_TERM]}])
            lasts = await agent.hear(containers=[again | {"command": ["sh", "-c", "sleep 2.5; exit 3"]}])
            falls = await agent.hear(containers=[again | {"command": ["sh", "-c", "sleep 1; exit 3"]}])
            for task in (deaf, lasts, falls):
                await agent.settled(task)
            began = time.monotonic()
            await agent.stop(deaf)
            await asyncio.to_thread(until, lambda: time.monotonic() > began + 0.5, "some of the time to pass")
            clock.offset = by
            await agent.until(falls, lambda: tasks[falls].known is Status.STOPPED)
            assert tasks[falls]["app"].restarts == 0, "it fell too early to be started again"
            await agent.until(lasts, lambda: tasks[lasts]["app"].restarts == 1)
            await agent.until(deaf, lambda: tasks[deaf].known is Status.STOPPED)
            assert tasks[deaf]["app"].exit_code == 137
            return time.monotonic() - began

    took = asyncio.run(story())
    record_property("seconds of a stop", round(took, 2))
    assert GRACE <= took <= GRACE + LATER, f"{took:.2f} s"


@contextmanager
def a_house_with_a_clock(folder: Path, wrong_by: float) -> Iterator[tuple[House, Front, Callable[[float], None]]]:
    """A house whose agent's clock is wrong; its control plane's is right, and the client of the story, too."""
    file = folder / "wrong-by"

    def set_clock(seconds: float) -> None:
        (folder / "new").write_text(str(seconds))
        (folder / "new").rename(file)

    set_clock(wrong_by)
    with a_front() as front:
        house = House(folder, {"ECS_BACKEND_HOST": front.url})
        front.plane = house.port
        house.agent.command = (sys.executable, "-m", "tests.faults.shifted_agent", str(file), "run")
        with standing(house):
            yield house, front, set_clock


def test_a_whole_agent_lives_with_a_clock_that_is_set_forth_and_back(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    with a_house_with_a_clock(tmp_path, 0.0) as (house, front, set_clock):
        deaf = house.define("deaf", sh("app", IGNORES_TERM, stopTimeout=int(GRACE)))
        stays = house.run(deaf)
        house.until_status(stays, "RUNNING")
        (container,) = containers(house)
        arn = house.instance()["containerInstanceArn"]
        for by in (HOUR, -HOUR):
            task = house.run(deaf)
            house.until_status(task, "RUNNING")
            began = time.monotonic()
            house.ecs.stop_task(task=task)
            until(lambda: time.monotonic() > began + 1, "a second of the grace to pass")  # noqa: B023 -- asked at once
            set_clock(by)
            house.until_stopped(task)
            took = time.monotonic() - began
            record_property(f"stop with the clock set to {by:+.0f} s", round(took, 2))
            assert GRACE <= took <= GRACE + LATER, f"{took:.2f} s with the clock set to {by:+.0f} s"
            assert front.upgrades == 1, "ACS was lost for a clock"
        assert front.bad_signatures == 0, "whoever was heard once needs no refusal"
        assert container in containers(house)
        assert house.instance()["containerInstanceArn"] == arn
        assert "clock_stepped" in house.agent.log.read_text()
        front.ledger.check()


@BOTH
def test_an_agent_whose_clock_is_wrong_from_the_start_is_taken_by_ecs_and_acs(tmp_path: Path, by: float) -> None:
    with a_house_with_a_clock(tmp_path, by) as (house, front, _):
        assert front.bad_signatures == 1, "the first call shows what the time is"
        task = house.run(house.define("ends", sh("app", "exit 7")))
        assert house.until_stopped(task)["containers"][0]["exitCode"] == 7
        front.cut()
        until(lambda: front.upgrades == 2, "ACS to be dialled again")
        house.instance()
        assert front.bad_signatures == 1
        assert "clock_differs_from_server" in house.agent.log.read_text()
