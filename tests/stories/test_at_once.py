"""No timer stands between a fact and the act that follows from it: measured from the times of Docker's own events."""

import json
import statistics
import subprocess
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.stories.house import House, until
from tests.stories.test_one_task import sh

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import ContainerTypeDef

REPORTED_WITHIN = 0.3
"""Seconds from the end of a container that is not essential until ECS has acknowledged the report of it."""
ACTED_WITHIN = 0.1
"""Seconds from Docker's event about a container until what waits for it is asked of Docker."""
EDGES = {"START": 5, "SUCCESS": 5, "HEALTHY": 2}
"""Each of the last takes five seconds: a health check is no more frequent than that."""
STAYS = "trap 'exit 0' TERM; sleep 600 & wait"

Record = Callable[[str, object], None]


class Times:
    """When Docker says that things happened, read as they happen: it remembers but a few hundred events."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def of(self, container_id: str, action: str) -> float:
        """When *action* first happened to the container, in seconds of the clock."""
        return until(lambda: self._find(container_id, action), f"Docker to tell of {action}")

    def _find(self, container_id: str, action: str) -> float | None:
        told = (json.loads(line) for line in self._file.read_text().splitlines(keepends=True) if line.endswith("\n"))
        times = (one["timeNano"] / 1e9 for one in told if (one["id"], one["Action"]) == (container_id, action))
        return next(times, None)


@pytest.fixture
def times(tmp_path: Path) -> Iterator[Times]:
    file = tmp_path / "events"
    with file.open("wb") as out:
        listening = subprocess.Popen(
            ["docker", "events", "--filter", "type=container", "--format", "{{json .}}"], stdout=out
        )
        try:
            yield Times(file)
        finally:
            listening.terminate()
            listening.wait(timeout=10)


def shown(house: House, task: str, name: str) -> "ContainerTypeDef":
    return next(one for one in house.task(task)["containers"] if one["name"] == name)


def log_of(house: House) -> Iterator[tuple[float, dict[str, Any]]]:
    """The lines of the agent's log, with their times."""
    for line in house.agent.log.read_text().splitlines():
        if line.startswith("{"):
            told = json.loads(line)
            yield datetime.fromisoformat(told["timestamp"]).timestamp(), told


def settled(house: House, task: str, container: str) -> float:
    """When ECS had acknowledged that the container has stopped."""
    report = f"{container} STOPPED"
    return next(at for at, line in log_of(house) if _reports(line, task, report))


def _reports(line: dict[str, Any], task: str, report: str) -> bool:
    return line["event"] == "report_settled" and task.endswith(line["task"]) and report in line["containers"]


def created(house: House, task: str) -> dict[str, float]:
    """When the agent went about the creation of each container of the task."""
    return {
        act.rpartition("/")[2]: at
        for at, line in log_of(house)
        for act in line.get("acts", ())
        if act.startswith(f"CreateContainer {task[-32:][:8]}")
    }


def test_the_end_of_a_container_that_is_not_essential_is_reported_at_once(
    house: House, times: Times, record_property: Record
) -> None:
    definition = house.define("side-ends", sh("main", STAYS), sh("side", "sleep 0.5", essential=False))
    delays = []
    for _ in range(3):
        task = house.run(definition)
        until(lambda: shown(house, task, "side")["lastStatus"] == "STOPPED", "the end to be shown")  # noqa: B023 -- now
        delays.append(settled(house, task, "side") - times.of(shown(house, task, "side")["runtimeId"], "die"))
        house.ecs.stop_task(task=task)
        house.until_status(task, "STOPPED")
    record_property("seconds_from_die_to_acknowledged_report", delays)
    assert statistics.median(delays) <= REPORTED_WITHIN, delays


@pytest.mark.parametrize("condition", EDGES)
def test_what_waits_for_a_container_is_asked_of_docker_at_once(
    house: House, times: Times, condition: str, record_property: Record
) -> None:
    names = [f"{condition.lower()}-{number}" for number in range(EDGES[condition] + 1)]
    waits = {name: [{"containerName": before, "condition": condition}] for before, name in pairwise(names)}
    check = {"healthCheck": {"command": ["CMD-SHELL", "true"], "interval": 5}} if condition == "HEALTHY" else {}
    script = "sleep 0.5" if condition == "SUCCESS" else STAYS
    chain = [sh(name, script, essential=False, dependsOn=waits.get(name, []), **check) for name in names]
    task = house.run(house.define(f"chain-{condition.lower()}", *chain, sh("main", STAYS)))
    until(lambda: shown(house, task, names[-1])["lastStatus"] != "PENDING", "the whole chain to have started", 60)
    ids = {one["name"]: one["runtimeId"] for one in house.task(task)["containers"]}
    house.ecs.stop_task(task=task)
    house.until_status(task, "STOPPED")
    decided = created(house, task)
    action = {"START": "start", "SUCCESS": "die", "HEALTHY": "health_status: healthy"}[condition]
    delays = [decided[name] - times.of(ids[before], action) for before, name in pairwise(names)]
    record_property("seconds_from_event_to_create_call", delays)
    assert statistics.median(delays) <= ACTED_WITHIN, delays
