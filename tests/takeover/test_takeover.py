"""A machine changes from another agent to this one: real containers run on, and ECS hears all that becomes of them."""

import asyncio
import json
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agent.config.load import load
from agent.departure import leave
from tests.stories.house import DOCKWORKER, House, a_house, remove_cgroups, until
from tests.stories.test_one_task import sh
from tests.takeover.other_agent import OtherAgent, a_container, a_task

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("sample_image")]

PAUSE = "~internal~ecs~pause"
UNTIL_TOLD = "while ! test -e /tmp/end; do sleep 0.1; done; exit {}"
SLEEPS = "trap 'exit 0' TERM; while true; do sleep 0.1; done"


def docker(*words: str) -> str:
    return subprocess.run(["docker", *words], check=True, capture_output=True, text=True).stdout.strip()


def inspected(docker_id: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(docker("inspect", docker_id))[0]
    return found


def died_at(docker_id: str) -> list[int]:
    """When it ended, in nanoseconds since 1970: also of one that has been removed since."""
    words = ("--since", "10m", "--until", "0s", "--filter", f"container={docker_id}", "--filter", "event=die")
    return [int(line) for line in docker("events", *words, "--format", "{{.TimeNano}}").splitlines()]


@dataclass
class Move:
    """A house whose tasks run under another agent: nothing of ours is left on the machine but what ECS knows."""

    house: House
    other: OtherAgent
    mark: str
    monkeypatch: pytest.MonkeyPatch

    def takeover(self) -> subprocess.CompletedProcess[str]:
        words = (*DOCKWORKER, "takeover", "--agent", self.other.url)
        return subprocess.run(words, env=self.house.agent.environ, check=False, capture_output=True, text=True)

    def written(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.house.agent_data / "takeover.json").read_text())["takeover"]
        return found

    def container(self, task: str, name: str, script: str) -> str:
        """A container as the other agent makes them, running."""
        labels = {
            "cluster": "default",
            "container-name": name,
            "task-arn": task,
            "task-definition-family": "shop",
            "task-definition-version": "7",
        }
        words = [word for key, value in labels.items() for word in ("--label", f"com.amazonaws.ecs.{key}={value}")]
        readable = "".join(one for one in name if one.isalnum())
        name = f"ecs-shop-7-{readable}-{secrets.token_hex(10)}"
        return docker(
            "run", "-d", "--name", name, *words, "--label", self.mark, "dockworker.invalid/test:1", "sh", "-c", script
        )

    def run(self, *scripts: str) -> tuple[str, list[str]]:
        """A task that ECS knows to run here, and that the other agent runs."""
        names = [f"app{number}" for number, _ in enumerate(scripts)]
        task = self.house.run(self.house.define("shop", *(sh(name, "exec sleep 600") for name in names)))
        self.house.until_status(task, "RUNNING")
        made = [self.container(task, name, script) for name, script in zip(names, scripts, strict=True)]
        self.other.tasks.append(a_task(task, *(a_container(one, name) for one, name in zip(made, names, strict=True))))
        return task, made


@pytest.fixture
def move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Move]:
    mark = f"dockworker.test={secrets.token_hex(8)}"
    with OtherAgent.serving() as other, a_house(tmp_path, ECS_CONTAINER_STOP_TIMEOUT="3s") as house:
        other.instance_arn = house.instance()["containerInstanceArn"]
        try:
            yield Move(house, other, mark, monkeypatch)
        finally:
            house.agent.close()
            if left := docker("ps", "-aq", "--filter", f"label={mark}").split():
                docker("rm", "-fv", *left)


def forget_ours(move: Move) -> None:
    """The agent that brought the tasks here has never been."""
    move.house.agent.end(signal.SIGKILL)
    agent = json.loads((move.house.agent_data / "identity.json").read_text())["identity"]["agent_id"]
    docker("rm", "-fv", *docker("ps", "-aq", "--filter", f"label=dockworker.agent={agent}").split())
    asyncio.run(remove_cgroups(move.house.agent_data))
    shutil.rmtree(move.house.agent_data)


def end_of(task: Any) -> tuple[str, list[int | None]]:  # noqa: ANN401 -- boto3's answer
    return task["lastStatus"], [one.get("exitCode") for one in task["containers"]]


def test_tasks_of_another_agent_run_on_are_followed_stopped_and_told_of(move: Move) -> None:
    house, agent = move.house, move.house.agent
    stays, (kept,) = move.run(SLEEPS)
    ends, (ended,) = move.run(UNTIL_TOLD.format(5))
    vanishes, (removed,) = move.run(SLEEPS)
    later, (soon, beside) = move.run(UNTIL_TOLD.format(6), SLEEPS)
    pause = move.container(stays, PAUSE, SLEEPS)
    stranger = move.container(stays[:-4] + "beef", "app", SLEEPS)
    forget_ours(move)
    before = {one: inspected(one)["State"]["StartedAt"] for one in (kept, soon, beside, pause)}

    told = move.takeover()
    assert told.returncode == 0, told.stdout
    assert "tasks 4, containers 6" in told.stdout
    assert "systemctl disable --now ecs" in told.stdout
    assert stays[:-4] + "beef" in told.stdout
    assert all(inspected(one)["State"]["Running"] for one in (kept, ended, removed, soon, beside, pause))

    docker("exec", ended, "touch", "/tmp/end")
    docker("wait", ended)
    docker("rm", "-f", removed)
    move.other.instance_arn = "arn:of:nobody"  # it has gone, and something else has its port
    agent.start()
    assert end_of(house.until_stopped(ends)) == ("STOPPED", [5])
    vanished = house.until_stopped(vanishes)
    assert "removed outside ECS" in vanished["containers"][0]["reason"]
    until(lambda: "tasks_taken_over" in agent.log.read_text(), "the tasks to be in the journal")
    assert move.written()["is_heard"]

    agent.end(signal.SIGKILL)
    for file in house.agent_data.glob("agent.db*"):
        file.unlink()  # and the journal is lost
    agent.start()
    assert house.instance()["containerInstanceArn"] == move.written()["instance_arn"]
    docker("exec", soon, "touch", "/tmp/end")
    assert end_of(house.until_stopped(later))[1][0] == 6
    assert not inspected(beside)["State"]["Running"]
    assert house.task(stays)["lastStatus"] == "RUNNING"
    for one in (kept, pause):
        state = inspected(one)
        assert (state["State"]["StartedAt"], state["RestartCount"]) == (before[one], 0)
        assert state["State"]["Running"]
    house.ecs.stop_task(task=stays)
    assert end_of(house.until_stopped(stays)) == ("STOPPED", [0])
    until(lambda: died_at(pause), "the pause container to be stopped")
    assert died_at(kept) <= died_at(pause)
    assert inspected(stranger)["State"]["Running"]

    agent.end(signal.SIGKILL)
    asyncio.run(remove_cgroups(house.agent_data))
    said = list[str]()
    settings = load({**agent.environ, "AWS_REGION": "us-east-1"})
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        move.monkeypatch.setenv(name, agent.environ[name])
    assert asyncio.run(leave(settings, force=True, say=said.append)) == 0, said
    assert docker("ps", "-aq", "--no-trunc", "--filter", f"label={move.mark}").split() == [stranger]
