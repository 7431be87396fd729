"""Every call to Docker hangs for a while: what must hold then, and afterwards."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

from tests.faults.docker_front import ALL, DockerFront, docker_front
from tests.stories.house import House, standing, until
from tests.stories.test_one_task import sh

STAYS = "exec sleep 600"
AT_ONCE = 3.0
LOST_WITHIN = 10.0
LAST_CHANCE = 8.0
"""Calls that nobody will ever answer are given five seconds once Docker is back, and a stop the rest of its time."""
ENDS = {"answered": DockerFront.let_go, "dropped": DockerFront.drop, "never answered": DockerFront.forget}
"""What becomes of the calls that hung."""


@contextmanager
def a_house_behind(folder: Path, docker_host: str, **settings: str) -> Iterator[tuple[House, DockerFront]]:
    """A house whose agent speaks with Docker through a front."""
    with docker_front(docker_host, folder) as front:
        house = House(folder, {"DOCKER_HOST": front.host, "ECS_CONTAINER_STOP_TIMEOUT": "3s", **settings})
        with standing(house):
            yield house, front


def running(house: House, task: str) -> str:
    """The id of the task's one container, once it runs."""
    return house.until_status(task, "RUNNING")["containers"][0]["runtimeId"]


def exists(container: str) -> bool:
    """Does Docker have the container, in any state?"""
    return subprocess.run(["docker", "inspect", container], capture_output=True, check=False).returncode == 0


def all_calls_hang(folder: Path, docker_host: str, end: str, seconds: float) -> SimpleNamespace:
    """Let all calls hang for so long; gives when Docker was called lost, when it was back, when all had recovered.

    Raises AssertionError where something that lives is declared dead, something that waits is given up, or it takes
    too long.
    """
    with a_house_behind(folder, docker_host) as (house, front):
        lives, dies, stops = (house.run(house.define(f"runs{n}", sh("app", STAYS))) for n in range(3))
        ids = {one: running(house, one) for one in (lives, dies, stops)}
        definition = house.define("starts", sh("app", STAYS))
        hang = front.hang(ALL)
        began = time.monotonic()
        starts = [house.run(definition) for _ in range(2)]
        house.ecs.stop_task(task=stops)
        subprocess.run(["docker", "kill", ids[dies]], check=True, capture_output=True)
        until(lambda: "docker_lost" in house.agent.log.read_text(), "Docker to be called lost")
        lost = time.monotonic() - began
        assert lost <= LOST_WITHIN, f"lost after {lost:.1f} s"
        until(lambda: time.monotonic() - began > seconds, "the calls to hang for long enough", patience=2 * seconds)
        assert house.task(lives)["lastStatus"] == "RUNNING"
        assert "STOPPED" not in {house.task(one)["lastStatus"] for one in starts}

        over = time.monotonic()
        ENDS[end](front, hang)
        assert house.until_stopped(dies)["containers"][0]["exitCode"] == 137
        back = time.monotonic() - over
        for task in starts:
            running(house, task)
        house.until_stopped(stops)
        recovered = time.monotonic() - over
        assert back <= AT_ONCE, f"back after {back:.1f} s"
        assert recovered <= AT_ONCE + LAST_CHANCE * (end == "never answered"), f"recovered after {recovered:.1f} s"
        assert house.task(lives)["containers"][0]["runtimeId"] == ids[lives]
        assert house.task(lives)["lastStatus"] == "RUNNING"
        return SimpleNamespace(lost=lost, back=back, recovered=recovered)
