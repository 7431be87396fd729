"""What says who this machine is, is found damaged at a start, with tasks running.

Promised: the agent starts within 5 s under the ARN that it had, kills nothing, starts nothing twice, sets the bad file
aside whole, and honours the next stop for real. The identity has three legs: the file, a copy in the journal, and the
labels of containers; any one of them is enough.
"""

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.host.cgroup_driver import ROOT
from agent.store.journal_driver import FILE_NAME
from tests.faults import damage
from tests.faults.front import Weather, a_house_behind_a_front
from tests.stories.house import DOCKWORKER, House, a_house, of_agent, until
from tests.stories.test_one_task import sh

pytestmark = pytest.mark.docker

STARTED_WITHIN = 5.0
OBEYS, OBEYED = "trap 'exit 42' TERM; sleep 600 & wait", 42
Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, sample_image: str) -> Iterator[House]:
    with a_house(tmp_path_factory.mktemp("identity"), ECS_CONTAINER_STOP_TIMEOUT="1s") as house:
        yield house


@pytest.fixture
def own_house(tmp_path: Path, sample_image: str) -> Iterator[House]:
    with a_house(tmp_path, ECS_CONTAINER_STOP_TIMEOUT="1s") as house:
        try:
            yield house
        finally:
            damage.changeable(house.agent_data)


def identity(house: House) -> Path:
    return house.agent_data / "identity.json"


def agent_id(house: House) -> str:
    return str(json.loads(identity(house).read_text())["identity"]["agent_id"])


def ids_of(agent: str) -> list[str]:
    """The ids of all containers of *agent*, which may go while one looks."""
    listing = ["docker", "ps", "-aq", "--no-trunc", "--filter", f"label=dockworker.agent={agent}"]
    return subprocess.run(listing, check=True, capture_output=True, text=True).stdout.split()


def all_of(agent: str) -> dict[str, str]:
    """Every container of *agent*, in any state, and since when it runs."""
    ids = ids_of(agent)
    shape = "{{.Id}} {{.State.Running}} {{.State.StartedAt}}"
    lines = subprocess.run(["docker", "inspect", "-f", shape, *ids], check=True, capture_output=True, text=True).stdout
    return {line.partition(" ")[0]: line.partition(" ")[2] for line in lines.splitlines()}


def a_running_task(house: House, family: str = "stays") -> tuple[str, str]:
    arn = house.run(house.define(family, sh("app", OBEYS)))
    return arn, house.until_status(arn, "RUNNING")["containers"][0]["runtimeId"]


def start_again(house: House, arn: str, record: Record) -> None:
    """Start the agent, and see it connected as *arn* in time."""
    mark = house.agent.log.stat().st_size
    began = time.monotonic()
    house.agent.start()
    until(lambda: b"acs_connected" in house.agent.log.read_bytes()[mark:], "the agent to be connected")
    took = time.monotonic() - began
    record("started_after", took)
    assert took <= STARTED_WITHIN, f"connected after {took:.2f} s"
    assert house.instance()["containerInstanceArn"] == arn
    assert house.ecs.list_container_instances()["containerInstanceArns"] == [arn]


@pytest.mark.parametrize("what", ["empty", "truncated", "random bytes", "missing", "newer form"])
def test_a_damaged_identity_file_costs_nothing(house: House, what: str, record_property: Record) -> None:
    instance, agent = house.instance()["containerInstanceArn"], agent_id(house)
    arn, _ = a_running_task(house)
    before = all_of(agent)
    house.agent.end(signal.SIGKILL)
    damage.IDENTITY[what](identity(house))
    bad = identity(house).read_bytes() if identity(house).is_file() else b""
    known = set(house.agent_data.glob("identity.json.aside-*"))

    start_again(house, instance, record_property)

    assert agent_id(house) == agent
    assert all_of(agent) == before
    aside = set(house.agent_data.glob("identity.json.aside-*")) - known
    if what == "missing":
        assert not aside
    else:
        (kept,) = aside
        assert kept.is_dir() if what == "a directory" else kept.read_bytes() == bad
    house.ecs.stop_task(task=arn)
    assert house.until_stopped(arn)["containers"][0]["exitCode"] == OBEYED
    assert all(state.startswith("false") for state in all_of(agent).values())


