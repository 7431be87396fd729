"""The agent is killed again and again while tasks start, run and stop on Docker. In the end the books must agree."""

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from tests.stories.house import House, a_house, containers
from tests.stories.test_one_task import IGNORES_TERM, sh

KILLS = 200
LIVE = 10
"""Tasks that are wanted at most at a time."""
CODE = 5
RUN_IN = {"pair": 2}
"""How many containers run in a task of a kind, where that is not one."""
PATIENCE = 90.0


@dataclass
class Soak:
    """One long run: what was asked for, so that the end can be held to it."""

    house: House
    chance: random.Random
    definitions: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    """The kind of each task that was placed."""
    stopped: set[str] = field(default_factory=set)

    def define(self) -> None:
        """What tasks there are: one stays, one is a pair, one a chain of two, one ends by itself, one is deaf."""
        self.definitions = {
            "stays": self.house.define("stays", sh("app", "exec sleep 3600")),
            "pair": self.house.define("pair", sh("one", "exec sleep 3600"), sh("two", "exec sleep 3600")),
            "chain": self.house.define(
                "chain",
                sh("first", "sleep 0.3", essential=False),
                sh("then", "exec sleep 3600", dependsOn=[{"containerName": "first", "condition": "SUCCESS"}]),
            ),
            "ends": self.house.define("ends", sh("app", f"sleep 1; exit {CODE}")),
            "deaf": self.house.define("deaf", sh("app", IGNORES_TERM, stopTimeout=2)),
        }

    @property
    def live(self) -> list[str]:
        return [task for task, kind in self.kinds.items() if kind != "ends" and task not in self.stopped]

    def once(self) -> None:
        """Some tasks are run, some are stopped, and at some moment the agent is killed and started again."""
        if self.chance.random() < 0.7:
            self.house.instance()  # else the kill meets an agent that has hardly begun
            for _ in range(self.chance.randint(0, 2)):
                self.run_one()
            while len(self.live) > LIVE or (self.live and self.chance.random() < 0.4):
                self.stop_one()
        Event().wait(self.chance.uniform(0, 0.8))
        self.house.agent.end(signal.SIGKILL)
        self.house.agent.start()

    def run_one(self) -> None:
        kind = self.chance.choice(list(self.definitions))
        answer = self.house.ecs.run_task(taskDefinition=self.definitions[kind])
        for task in answer["tasks"]:  # none, if the agent is seen as gone at this very moment
            self.kinds[task["taskArn"]] = kind

    def stop_one(self) -> None:
        task = self.chance.choice(self.live)
        self.house.ecs.stop_task(task=task)
        self.stopped.add(task)

    def settle(self) -> None:
        """Everybody is what they were to become, and Docker runs exactly what ECS calls running."""
        runs: set[str] = set()
        for task, kind in self.kinds.items():
            if kind != "ends" and task not in self.stopped:
                shown = self.house.until_status(task, "RUNNING", PATIENCE)
                living = [container for container in shown["containers"] if container["lastStatus"] == "RUNNING"]
                assert len(living) == RUN_IN.get(kind, 1), f"{task} is {kind}, and runs {living}"
                runs |= {container["runtimeId"] for container in living}
                continue
            shown = self.house.until_status(task, "STOPPED", PATIENCE)
            if task not in self.stopped:
                codes = [container.get("exitCode") for container in shown["containers"]]
                assert codes == [CODE], f"{task} ended by itself, with {codes}: {shown}"
        found = set(containers(self.house))
        assert found == runs, f"not called running: {found - runs}; called running: {runs - found}"


def kill_for_a_while(folder: Path, kills: int, seed: int = 1) -> str:
    """Kill the agent *kills* times; gives what happened meanwhile. Raises AssertionError where the books disagree."""
    with a_house(folder, ECS_CONTAINER_STOP_TIMEOUT="3s") as house, docker_events(folder) as events:
        soak = Soak(house, random.Random(seed))
        soak.define()
        for number in range(kills):
            soak.once()
            if number % 20 == 19:
                sys.stderr.write(f"  {number + 1} kills, {len(soak.kinds)} tasks\n")
        soak.settle()
        agent = json.loads((house.agent_data / "identity.json").read_text())["identity"]["agent_id"]
        made, started = _count(events, agent)
        assert not (twice := [name for name, count in made.items() if count > 1]), f"made more than once: {twice}"
        assert not (twice := [name for name, count in started.items() if count > 1]), f"started more than once: {twice}"
        return f", {len(soak.kinds)} tasks, {len(started)} containers, {len(soak.stopped)} stops"


@contextmanager
def docker_events(folder: Path) -> Iterator[Path]:
    """Everything that happens to containers meanwhile, one JSON document a line."""
    path = folder / "docker-events.jsonl"
    with path.open("wb") as out:
        follower = subprocess.Popen(
            ["docker", "events", "--filter", "type=container", "--format", "{{json .}}"],
            stdout=out,
            env=dict(os.environ),
        )
        try:
            yield path
        finally:
            follower.kill()
            follower.wait()


def _count(events: Path, agent: str) -> tuple[Counter[str], Counter[str]]:
    """How often each container of *agent* was made and started, by its name."""
    made, started = Counter[str](), Counter[str]()
    for line in events.read_text().splitlines():
        event = json.loads(line)
        attributes = event["Actor"]["Attributes"]
        if attributes.get("dockworker.agent") != agent:
            continue
        made[attributes["name"]] += event["Action"] == "create"
        started[attributes["name"]] += event["Action"] == "start"
    return made, started
