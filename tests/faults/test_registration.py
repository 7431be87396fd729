"""Registering with ECS while ECS is away, loses its answers, says no, or has let go of the instance.

Promised: one instance in the cluster however many answers are lost; with a known ARN nothing waits for ECS; what has
changed on the host is told within 10 s of a start, and a refusal ends nothing. An instance that ECS has let go of keeps
its containers and asks again after an hour; only with `reregister_when_inactive` is it a new one after a minute.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.acs import loop as acs_loop
from tests.faults.front import Front, Weather, a_house_behind_a_front
from tests.stories.house import DOCKWORKER, House, Program, a_house, containers, standing, until
from tests.stories.test_one_task import sh

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import ContainerInstanceTypeDef

pytestmark = pytest.mark.docker

REGISTER = "RegisterContainerInstance"
TOLD_WITHIN = 10.0
LOST_ANSWERS = 5
"""Twenty in the long form (soak) and, with a hand-made ECS, in membership's own tests."""
RATIO = 60
SCALED = f"""
import sys
from agent.acs import loop
loop.RENEW_AFTER /= {RATIO}
from agent.__main__ import main
main()
"""
Record = Callable[[str, object], None]


@pytest.fixture
def behind(tmp_path: Path, sample_image: str) -> Iterator[tuple[House, Front]]:
    with a_house_behind_a_front(tmp_path, ECS_CONTAINER_STOP_TIMEOUT="1s") as (house, front):
        yield house, front


def registrations(front: Front) -> int:
    return sum(action == REGISTER for _, action, _ in front.calls)


def registered(instance: "ContainerInstanceTypeDef", name: str) -> int:
    return next(one["integerValue"] for one in instance["registeredResources"] if one["name"] == name)


def start_on_one_processor(house: House) -> None:
    """Start the agent on a host that has one processor left."""
    all_of_them = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(all_of_them)})
    try:
        house.agent.start()
    finally:
        os.sched_setaffinity(0, all_of_them)


def test_lost_answers_make_one_instance(behind: tuple[House, Front], record_property: Record) -> None:
    starts = lose_answers(*behind, LOST_ANSWERS)
    record_property("starts", starts)
    (one,) = behind[0].ecs.list_container_instances()["containerInstanceArns"]
    assert behind[0].instance()["containerInstanceArn"] == one


def lose_answers(house: House, front: Front, count: int) -> int:
    """Register a machine that knows nothing of itself, while *count* answers are lost. Gives how often it started.

    The process ends over a lost answer and is started again, as systemd does it; every second one is killed instead.
    """
    house.agent.end(signal.SIGKILL)
    shutil.rmtree(house.agent_data)
    (old,) = house.ecs.list_container_instances()["containerInstanceArns"]
    house.ecs.deregister_container_instance(containerInstance=old, force=True)
    front.weather_of[REGISTER] = Weather.LOSES
    already, starts = registrations(front), 0
    while registrations(front) - already < count:
        starts += 1
        had = registrations(front)
        house.agent.start()
        assert house.agent.process is not None
        if starts % 2:
            assert house.agent.process.wait(timeout=30) == 1
        else:
            until(partial(heard_more, front, had), "the call to be heard")
            house.agent.end(signal.SIGKILL)
    del front.weather_of[REGISTER]
    house.agent.start()
    house.instance()
    return starts + 1


def heard_more(front: Front, had: int) -> bool:
    return registrations(front) > had


def test_with_a_known_arn_nothing_waits_for_ecs(behind: tuple[House, Front]) -> None:
    house, front = behind
    arn = house.run(house.define("restarts", sh("app", "exec sleep 600")))
    instance = house.instance()["containerInstanceArn"]
    house.until_status(arn, "RUNNING")
    (container,) = containers(house)
    house.agent.end(signal.SIGKILL)
    front.weather = Weather.REFUSES
    mark = house.agent.log.stat().st_size
    house.agent.start()
    until(lambda: b"registration_delayed" in house.agent.log.read_bytes()[mark:], "the registration to be delayed")
    subprocess.run(["docker", "kill", container], check=True, capture_output=True)
    until(lambda: "137" in explained(house, arn), "the exit to be noticed")
    assert house.agent.process is not None
    assert house.agent.process.poll() is None
    front.weather = Weather.CLEAR
    assert house.until_stopped(arn, 36)["containers"][0]["exitCode"] == 137
    until(lambda: b"instance_registered" in house.agent.log.read_bytes()[mark:], "the registration", 20)
    assert house.ecs.list_container_instances()["containerInstanceArns"] == [instance]


