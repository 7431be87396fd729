import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.model.errors import NOT_WORTH_A_RESTART, Fatal
from agent.store.lock_driver import only_one

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
