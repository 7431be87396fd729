"""Is the agent ready? By its socket, and by TCP."""

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp.test_utils import make_mocked_request

from agent.operator.chronicle import Chronicle
from agent.operator.health import Condition, Health, view
from agent.operator.health_server import DECIDED_WITHIN, LIVE, PATH, HealthDesk
from agent.operator.host_server import HostServer
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


@dataclass
class Deciding:
    busy_since: float | None = None
    waiting: int = 0


class Place:
    """An agent whose health a test decides, served on a socket and by TCP."""

    def __init__(self, folder: Path, port: int) -> None:
        self.trouble = ""
        self.port = port
        self.socket = folder / SOCKET
        self.deciding = Deciding()
        desk = HealthDesk(lambda: [Condition("docker"), Condition("disk", self.trouble)], self.deciding)
        sources = Sources(Engine(), Chronicle(), Outbox(), Pulls(), Vault())
        host = HostServer(lambda: [("127.0.0.1", port)], {PATH: desk.ready, LIVE: desk.live}, desk.ready)
        self.servers = (host, OperatorServer(folder, sources, health=desk))

    async def statuses(self, path: str = PATH) -> tuple[int, int]:
        """What both answer."""
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(self.socket))) as local:
            by_socket = (await local.get(f"http://agent{path}")).status
        async with aiohttp.ClientSession() as remote, remote.get(f"http://127.0.0.1:{self.port}{path}") as answer:
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
            assert await place.statuses(LIVE) == (200, 200)
            place.trouble = ""
            assert await place.statuses() == (200, 200)
            place.deciding.busy_since = asyncio.get_running_loop().time() - DECIDED_WITHIN - 1
            assert await place.statuses(LIVE) == (503, 503)
        for job in jobs:
            job.cancel()
            with suppress(asyncio.CancelledError):
                await job

    asyncio.run(story())


def test_an_agent_is_alive_while_its_batches_come_to_an_end_whatever_else_is_wrong() -> None:
    deciding, now = Deciding(), 1000.0
    desk = HealthDesk(lambda: [Condition("docker", "gone")], deciding, lambda: now)

    def ask() -> tuple[int, Any]:
        answer = asyncio.run(desk.live(make_mocked_request("GET", LIVE)))
        return answer.status, json.loads(answer.text or "")

    assert ask() == (200, {"decisions": {"ok": True}, "live": True})
    deciding.busy_since = now - DECIDED_WITHIN + 1
    assert ask()[0] == 200
    deciding.busy_since = now - DECIDED_WITHIN - 1
    status, body = ask()
    assert (status, body["live"]) == (503, False)
    assert body["decisions"]["reason"] == "nothing has been decided for 61 s"


def test_whoever_knows_of_another_need_adds_it() -> None:
    health = Health(lambda: True, lambda: "", lambda: "", lambda: True)
    health.others.append(lambda: Condition("loop", "late", is_vital=False))

    status, body = view(health())

    assert (status, body["loop"]) == (200, {"ok": False, "reason": "late"})
