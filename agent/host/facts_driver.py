"""Reads what this machine has."""

import asyncio
import platform
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path

import psutil
from structlog import get_logger

from agent.host.capabilities import EngineOffer, Wishes, attributes
from agent.host.fault_tools_driver import lacking
from agent.host.resources import Machine, Reservations, total_resources
from agent.model.devices import NO_GPUS, Gpus
from agent.model.identity import Attribute, Resource

log = get_logger()

PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
USUAL_RANGE = (32768, 60999)
SOCKETS = Path("/run/docker/plugins")
SPECIFICATIONS = (Path("/etc/docker/plugins"), Path("/usr/lib/docker/plugins"))
VENDOR = Path("/sys/class/dmi/id/sys_vendor")
HYPERVISOR = Path("/sys/hypervisor/uuid")
"""Xen's; those of EC2 begin with ``ec2``, and such instances have no vendor that says so."""


class HostFacts:
    """What this machine has to offer, read afresh each time: memory and affinity can change while we run."""

    def __init__(
        self,
        reservations: Reservations,
        wishes: Wishes,
        engine: Callable[[], Awaitable[EngineOffer]],
        read: Callable[[], Machine] | None = None,
        gpus: Callable[[], Gpus] = lambda: NO_GPUS,
        outpost_arn: str = "",
    ) -> None:
        self._reservations = reservations
        self._wishes = wishes
        self._engine = engine
        self._read = read or read_machine
        self._gpus = gpus
        self._outpost_arn = outpost_arn

    async def resources(self) -> Sequence[Resource]:
        """totalResources: CPU, MEMORY, PORTS, PORTS_UDP. Raises Fatal where too much memory is reserved."""
        return total_resources(await asyncio.to_thread(self._read), self._reservations)

    async def attributes(self) -> Sequence[Attribute]:
        """Capabilities and host attributes, without the operator's own. Raises what asking the engine raises."""
        machine = await asyncio.to_thread(self._read)
        if self._wishes.faults and machine.lacks_for_faults:
            log.info("network_faults_not_offered", lacks=machine.lacks_for_faults)
        return attributes(machine, await self._engine(), self._wishes, self._gpus(), self._outpost_arn)

    async def gpus(self) -> Gpus:
        """The GPUs that tasks may be given, as the last look found them."""
        return self._gpus()


def read_machine() -> Machine:
    """Look at the machine. What cannot be read is left at its default; memory and processors always can."""
    os_id, os_version = _release()
    return Machine(
        cpus=len(psutil.Process().cpu_affinity()),
        memory=psutil.virtual_memory().total,
        os_id=os_id,
        os_version=os_version,
        architecture=platform.machine(),
        addresses=_addresses(),
        port_range=read_port_range(PORT_RANGE),
        is_ec2=is_ec2(VENDOR, HYPERVISOR),
        lacks_for_faults=tuple(lacking()),
        plugins=read_plugins(SOCKETS, SPECIFICATIONS),
    )


def read_port_range(path: Path) -> tuple[int, int]:
    """From which ports the kernel serves outgoing connections; its usual range where *path* does not say."""
    try:
        first, last = (int(part) for part in path.read_text().split())
    except (OSError, ValueError) as error:
        log.warning("port_range_unreadable", path=str(path), error=str(error))
        return USUAL_RANGE
    return first, last


def read_plugins(sockets: Path, specifications: Iterable[Path]) -> frozenset[str]:
    """The plugins that Docker finds by itself: by a socket in one folder, or a ``.spec`` or ``.json`` in another.

    A plugin may have a folder of its own, named like itself.
    """
    found = {path.stem for path in (*sockets.glob("*.sock"), *sockets.glob("*/*.sock"))}
    for folder in specifications:
        found |= {path.stem for path in (*folder.glob("*"), *folder.glob("*/*")) if path.suffix in (".spec", ".json")}
    return frozenset(found)


def _release() -> tuple[str, str]:
    try:
        release = platform.freedesktop_os_release()
    except OSError as error:
        log.info("os_release_missing", error=str(error))
        return "", ""
    return release.get("ID", ""), release.get("VERSION_ID", "")


def _addresses() -> frozenset[str]:
    found = {entry.address.partition("%")[0] for entries in psutil.net_if_addrs().values() for entry in entries}
    return frozenset(found | {socket.gethostname()})


def is_ec2(vendor: Path, hypervisor: Path) -> bool:
    """Is this an EC2 instance, by what its firmware or its hypervisor says?"""
    return _said(vendor).startswith("Amazon EC2") or _said(hypervisor).lower().startswith("ec2")


def _said(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # containers and virtual machines without firmware tables have none
        return ""
