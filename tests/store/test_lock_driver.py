import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.model.errors import NOT_WORTH_A_RESTART, Fatal
from agent.store.lock_driver import is_alive, only_on_host, only_one, only_with_identity

HOLD = """
import sys
from pathlib import Path
from agent.store.lock_driver import only_one
with only_one(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_agent_on_one_directory_is_told_who_the_first_is(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"

        with (
            pytest.raises(Fatal, match=rf"another agent is running .*: process {other.pid} holds") as told,
            only_one(tmp_path),
        ):
            pass
        assert told.value.exit_code == NOT_WORTH_A_RESTART

        other.kill()

    with only_one(tmp_path):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_a_directory_that_takes_no_lock_is_named(tmp_path: Path) -> None:
    with pytest.raises(Fatal, match=r"cannot open .*absent"), only_one(tmp_path / "absent"):
        pass


def test_a_lock_that_is_no_file_any_more_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()
    with only_one(tmp_path):
        assert (tmp_path / "lock").is_file()
    assert len(list(tmp_path.glob("lock.aside-*"))) == 1


HOLD_A_NAME = """
import os, sys
from agent.store.lock_driver import only_with_identity
if len(sys.argv) > 2:
    os.setuid(int(sys.argv[2]))
with only_with_identity(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def somebody_who_is(agent: str, *user: str) -> Iterator[int]:
    command = [sys.executable, "-c", HOLD_A_NAME, agent, *user]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        yield other.pid
        other.kill()


def test_an_identity_belongs_to_one_living_process_which_is_named() -> None:
    agent = secrets.token_hex(16)
    with somebody_who_is(agent) as process:
        for _ in range(3):
            assert is_alive(agent)
            with pytest.raises(Fatal, match=f"process {process};") as told, only_with_identity(agent):
                pass
            assert told.value.exit_code == NOT_WORTH_A_RESTART
    assert not is_alive(agent)
    with only_with_identity(agent):
        assert is_alive(agent)


def test_a_stranger_who_takes_the_name_keeps_no_agent_from_its_work() -> None:
    agent = secrets.token_hex(16)
    with somebody_who_is(agent, "65534"), only_with_identity(agent):
        pass


def test_a_host_that_is_shared_is_held_by_nobody() -> None:
    with only_on_host(shared=False):
        with pytest.raises(Fatal, match=f"process {os.getpid()};"), only_on_host(shared=False):
            pass
        with only_on_host(shared=True):
            pass
