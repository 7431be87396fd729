"""Black holes for real: containers that serve a port ask for faults, and others try to reach them."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from agent.docker.engine_driver import DEFAULT_HOST, DockerEngine
from agent.docker.portrait_driver import PortraitDriver
from agent.endpoints.callers_server import Inquiry
from agent.endpoints.calls import Answer, Asked
from agent.endpoints.directory import Directory
from agent.endpoints.faults_desk import FaultsDesk
from agent.endpoints.faults_loop import HostFaults
from agent.endpoints.limits import Limiter
from agent.endpoints.refusals import Refusals
from agent.endpoints.server import EndpointServer
from agent.host.callers_driver import CallersDriver
from agent.host.fault_tools_driver import lacking
from agent.host.faults import lifelines
from agent.host.faults_driver import FaultsDriver
from agent.model.clock import utc_now
from agent.model.faults import Blackhole, FaultOp, FaultPlace, Outcome, Traffic
from agent.model.names import DockerId, Image, TaskArn
from agent.model.status import Status
from agent.model.task import Container, ContainerSpec, Task, TaskSpec, Transport
from tests.docker import on_host_faults
from tests.stories.house import free_port

SERVED = "echo here >/tmp/hello; exec httpd -f -p 8080 -h /tmp"
NETWORK = '{{(index .NetworkSettings.Networks "bridge").%s}}'


@dataclass(frozen=True)
class Neighbour:
    """A container that serves port 8080, in a task of its own."""

    docker_id: DockerId
    address: str
    gateway: str
    metadata_id: str
    pid: int

    def run(self, script: str, *words: str) -> str:
        enter = (
            "nsenter",
            f"--target={self.pid}",
            "--mount",
            "--net",
        )  # what ``docker exec`` does, in a tenth of its time
        done = subprocess.run((*enter, "sh", "-c", script, *words), capture_output=True, check=False)
        return done.stdout.decode()

    async def reaches(self, other: "Neighbour") -> bool:
        asks = f"timeout 0.3 wget -q -O - http://{other.address}:8080/hello"
        return await asyncio.to_thread(self.run, asks) == "here\n"

    async def rules(self) -> str:
        return await asyncio.to_thread(self.inside, "iptables", "-S")

    def inside(self, *command: str) -> str:
        """What a tool of the host prints in this container's network."""
        enter = ("nsenter", f"--net=/proc/{self.pid}/ns/net")
        return subprocess.run((*enter, *command), check=True, capture_output=True, text=True).stdout

    def task(self) -> Task:
        spec = TaskSpec(
            TaskArn(f"arn:aws:ecs:us-east-1:1:task/c/{self.metadata_id}"),
            "f",
            "1",
            (ContainerSpec("web", Image("i")),),
            fault_injection=True,
        )
        container = Container("web", known=Status.RUNNING, docker_id=self.docker_id, metadata_id=self.metadata_id)
        return Task(spec, (container,), datetime(2024, 1, 1, tzinfo=UTC), known=Status.RUNNING)


def neighbour(docker_id: DockerId, metadata_id: str) -> Neighbour:
    asked = f"{NETWORK % 'IPAddress'} {NETWORK % 'Gateway'} {{{{.State.Pid}}}}"
    address, gateway, pid = docker("inspect", "-f", asked, docker_id).split()
    return Neighbour(docker_id, address, gateway, metadata_id, int(pid))


