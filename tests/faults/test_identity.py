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
from tests.stories.house import House, a_house, of_agent, until
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
    with a_house(tmp_path, ECS_CONTAINER_STOP_TIMEOUT="1s", ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION="1s") as house:
        try:
            yield house
        finally:
            damage.changeable(house.agent_data)


def identity(house: House) -> Path:
    return house.agent_data / "identity.json"


def agent_id(house: House) -> str:
    return str(json.loads(identity(house).read_text())["identity"]["agent_id"])


def all_of(agent: str) -> dict[str, str]:
    """Every container of *agent*, in any state, and since when it runs."""
    listing = ["docker", "ps", "-aq", "--no-trunc", "--filter", f"label=dockworker.agent={agent}"]
    ids = subprocess.run(listing, check=True, capture_output=True, text=True).stdout.split()
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


def test_with_the_journal_gone_as_well_labels_say_who_we_are_and_what_runs(
    own_house: House, record_property: Record
) -> None:
    """Then tasks are rebuilt from labels too; what belonged to them, a volume and a cgroup, ends with them."""
    instance, agent = own_house.instance()["containerInstanceArn"], agent_id(own_house)
    definition = own_house.ecs.register_task_definition(
        family="keeps",
        containerDefinitions=[sh("app", OBEYS, mountPoints=[{"sourceVolume": "data", "containerPath": "/data"}])],
        volumes=[{"name": "data"}, {"name": "unused", "dockerVolumeConfiguration": {"scope": "task"}}],
    )["taskDefinition"]["taskDefinitionArn"]
    arn = own_house.run(definition)
    own_house.until_status(arn, "RUNNING")
    before = all_of(agent)
    cgroup = ROOT / "cpu" / "ecs" / arn.rpartition("/")[2]
    if (ROOT / "cgroup.controllers").exists():
        cgroup = ROOT / f"ecstasks-{arn.rpartition('/')[2]}.slice"
    assert cgroup.is_dir()
    assert len(of_agent(own_house, "volume", "ls", "-q")) == 2
    own_house.agent.end(signal.SIGKILL)
    for name in ("identity.json", FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}-shm"):
        if (own_house.agent_data / name).exists():
            damage.random_bytes(own_house.agent_data / name)

    start_again(own_house, instance, record_property)

    assert agent_id(own_house) == agent
    assert "identity_taken_from_labels" in own_house.agent.log.read_text()
    assert all_of(agent) == before
    own_house.ecs.stop_task(task=arn)
    assert own_house.until_stopped(arn)["containers"][0]["exitCode"] == OBEYED
    until(lambda: not of_agent(own_house, "ps", "-aq"), "the container to be removed")
    until(lambda: not of_agent(own_house, "volume", "ls", "-q"), "the volumes to be removed")
    until(lambda: not cgroup.exists(), "the cgroup to be removed")


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