def explained(house: House, arn: str) -> str:
    command = [*DOCKWORKER, "explain", arn, "--json", "--data-dir", str(house.agent_data)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def test_what_has_changed_on_the_host_is_told_under_the_same_arn(
    behind: tuple[House, Front], record_property: Record
) -> None:
    house, front = behind
    before = house.instance()
    house.agent.end(signal.SIGTERM)
    house.agent.environ |= {"ECS_RESERVED_MEMORY": "100", "ECS_DISABLE_PRIVILEGED": "true"}
    began = time.monotonic()
    start_on_one_processor(house)

    def told() -> "ContainerInstanceTypeDef | None":
        (now,) = house.ecs.describe_container_instances(containerInstances=[before["containerInstanceArn"]])[
            "containerInstances"
        ]
        return now if registered(now, "MEMORY") == registered(before, "MEMORY") - 100 else None

    now = until(told, "the change to be told", TOLD_WITHIN)
    record_property("told_after", time.monotonic() - began)
    assert registered(now, "CPU") == 1024
    assert registered(before, "CPU") == 1024 * len(os.sched_getaffinity(0))
    names = {one["name"] for one in now["attributes"]}
    assert "com.amazonaws.ecs.capability.privileged-container" not in names
    assert "com.amazonaws.ecs.capability.privileged-container" in {one["name"] for one in before["attributes"]}
    assert len(house.ecs.list_container_instances()["containerInstanceArns"]) == 1

    house.agent.end(signal.SIGTERM)
    front.refused[REGISTER] = "ClientException"
    mark = house.agent.log.stat().st_size
    house.agent.environ["ECS_RESERVED_MEMORY"] = "200"
    house.agent.start()
    until(lambda: b"registration_refused" in house.agent.log.read_bytes()[mark:], "the refusal to be told", TOLD_WITHIN)
    arn = house.run(house.define("goes-on", sh("app", "exec sleep 600")))
    house.until_status(arn, "RUNNING")
    house.ecs.stop_task(task=arn)
    house.until_stopped(arn)
    assert registered(house.instance(), "MEMORY") == registered(before, "MEMORY") - 100


def test_an_instance_that_ecs_has_let_go_of_keeps_its_containers_and_asks_again_in_an_hour(
    tmp_path: Path, sample_image: str
) -> None:
    with a_house(tmp_path, ECS_CONTAINER_STOP_TIMEOUT="1s") as house:
        arn = house.run(house.define("stays", sh("app", "exec sleep 600")))
        house.until_status(arn, "RUNNING")
        runs = containers(house)
        house.ecs.deregister_container_instance(containerInstance=house.instance()["containerInstanceArn"], force=True)
        until(lambda: "next_in" in house.agent.log.read_text(), "the connection to end")
        until(lambda: "3600.0" in house.agent.log.read_text(), "the hour to be told")
        assert house.agent.process is not None
        assert house.agent.process.poll() is None
        assert containers(house) == runs
        assert house.ecs.list_container_instances()["containerInstanceArns"] == []


def test_with_leave_to_it_becomes_a_new_instance_after_a_minute_and_keeps_its_tasks(
    tmp_path: Path, sample_image: str, record_property: Record
) -> None:
    """The minute is scaled 1:60."""
    house = House(tmp_path, {"ECS_CONTAINER_STOP_TIMEOUT": "1s", "DOCKWORKER_REREGISTER_WHEN_INACTIVE": "true"})
    command = (sys.executable, "-c", SCALED, "run")
    house.agent = Program("agent", command, house.agent.environ, house.agent.log)
    with standing(house):
        arn = house.run(house.define("stays", sh("app", "while ! test -e /tmp/end; do sleep 0.1; done; exit 5")))
        house.until_status(arn, "RUNNING")
        runs, old = containers(house), house.instance()["containerInstanceArn"]
        agent = json.loads((house.agent_data / "identity.json").read_text())["identity"]["agent_id"]
        began = time.monotonic()
        house.ecs.deregister_container_instance(containerInstance=old, force=True)
        new = house.instance()["containerInstanceArn"]
        took = time.monotonic() - began
        record_property("renewed_after", took)
        assert took >= acs_loop.RENEW_AFTER / RATIO
        assert new != old
        identity = json.loads((house.agent_data / "identity.json").read_text())["identity"]
        assert (identity["instance_arn"], identity["agent_id"], identity["client_token"]) == (new, agent, "")
        assert containers(house) == runs
        # The task is adopted: its end is noticed and told, which ECS takes without a change, for it has let go of it.
        subprocess.run(["docker", "exec", runs[0], "touch", "/tmp/end"], check=True)
        view = json.loads(until(lambda: settled(house, arn), "the exit to be told"))
        assert (view["known"], view["containers"][0]["exitCode"]) == ("STOPPED", 5)
        assert house.task(arn)["lastStatus"] == "STOPPED"
        # And the new instance is as good as any other.
        again = house.run(house.define("stays", sh("app", "exec sleep 600")))
        assert house.until_status(again, "RUNNING")["containerInstanceArn"] == new
        house.agent.end(signal.SIGKILL)
        house.agent.start()
        assert house.instance()["containerInstanceArn"] == new


def settled(house: House, arn: str) -> str | None:
    text = explained(house, arn)
    return text if '"settled": true' in text else None
