"""An operator's force stop, ``dockworker stop TASK --force``, over real Docker.

Promised: dead within 2 s of the command, whatever is going on: a grace that runs, a restart policy, a pull that hangs,
a disk that is full; where Docker is away, within 2 s of its return to the agent's notice. ECS is told exit code 137 and
who it was; a repetition is no error; nobody but root is heard.
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agent.cli.agent_client import Connection
from tests.faults.gate import a_gate
from tests.faults.small_disk import a_small_disk, empty, fill
from tests.stories.house import DOCKWORKER, House, a_house, clean_environment, free_port, until
from tests.stories.test_one_task import IGNORES_TERM, sh

pytestmark = pytest.mark.docker

DEAD_WITHIN = 2.0
NOTICED_WITHIN = 5.0
"""Seconds in which an agent finds a Docker that is back, and has looked at what runs there."""
GRACE = 110
Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, sample_image: str) -> Iterator[House]:
    with a_house(tmp_path_factory.mktemp("force")) as house:
        yield house


def stop(house: House, *words: str) -> subprocess.CompletedProcess[str]:
    command = [*DOCKWORKER, "stop", *words, "--data-dir", str(house.agent_data)]
    return subprocess.run(command, env=clean_environment(), capture_output=True, text=True, check=False)


def deaf(house: House, family: str, **more: object) -> tuple[str, Path]:
    """A task that ignores its stop signal for nearly two minutes, and the place in /proc where it is seen to live."""
    arn = house.run(house.define(family, sh("app", IGNORES_TERM, stopTimeout=GRACE, **more)))
    (container,) = house.until_status(arn, "RUNNING")["containers"]
    return arn, process_of(container["runtimeId"])


def process_of(container: str) -> Path:
    command = ["docker", "inspect", "-f", "{{.State.Pid}}", container]
    return Path("/proc", subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())


def dead_after(began: float, process: Path, patience: float = 30.0) -> float:
    until(lambda: not process.exists(), f"{process} to be gone", patience)
    return time.monotonic() - began


def was_killed(house: House, arn: str) -> None:
    """ECS knows the exit code, and that an operator did it."""
    (container,) = house.until_stopped(arn)["containers"]
    assert container["exitCode"] == 137
    assert container["reason"].startswith("OperatorStop: killed by uid 0 (root), pid ")
    assert container["reason"].endswith(", on this host")


def test_in_the_middle_of_the_grace_that_ecs_gave_it_is_dead_in_two_seconds(
    house: House, record_property: Record
) -> None:
    arn, process = deaf(house, "deaf")
    house.ecs.stop_task(task=arn, reason="in good time")
    until(lambda: "StopContainer" in house.agent.log.read_text(), "the stop to be on its way")
    began = time.monotonic()
    ended = stop(house, arn[-32:][:12], "--force")
    took = dead_after(began, process)
    record_property("force_stop_seconds", round(took, 3))
    assert ended.returncode == 0, ended.stderr
    assert "exit codes: app 137" in ended.stdout
    assert took <= DEAD_WITHIN, f"dead after {took:.2f} s"
    was_killed(house, arn)

    again = stop(house, arn, "--force")
    assert (again.returncode, again.stdout) == (0, f"{arn} has stopped already\n")
    explained = [*DOCKWORKER, "explain", arn, "--data-dir", str(house.agent_data)]
    said = subprocess.run(explained, env=clean_environment(), capture_output=True, text=True, check=True).stdout
    assert "OperatorStop: killed by uid 0 (root), pid " in said
    assert "on this host asked for its end, by force" in said


def test_a_restart_policy_does_not_bring_it_back_and_the_reason_is_the_tasks(house: House) -> None:
    policy = {"enabled": True, "restartAttemptPeriod": 60}
    arn, process = deaf(house, "comes-back", restartPolicy=policy)
    began = time.monotonic()
    assert stop(house, arn, "--force").returncode == 0
    assert (took := dead_after(began, process)) <= DEAD_WITHIN, f"dead after {took:.2f} s"
    assert house.until_stopped(arn)["stoppedReason"].startswith("OperatorStop: killed by uid 0 (root), pid ")
    was_killed(house, arn)


def test_without_force_the_grace_is_honoured(house: House) -> None:
    script = "trap 'sleep 0.5; exit 3' TERM; while :; do sleep 0.1; done"
    arn = house.run(house.define("polite", sh("app", script)))
    house.until_status(arn, "RUNNING")
    ended = stop(house, arn)
    assert ended.returncode == 0, ended.stderr
    stopped = house.until_stopped(arn)
    assert stopped["containers"][0]["exitCode"] == 3
    assert stopped["stoppedReason"].startswith("OperatorStop: stopped by uid 0 (root), pid ")


def test_a_pull_that_hangs_is_left_at_once(house: House, record_property: Record) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as silent:
        image = f"127.0.0.1:{silent.getsockname()[1]}/never:1"
        arn = house.run(house.define("hangs", {**sh("app", "true"), "image": image}))
        until(lambda: f"PullImage {image}" in house.agent.log.read_text(), "the pull to begin")
        began = time.monotonic()
        assert stop(house, arn, "--force").returncode == 0
        stopped = house.until_stopped(arn)
        took = time.monotonic() - began
    record_property("force_stop_of_a_pull_seconds", round(took, 3))
    assert took <= DEAD_WITHIN, f"STOPPED after {took:.2f} s"
    assert stopped["stoppedReason"].startswith("OperatorStop: killed by uid 0 (root), pid ")


def test_what_is_unknown_or_means_two_tasks_is_told_apart_by_its_exit_code(house: House) -> None:
    pair = [house.run(house.define("pair", sh("app", "exec sleep 600"))) for _ in range(2)]
    while len({arn[-32] for arn in pair}) > 1:  # the ids are random: until two begin alike
        pair.append(house.run(house.define("pair", sh("app", "exec sleep 600"))))
        same = [one for one in pair if one[-32] == pair[-1][-32]]
        pair = same if len(same) > 1 else pair
    unknown, both = stop(house, "nobody", "--force"), stop(house, pair[0][-32], "--force")
    assert (unknown.returncode, both.returncode) == (3, 4)
    assert "no such task" in unknown.stderr
    assert all(arn in both.stderr for arn in pair)
    assert stop(house, "", "--force").returncode == 3


def test_nobody_but_root_is_heard_even_if_the_socket_were_open_to_all(house: House, tmp_path: Path) -> None:
    place = house.agent_data / "dockworker.sock"
    assert place.stat().st_mode & 0o777 == 0o600
    arn = house.run(house.define("guarded", sh("app", "exec sleep 600")))
    house.until_status(arn, "RUNNING")
    place.chmod(0o666)
    try:
        assert as_nobody(place, f"/v1/tasks/{arn}/stop") == 403
    finally:
        place.chmod(0o600)
    assert house.task(arn)["desiredStatus"] == "RUNNING"


def as_nobody(place: Path, path: str) -> int:
    """The status that a user without rights is answered: the socket is handed over as a directory that stands open."""
    folder = os.open(place.parent, os.O_RDONLY | os.O_DIRECTORY)
    script = f"""
