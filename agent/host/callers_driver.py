"""Who holds the other end of a connection from this host: read from the kernel's list of sockets and open files.

A container in the network of the host has no address of its own. The list says which socket is connected to us, and
its number stands among the open files of whoever holds it; only processes in the containers that are asked about are
looked at, and those of the host where it is none of these.
"""

import asyncio
import os
import re
import socket
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import psutil

from agent.endpoints.ports import Holder
from agent.model.names import DockerId

PROC = Path("/proc")
CGROUPS = Path("/sys/fs/cgroup")
REDIRECTED = ("169.254.170.2", 80)
"""What a client has as its peer whose connection was led to us by the redirect."""
NOBODY = Holder()
_ESTABLISHED = "01"
_NO_INODE = "0"
_CONTAINER = re.compile(r"[0-9a-f]{64}")
_FRESH = 5.0
"""Seconds for which the addresses of the host are remembered."""
_MEMBERS = "cgroup.procs"


class CallersDriver:
    """Fulfils the endpoints' `Callers`. *proc* and *cgroups* are where the kernel shows them."""

    def __init__(self, proc: Path = PROC, cgroups: Path = CGROUPS) -> None:
        self._proc = proc
        self._cgroups = cgroups
        self._own: frozenset[str] = frozenset()
        self._read_at: float | None = None

    async def holder(self, peer: tuple[str, int], server: tuple[str, int], among: Mapping[DockerId, int]) -> Holder:
        """Who has the socket *peer* that is connected to *server*; nobody where two might be meant."""
        return await asyncio.to_thread(self._holder, peer, server, dict(among))

    async def is_of(self, pid: int, docker_id: DockerId) -> bool:
        """Is *pid* a process of that container, now?"""
        return bool(pid) and docker_id in await asyncio.to_thread(_read, self._proc / str(pid) / "cgroup")

    async def is_ours(self, address: str) -> bool:
        """Is *address* one of this host? Its addresses are read again when one is asked for that it did not have."""
        if not address:
            return False
        if ip_address(address).is_loopback or address in self._own:
            return True
        now = asyncio.get_running_loop().time()
        if self._read_at is None or now - self._read_at >= _FRESH:
            self._read_at = now
            self._own = await asyncio.to_thread(_own_addresses)
        return address in self._own

    def _holder(self, peer: tuple[str, int], server: tuple[str, int], among: Mapping[DockerId, int]) -> Holder:
        inodes = self._inodes(peer, server)
        if len(inodes) != 1:
            return NOBODY
        mark = f"socket:[{inodes.pop()}]"
        for docker_id, first in among.items():
            if any(self._holds(pid, mark) for pid in self._members(docker_id, first)):
                return Holder(docker_id)
        return Holder(of_host=self._is_of_host(mark))

    def _inodes(self, peer: tuple[str, int], server: tuple[str, int]) -> set[str]:
        """The sockets of this network namespace that may be the client's end of this connection.

        Its own address may be another than we see: Docker's firewall rules masquerade what the host sends to the
        address of a bridge. Then the port tells, among those that are not the clients of other connections of ours.
        """
        open_ones = [one for name in ("tcp", "tcp6") for one in _open(_read(self._proc / "net" / name))]
        here, servers = _written(*server), _written(*server) | _written(*REDIRECTED)
        clients = [one for one in open_ones if one.remote in servers and one.inode != _NO_INODE]
        if exact := {one.inode for one in clients if one.local in _written(*peer)}:
            return exact
        known = {one.remote for one in open_ones if one.local in here}
        port = f":{peer[1]:04X}"
        return {one.inode for one in clients if one.local.endswith(port) and one.local not in known}

    def _members(self, docker_id: DockerId, first: int) -> Iterator[int]:
        """The processes in the container's cgroup, and below it. *first* alone where no cgroup can be read."""
        seen = {first} if docker_id in (cgroup := _read(self._proc / str(first) / "cgroup")) else set()
        yield from seen
        for line in cgroup.splitlines():
            _, controllers, path = line.split(":", 2)
            if docker_id not in path:
                continue
            place = self._cgroups / controllers.removeprefix("name=") / path.lstrip("/")
            for folder, _, files in os.walk(place):
                if _MEMBERS in files:
                    for word in _read(Path(folder, _MEMBERS)).split():
                        if word.isdigit() and int(word) not in seen:
                            seen.add(int(word))
                            yield int(word)

    def _is_of_host(self, mark: str) -> bool:
        """Is it held by processes, and is none of these in a container? Whoever cannot be read is not of the host."""
        ours = _ids(_read(self._proc / "self" / "cgroup"))  # of what we ourselves run in, where that is a container
        holders = [pid for pid in self._all() if self._holds(pid, mark)]
        return bool(holders) and not any(_ids(_read(self._proc / str(pid) / "cgroup")) - ours for pid in holders)

    def _all(self) -> Iterator[int]:
        with os.scandir(self._proc) as entries:
            yield from [int(one.name) for one in entries if one.name.isdigit()]

    def _holds(self, pid: int, mark: str) -> bool:
        try:
            with os.scandir(self._proc / str(pid) / "fd") as files:
                return any(_target(one.path) == mark for one in files)
        except OSError:  # it has ended, or is hidden from us
            return False


@dataclass(frozen=True, slots=True)
class _Socket:
    """One line of the kernel's list, in its own writing."""

    local: str
    remote: str
    inode: str


def _open(table: str) -> Iterator[_Socket]:
    for line in table.splitlines()[1:]:
        _, local, remote, state, *rest = line.split()
        if state == _ESTABLISHED:
            yield _Socket(local, remote, rest[5])


def _written(address: str, port: int) -> frozenset[str]:
    """*address* and *port* as the kernel lists them: words of 32 bits in the byte order of the machine."""
    try:
        known = ip_address(address)
    except ValueError:
        return frozenset()
    if isinstance(known, IPv4Address):
        return frozenset({_hex(known.packed, port), _hex(IPv6Address(f"::ffff:{known}").packed, port)})
    return frozenset({_hex(known.packed, port)})


def _hex(packed: bytes, port: int) -> str:
    words = struct.unpack(f"={len(packed) // 4}I", packed)
    return f"{''.join(f'{word:08X}' for word in words)}:{port:04X}"


def _ids(cgroup: str) -> frozenset[str]:
    """The ids of containers that stand in the names of cgroups."""
    return frozenset(_CONTAINER.findall(cgroup))


def _own_addresses() -> frozenset[str]:
    kinds = (socket.AF_INET, socket.AF_INET6)
    listed = (one for links in psutil.net_if_addrs().values() for one in links if one.family in kinds)
    return frozenset(one.address.partition("%")[0] for one in listed)


def _target(link: str) -> str:
    try:
        return os.readlink(link)  # noqa: PTH115 -- a path object for each open file costs more than the call
    except OSError:
        return ""


def _read(path: Path) -> str:
    """What the file says; nothing where there is none, or none any more."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
