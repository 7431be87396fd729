"""The real agent under a systemd that we play: its socket and its watchdog."""

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.model.names import Image
from tests.stories.house import House, a_house

WATCHDOG_USEC = 500_000


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(tmp_path / "notify"))
        ear.settimeout(20)
        yield ear


def hear(systemd: socket.socket, count: int) -> list[bytes]:
    return [systemd.recv(1000) for _ in range(count)]


def a_watched_house(tmp_path: Path) -> House:
    return House(tmp_path, {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": str(WATCHDOG_USEC)})


def test_it_is_ready_when_connected_feeds_the_watchdog_and_says_that_it_stops(
    systemd: socket.socket, tmp_path: Path, sample_image: Image
) -> None:
    with a_house(tmp_path, NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC=str(WATCHDOG_USEC)) as house:
        heard = b""
        while not heard.startswith(b"READY=1"):
            heard = systemd.recv(1000)
        assert f"STATUS=connected as {house.instance()['containerInstanceArn']}".encode() in heard

        systemd.settimeout(WATCHDOG_USEC / 1e6)
        assert hear(systemd, 4) == [b"WATCHDOG=1"] * 4

        assert house.agent.process
        house.agent.process.send_signal(signal.SIGTERM)
        while not heard.startswith(b"STOPPING=1"):
            heard = systemd.recv(1000)
        assert house.agent.process.wait(20) == 0


def test_it_asks_for_time_while_ecs_is_out_of_reach(systemd: socket.socket, tmp_path: Path) -> None:
    house = a_watched_house(tmp_path)
    house.agent.start()
    try:
        assert systemd.recv(1000) == f"WATCHDOG=1\nEXTEND_TIMEOUT_USEC={WATCHDOG_USEC}".encode()
        assert systemd.recv(1000).startswith(b"WATCHDOG=1")
    finally:
        house.close()


def test_an_agent_whose_loop_stands_still_feeds_no_watchdog(systemd: socket.socket, tmp_path: Path) -> None:
    house = a_watched_house(tmp_path)
    house.agent.start()
    try:
        systemd.recv(1000)
        assert house.agent.process
        house.agent.process.send_signal(signal.SIGSTOP)
        systemd.settimeout(WATCHDOG_USEC / 1e6)
        with pytest.raises(TimeoutError):
            hear(systemd, 3)  # what was on its way may still come
    finally:
        house.close()
