"""dockerd is killed and started again, with and without live-restore, while tasks run, start, stop and wait.

Attempt periods of restart policies are a sixtieth (`tests.faults.hurried`).
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.hurried import HURRIED
from tests.faults.own_engine import OwnEngine, own_engine
from tests.stories.house import House, standing, until
from tests.stories.test_one_task import sh

Record = Callable[[str, object], None]

STAYS = "exec sleep 600"
TOLD_WITHIN = 5.0
POLICY = {"enabled": True, "restartAttemptPeriod": 60}
START_TIMEOUT = 6
REGISTRY = "127.0.0.1:5999"
SILENT_REGISTRY = """
import socket
server = socket.create_server(("127.0.0.1", 5999))
taken = []
while True:
    taken.append(server.accept())
    print("asked", flush=True)
"""


def ends(code: int) -> str:
    """A script that ends with *code* when it is asked to."""
    return f"trap 'exit {code}' TERM; sleep 600 & wait"


@contextmanager
def a_house_on(engine: OwnEngine, folder: Path) -> Iterator[House]:
    house = House(folder, {"DOCKER_HOST": engine.host, "ECS_CONTAINER_STOP_TIMEOUT": "3s"})
    house.agent.command = (*HURRIED, "run")
    with standing(house):
        yield house


def test_without_live_restore_all_containers_die_and_are_told_with_their_codes(
    tmp_path: Path, record_property: Record
) -> None:
    with own_engine() as engine, a_house_on(engine, tmp_path) as house:
        codes = (7, 0, 9)
        tasks = {house.run(house.define(f"ends{code}", sh("app", ends(code)))): code for code in codes}
        again = house.run(house.define("again", sh("app", ends(3), restartPolicy=POLICY)))
        runtime = house.until_status(again, "RUNNING")["containers"][0]["runtimeId"]
        for task in tasks:
            house.until_status(task, "RUNNING")
        agent = house.agent.process

        engine.kill_dockerd()
        engine.start_dockerd(wait=False)
        answered = engine.wait_until_it_answers()
        for task, code in tasks.items():
            assert house.until_stopped(task)["containers"][0]["exitCode"] == code
        until(lambda: runtime in engine.docker("ps", "-q", "--no-trunc"), "the policy to be applied")
        took = time.monotonic() - answered
        record_property("told_seconds", round(took, 2))
        assert took <= TOLD_WITHIN, f"told {took:.1f} s after Docker answered"
        house.until_status(house.run(house.define("next", sh("app", STAYS))), "RUNNING")
        assert house.task(again)["lastStatus"] == "RUNNING"
        assert agent is house.agent.process
        assert agent is not None
        assert agent.poll() is None


def test_with_live_restore_what_lives_goes_on_what_died_is_told_and_what_waits_is_not_given_up(
    tmp_path: Path, record_property: Record
) -> None:
    with (
        own_engine(live_restore=True) as engine,
        silent_registry(engine, tmp_path) as asked,
        a_house_on(engine, tmp_path) as house,
    ):
        stays = house.run(house.define("stays", sh("app", STAYS)))
        dies = house.run(house.define("dies", sh("app", ends(5))))
        again = house.run(house.define("again", sh("app", ends(3), restartPolicy=POLICY)))
        waits = house.run(
            house.define(
                "waits",
                sh("first", "trap 'exit 0' TERM; sleep 600 & wait", essential=False, startTimeout=START_TIMEOUT),
                sh("then", STAYS, dependsOn=[{"containerName": "first", "condition": "SUCCESS"}]),
            )
        )
        pulls = house.run(house.define("pulls", {**sh("app", STAYS), "image": f"{REGISTRY}/never:1"}))
        ids = {}
        for task in (stays, dies, again):
            ids[task] = house.until_status(task, "RUNNING")["containers"][0]["runtimeId"]
        first = until(lambda: runtime_of(house, waits, "first"), "the first of two to run")
        began = time.monotonic()
        until(asked, "the registry to be asked")
        pids = {one: int(engine.docker("inspect", "-f", "{{.State.Pid}}", one)) for one in (*ids.values(), first)}
        definition = house.define("many", sh("one", STAYS), sh("two", STAYS))
        many = [house.run(definition) for _ in range(3)]
        before = len(engine.docker("ps", "-aq").split())
        until(lambda: len(engine.docker("ps", "-aq").split()) > before, "some of many to be made")

        engine.kill_dockerd()
        questions = asked()
        os.kill(pids[ids[dies]], signal.SIGTERM)
        os.kill(pids[ids[again]], signal.SIGTERM)
        until(lambda: "docker_lost" in house.agent.log.read_text(), "the agent to see that Docker is lost")
        until(lambda: time.monotonic() - began > START_TIMEOUT + 1, "more than a start timeout to pass")
        engine.start_dockerd(wait=False)
        answered = engine.wait_until_it_answers()

        assert house.until_stopped(dies)["containers"][0]["exitCode"] == 5
        until(lambda: ids[again] in engine.docker("ps", "-q", "--no-trunc"), "the policy to be applied")
        took = time.monotonic() - answered
        record_property("told_seconds", round(took, 2))
        assert took <= TOLD_WITHIN, f"told {took:.1f} s after Docker answered"
        for task in (*many, house.run(house.define("next", sh("app", STAYS)))):
            house.until_status(task, "RUNNING")
        os.kill(pids[first], signal.SIGTERM)
        house.until_status(waits, "RUNNING")
        until(lambda: asked() > questions, "the pull to be made again")
        assert house.task(pulls)["lastStatus"] == "PENDING"
        assert house.task(stays)["containers"][0]["runtimeId"] == ids[stays]
        assert ids[stays] in engine.docker("ps", "-q", "--no-trunc")
        assert len(engine.docker("ps", "-aq").split()) == 3 + 2 + 2 * 3 + 1


def runtime_of(house: House, task: str, name: str) -> str:
    """The container's id, once it is told RUNNING."""
    found = [one for one in house.task(task)["containers"] if one["name"] == name and one["lastStatus"] == "RUNNING"]
    return found[0]["runtimeId"] if found else ""


@contextmanager
def silent_registry(engine: OwnEngine, folder: Path) -> Iterator[Callable[[], int]]:
    """A registry that never answers, where the engine looks for it; gives how often it was asked."""
    log = folder / "registry.log"
    with log.open("wb") as out:
        command = ["nsenter", f"--net=/run/netns/{engine.folder.name}", sys.executable, "-c", SILENT_REGISTRY]
        process = subprocess.Popen(command, stdout=out)
    try:
        yield lambda: log.read_text().count("asked")
    finally:
        process.kill()
        process.wait()
