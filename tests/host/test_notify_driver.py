import asyncio
import os
import secrets
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from agent.host.notify_driver import Notify, feed_watchdog

WATCHED = timedelta(milliseconds=40)


@pytest.fixture(params=["a path", "an abstract name"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A socket that hears what systemd would hear, and how NOTIFY_SOCKET names it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.settimeout(10)
        if request.param == "a path":
            ear.bind(str(tmp_path / "notify"))
            yield ear, str(tmp_path / "notify")
        else:
            name = f"dockworker-test-{secrets.token_hex(8)}"
            ear.bind("\0" + name)
            yield ear, f"@{name}"


def test_ready_carries_the_status_in_one_message(systemd: tuple[socket.socket, str]) -> None:
    ear, address = systemd

    Notify(address).ready("connected")

    assert ear.recv(1000) == b"READY=1\nSTATUS=connected"


def test_the_loop_feeds_the_watchdog_until_it_is_told_to_stop(systemd: tuple[socket.socket, str]) -> None:
    ear, address = systemd

    async def story() -> None:
        told_to_stop = asyncio.Event()
        notify = Notify(address, WATCHED)
        notify.ready("connected")
        async with asyncio.timeout(10), asyncio.TaskGroup() as jobs:
            jobs.create_task(feed_watchdog(notify, told_to_stop))
            heard = [await asyncio.to_thread(ear.recv, 1000) for _ in range(4)]
            told_to_stop.set()
        assert heard[1:] == [b"WATCHDOG=1"] * 3

    asyncio.run(story())
    last = b""
    while not last.startswith(b"STOPPING=1"):
        last = ear.recv(1000)


def test_before_it_is_ready_it_asks_for_more_time(systemd: tuple[socket.socket, str]) -> None:
    ear, address = systemd

    Notify(address, WATCHED).alive()

    assert ear.recv(1000) == b"WATCHDOG=1\nEXTEND_TIMEOUT_USEC=40000"


def test_the_variables_of_systemd_are_read() -> None:
    notify = Notify.from_environment({"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "7"}, 7)

    assert (notify.address, notify.watchdog) == ("@x", timedelta(seconds=3))


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "8"},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": ""},
    ],
)
def test_a_watchdog_that_is_not_ours_is_not_fed(environ: dict[str, str]) -> None:
    assert Notify.from_environment(environ, 7).watchdog is None


def test_without_systemd_nothing_is_sent_and_stopping_is_waited_for() -> None:
    async def story() -> None:
        told_to_stop = asyncio.Event()
        told_to_stop.set()
        await feed_watchdog(Notify(), told_to_stop)

    with capture_logs() as lines:
        asyncio.run(story())
        Notify().ready("connected")

    assert lines == []


def test_a_socket_that_is_gone_is_logged_and_harms_nobody(tmp_path: Path) -> None:
    with capture_logs() as lines:
        Notify(os.fspath(tmp_path / "gone")).ready("connected")

    assert [line["event"] for line in lines] == ["systemd_not_told"]


def test_while_it_drains_it_asks_for_more_time_and_says_how_many_are_left(systemd: tuple[socket.socket, str]) -> None:
    ear, address = systemd

    Notify(address).draining(2, timedelta(seconds=30))

    said = b"WATCHDOG=1\nEXTEND_TIMEOUT_USEC=30000000\nSTATUS=draining; tasks that are still to end: 2"
    assert ear.recv(1000) == said