def docker(*words: str) -> str:
    return subprocess.run(("docker", *words), check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def neighbours(sample_image: Image) -> Iterator[tuple[Neighbour, Neighbour]]:
    """Two containers on the bridge."""
    ids: list[str] = []
    try:
        for _ in range(2):
            ids += [docker("run", "-d", "--network", "bridge", sample_image, "sh", "-c", SERVED)]
        first, second = (neighbour(DockerId(one), f"ep-{n}") for n, one in enumerate(ids))
        yield first, second
    finally:
        if ids:
            docker("rm", "-f", *ids)


@dataclass
class Rows:
    tasks: dict[TaskArn, Task]


class Metadata:
    """The desk for metadata, as far as it matters here."""

    async def answer(self, asked: Asked) -> Answer | None:
        return Answer(200, b"metadata") if asked.path == "/v4/mine" else None


@dataclass(frozen=True)
class Street:
    """Where containers are answered, and time, which passes as the story wants."""

    address: str
    now: list[float]

    async def ask(self, who: Neighbour, path: str, **parameters: object) -> tuple[int, str]:
        """What *who* is answered from inside: the status, and what it holds."""
        self.now[0] += 5
        body = json.dumps(parameters) if parameters else ""
        status, _, text = (await self._post(who, f"/api/{who.metadata_id}/fault/v1/{path}", body)).partition(" ")
        said = json.loads(text)
        return int(status), said.get("Status") or said["Error"]

    async def _post(self, who: Neighbour, path: str, body: str) -> str:
        host, _, port = self.address.rpartition(":")
        head = f"POST {path} HTTP/1.0\\r\\nContent-Length: {len(body)}\\r\\n\\r\\n"
        asks = f"printf '{head}{body}'; cat >/tmp/said"
        script = f'timeout 5 nc {host} {port} -e sh -c "$0"; cat /tmp/said'
        got = await asyncio.to_thread(who.run, script, asks)
        head, _, said = got.partition("\r\n\r\n")
        return f"{head.split()[1]} {said}"

    async def finds_metadata(self, who: Neighbour) -> bool:
        return await asyncio.to_thread(who.run, f"timeout 1 wget -q -O - http://{self.address}/v4/mine") == "metadata"


@asynccontextmanager
async def a_street(*neighbours: Neighbour) -> AsyncIterator[Street]:
    """The endpoints for containers, on the gateway of the bridge."""
    rows = Rows({(task := one.task()).arn: task for one in neighbours})
    street = Street(f"{neighbours[0].gateway}:{free_port()}", [0.0])
    async with DockerEngine.connect(DEFAULT_HOST) as engine:
        portraits = PortraitDriver(engine)
        driver = FaultsDriver(lifelines(street.address))
        desk = FaultsDesk(
            Directory(rows, isolated=True),
            portraits,
            driver,
            HostFaults(rows, driver),
            Refusals(utc_now),
            lambda: street.now[0],
        )
        inquiry = Inquiry(rows, portraits, CallersDriver())
        server = EndpointServer(street.address, (desk, Metadata()), inquiry, Limiter(1000, 1000))
        job = asyncio.create_task(server.run())
        async with asyncio.timeout(20):
            await server.is_listening.wait()
            try:
                yield street
            finally:
                job.cancel()


HOLE = {"Port": 8080, "Protocol": "tcp", "TrafficType": "ingress"}


def test_a_port_that_is_cut_for_what_comes_in_is_reached_again_afterwards(
    neighbours: tuple[Neighbour, Neighbour],
) -> None:
    server, client = neighbours
    before = server.inside("iptables", "-S")

    async def story() -> None:
        async with a_street(*neighbours) as street:
            assert await client.reaches(server)
            assert await street.ask(server, "network-blackhole-port/start", **HOLE) == (200, "running")
            assert not await client.reaches(server)
            assert await server.reaches(client)
            assert await street.finds_metadata(server)
            assert await street.ask(client, "network-blackhole-port/status", **HOLE) == (200, "not-running")
            rules = await server.rules()
            assert await street.ask(server, "network-blackhole-port/start", **HOLE) == (200, "running")
            assert await server.rules() == rules
            assert await street.ask(server, "network-blackhole-port/stop", **HOLE) == (200, "stopped")
            assert await client.reaches(server)
            assert await street.ask(server, "network-blackhole-port/stop", **HOLE) == (200, "stopped")

    asyncio.run(story())
    assert server.inside("iptables", "-S") == before
    assert "ingress-tcp" not in server.inside("ip6tables", "-S")


def test_a_port_that_is_cut_for_what_goes_out_leaves_the_way_to_metadata_and_those_who_are_spared(
    neighbours: tuple[Neighbour, Neighbour],
) -> None:
    server, client = neighbours

    async def story() -> None:
        async with a_street(*neighbours) as street:
            out = {**HOLE, "TrafficType": "egress"}
            assert await street.ask(client, "network-blackhole-port/start", **out) == (200, "running")
            assert not await client.reaches(server)
            assert await server.reaches(client)
            assert await street.ask(client, "network-blackhole-port/stop", **out) == (200, "stopped")
            spared = {**out, "SourcesToFilter": [f"{server.address}/32"]}
            assert await street.ask(client, "network-blackhole-port/start", **spared) == (200, "running")
            assert await client.reaches(server)
            ours = {**out, "Port": int(street.address.rpartition(":")[2])}
            assert await street.ask(client, "network-blackhole-port/start", **ours) == (200, "running")
            assert await street.finds_metadata(client)
            for hole in (spared, ours):
                assert await street.ask(client, "network-blackhole-port/stop", **hole) == (200, "stopped")

    asyncio.run(story())
    assert "egress" not in client.inside("iptables", "-S")


def test_answers_at_the_known_address_come_through_whatever_port_the_asker_has(
    neighbours: tuple[Neighbour, Neighbour],
) -> None:
    server, _ = neighbours
    place = FaultPlace(server.docker_id, server.pid)
    holes = [
        Blackhole(8123, Transport.TCP, Traffic.INGRESS),  # the asker's own port
        Blackhole(80, Transport.TCP, Traffic.EGRESS),
    ]
    asks = f"nsenter --net=/proc/{server.pid}/ns/net {sys.executable} -m tests.docker.hello 8123".split()
    server.inside("ip", "addr", "add", "169.254.170.2/32", "dev", "lo")

    def make(op: FaultOp, lines: str) -> list[Outcome]:
        async def all_of_them() -> list[Outcome]:
            driver = FaultsDriver(lifelines(lines) if lines else ())
            return [await driver.do(op, hole, place) for hole in holes]

        return asyncio.run(all_of_them())

    try:
        assert make(FaultOp.START, "off") == [Outcome.RUNNING] * 2
        assert subprocess.run(asks, check=True, capture_output=True, text=True).stdout == "answered\n"
        assert make(FaultOp.STOP, "off") == [Outcome.STOPPED] * 2
        assert make(FaultOp.START, "") == [Outcome.RUNNING] * 2
        assert subprocess.run(asks, check=True, capture_output=True, text=True).stdout == "cut\n"
    finally:
        make(FaultOp.STOP, "off")
        server.inside("ip", "addr", "del", "169.254.170.2/32", "dev", "lo")


def test_latency_is_made_where_the_kernel_can_and_else_leaves_nothing_and_is_not_promised(
    neighbours: tuple[Neighbour, Neighbour],
) -> None:
    server, client = neighbours
    before = server.inside("tc", "qdisc", "show", "dev", "eth0")
    late = {"DelayMilliseconds": 100, "JitterMilliseconds": 0, "Sources": [client.address]}

    async def story() -> list[tuple[int, str]]:
        async with a_street(*neighbours) as street:
            told = [await street.ask(server, "network-latency/start", **late)]
            answered = await asyncio.to_thread(server.run, f"ping -c 1 -W 2 {client.address}")
            (took,) = re.findall(r"time=([\d.]+) ms", answered)
            told.append((200, "late" if float(took) >= 100 else "at once"))
            told.append(await street.ask(server, "network-latency/status"))
            told.append(await street.ask(server, "network-packet-loss/status"))
            told.append(await street.ask(server, "network-latency/stop"))
            return told

    if lacks := lacking():
        expected = [(500, "internal error"), (200, "at once"), (200, "not-running"), (200, "not-running")]
        (said,) = lacks
        assert said.startswith("netem in the kernel")
    else:
        expected = [(200, "running"), (200, "late"), (200, "running"), (200, "not-running")]
    assert asyncio.run(story()) == [*expected, (200, "stopped")]
    assert server.inside("tc", "qdisc", "show", "dev", "eth0") == before


def test_another_tasks_container_cannot_be_cut_off(neighbours: tuple[Neighbour, Neighbour]) -> None:
    server, client = neighbours

    async def story() -> None:
        async with a_street(*neighbours) as street:
            its, nobodys = [
                await street._post(client, f"/api/{one}/fault/v1/network-latency/status", "")
                for one in (server.metadata_id, "nobody")
            ]
            assert its.startswith("404 ")
            assert its.replace(server.metadata_id, "nobody") == nobodys

    asyncio.run(story())


def test_the_network_of_the_host_is_cut_and_swept_and_the_agent_stays_in_reach() -> None:
    """In a network that stands for the host's: the one that is shared is nobody's to cut."""
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-m", "tests.docker.on_host_faults"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.stdout.splitlines()[-1:] == [on_host_faults.HELD], done.stdout + done.stderr