import http.client, os, socket
os.setgroups([]); os.setgid(65534); os.setuid(65534)
line = http.client.HTTPConnection("agent")
line.sock = socket.socket(socket.AF_UNIX)
line.sock.connect("/proc/self/fd/{folder}/{place.name}")
line.request("POST", "{path}", '{{"force": true}}')
print(line.getresponse().status)
"""
    mode = place.parent.stat().st_mode
    place.parent.chmod(0o755)
    try:
        said = subprocess.run(
            [sys.executable, "-c", script], pass_fds=[folder], capture_output=True, text=True, check=True
        )
    finally:
        place.parent.chmod(mode & 0o7777)
        os.close(folder)
    return int(said.stdout)


@pytest.mark.usefixtures("sample_image")
def test_a_full_disk_keeps_nobody_from_being_killed(tmp_path: Path, record_property: Record) -> None:
    with a_small_disk(tmp_path / "agent") as disk, a_house(tmp_path) as house:
        arn, process = deaf(house, "on-a-full-disk")
        fill(disk)
        began = time.monotonic()
        ended = stop(house, arn, "--force")
        took = dead_after(began, process)
        empty(disk)
        record_property("force_stop_with_full_disk_seconds", round(took, 3))
        assert ended.returncode == 0, ended.stderr
        assert took <= DEAD_WITHIN, f"dead after {took:.2f} s"
        was_killed(house, arn)


@pytest.mark.usefixtures("sample_image")
def test_while_docker_is_away_the_wish_is_kept_and_done_as_soon_as_it_is_back(
    tmp_path: Path, record_property: Record
) -> None:
    with a_gate(tmp_path) as gate, a_house(tmp_path, DOCKER_HOST=gate.host) as house:
        arn, process = deaf(house, "away")
        gate.shut()
        status, answer = ask(house, f"/v1/tasks/{arn}/stop")
        assert (status, answer["force"], answer["wasOver"]) == (200, True, False)
        assert process.exists()
        gate.open()
        took = dead_after(time.monotonic(), process)
        record_property("force_stop_after_docker_came_back_seconds", round(took, 3))
        assert took <= NOTICED_WITHIN + DEAD_WITHIN, f"dead {took:.2f} s after Docker came back"
        was_killed(house, arn)


def ask(house: House, path: str) -> tuple[int, dict[str, Any]]:
    with closing(Connection(house.agent_data / "dockworker.sock")) as line:
        line.request("POST", path, json.dumps({"force": True}))
        response = line.getresponse()
        return response.status, json.loads(response.read())
