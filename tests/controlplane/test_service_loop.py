import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.controlplane.keys_driver import load_or_make
from tests.controlplane.hand_agent import describe, register
from tests.controlplane.house import SETTLED, client_of, running


@contextmanager
def killed_afterwards(data_dir: Path) -> Iterator[str]:
    """A control plane that is given no chance to say goodbye."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.controlplane.serve_alone", str(data_dir)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        try:
            yield process.stderr.readline().strip()
        finally:
            process.kill()
            process.wait(SETTLED)


def test_killed_and_started_again_it_knows_everything_it_ever_answered(tmp_path: Path) -> None:
    with killed_afterwards(tmp_path) as url:
        keys = load_or_make(tmp_path)
        client = client_of(url, keys.operator)
        arn = register(client_of(url, keys.agent), cluster="default")
        web = client.register_task_definition(
            family="web", containerDefinitions=[{"name": "web", "image": "i", "memory": 9}]
        )
        before = describe(client, arn, "default")
    with killed_afterwards(tmp_path) as url:
        assert load_or_make(tmp_path) == keys
        client = client_of(url, keys.operator)
        assert describe(client, arn, "default") == before
        found = client.describe_task_definition(taskDefinition="web")["taskDefinition"]
        assert found == web["taskDefinition"]
        again = client.register_task_definition(
            family="web", containerDefinitions=[{"name": "web", "image": "i", "memory": 9}]
        )
        assert again["taskDefinition"]["revision"] == 2


def test_two_control_planes_do_not_share_a_directory(tmp_path: Path) -> None:
    with running(tmp_path), pytest.raises(BlockingIOError, match="another control plane uses"), running(tmp_path):
        pass


def test_a_file_that_cannot_be_read_is_set_aside_and_never_deleted(tmp_path: Path) -> None:
    tmp_path.joinpath("controlplane.db").write_bytes(b"this is no database" * 100)

    with running(tmp_path) as house:
        assert house.client().list_clusters()["clusterArns"] == []

    [aside] = tmp_path.glob("controlplane.db.aside-*")
    assert aside.read_bytes().startswith(b"this is no database")


def test_files_are_the_owners_alone(tmp_path: Path) -> None:
    with running(tmp_path):
        for name in ("keys.json", "controlplane.db", "controlplane.lock"):
            assert tmp_path.joinpath(name).stat().st_mode & 0o777 == 0o600, name
