"""``GET /health/ready`` while Docker is silent, the disk is full, and ECS is out of reach.

Promised: 503 that names what is wrong, within ten seconds of Docker's silence, at once for the disk, and within one and
a half times the limit of a heartbeat for a wire that swallows everything; 200 again by itself. The operator's socket
says the same as the port.

The limit of a heartbeat is 3 s here in place of 60 (1 to 20), in the one story of a wire.
"""

import asyncio
import json
import os
import signal
import socket
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import pytest

from agent.operator.health_server import PATH
from agent.operator.operator_server import SOCKET
from tests.faults.hand import a_ground
from tests.faults.own_engine import own_engine
from tests.faults.small_disk import a_small_disk, empty, fill
from tests.stories.house import a_house, free_port, until

pytestmark = pytest.mark.docker

FASTER = 20
LIMIT = 60.0 / FASTER
DOCKER_WITHIN, DISK_WITHIN, BACK_WITHIN = 10.0, 2.0, 5.0
Record = Callable[[str, object], None]


class Probe:
    """Asks whether the agent is ready, as a load balancer does, and as an operator does."""

    def __init__(self, port: int, data: Path) -> None:
        self.port = port
        self.data = data

    def ask(self) -> tuple[int, dict[str, Any]]:
        return _asked(HTTPConnection("127.0.0.1", self.port, timeout=2))

    def ask_socket(self) -> tuple[int, dict[str, Any]]:
        connection = HTTPConnection("agent")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(self.data / SOCKET))
        return _asked(connection)

    def wrong(self) -> set[str] | None:
        """What is wrong, by name; None where nobody answers."""
        try:
            status, said = self.ask()
        except (OSError, HTTPException):
            return None
        names = {name for name, one in said.items() if name not in ("ready", "loop") and not one["ok"]}
        assert (status, said["ready"]) == ((503, False) if names else (200, True))
        assert all(said[name]["reason"] for name in names)
        return names

    def until_wrong(self, *names: str, within: float) -> float:
        """Return when just *names* are wrong, with the seconds that took."""
        began = time.monotonic()
        until(lambda: self.wrong() == set(names), f"{names} to be wrong, and not {self.wrong()}", within)
        return round(time.monotonic() - began, 2)


def _asked(connection: HTTPConnection) -> tuple[int, dict[str, Any]]:
    try:
        connection.request("GET", PATH)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_a_silent_docker_a_full_disk_and_an_absent_ecs_turn_it_503_and_it_recovers(
    tmp_path: Path, record_property: Record
) -> None:
    port, data = free_port(), tmp_path / "agent"
    probe = Probe(port, data)
    with (
        own_engine() as engine,
        a_small_disk(data),
        a_house(tmp_path, DOCKER_HOST=engine.host, DOCKWORKER_HEALTH_ADDRESS=f"127.0.0.1:{port}") as house,
    ):
        probe.until_wrong(within=BACK_WITHIN)
        assert probe.ask() == probe.ask_socket()

        dockerd = int((engine.folder / "docker.pid").read_text())
        os.kill(dockerd, signal.SIGSTOP)
        record_property("silent_docker_s", probe.until_wrong("docker", within=DOCKER_WITHIN))
        assert probe.ask_socket()[0] == 503
        os.kill(dockerd, signal.SIGCONT)
        record_property("docker_back_s", probe.until_wrong(within=BACK_WITHIN))

        fill(data)
        record_property("full_disk_s", probe.until_wrong("disk", within=DISK_WITHIN))
        assert "%" in probe.ask()[1]["disk"]["reason"] or "Disk" in probe.ask()[1]["disk"]["reason"]
        empty(data)
        record_property("room_again_s", probe.until_wrong(within=BACK_WITHIN))

        house.plane.end(signal.SIGKILL)
        record_property("ecs_gone_s", probe.until_wrong("acs", within=DISK_WITHIN))
        house.plane.start()
        record_property("ecs_back_s", probe.until_wrong(within=2 * BACK_WITHIN))


def test_a_wire_to_ecs_that_swallows_everything_turns_it_503_within_one_and_a_half_limits_of_a_heartbeat(
    tmp_path: Path, record_property: Record
) -> None:
    port = free_port()
    probe = Probe(port, tmp_path / "agent")

    async def story() -> None:
        async with a_ground(tmp_path, faster=FASTER, DOCKWORKER_HEALTH_ADDRESS=f"127.0.0.1:{port}") as ground:
            session = await ground.ecs.session()
            await ground.ecs.beat(session)
            await asyncio.to_thread(probe.until_wrong, within=BACK_WITHIN)
            await ground.ecs.beat(session)
            silent_since = time.monotonic()
            ground.wire.silence()
            ground.ecs.acs_url = ""  # and no other way there is to be had

            await asyncio.to_thread(probe.until_wrong, "acs", within=2 * LIMIT)

            noticed = time.monotonic() - silent_since
            record_property(f"noticed after, seconds (limit {LIMIT:g})", round(noticed, 2))
            assert noticed <= 1.5 * LIMIT, f"noticed after {noticed:.2f} s, the bound is {1.5 * LIMIT:g} s"

    asyncio.run(story())