def test_with_the_journal_gone_as_well_labels_say_who_we_are_what_runs_and_what_ends_with_it(
    tmp_path: Path, sample_image: str
) -> None:
    """ECS is away meanwhile, and so cannot say again what it knows; a task that ends then leaves nothing behind."""
    settings = {"ECS_CONTAINER_STOP_TIMEOUT": "1s", "ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION": "1s"}
    with a_house_behind_a_front(tmp_path, **settings) as (house, front):
        instance, agent = house.instance()["containerInstanceArn"], agent_id(house)
        obeys, _ = a_running_task(house, "obeys")
        ends = house.run(with_volumes(house))
        (container,) = (one["runtimeId"] for one in house.until_status(ends, "RUNNING")["containers"])
        before, cgroup = all_of(agent), cgroup_of(ends)
        assert cgroup.is_dir()
        assert len(of_agent(house, "volume", "ls", "-q")) == 2
        house.agent.end(signal.SIGKILL)
        front.weather = Weather.REFUSES
        for name in ("identity.json", FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}-shm"):
            if (house.agent_data / name).exists():
                damage.random_bytes(house.agent_data / name)

        began = time.monotonic()
        house.agent.start()
        until(lambda: "RUNNING" in explained(house, ends), "the task to be found", STARTED_WITHIN)
        assert time.monotonic() - began <= STARTED_WITHIN
        assert "identity_taken_from_labels" in house.agent.log.read_text()
        assert agent_id(house) == agent
        assert all_of(agent) == before
        subprocess.run(["docker", "kill", container], check=True, capture_output=True)
        until(lambda: "STOPPED" in explained(house, ends), "the end to be noticed")

        front.weather = Weather.CLEAR
        assert house.until_stopped(ends, 36)["containers"][0]["exitCode"] == 137
        until(lambda: container not in ids_of(agent), "the container to be removed")
        until(lambda: not of_agent(house, "volume", "ls", "-q"), "the volumes to be removed")
        until(lambda: not cgroup.exists(), "the cgroup to be removed")
        assert house.instance()["containerInstanceArn"] == instance
        house.ecs.stop_task(task=obeys)
        assert house.until_stopped(obeys)["containers"][0]["exitCode"] == OBEYED


def with_volumes(house: House) -> str:
    """A task definition with a volume that its container mounts, and one that nobody does."""
    mounting = sh("app", OBEYS, mountPoints=[{"sourceVolume": "data", "containerPath": "/data"}])
    return house.ecs.register_task_definition(
        family="ends",
        containerDefinitions=[mounting],
        volumes=[{"name": "data"}, {"name": "unused", "dockerVolumeConfiguration": {"scope": "task"}}],
    )["taskDefinition"]["taskDefinitionArn"]


def cgroup_of(task: str) -> Path:
    name = task.rpartition("/")[2]
    return ROOT / f"ecstasks-{name}.slice" if (ROOT / "cgroup.controllers").exists() else ROOT / "cpu" / "ecs" / name


def explained(house: House, task: str) -> str:
    command = [*DOCKWORKER, "explain", task, "--data-dir", str(house.agent_data)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def test_a_data_directory_that_takes_no_change_changes_nothing(own_house: House, record_property: Record) -> None:
    instance, agent = own_house.instance()["containerInstanceArn"], agent_id(own_house)
    arn, _ = a_running_task(own_house)
    before = all_of(agent)
    own_house.agent.end(signal.SIGKILL)
    for file in own_house.agent_data.iterdir():
        if file.is_file():
            damage.unchangeable(file)

    start_again(own_house, instance, record_property)

    assert all_of(agent) == before
    own_house.ecs.stop_task(task=arn)
    assert own_house.until_stopped(arn)["containers"][0]["exitCode"] == OBEYED


@pytest.mark.parametrize("what", ["random bytes", "a directory"])
def test_a_lock_and_a_socket_that_are_something_else_are_made_anew(
    house: House, what: str, record_property: Record
) -> None:
    instance, agent = house.instance()["containerInstanceArn"], agent_id(house)
    before = all_of(agent)
    house.agent.end(signal.SIGKILL)
    paths = [house.agent_data / name for name in ("lock", "dockworker.sock")]
    for path in paths:
        path.unlink(missing_ok=True)
        path.write_bytes(b"")
        damage.IDENTITY[what](path)

    start_again(house, instance, record_property)

    assert all_of(agent) == before
    until(lambda: paths[0].is_file() and paths[1].is_socket(), "the lock and the socket to be there")
