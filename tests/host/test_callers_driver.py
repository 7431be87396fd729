import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from agent.endpoints.ports import Holder
from agent.host.callers_driver import CallersDriver
from agent.model.names import DockerId

WEB, DB = DockerId("a" * 64), DockerId("b" * 64)
PEER, SERVER = ("127.0.0.1", 40000), ("127.0.0.1", 51679)
HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


class Kernel:
    """A made-up tree of what the kernel shows."""

    def __init__(self, root: Path) -> None:
        self.proc, self.cgroups = root / "proc", root / "cgroup"
        (self.proc / "net").mkdir(parents=True)
        self.process(1, "0::/init.scope\n")
        self.process("self", "0::/system.slice/dockworker.service\n")

    def process(self, pid: int | str, cgroup: str, *sockets: int) -> None:
        place = self.proc / str(pid)
        (place / "fd").mkdir(parents=True)
        (place / "cgroup").write_text(cgroup)
        (place / "fd" / "0").symlink_to("/dev/null")
        for number, inode in enumerate(sockets, start=3):
            (place / "fd" / str(number)).symlink_to(f"socket:[{inode}]")

    def members(self, path: str, *pids: int) -> None:
        folder = self.cgroups / path
        folder.mkdir(parents=True)
        (folder / "cgroup.procs").write_text("".join(f"{pid}\n" for pid in pids))

    def sockets(self, *lines: str, name: str = "tcp") -> None:
        rows = (f"   {n}: {line} 00000000:00000000 00:00000000 00000000" for n, line in enumerate(lines))
        table = "".join(f"{row.replace(' @', ' 00000000:00000000 00:00000000 00000000 0 0 ')}\n" for row in rows)
        (self.proc / "net" / name).write_text(HEAD + table)

    def holder(self, *among: tuple[DockerId, int], peer: tuple[str, int] = PEER) -> Holder:
        return asyncio.run(CallersDriver(self.proc, self.cgroups).holder(peer, SERVER, dict(among)))


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    return Kernel(tmp_path)


DIRECT = "0100007F:9C40 0100007F:C9DF 01 @77 1"


def test_of_the_host_is_whoever_holds_the_socket_in_no_container(kernel: Kernel) -> None:
    kernel.sockets(DIRECT)
    kernel.process(10, "0::/system.slice/docker.service\n", 77)

    assert kernel.holder() == Holder(of_host=True)


def test_a_socket_that_is_in_nobodys_hand_is_nobodys(kernel: Kernel) -> None:
    kernel.sockets(DIRECT)
    kernel.process(10, "0::/system.slice/docker.service\n", 78)

    assert kernel.holder() == Holder()


def test_a_container_that_is_not_asked_about_is_not_of_the_host(kernel: Kernel) -> None:
    kernel.sockets(DIRECT)
    kernel.process(10, f"0::/system.slice/docker-{DB}.scope\n", 77)

    assert kernel.holder((WEB, 5)) == Holder()


def test_where_all_of_the_machine_is_in_a_container_its_processes_are_of_the_host(kernel: Kernel) -> None:
    kernel.sockets(DIRECT)
    (kernel.proc / "self" / "cgroup").write_text(f"4:memory:/docker/{DB}/agent\n")
    kernel.process(10, f"4:memory:/docker/{DB}/dockerd\n", 77)

    assert kernel.holder() == Holder(of_host=True)


@pytest.mark.parametrize(
    ("cgroup", "folder"),
    [
        ("0::/system.slice/docker-{id}.scope\n", "system.slice/docker-{id}.scope"),
        ("0::/ecstasks-1.slice/docker-{id}.scope\n", "ecstasks-1.slice/docker-{id}.scope/below"),
        ("4:memory:/ecs/1/{id}\n1:name=systemd:/ecs/1/{id}\n", "systemd/ecs/1/{id}"),
    ],
    ids=["v2", "v2 below", "v1"],
)
def test_a_container_is_found_by_any_process_in_its_cgroup(kernel: Kernel, cgroup: str, folder: str) -> None:
    kernel.sockets(DIRECT)
    for docker_id, first in ((WEB, 5), (DB, 6)):
        kernel.process(first, cgroup.format(id=docker_id))
    kernel.process(20, cgroup.format(id=DB), 77)
    kernel.members(folder.format(id=DB), 6, 20)

    assert kernel.holder((WEB, 5), (DB, 6)) == Holder(DB)


def test_a_number_that_passed_to_another_process_is_not_looked_at_as_the_containers(kernel: Kernel) -> None:
    kernel.sockets(DIRECT)
    kernel.process(5, "0::/system.slice/other.service\n", 77)

    assert kernel.holder((WEB, 5)) == Holder(of_host=True)


