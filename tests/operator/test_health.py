"""Is the agent ready? By its socket, and by TCP."""

import asyncio
import socket
from contextlib import suppress
from pathlib import Path

import aiohttp
from structlog.testing import capture_logs

from agent.operator.chronicle import Chronicle
from agent.operator.health import Condition, Health, view
from agent.operator.health_server import PATH, HealthDesk, HealthServer
from agent.operator.operator_server import SOCKET, OperatorServer, Sources
from tests.operator.test_operator_server import Engine, Outbox, Pulls
from tests.operator.test_waits import Vault
from tests.stories.house import free_port


def test_whoever_needs_nothing_is_ready() -> None:
    assert view([Condition("docker"), Condition("disk")]) == (
        200,
        {"ready": True, "docker": {"ok": True}, "disk": {"ok": True}},
    )


def test_one_thing_that_is_wrong_is_named_and_makes_it_503() -> None:
    status, body = view([Condition("docker"), Condition("disk", "97 % used")])

    assert status == 503
    assert body == {"ready": False, "docker": {"ok": True}, "disk": {"ok": False, "reason": "97 % used"}}


def test_gpus_that_fail_are_shown_and_change_no_status() -> None:
    health = Health(lambda: True, lambda: "", lambda: "GPU 0 is lost", lambda: True)

    status, body = view(health())

    assert (status, body["ready"]) == (200, True)
    assert body["gpus"] == {"ok": False, "reason": "GPU 0 is lost"}


def test_everything_vital_must_be_there() -> None:
    def of(*, docker: bool = True, disk: str = "", acs: bool = True) -> tuple[int, list[str]]:
        status, body = view(Health(lambda: docker, lambda: disk, lambda: "", lambda: acs)())
        return status, [name for name, one in body.items() if isinstance(one, dict) and not one["ok"]]

    assert of() == (200, [])
    assert of(docker=False) == (503, ["docker"])
    assert of(disk="full") == (503, ["disk"])
    assert of(acs=False) == (503, ["acs"])
    assert view(Health(lambda: True, lambda: "", lambda: "")())[0] == 503  # before there was any connection


class Place:
    """An agent whose health a test decides, served on a socket and by TCP."""

    def __init__(self, folder: Path, port: int) -> None:
        self.trouble = ""
        self.port = port
        self.socket = folder / SOCKET
        desk = HealthDesk(lambda: [Condition("docker"), Condition("disk", self.trouble)])
        sources = Sources(Engine(), Chronicle(), Outbox(), Pulls(), Vault())
        self.servers = (HealthServer(f"127.0.0.1:{port}", desk), OperatorServer(folder, sources, health=desk))

    async def statuses(self) -> tuple[int, int]:
        """What both answer."""
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(self.socket))) as local:
            by_socket = (await local.get(f"http://agent{PATH}")).status
        async with aiohttp.ClientSession() as remote, remote.get(f"http://127.0.0.1:{self.port}{PATH}") as answer:
            assert answer.headers["Cache-Control"] == "no-store"
            return by_socket, answer.status

    async def is_up(self) -> bool:
        try:
            await self.statuses()
        except aiohttp.ClientConnectionError:
            return False
        return True


def test_the_operators_socket_and_a_tcp_port_say_the_same_and_at_once_when_it_changes(tmp_path: Path) -> None:
    async def story() -> None:
        place = Place(tmp_path, free_port())
        jobs = [asyncio.create_task(server.run()) for server in place.servers]
        async with asyncio.timeout(10):
            while not await place.is_up():
                await asyncio.wait(jobs, timeout=0.01)
            assert await place.statuses() == (200, 200)
            place.trouble = "full"
            assert await place.statuses() == (503, 503)
            place.trouble = ""
            assert await place.statuses() == (200, 200)
        for job in jobs:
            job.cancel()
            with suppress(asyncio.CancelledError):
                await job

    asyncio.run(story())


def test_a_port_that_is_taken_costs_one_warning_and_no_more() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, capture_logs() as lines:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        asyncio.run(HealthServer(address, HealthDesk(list)).run())

    assert [(line["event"], line["log_level"], line["address"]) for line in lines] == [
        ("health_address_not_opened", "warning", address)
    ]


def test_off_is_nowhere() -> None:
    asyncio.run(HealthServer("off", HealthDesk(list)).run())
