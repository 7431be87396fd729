import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from agent.model.saved import OutboxRow, Saved
from agent.store.journal_driver import Journal

HOUSE = Path(__file__).parents[2]


async def contents(path: Path) -> tuple[Saved, tuple[OutboxRow, ...]]:
    async with Journal.open(path) as journal:
        return await journal.load(), await journal.unsent()


@pytest.mark.parametrize("lines", [1, 20, 150])
def test_after_kill_9_every_acknowledged_commit_is_there_and_none_by_half(tmp_path: Path, lines: int) -> None:
    path = tmp_path / "agent.db"
    command = [sys.executable, "-m", "tests.store.commit_forever", str(path)]
    with subprocess.Popen(command, cwd=HOUSE, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        for _ in range(lines):
            assert program.stdout.readline()
        program.kill()
        acknowledged = lines + len([line for line in program.stdout.read().splitlines(keepends=True) if "\n" in line])

    saved, rows = asyncio.run(contents(path))

    first, second = saved.tasks
    assert first.seq == second.seq
    assert acknowledged <= first.seq <= acknowledged + 1
    assert [row.report.reason for row in rows] == [str(number + 1) for number in range(first.seq)]
