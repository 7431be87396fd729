"""A second agent, on the data directory of a live one, on a copy of it, or on the same host.

Promised: it ends with exit code 5, naming the process that was there first, and touches nothing.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.stories.house import DOCKWORKER, House, a_house, containers, until
from tests.stories.test_one_task import sh

pytestmark = pytest.mark.docker

HOLD_THE_HOST = """
import sys
from agent.store.lock_driver import only_on_host
with only_on_host(shared=False):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, sample_image: str) -> Iterator[House]:
    with a_house(tmp_path_factory.mktemp("second"), ECS_CONTAINER_STOP_TIMEOUT="1s") as house:
        arn = house.run(house.define("stays", sh("app", "exec sleep 600")))
        house.until_status(arn, "RUNNING")
        yield house


def contents(folder: Path) -> Mapping[str, str]:
    """What files there are, and what is in them; but for the journal's shared memory, which is no data."""
    files = [one for one in folder.rglob("*") if one.is_file() and not one.name.endswith("-shm")]
    return {str(one.relative_to(folder)): hashlib.sha256(one.read_bytes()).hexdigest() for one in files}


def another_agent(house: House, **other: str) -> "subprocess.CompletedProcess[str]":
    environ = {**house.agent.environ, **other}
    return subprocess.run([*DOCKWORKER, "run"], env=environ, capture_output=True, text=True, timeout=30, check=False)


def pid(house: House) -> int:
    assert house.agent.process is not None
    return house.agent.process.pid


def test_on_the_same_data_directory(house: House) -> None:
    runs = containers(house)
    ended = another_agent(house)
    assert ended.returncode == 5
    assert f"process {pid(house)} holds" in ended.stdout + ended.stderr
    assert containers(house) == runs
    assert house.instance()["agentConnected"]


def test_where_the_lock_file_was_filled_with_nonsense_under_a_live_agent(house: House) -> None:
    (house.agent_data / "lock").write_bytes(os.urandom(64))
    ended = another_agent(house)
    assert ended.returncode == 5
    assert f"process {pid(house)} holds" in ended.stdout + ended.stderr


def test_on_a_copy_of_the_data_directory(house: House, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    ignored = shutil.ignore_patterns("*.sock", "lock")
    shutil.copytree(house.agent_data, copy, ignore=ignored)
    before, runs = contents(copy), containers(house)
    ended = another_agent(house, ECS_DATADIR=str(copy))
    assert ended.returncode == 5
    assert f"process {pid(house)};" in ended.stdout + ended.stderr
    assert {name: text for name, text in contents(copy).items() if name != "lock"} == before
    assert containers(house) == runs
    assert len(house.ecs.list_container_instances()["containerInstanceArns"]) == 1


def test_on_the_same_host_without_leave_to_share_it(house: House, tmp_path: Path) -> None:
    """The host is held by a process of the test's own, for the stories' agents all share it."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_THE_HOST], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        data = tmp_path / "data"
        ended = another_agent(house, DOCKWORKER_SHARE_HOST="false", ECS_DATADIR=str(data))
        assert ended.returncode == 5
        assert f"process {first.pid};" in ended.stdout + ended.stderr
        assert "DOCKWORKER_SHARE_HOST=true" in ended.stdout + ended.stderr
        assert not data.exists()
        first.kill()
    until(lambda: house.instance()["agentConnected"], "the first agent to go on")
