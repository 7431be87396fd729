"""SIGTERM to the agent, whatever else is wrong.

Promised: containers run on, exit code 0; reports that ECS takes are sent first, for 5 s at most, and the others wait in
the journal for the next start; ECS, Docker or a disk that are away keep the agent from nothing; a second signal ends it
at once.
"""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.front import Front, Weather, a_house_behind_a_front
from tests.faults.gate import Gate, a_gate
from tests.faults.small_disk import a_small_disk, empty, fill
from tests.stories.house import House, containers, until
from tests.stories.test_one_task import sh

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("sample_image")]

AT_ONCE = 1.0
LAST_REPORTS, CLOSING = 5.0, 3.0
"""Seconds for reports that nobody takes, and for closing what is open."""
Record = Callable[[str, object], None]


@pytest.fixture
def gated(tmp_path: Path) -> Iterator[tuple[House, Front, Gate]]:
    """A house whose agent sees ECS through a front, and Docker through a gate; a task runs in it."""
    with a_gate(tmp_path) as gate, a_house_behind_a_front(tmp_path, DOCKER_HOST=gate.host) as (house, front):
        yield house, front, gate


def a_task(house: House, script: str = "exec sleep 600") -> tuple[str, str]:
    """A task that runs, and its container."""
    arn = house.run(house.define("stays", sh("app", script)))
    return arn, house.until_status(arn, "RUNNING")["containers"][0]["runtimeId"]


def told_to_stop(house: House) -> float:
    """Seconds from SIGTERM to the end, which is exit code 0."""
    began = time.monotonic()
    assert house.agent.end(signal.SIGTERM) == 0, house.agent.log.read_text()[-3000:]
    return time.monotonic() - began


def kill(container: str) -> None:
    subprocess.run(["docker", "kill", container], check=True, capture_output=True)


def waits_for_ecs(house: House, container: str) -> None:
    """The agent has heard of the end, and ECS has refused to."""
    kill(container)
    until(lambda: '"report_delayed"' in house.agent.log.read_text(), "a report that ECS does not take")


def test_what_ecs_is_still_to_hear_is_sent_first_and_what_runs_runs_on(
    gated: tuple[House, Front, Gate], record_property: Record
) -> None:
    house, front, _ = gated
    ended, ended_container = a_task(house)
    lives, living_container = a_task(house)
    front.weather = Weather.FAILS
    waits_for_ecs(house, ended_container)
    front.weather = Weather.CLEAR
    took = told_to_stop(house)
    record_property("sigterm_seconds", round(took, 3))
    stopped = house.task(ended)
    assert (stopped["lastStatus"], stopped["containers"][0]["exitCode"]) == ("STOPPED", 137), "told, and no agent runs"
    assert containers(house) == [living_container]
    assert house.task(lives)["lastStatus"] == "RUNNING"
    assert took <= LAST_REPORTS + CLOSING


@pytest.mark.parametrize(
    ("weather", "within"),
    [(Weather.FAILS, CLOSING), (Weather.SILENT, LAST_REPORTS + CLOSING)],
)
def test_ecs_that_is_away_hears_of_it_after_the_next_start(
    gated: tuple[House, Front, Gate], weather: Weather, within: float, record_property: Record
) -> None:
    house, front, _ = gated
    arn, container = a_task(house)
    front.weather = Weather.FAILS
    waits_for_ecs(house, container)
    front.weather = weather
    took = told_to_stop(house)
    record_property(f"sigterm_seconds_{weather}", round(took, 3))
    assert took <= within, f"gone after {took:.1f} s"
    assert house.task(arn)["lastStatus"] == "RUNNING"
    front.weather = Weather.CLEAR
    house.agent.start()
    assert house.until_stopped(arn)["containers"][0]["exitCode"] == 137


def test_docker_that_is_away_and_a_full_disk_keep_it_from_nothing(tmp_path: Path, record_property: Record) -> None:
    with (
        a_small_disk(tmp_path / "agent") as disk,
        a_gate(tmp_path) as gate,
        a_house_behind_a_front(tmp_path, DOCKER_HOST=gate.host) as (house, _),
    ):
        _, container = a_task(house)
        gate.shut()
        fill(disk)
        took = told_to_stop(house)
        empty(disk)
        gate.open()
        record_property("sigterm_seconds_without_docker_and_disk", round(took, 3))
        assert took <= LAST_REPORTS + CLOSING, f"gone after {took:.1f} s"
        assert containers(house) == [container]


def test_a_second_signal_ends_it_at_once(gated: tuple[House, Front, Gate]) -> None:
    house, front, _ = gated
    _, container = a_task(house)
    front.weather = Weather.FAILS
    waits_for_ecs(house, container)
    front.weather = Weather.SILENT
    assert house.agent.process
    house.agent.process.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        house.agent.process.wait(0.5)
    began = time.monotonic()
    assert house.agent.end(signal.SIGTERM) == 128 + signal.SIGTERM
    assert time.monotonic() - began <= AT_ONCE
