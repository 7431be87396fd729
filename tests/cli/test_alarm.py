"""Whoever fails is heard at once, not only when all is closed."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from agent import daemon
from agent.alarm import Alarm, WatchedJobs, exit_code
from agent.config.settings import Settings
from agent.model.errors import Fatal

CLOSES_FOR_EVER = """
import asyncio, os, sys
from agent import daemon
from agent.cli import run
from agent.config.settings import Settings

run.ENDS_WITHIN = 0.3

class Stuck:
    async def __aenter__(self): return self
    async def __aexit__(self, *what):
        print("closes", flush=True)
        try:
            await asyncio.Event().wait()
        finally:
            print("closed", flush=True)

async def live(settings, ready, leaving, alarm):
    async with Stuck():
        with alarm.watching():
            raise {error}

daemon._live = live
asyncio.run(run.serve(Settings(), {{"WATCHDOG_USEC": "1000"}}))
"""


@pytest.mark.parametrize(("error", "code"), [("daemon.Fatal('no', 5)", 5), ("KeyError('no')", 1)])
def test_a_failed_daemon_that_does_not_come_to_its_end_is_ended_with_its_exit_code(error: str, code: int) -> None:
    program = CLOSES_FOR_EVER.format(error=error)
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=20, check=False)
    assert (ended.returncode, ended.stdout) == (code, b"closes\n")
    assert b"does not let go" in ended.stderr


def test_the_first_of_several_jobs_that_fails_is_heard_before_the_others_have_ended() -> None:
    said: list[object] = []
    alarm = Alarm(said.append)

    async def fails() -> None:
        raise ExceptionGroup("some", [Fatal("no", 5)])

    async def takes_its_time() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            said.append("ended")
            raise KeyError("another")

    async def main() -> None:
        with alarm.watching():
            async with WatchedJobs(alarm) as jobs:
                jobs.create_task(takes_its_time())
                await asyncio.sleep(0)
                jobs.create_task(fails())

    with pytest.raises(ExceptionGroup):
        asyncio.run(main())
    assert said == [5, "ended"], "and nobody else is heard after it"


def test_whoever_begins_jobs_and_fails_is_heard_before_they_have_ended() -> None:
    said: list[object] = []

    async def takes_its_time() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            said.append("ended")

    async def main() -> None:
        async with WatchedJobs(Alarm(said.append)) as jobs:
            jobs.create_task(takes_its_time())
            await asyncio.sleep(0)
            raise Fatal("no", 5)

    with pytest.raises(ExceptionGroup):
        asyncio.run(main())
    assert said == [5, "ended"]


def test_to_be_cancelled_is_no_failure() -> None:
    said: list[int] = []

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01), WatchedJobs(Alarm(said.append)) as jobs:
                jobs.create_task(asyncio.Event().wait())

    asyncio.run(main())
    assert said == []


def test_what_is_no_fatal_is_worth_a_restart() -> None:
    assert exit_code(KeyError("bug")) == 1
    assert exit_code(ExceptionGroup("two", [KeyError("bug"), ExceptionGroup("one", [Fatal("no", 5)])])) == 5


def test_a_daemon_that_cannot_begin_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said: list[int] = []

    async def main() -> int:
        settings = Settings(data_dir=tmp_path / "file" / "data")
        return await daemon.serve(settings, told_to_stop=asyncio.Event(), ready=lambda _: None, failed=said.append)

    assert asyncio.run(main()) == 5
    assert said == [5]
