"""The redirect, made with real iptables in a network of its own, so that no other test sees it."""

import asyncio
import contextlib
import secrets
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from agent.host import redirect_driver
from agent.host.redirect_driver import RedirectDriver
from agent.model.errors import TryAgain

ADDRESS = "127.0.0.1:51679"
ROUTED = "eth0 00000000 010200C0 0003 0 0 0 00000000 0 0 0\n"


class Network:
    """A network namespace, and files that look like the kernel's."""

    def __init__(self, name: str, proc: Path) -> None:
        self.name = name
        self.proc = proc
        for whose in ("all", "default"):
            self.localnet(whose).parent.mkdir(parents=True)
            self.localnet(whose).write_text("0\n")
        (proc / "net").mkdir()
        self.routes("Iface Destination Gateway\n" + ROUTED)

    def localnet(self, whose: str = "all") -> Path:
        return self.proc / "sys/net/ipv4/conf" / whose / "route_localnet"

    def routes(self, text: str) -> None:
        (self.proc / "net/route").write_text(text)

    async def run(self, command: Sequence[str]) -> str:
        return await redirect_driver.run(("ip", "netns", "exec", self.name, *command))

    def redirect(self, address: str = ADDRESS, *, filters: bool = True) -> RedirectDriver:
        return RedirectDriver(address, filters=filters, run=self.run, proc=self.proc)

    def iptables(self, *words: str) -> str:
        command = ("ip", "netns", "exec", self.name, "iptables", *words)
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def rules(self) -> list[str]:
        lines = [line for table in ("nat", "filter") for line in self.iptables("-t", table, "-S").splitlines()]
        return [line for line in lines if line.startswith("-A")]


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    name = f"dw{secrets.token_hex(4)}"
    subprocess.run(("ip", "netns", "add", name), check=True)
    try:
        yield Network(name, tmp_path)
    finally:
        subprocess.run(("ip", "netns", "del", name), check=True)


def test_it_is_made_once_repaired_and_removed(network: Network) -> None:
    async def story() -> None:
        redirect = network.redirect()
        assert len(await redirect.lacks()) == 4
        await redirect.make()
        await redirect.make()
        assert await redirect.lacks() == []
        assert len(network.rules()) == 3
        assert network.localnet().read_text() == "1"

        network.iptables("-t", "nat", "-F")
        assert len(await redirect.lacks()) == 2
        await redirect.make()
        assert (await redirect.lacks(), len(network.rules())) == ([], 3)

        await redirect.remove()
        await redirect.remove()
        assert network.rules() == []
        assert network.localnet().read_text().strip() == "0"

    asyncio.run(story())


def test_another_agents_way_is_said_and_left_alone(network: Network) -> None:
    other = ("-p", "tcp", "-d", "169.254.170.2", "--dport", "80", "-j", "DNAT", "--to-destination", "127.0.0.1:51700")
    network.iptables("-t", "nat", "-A", "PREROUTING", *other)
    before = network.rules()

    async def story() -> None:
        redirect = network.redirect()
        assert "127.0.0.1:51700" in (await redirect.lacks())[0]
        with pytest.raises(TryAgain, match=r"somebody else leads .* to 127\.0\.0\.1:51700"):
            await redirect.make()
        assert network.localnet().read_text().strip() == "0", (
            "without the rule that keeps strangers out it stays closed"
        )
        network.localnet().write_text("1")
        await redirect.remove()

    asyncio.run(story())

    assert network.rules() == before
    assert network.localnet().read_text() == "1", "the other one needs it"


def test_an_old_way_of_ours_that_leads_nowhere_is_replaced(network: Network) -> None:
    async def story() -> None:
        with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as lives:
            port = lives.getsockname()[1]
            await network.redirect(f"127.0.0.1:{port}").make()
            with pytest.raises(TryAgain, match=f"127.0.0.1:{port}"):
                await network.redirect().make()
        await network.redirect().make()
        assert await network.redirect().lacks() == []
        assert len(network.rules()) == 3

    asyncio.run(story())


def test_a_host_that_knows_no_way_out_gets_a_route(network: Network) -> None:
    network.routes("Iface Destination Gateway\n")
    subprocess.run(("ip", "-n", network.name, "link", "set", "lo", "up"), check=True)

    def routes() -> str:
        command = ("ip", "-n", network.name, "route")
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    async def story() -> None:
        redirect = network.redirect()
        assert "there is no route to 169.254.170.2" in await redirect.lacks()
        await redirect.make()
        assert "169.254.170.2 dev lo" in routes()
        network.routes("Iface Destination Gateway\nlo 02AAFEA9 00000000 0005 0 0 0 FFFFFFFF 0 0 0\n")
        assert await redirect.lacks() == []
        await redirect.remove()
        assert routes() == ""

    asyncio.run(story())


def test_a_machine_without_iptables_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(redirect_driver, "PLACES", str(tmp_path))

    with pytest.raises(TryAgain, match="there is no iptables on this machine"):
        asyncio.run(RedirectDriver(ADDRESS).lacks())


def test_what_iptables_says_is_told(network: Network) -> None:
    with pytest.raises(TryAgain, match=r"ip .*nonsense.*: .*nonsense"):
        asyncio.run(network.run(("iptables", "-t", "nonsense", "-S")))


def test_a_kernel_that_is_not_ours_to_set_is_told(network: Network) -> None:
    network.localnet().unlink()

    async def story() -> None:
        with pytest.raises(TryAgain, match="route_localnet"):
            await network.redirect().make()
        with pytest.raises(TryAgain, match="route_localnet"):
            await network.redirect().lacks()

    asyncio.run(story())
