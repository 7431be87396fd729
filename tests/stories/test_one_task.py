"""One task from the API call to DescribeTasks, over real Docker."""

import socket
import subprocess
import time
from typing import TYPE_CHECKING

from tests.sample_image import SAMPLE
from tests.stories.house import House, containers, until

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import ContainerDefinitionTypeDef

IGNORES_TERM = "trap '' TERM; while :; do sleep 0.1; done"


def sh(name: str, script: str, **more: object) -> "ContainerDefinitionTypeDef":
    return {"name": name, "image": SAMPLE, "memory": 32, "command": ["sh", "-c", script], **more}  # type: ignore[typeddict-item]


def test_a_task_runs_and_is_stopped(house: House) -> None:
    task = house.run(house.define("stays", sh("app", "exec sleep 600")))
    running = house.until_status(task, "RUNNING")
    (container,) = running["containers"]
    inspected = subprocess.run(
        ["docker", "inspect", "-f", "{{.State.Running}}", container["runtimeId"]],
        check=True,
        capture_output=True,
        text=True,
    )
    assert inspected.stdout.strip() == "true"
    assert running["createdAt"] <= running["pullStartedAt"] <= running["pullStoppedAt"] <= running["startedAt"]

    house.ecs.stop_task(task=task, reason="that will do")
    stopped = house.until_status(task, "STOPPED")
    assert stopped["stoppedReason"] == "that will do"
    assert stopped["stopCode"] == "UserInitiated"
    assert stopped["startedAt"] <= stopped["stoppingAt"] <= stopped["stoppedAt"]
    assert container["runtimeId"] not in containers(house)


def test_a_task_ends_by_itself_with_its_exit_code(house: House) -> None:
    for code in (0, 7):
        task = house.run(house.define("ends", sh("app", f"exit {code}")))
        stopped = house.until_status(task, "STOPPED")
        assert stopped["containers"][0]["exitCode"] == code
        assert stopped["stopCode"] == "EssentialContainerExited"
        assert stopped["stoppedReason"] == "Essential container in task exited"


def test_a_container_that_ignores_the_signal_is_killed_when_its_own_time_is_over(house: House) -> None:
    task = house.run(house.define("deaf", sh("app", IGNORES_TERM, stopTimeout=2)))
    house.until_status(task, "RUNNING")
    asked = time.monotonic()
    house.ecs.stop_task(task=task)
    stopped = house.until_status(task, "STOPPED")
    assert stopped["containers"][0]["exitCode"] == 137
    assert 2.0 <= time.monotonic() - asked <= 3.0


def test_the_general_stop_timeout_counts_where_the_container_has_none(house: House) -> None:
    task = house.run(house.define("deaf-too", sh("app", IGNORES_TERM)))
    house.until_status(task, "RUNNING")
    asked = time.monotonic()
    house.ecs.stop_task(task=task)
    house.until_status(task, "STOPPED")
    assert 3.0 <= time.monotonic() - asked <= 4.0


def test_the_end_of_the_essential_container_ends_the_other(house: House) -> None:
    definition = house.define(
        "pair",
        sh("main", "sleep 1; exit 3"),
        sh("side", "trap 'exit 9' TERM; while :; do sleep 0.1; done", essential=False),
    )
    task = house.run(definition)
    house.until_status(task, "RUNNING")
    stopped = house.until_status(task, "STOPPED")
    codes = {container["name"]: container["exitCode"] for container in stopped["containers"]}
    assert codes == {"main": 3, "side": 9}


def test_the_end_of_another_container_leaves_the_task_running(house: House) -> None:
    task = house.run(house.define("helped", sh("main", "exec sleep 600"), sh("side", "exit 4", essential=False)))

    def side_ended() -> bool:
        shown = {container["name"]: container for container in house.task(task)["containers"]}
        return shown["side"].get("exitCode") == 4 and shown["main"]["lastStatus"] == "RUNNING"

    until(side_ended, "the other container's end to be shown")
    assert house.task(task)["lastStatus"] == "RUNNING"
    house.ecs.stop_task(task=task)
    house.until_status(task, "STOPPED")


def test_ports_are_published_as_asked_and_shown_as_they_are(house: House) -> None:
    with socket.socket() as probe:
        probe.bind(("", 0))
        fixed = probe.getsockname()[1]
    mappings = [
        {"containerPort": 80, "hostPort": fixed, "protocol": "tcp"},
        {"containerPort": 81, "protocol": "tcp"},
        {"containerPort": 53, "hostPort": 0, "protocol": "udp"},
    ]
    task = house.run(house.define("ports", sh("app", "exec httpd -f -p 81 -h /etc", portMappings=mappings)))
    (container,) = house.until_status(task, "RUNNING")["containers"]
    bindings = {(b["containerPort"], b["protocol"]): b["hostPort"] for b in container["networkBindings"]}
    assert bindings[80, "tcp"] == fixed
    assert set(bindings) == {(80, "tcp"), (81, "tcp"), (53, "udp")}

    def answers() -> bool:
        try:
            with socket.create_connection(("127.0.0.1", bindings[81, "tcp"]), timeout=1) as web:
                web.sendall(b"GET /nothing HTTP/1.0\r\n\r\n")
                return web.recv(64).startswith(b"HTTP/1.")
        except OSError:
            return False

    until(answers, "the published port to answer")
    house.ecs.stop_task(task=task)
    house.until_status(task, "STOPPED")


def test_an_image_that_is_nowhere_fails_the_task_with_the_pulls_own_reason(house: House) -> None:
    definition = {"name": "app", "image": "127.0.0.1:9/absent:1", "memory": 32}
    task = house.run(house.define("absent", definition))  # type: ignore[arg-type]
    stopped = house.until_status(task, "STOPPED", patience=60)
    assert stopped["stopCode"] == "TaskFailedToStart"
    assert "CannotPullContainerError" in stopped["containers"][0]["reason"]
    assert "exitCode" not in stopped["containers"][0]


def test_a_command_that_is_not_there_fails_the_task_and_says_so(house: House) -> None:
    definition = {"name": "app", "image": SAMPLE, "memory": 32, "command": ["/no/such/program"]}
    task = house.run(house.define("no-such-program", definition))  # type: ignore[arg-type]
    stopped = house.until_status(task, "STOPPED")
    assert stopped["containers"][0]["reason"].startswith("CannotStartContainerError: ")
    assert "/no/such/program" in stopped["containers"][0]["reason"]
