"""An agent that has seen thousands of tasks holds no more than one that has seen a few."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.faults.churner import WARM

COUNT = 400
MIB = 1024 * 1024
SHARE = 2 * MIB
"""What these may cost. Ten thousand may cost 10 MiB (`make soak`): pages that the allocator keeps come first."""


def test_after_hundreds_of_tasks_memory_descriptors_and_jobs_are_what_they_were(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    command = [sys.executable, "-m", "tests.faults.churner", str(COUNT), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    shown = json.loads(done.stdout.splitlines()[-1])
    before, after = shown["before"], shown["after"]
    grown = after["bytes"] - before["bytes"]
    record_property(f"bytes grown after {COUNT} tasks, {WARM} before", grown)
    assert grown <= SHARE, shown
    assert (after["descriptors"], after["jobs"], after["rows"]) == (before["descriptors"], before["jobs"], 0), shown
