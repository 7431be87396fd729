import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest

from agent.endpoints.callers_server import LOOK_AGAIN, Inquiry
from agent.endpoints.calls import Caller, Known
from agent.endpoints.ports import Holder
from agent.model.errors import TryAgain
from agent.model.names import DockerId, TaskArn
from agent.model.portrait import DockerNetwork, Portrait
from agent.model.status import Status
from agent.model.task import Container, Task
from tests.engine.rows import ARN, OTHER, T0, spec

SERVER = ("127.0.0.1", 51679)
HOST = "192.0.2.10"
WEB, OLD, IN_HOST = DockerId("a" * 64), DockerId("b" * 64), DockerId("c" * 64)


def portrait(docker_id: DockerId, address: str = "", pid: int = 100, mode: str = "default") -> Portrait:
    return Portrait(docker_id, "web", pid=pid, network_mode=mode, networks=(DockerNetwork("bridge", address),))


@dataclass
class Machine:
    """Docker and the kernel, as far as callers are found by them. Both sides of what they say are set by the test."""

    tasks: dict[TaskArn, Task] = field(default_factory=dict)
    shown: dict[DockerId, Portrait] = field(default_factory=dict)
    alive: set[tuple[int, DockerId]] = field(default_factory=set)
    holders: dict[tuple[str, int], Holder] = field(default_factory=dict)
    is_silent: bool = False
    inspects: list[DockerId] = field(default_factory=list)
    among: dict[DockerId, int] = field(default_factory=dict)
    starting: set[DockerId] = field(default_factory=set)
    """Of these Docker says nothing."""
    nobody_yet: asyncio.Event | None = None
    """How long it takes to look for a socket among nobody."""

    def runs(self, arn: TaskArn, docker_id: DockerId, address: str, pid: int = 100, mode: str = "default") -> None:
        row = Container("app", known=Status.RUNNING, docker_id=docker_id)
        self.tasks = {**self.tasks, arn: Task(spec(arn), (row,), T0)}
        self.shown[docker_id] = portrait(docker_id, address, pid, mode)
        self.alive.add((pid, docker_id))

    def ends(self, docker_id: DockerId, pid: int = 100) -> None:
        """It has ended, and nobody has told us."""
        self.alive.discard((pid, docker_id))
        self.shown[docker_id] = replace(self.shown[docker_id], pid=0, networks=())

    async def portrait(self, docker_id: DockerId) -> Portrait | None:
        return await self.portrait_now(docker_id)

    async def portrait_now(self, docker_id: DockerId) -> Portrait | None:
        self.inspects.append(docker_id)
        await asyncio.sleep(0)
        if docker_id in self.starting:
            await asyncio.Event().wait()
        if self.is_silent:
            raise TryAgain("Docker did not answer")
        return self.shown.get(docker_id)

    async def holder(self, peer: tuple[str, int], server: tuple[str, int], among: Mapping[DockerId, int]) -> Holder:
        assert server == SERVER
        self.among = dict(among)
        if not among and self.nobody_yet is not None:
            await self.nobody_yet.wait()
        found = self.holders.get(peer, Holder())
        return found if found.of_host or found.docker_id in among else Holder()

    async def is_of(self, pid: int, docker_id: DockerId) -> bool:
        return (pid, docker_id) in self.alive

    async def is_ours(self, address: str) -> bool:
        return address in ("127.0.0.1", HOST)

    def inquiry(self, clock: list[float] | None = None) -> Inquiry:
        return Inquiry(self, self, self, (lambda: clock[0]) if clock is not None else None)


def who(inquiry: Inquiry, *addresses: str) -> list[Caller]:
    async def ask() -> list[Caller]:
        return [await inquiry.who((address, 4000), SERVER) for address in addresses]

    return asyncio.run(ask())


