"""SIGTERM to an agent that drains its instance first (`DOCKWORKER_DRAIN_ON_STOP`).

Promised: DRAINING within 2 s; the tasks of services end through ECS, standalone ones only with `all`, with their grace;
every end is told before the agent is gone, with exit code 0; systemd is asked for more time as long as it takes; when
`DOCKWORKER_DRAIN_TIMEOUT` is over the rest runs on, and the log names it. At its next start the agent has the instance
ACTIVE again, unless somebody else had drained it.
"""

import json
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.stories.house import House, a_house, containers, until
from tests.stories.test_one_task import IGNORES_TERM, sh

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("sample_image")]

DRAINING_WITHIN = 2.0
POLITE = "trap 'sleep 1; exit 3' TERM; while :; do sleep 0.1; done"
Record = Callable[[str, object], None]


@contextmanager
def a_draining_house(folder: Path, mode: str, seconds: int) -> Iterator[tuple[House, socket.socket]]:
    """A house, and what systemd hears of its agent."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(folder / "notify"))
        systemd.settimeout(0)
        wish = {"DOCKWORKER_DRAIN_ON_STOP": mode, "DOCKWORKER_DRAIN_TIMEOUT": f"{seconds}s"}
        with a_house(folder, NOTIFY_SOCKET=str(folder / "notify"), ECS_CONTAINER_STOP_TIMEOUT="60s", **wish) as house:
            yield house, systemd


def heard(systemd: socket.socket) -> list[str]:
    said = []
    while True:
        try:
            said.append(systemd.recv(1000).decode())
        except BlockingIOError:
            return said


def a_task(house: House, script: str, service: str = "") -> str:
    definition = house.define("drained", sh("app", script))
    more: dict[str, Any] = (
        {"group": f"service:{service}", "startedBy": "ecs-svc/1234567890123456789"} if service else {}
    )
    answer = house.ecs.run_task(taskDefinition=definition, **more)
    arn = answer["tasks"][0]["taskArn"]
    house.until_status(arn, "RUNNING")
    return arn


def status(house: House) -> str:
    (arn,) = house.ecs.list_container_instances()["containerInstanceArns"]
    return house.ecs.describe_container_instances(containerInstances=[arn])["containerInstances"][0]["status"]


def until_draining(house: House) -> float:
    """Tell the agent to stop; seconds until its instance is DRAINING."""
    assert house.agent.process
    began = time.monotonic()
    house.agent.process.send_signal(signal.SIGTERM)
    until(lambda: status(house) == "DRAINING", "the instance to be DRAINING")
    return time.monotonic() - began


def gone(house: House) -> None:
    assert house.agent.process
    assert house.agent.process.wait(30) == 0, house.agent.log.read_text()[-3000:]


def said_by(house: House, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in house.agent.log.read_text().splitlines()]
    return [line for line in lines if line["event"] == event]


def test_with_all_everything_ends_in_its_grace_and_ecs_knows_before_the_agent_is_gone(
    tmp_path: Path, record_property: Record
) -> None:
    with a_draining_house(tmp_path, "all", 30) as (house, systemd):
        alone, served = a_task(house, POLITE), a_task(house, POLITE, "shop")
        took = until_draining(house)
        record_property("draining_seconds", round(took, 3))
        gone(house)
        ends = [house.task(arn) for arn in (alone, served)]
        assert [(end["lastStatus"], end["containers"][0]["exitCode"]) for end in ends] == [("STOPPED", 3)] * 2
        assert ends[0]["stoppedReason"].startswith("OperatorStop: stopped by drain_on_stop=all")
        assert (ends[1]["stopCode"], status(house)) == ("ServiceSchedulerInitiated", "DRAINING")
        assert containers(house) == []
        words = heard(systemd)
        assert any(
            "EXTEND_TIMEOUT_USEC=30000000" in word and "tasks that are still to end: 2" in word for word in words
        )
        assert took <= DRAINING_WITHIN, f"DRAINING after {took:.1f} s"

        house.agent.start()
        until(lambda: status(house) == "ACTIVE", "the instance to be ACTIVE again")


def test_with_services_a_standalone_task_runs_on_and_what_does_not_end_in_time_is_named(tmp_path: Path) -> None:
    with a_draining_house(tmp_path, "services", 2) as (house, systemd):
        alone, served = a_task(house, POLITE), a_task(house, IGNORES_TERM, "shop")
        began = time.monotonic()
        until_draining(house)
        gone(house)
        took = time.monotonic() - began
        assert 2.0 <= took <= 2.0 + 3.0, f"gone after {took:.1f} s"
        (early,) = said_by(house, "drain_ended_early")
        assert early["left_running"] == [served[-32:]]
        assert len(containers(house)) == 2
        assert house.task(alone)["desiredStatus"] == "RUNNING"
        assert sum("EXTEND_TIMEOUT_USEC" in word and "draining" in word for word in heard(systemd)) >= 2


def test_a_second_drainer_does_no_harm_and_its_drain_is_not_undone(tmp_path: Path) -> None:
    with a_draining_house(tmp_path, "services", 10) as (house, _):
        (arn,) = house.ecs.list_container_instances()["containerInstanceArns"]
        served = a_task(house, POLITE, "shop")
        house.ecs.update_container_instances_state(containerInstances=[arn], status="DRAINING")
        assert house.agent.end(signal.SIGTERM) == 0
        assert house.task(served)["lastStatus"] == "STOPPED"
        house.agent.start()
        house.instance()
        until(lambda: "instance_registered" in house.agent.log.read_text(), "the agent to be back")
        assert not said_by(house, "instance_active_again")
        assert status(house) == "DRAINING"
