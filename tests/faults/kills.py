"""The agent is killed again and again while tasks start, run and stop on Docker, and the books agree every time.

A kill comes after a moment that is drawn, or when the agent's log shows that it has come to a line that is drawn.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from agent.docker import labels
from tests.faults.front import Front, a_house_behind_a_front
from tests.stories.house import House, containers, of_agent, until
from tests.stories.test_one_task import IGNORES_TERM, sh

STAYS = "trap 'exit 0' TERM; sleep 3600 & wait"
AT_FIRST = 20
"""Tasks that are asked for before the first kill."""
LIVE = 24
"""Tasks that are wanted at most at a time."""
CODE = 5
RUN_IN = {"pair": 2}
"""How many containers run in a task of a kind, where that is not one."""
CONVERGED_WITHIN = 10.0
ORPHANS_GONE_WITHIN = 60.0
LINES = (
    "stopped_as_asked",
    "docker_events_followed",
    "acs_connected",
    "acs_payload_received",
    "CreateContainer",
    "StartContainer",
    "StopContainer",
    "RemoveContainer",
    "report_settled",
    "RUNNING",
    "STOPPED",
)
"""Words of the log at which the agent may die."""
LOOKED_FOR = 1.0
"""Seconds in which such a line has to come; else the agent dies without."""
CLEANUP = "4s"


@dataclass
class Tally:
    """What a run came to."""

    converged: list[float] = field(default_factory=list)
    """Seconds from each start to the moment at which everybody was what they were to be."""
    tasks: int = 0
    stops: int = 0
    started: int = 0
    """Containers."""
    unseen: int = 0
    """Starts after which the agent was killed before all was well again."""
    orphans_after: float = 0.0
    reports: int = 0

    def __str__(self) -> str:
        slowest = max(self.converged, default=0.0)
        return (
            f"{self.tasks} tasks, {self.started} containers, {self.stops} stops, {self.reports} reports; "
            f"converged {len(self.converged)} times, at most {slowest:.1f} s"
        )


@dataclass
class Run:
    """One run: what was asked for, so that everything can be held to it."""

    house: House
    front: Front
    chance: random.Random
    instance: str = ""
    definitions: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    """The kind of each task that was placed."""
    stopped: set[str] = field(default_factory=set)
    over: set[str] = field(default_factory=set)
    """Tasks that were seen to be STOPPED, as they were to be."""
    tally: Tally = field(default_factory=Tally)

    def begin(self) -> None:
        """Some tasks stay, some are pairs, some chains of two, some end by themselves, some are deaf."""
        self.instance = self.house.instance()["containerInstanceArn"]
        chain = [{"containerName": "first", "condition": "SUCCESS"}]
        self.definitions = {
            "stays": self.house.define("stays", sh("app", STAYS)),
            "pair": self.house.define("pair", sh("one", STAYS), sh("two", STAYS)),
            "chain": self.house.define(
                "chain",
                sh("first", "sleep 0.3", essential=False),
                sh("then", STAYS, dependsOn=chain),
            ),
            "ends": self.house.define("ends", sh("app", f"sleep 1; exit {CODE}")),
            "deaf": self.house.define("deaf", sh("app", IGNORES_TERM, stopTimeout=2)),
        }
        for _ in range(AT_FIRST):
            self.run_one()

    @property
    def live(self) -> list[str]:
        return [task for task, kind in self.kinds.items() if kind != "ends" and task not in self.stopped]

    def run_one(self) -> None:
        kind = self.chance.choice(list(self.definitions))
        for task in self.house.ecs.run_task(taskDefinition=self.definitions[kind])["tasks"]:
            self.kinds[task["taskArn"]] = kind  # none, if the agent is seen as gone at this very moment

    def stop_one(self) -> None:
        task = self.chance.choice(self.live)
        self.house.ecs.stop_task(task=task)
        self.stopped.add(task)

    def once(self) -> None:
        """Some tasks are run, some are stopped; the agent is killed in the middle of it, and started again."""
        for _ in range(self.chance.randint(1, 3)):
            self.run_one()
        while len(self.live) > LIVE or (self.live and self.chance.random() < 0.6):
            self.stop_one()
        self._wait_for_the_moment()
        before = set(containers(self.house))
        self.house.agent.end(signal.SIGKILL)
        self.front.ledger.note_kill()
        self.house.agent.start()
        began = time.monotonic()
        if self.chance.random() < 0.25:
            self.tally.unseen += 1  # the next kill comes before all is well
            return
        self.converge()
        self.tally.converged.append(time.monotonic() - began)
        self._nobody_died_of_it(before)

    def _wait_for_the_moment(self) -> None:
        if self.chance.random() < 0.5:
            Event().wait(self.chance.uniform(0, 0.8))
            return
        word, end = self.chance.choice(LINES).encode(), time.monotonic() + LOOKED_FOR
        with self.house.agent.log.open("rb") as log:
            log.seek(0, os.SEEK_END)
            while word not in log.read() and time.monotonic() < end:
                Event().wait(0.002)

    def converge(self) -> None:
        """Return when everybody is what they are to be, and no container of a task is there twice."""
        wrong: list[str] = []

        def is_well() -> bool:
            wrong[:] = self._wrong()
            return not wrong

        try:
            until(is_well, "the agent to have everything as it is to be", CONVERGED_WITHIN)
        except AssertionError as late:
            raise AssertionError(f"{late}: {'; '.join(wrong)}") from late
        arns = self.house.ecs.list_container_instances()["containerInstanceArns"]
        assert arns == [self.instance], f"the instance was {self.instance}, now there are {arns}"

    def _wrong(self) -> list[str]:
        running: set[str] = set()
        told: list[str] = []
        asked = [task for task in self.kinds if task not in self.over]
        for first in range(0, len(asked), 100):
            for task in self.house.ecs.describe_tasks(tasks=asked[first : first + 100])["tasks"]:
                arn = task["taskArn"]
                kind, living = self.kinds[arn], [c for c in task["containers"] if c["lastStatus"] == "RUNNING"]
                if kind == "ends" or arn in self.stopped:
                    if task["lastStatus"] != "STOPPED":
                        told.append(f"{kind} {arn} is {task['lastStatus']}, and was to be STOPPED")
                        continue
                    if arn not in self.stopped:
                        codes = [container.get("exitCode") for container in task["containers"]]
                        assert codes == [CODE], f"{arn} ended by itself, with {codes}: {task}"
                    self.over.add(arn)
                    continue
                assert task["lastStatus"] != "STOPPED", f"nobody asked for the end of {kind} {arn}: {task}"
                if task["lastStatus"] != "RUNNING" or len(living) != RUN_IN.get(kind, 1):
                    told.append(f"{kind} {arn} is {task['lastStatus']} with {len(living)} containers")
                running |= {container["runtimeId"] for container in living}
        found = set(containers(self.house))
        told += [f"not called running: {found - running}"] if found - running else []
        told += [f"called running: {running - found}"] if running - found else []
        form = f'{{{{.Label "{labels.TASK}"}}}}/{{{{.Label "{labels.CONTAINER}"}}}}'
        rows = Counter(of_agent(self.house, "ps", "-a", "--format", form))
        twice = [name for name, count in rows.items() if count > 1]
        assert not twice, f"tasks with two containers for one: {twice}"
        return told

    def _nobody_died_of_it(self, before: set[str]) -> None:
        """What ran when the agent was killed runs on, unless its end was asked for."""
        wanted: set[str] = set()
        for first in range(0, len(self.live), 100):
            for task in self.house.ecs.describe_tasks(tasks=self.live[first : first + 100])["tasks"]:
                wanted |= {c["runtimeId"] for c in task["containers"] if "runtimeId" in c and "exitCode" not in c}
        gone = (before & wanted) - set(containers(self.house))
        assert not gone, f"ran before the kill, and does not now: {gone}"

    def end(self, events: Path) -> None:
        """Stop everything. Nothing is left of it, nothing was made or started twice, and the ledger is right."""
        self.converge()
        for task in self.live:
            self.house.ecs.stop_task(task=task)
            self.stopped.add(task)
        began = time.monotonic()
        until(lambda: not self._wrong(), "all tasks to be STOPPED", ORPHANS_GONE_WITHIN)
        until(lambda: not containers(self.house, "-a"), "all containers to be gone", ORPHANS_GONE_WITHIN)
        self.tally.orphans_after = time.monotonic() - began
        agent = json.loads((self.house.agent_data / "identity.json").read_text())["identity"]["agent_id"]
        made, started = _count(events, agent)
        assert not (twice := [name for name, count in made.items() if count > 1]), f"made more than once: {twice}"
        assert not (twice := [name for name, count in started.items() if count > 1]), f"started more than once: {twice}"
        self.front.ledger.check()
        for task in self.kinds:
            told = self.front.ledger.told(task)
            assert told[-1:] == ["STOPPED"], f"ECS was told {told} of {task}"
        self.tally.tasks, self.tally.stops = len(self.kinds), len(self.stopped)
        self.tally.started, self.tally.reports = len(started), len(self.front.ledger.entries)


def kill_for_a_while(folder: Path, kills: int, seed: int = 1) -> Tally:
    """Kill the agent *kills* times; gives what happened meanwhile. Raises AssertionError where the books disagree."""
    settings = {"ECS_CONTAINER_STOP_TIMEOUT": "3s", "ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION": CLEANUP}
    with a_house_behind_a_front(folder, **settings) as (house, front), docker_events(folder) as events:
        run = Run(house, front, random.Random(seed))
        run.begin()
        for number in range(kills):
            run.once()
            if number % 20 == 19:
                sys.stderr.write(f"  {number + 1} kills, {len(run.kinds)} tasks\n")
        run.end(events)
        return run.tally


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