def test_a_container_is_known_by_its_address_and_docker_is_asked_once() -> None:
    machine = Machine()
    machine.runs(ARN, WEB, "172.17.0.3")
    machine.runs(OTHER, OLD, "172.17.0.4", pid=200)

    told = who(machine.inquiry(), "172.17.0.3", "172.17.0.4", "172.17.0.3")

    assert told == [Caller(Known.ADDRESS, one, "app") for one in (ARN, OTHER, ARN)]
    assert sorted(machine.inspects) == [WEB, OLD]


def test_an_address_that_passed_on_before_we_heard_of_the_end_is_the_new_containers() -> None:
    machine = Machine()
    machine.runs(ARN, OLD, "172.17.0.3")
    inquiry = machine.inquiry()
    assert who(inquiry, "172.17.0.3")[0].task == ARN

    machine.ends(OLD)
    assert who(inquiry, "172.17.0.3") == [Caller()]
    machine.runs(OTHER, WEB, "172.17.0.3", pid=300)
    assert machine.tasks[ARN]["app"].known is Status.RUNNING
    assert who(inquiry, "172.17.0.3") == [Caller(Known.ADDRESS, OTHER, "app")]


def test_a_process_that_took_the_number_of_one_that_ended_proves_nothing() -> None:
    machine = Machine()
    machine.runs(ARN, OLD, "172.17.0.3")
    inquiry = machine.inquiry()
    who(inquiry, "172.17.0.3")

    machine.ends(OLD)
    machine.runs(OTHER, WEB, "172.17.0.3", pid=100)
    assert who(inquiry, "172.17.0.3") == [Caller(Known.ADDRESS, OTHER, "app")]


def test_where_processes_are_hidden_docker_is_asked_each_time() -> None:
    machine = Machine()
    machine.runs(ARN, WEB, "172.17.0.3")
    machine.alive.clear()
    inquiry = machine.inquiry()

    assert who(inquiry, "172.17.0.3") == [Caller(Known.ADDRESS, ARN, "app")]
    machine.shown[WEB] = portrait(WEB, "172.17.0.9")
    assert who(inquiry, "172.17.0.3", "172.17.0.9") == [Caller(), Caller(Known.ADDRESS, ARN, "app")]


def test_an_address_that_two_hold_is_nobodys() -> None:
    machine = Machine()
    machine.runs(ARN, WEB, "172.17.0.3")
    machine.runs(OTHER, OLD, "172.17.0.3", pid=200)

    assert who(machine.inquiry(), "172.17.0.3") == [Caller()]


def test_a_container_that_restarted_is_found_where_it_is_now() -> None:
    machine = Machine()
    machine.runs(ARN, WEB, "172.17.0.3")
    inquiry = machine.inquiry()
    who(inquiry, "172.17.0.3")

    machine.ends(WEB)
    machine.runs(ARN, WEB, "172.17.0.7", pid=500)
    assert who(inquiry, "172.17.0.3", "172.17.0.7") == [Caller(), Caller(Known.ADDRESS, ARN, "app")]


@pytest.mark.parametrize("change", [{"known": Status.STOPPED}, {"removed": True}])
def test_one_that_is_over_for_us_is_nobody(change: dict[str, object]) -> None:
    machine = Machine()
    machine.runs(ARN, WEB, "172.17.0.3")
    inquiry = machine.inquiry()
    who(inquiry, "172.17.0.3")

    task = machine.tasks[ARN]
    machine.tasks = {ARN: task.having(replace(task["app"], **change))}  # type: ignore[arg-type] # fields by name
    assert who(inquiry, "172.17.0.3") == [Caller()]


def test_one_whose_start_nobody_has_told_us_of_is_known_already() -> None:
    machine = Machine()
    machine.runs(ARN, WEB, "172.17.0.3")
    task = machine.tasks[ARN]
    machine.tasks = {ARN: task.having(replace(task["app"], known=Status.CREATED))}

    assert who(machine.inquiry(), "172.17.0.3")[0].task == ARN


