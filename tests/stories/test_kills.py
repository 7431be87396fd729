"""Killed in the middle: what runs goes on, and what happened meanwhile is told."""

import signal
import subprocess

from tests.stories.house import House, containers, until
from tests.stories.test_one_task import IGNORES_TERM, sh


def test_an_agent_that_was_killed_adopts_what_runs(own_house: House) -> None:
    stays = own_house.run(own_house.define("stays", sh("app", "exec sleep 600")))
    ends = own_house.run(own_house.define("ends", sh("app", "while ! test -e /tmp/end; do sleep 0.1; done; exit 5")))
    runtime = own_house.until_status(stays, "RUNNING")["containers"][0]["runtimeId"]
    other = own_house.until_status(ends, "RUNNING")["containers"][0]["runtimeId"]
    own_house.agent.end(signal.SIGKILL)
    subprocess.run(["docker", "exec", other, "touch", "/tmp/end"], check=True)
    until(lambda: other not in containers(own_house), "the container to end while no agent runs")

    own_house.agent.start()
    assert own_house.until_status(ends, "STOPPED")["containers"][0]["exitCode"] == 5
    assert containers(own_house) == [runtime]
    assert len(containers(own_house, "-a")) == 2
    started = subprocess.run(
        ["docker", "inspect", "-f", "{{.RestartCount}} {{.State.Running}}", runtime],
        check=True,
        capture_output=True,
        text=True,
    )
    assert started.stdout.strip() == "0 true"
    own_house.ecs.stop_task(task=stays)
    own_house.until_status(stays, "STOPPED")


def test_an_agent_that_is_killed_while_tasks_start_makes_each_container_once(own_house: House) -> None:
    definition = own_house.define("many", sh("one", "exec sleep 600"), sh("two", "exec sleep 600"))
    tasks = [own_house.run(definition) for _ in range(4)]
    until(lambda: containers(own_house, "-a"), "the first container to be made")
    own_house.agent.end(signal.SIGKILL)
    own_house.agent.start()
    for task in tasks:
        own_house.until_status(task, "RUNNING")
    assert len(containers(own_house, "-a")) == len(containers(own_house)) == 8


def test_an_agent_that_is_killed_during_a_stop_gives_the_rest_of_the_grace(own_house: House) -> None:
    task = own_house.run(own_house.define("deaf", sh("app", IGNORES_TERM, stopTimeout=4)))
    own_house.until_status(task, "RUNNING")
    own_house.ecs.stop_task(task=task)
    until(lambda: "StopContainer" in own_house.agent.log.read_text(), "the stop to be decided")
    own_house.agent.end(signal.SIGKILL)
    own_house.agent.start()
    stopped = own_house.until_status(task, "STOPPED")
    assert stopped["containers"][0]["exitCode"] == 137
    grace = (stopped["executionStoppedAt"] - stopped["stoppingAt"]).total_seconds()
    assert 3.5 <= grace <= 6.0


def test_a_control_plane_that_was_killed_knows_every_task(own_house: House) -> None:
    stays = own_house.run(own_house.define("stays", sh("app", "exec sleep 600")))
    ends = own_house.run(own_house.define("ends", sh("app", "while ! test -e /tmp/end; do sleep 0.1; done; exit 6")))
    runtime = own_house.until_status(stays, "RUNNING")["containers"][0]["runtimeId"]
    other = own_house.until_status(ends, "RUNNING")["containers"][0]["runtimeId"]
    own_house.plane.end(signal.SIGKILL)
    subprocess.run(["docker", "exec", other, "touch", "/tmp/end"], check=True)
    until(lambda: other not in containers(own_house), "the container to end while no control plane runs")
    assert containers(own_house) == [runtime]

    own_house.plane.start()
    until(own_house.answers, "the control plane to answer again")
    assert own_house.until_status(ends, "STOPPED", patience=60)["containers"][0]["exitCode"] == 6
    assert own_house.task(stays)["lastStatus"] == "RUNNING"
    own_house.instance()
    own_house.ecs.stop_task(task=stays)
    own_house.until_status(stays, "STOPPED")


def test_an_agent_that_is_told_to_stop_exits_0_and_leaves_what_runs(own_house: House) -> None:
    task = own_house.run(own_house.define("stays", sh("app", "exec sleep 600")))
    own_house.until_status(task, "RUNNING")
    assert own_house.agent.end(signal.SIGTERM) == 0
    assert len(containers(own_house)) == 1
