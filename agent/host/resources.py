"""What this machine offers to tasks: totalResources of a registration, from facts and settings alone."""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from agent.model.errors import NOT_WORTH_A_RESTART, Fatal
from agent.model.identity import Resource

SHARES_PER_CPU = 1024
MIB = 1024 * 1024
USUAL_PORTS = (22, 2375, 2376, 51678, 51679)
"""ssh, Docker, and the agent's own pages: what is reserved where the operator says nothing."""
OURS = frozenset({"localhost", "::1", "0.0.0.0", "::"})  # noqa: S104  compared with, never listened on
OWN_PORTS = frozenset({51678, 51679})
"""The agent's own, reserved whatever the operator says."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What a machine has. `cpus` are those that this process may use; `addresses` include its names."""

    cpus: int
    memory: int
    """Bytes."""
    os_id: str = ""
    os_version: str = ""
    architecture: str = ""
    """As the kernel calls it, such as ``aarch64``."""
    addresses: frozenset[str] = frozenset()
    port_range: tuple[int, int] = (32768, 60999)
    """From which the kernel takes ports for outgoing connections, both ends included."""
    is_ec2: bool = False
    lacks_for_faults: tuple[str, ...] = ("nobody looked",)
    """Which tools and parts of the kernel are missing by which networks are made slow and lossy."""
    plugins: frozenset[str] = frozenset()
    """Docker's plugins that lie in its folders, by name; Docker itself tells only of those that were used."""


@dataclass(frozen=True, slots=True)
class Reservations:
    """What the operator keeps from tasks. `memory` in MiB. `endpoint` is the base URL of the ECS API in use."""

    memory: int = 0
    tcp: tuple[int, ...] = USUAL_PORTS
    udp: tuple[int, ...] = ()
    endpoint: str = ""


def total_resources(machine: Machine, kept: Reservations) -> tuple[Resource, ...]:
    """CPU, MEMORY, PORTS and PORTS_UDP. Raises Fatal where more memory is reserved than there is."""
    return (
        Resource("CPU", integer=cpu_units(machine)),
        Resource("MEMORY", integer=memory_mib(machine, kept)),
        Resource("PORTS", strings=_texts(reserved_tcp(machine, kept))),
        Resource("PORTS_UDP", strings=_texts(kept.udp)),
    )


def cpu_units(machine: Machine) -> int:
    """CPU that tasks may hold, in units of which a processor has 1024."""
    return machine.cpus * SHARES_PER_CPU


def memory_mib(machine: Machine, kept: Reservations) -> int:
    """Memory that tasks may hold, in MiB. Raises Fatal where more is reserved than there is."""
    memory = machine.memory // MIB - kept.memory
    if memory < 0:
        raise Fatal(
            f"ECS_RESERVED_MEMORY: {kept.memory} MiB are reserved, but the machine has {machine.memory // MIB}",
            NOT_WORTH_A_RESTART,
        )
    return memory


def reserved_tcp(machine: Machine, kept: Reservations) -> frozenset[int]:
    """The TCP ports that no task gets: the operator's, the agent's own, and a control plane's on this machine."""
    plane = local_port(kept.endpoint, machine.addresses)
    return frozenset(kept.tcp) | OWN_PORTS | ({plane} if plane else set())


def local_port(endpoint: str, addresses: frozenset[str]) -> int | None:
    """The port of *endpoint* if it is on this machine, else None. Names are compared, never looked up."""
    parts = urlsplit(endpoint)
    host = (parts.hostname or "").rstrip(".")
    if not host or not (host in addresses or host in OURS or host.startswith("127.")):
        return None
    return parts.port or (443 if parts.scheme == "https" else 80)


def _texts(ports: Iterable[int]) -> tuple[str, ...]:
    return tuple(str(port) for port in sorted(set(ports)))