def test_while_docker_is_silent_nobody_is_known_and_afterwards_everybody() -> None:
    machine = Machine(is_silent=True)
    machine.runs(ARN, WEB, "172.17.0.3")
    inquiry = machine.inquiry()
    assert who(inquiry, "172.17.0.3") == [Caller()]

    machine.is_silent = False
    assert who(inquiry, "172.17.0.3")[0].task == ARN


def test_a_stranger_makes_us_look_at_all_containers_only_so_often() -> None:
    machine, clock = Machine(), [0.0]
    machine.runs(ARN, WEB, "172.17.0.3")
    inquiry = machine.inquiry(clock)
    assert who(inquiry, *["172.18.0.9"] * 20) == [Caller()] * 20
    assert len(machine.inspects) == 2

    networks = (DockerNetwork("bridge", "172.17.0.3"), DockerNetwork("more", "172.18.0.9"))
    machine.shown[WEB] = replace(machine.shown[WEB], networks=networks)
    assert who(inquiry, "172.18.0.9") == [Caller()]
    clock[0] = LOOK_AGAIN
    assert who(inquiry, "172.18.0.9")[0].task == ARN


@pytest.mark.parametrize("address", ["127.0.0.1", HOST])
def test_who_calls_from_an_address_of_the_host_is_known_by_the_socket(address: str) -> None:
    machine = Machine()
    machine.runs(ARN, IN_HOST, "", pid=300, mode="host")
    machine.runs(OTHER, WEB, "172.17.0.3")
    inquiry = machine.inquiry()

    machine.holders[(address, 4000)] = Holder(IN_HOST)
    assert who(inquiry, address) == [Caller(Known.SOCKET, ARN, "app")]
    assert machine.among == {IN_HOST: 300}
    machine.holders[(address, 4000)] = Holder(of_host=True)
    assert who(inquiry, address) == [Caller(Known.HOST)]
    machine.holders.clear()
    assert who(inquiry, address) == [Caller()]


def test_docker_that_asks_while_it_starts_a_container_is_not_asked_about_it() -> None:
    machine = Machine(starting={WEB})
    machine.runs(ARN, WEB, "172.17.0.3")
    machine.holders[(HOST, 4000)] = Holder(of_host=True)

    assert who(machine.inquiry(), HOST) == [Caller(Known.HOST)]
    assert machine.inspects == []


def test_two_who_are_new_are_both_known_whoever_of_them_is_looked_at_first() -> None:
    machine = Machine()
    machine.runs(ARN, IN_HOST, "", pid=300, mode="host")
    machine.runs(OTHER, WEB, "172.17.0.3")
    machine.holders[(HOST, 4000)] = Holder(IN_HOST)
    inquiry = machine.inquiry()

    async def ask() -> list[Caller]:
        slow = machine.nobody_yet = asyncio.Event()
        of_host = asyncio.ensure_future(inquiry.who((HOST, 4000), SERVER))
        await asyncio.sleep(0)
        of_bridge = await inquiry.who(("172.17.0.3", 4000), SERVER)
        slow.set()
        return [await of_host, of_bridge]

    assert [one.task for one in asyncio.run(ask())] == [ARN, OTHER]


def test_a_container_that_starts_for_long_keeps_no_other_from_being_known() -> None:
    machine = Machine(starting={OLD})
    machine.runs(ARN, IN_HOST, "", pid=300, mode="host")
    machine.runs(OTHER, OLD, "172.17.0.4")
    machine.holders[(HOST, 4000)] = Holder(IN_HOST)

    assert who(Inquiry(machine, machine, machine, patience=0.01), HOST)[0].task == ARN


def test_many_who_call_at_once_share_one_look() -> None:
    machine = Machine()
    machine.runs(ARN, WEB, "172.17.0.3")
    inquiry = machine.inquiry()

    async def ask() -> list[Caller]:
        return await asyncio.gather(*(inquiry.who(("172.17.0.3", 4000 + one), SERVER) for one in range(30)))

    assert {one.task for one in asyncio.run(ask())} == {ARN}
    assert machine.inspects == [WEB]
