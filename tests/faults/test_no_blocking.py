"""What blocks the agent's event loop is found: in the process of a test, and in one that it starts."""

import asyncio
import subprocess
import sys
from pathlib import Path

from agent.host.facts_driver import read_port_range
from tests.blocking import watch


def taken() -> str:
    """What has been noted, which is then no longer held against this test."""
    told = watch.notes().read_text()
    watch.notes().unlink()
    return told


def test_a_file_that_is_read_in_the_loop_of_another_process_is_noted_with_the_line_that_did_it(tmp_path: Path) -> None:
    (tmp_path / "range").write_text("32768 60999")
    subprocess.run([sys.executable, "-m", "tests.blocking.planted", str(tmp_path / "range")], check=True)
    told = taken()
    assert "io.open blocks an event loop of " in told
    assert "facts_driver.py:" in told
    assert "in read_port_range" in told


def test_a_file_that_is_read_in_the_loop_of_this_process_is_noted_and_in_a_thread_it_may_be(tmp_path: Path) -> None:
    (tmp_path / "range").write_text("32768 60999")

    async def in_a_thread() -> None:
        await asyncio.to_thread(read_port_range, tmp_path / "range")

    async def in_the_loop() -> None:
        read_port_range(tmp_path / "range")

    asyncio.run(in_a_thread())
    assert not watch.notes().exists()
    asyncio.run(in_the_loop())
    assert "in read_port_range" in taken()