@pytest.mark.parametrize(
    "line",
    [
        "0100007F:9C40 0100007F:C9DE 01 @77 1",
        "0100007F:9C41 0100007F:C9DF 01 @77 1",
        "0100007F:9C40 0100007F:C9DF 06 @77 1",
        "0100007F:9C40 0100007F:C9DF 01 @0 1",
        "0100007F:C9DF 0100007F:9C40 01 @77 1",
    ],
    ids=["to another server", "from another port", "no longer open", "without number", "our own end"],
)
def test_another_connection_is_not_the_one_that_is_meant(kernel: Kernel, line: str) -> None:
    kernel.sockets(line)
    kernel.process(10, "0::/\n", 77)

    assert kernel.holder() == Holder()


def test_a_connection_that_the_redirect_led_to_us_has_another_peer_in_the_clients_eyes(kernel: Kernel) -> None:
    kernel.sockets("0A0200C0:9C40 02AAFEA9:0050 01 @77 1")
    kernel.process(10, "0::/\n", 77)

    assert kernel.holder(peer=("192.0.2.10", 40000)) == Holder(of_host=True)


MASQUERADED = "010011AC:9C40 0100007F:C9DF 01 @77 1"


def test_a_client_whose_address_was_masqueraded_is_found_by_its_port(kernel: Kernel) -> None:
    kernel.sockets(MASQUERADED, "0100007F:C9DF 0A0200C0:9C40 01 @70 1")
    kernel.process(10, "0::/\n", 77)

    assert kernel.holder(peer=("192.0.2.10", 40000)) == Holder(of_host=True)


@pytest.mark.parametrize(
    "other",
    ["0100007F:C9DF 010011AC:9C40 01 @71 1", "020011AC:9C40 0100007F:C9DF 01 @78 1"],
    ids=["which is the client of another connection", "and there are two"],
)
def test_a_client_with_the_same_port_is_not_taken_for_another(kernel: Kernel, other: str) -> None:
    kernel.sockets(MASQUERADED, "0100007F:C9DF 0A0200C0:9C40 01 @70 1", other)
    kernel.process(10, "0::/\n", 77)

    assert kernel.holder(peer=("192.0.2.10", 40000)) == Holder()


def test_one_of_two_that_might_be_meant_is_nobody(kernel: Kernel) -> None:
    kernel.sockets(DIRECT, "0100007F:9C40 02AAFEA9:0050 01 @78 1")
    kernel.process(10, "0::/\n", 77)

    assert kernel.holder() == Holder()


def test_a_client_that_speaks_ipv4_through_a_socket_of_ipv6_is_found(kernel: Kernel) -> None:
    kernel.sockets("0000000000000000FFFF00000100007F:9C40 0000000000000000FFFF00000100007F:C9DF 01 @77 1", name="tcp6")
    kernel.process(10, "0::/\n", 77)

    assert kernel.holder() == Holder(of_host=True)


def test_whether_a_process_is_of_a_container_its_cgroup_says(kernel: Kernel) -> None:
    kernel.process(5, f"0::/system.slice/docker-{WEB}.scope\n")
    driver = CallersDriver(kernel.proc, kernel.cgroups)

    asked = [(5, WEB), (5, DB), (6, WEB), (0, WEB)]
    assert [asyncio.run(driver.is_of(*one)) for one in asked] == [True, False, False, False]


@contextmanager
def connected(host: str, family: socket.AddressFamily) -> Iterator[tuple[tuple[str, int], tuple[str, int]]]:
    with ExitStack() as open_ones:
        listening = open_ones.enter_context(socket.create_server((host, 0), family=family))
        client = open_ones.enter_context(socket.create_connection(listening.getsockname()[:2]))
        server = open_ones.enter_context(listening.accept()[0])
        yield client.getsockname()[:2], server.getsockname()[:2]


@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
def test_a_real_connection_is_held_by_the_process_that_opened_it(host: str, family: socket.AddressFamily) -> None:
    with connected(host, family) as (peer, server):
        assert asyncio.run(CallersDriver().holder(peer, server, {})) == Holder(of_host=True)
    assert asyncio.run(CallersDriver().holder(peer, server, {})) == Holder()


def test_the_addresses_of_the_host_are_its_own_and_no_others() -> None:
    driver = CallersDriver()

    async def ask(*addresses: str) -> list[bool]:
        return [await driver.is_ours(address) for address in addresses]

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("172.17.0.1", 9))
        own = probe.getsockname()[0]
    assert asyncio.run(ask("127.0.0.1", "127.9.9.9", "::1", own)) == [True] * 4
    assert asyncio.run(ask("203.0.113.7", "2001:db8::7", "")) == [False] * 3
