"""What Docker shows of one container when somebody asks for all of it: what its metadata are made of.

Times are Docker's own texts (RFC 3339, nanoseconds), empty where Docker has none: a datetime would round them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.model.names import DockerId


@dataclass(frozen=True, slots=True)
class PublishedPort:
    """One binding, as Docker lists it: IPv4 and IPv6 are two."""

    container_port: int
    transport: str
    host_port: int = 0
    host_ip: str = ""


@dataclass(frozen=True, slots=True)
class DockerNetwork:
    """A network that the container is in. Addresses are empty for ``host`` and ``none``."""

    name: str
    ipv4: str = ""
    ipv6: str = ""


@dataclass(frozen=True, slots=True)
class MountPoint:
    """Something mounted in the container."""

    source: str
    destination: str
    docker_name: str = ""
    """The name of the Docker volume; empty for a path of the host."""


@dataclass(frozen=True, slots=True)
class Portrait:
    """One container, whole, but for its environment and log options."""

    docker_id: DockerId
    name: str
    """Without the leading slash."""
    image: str = ""
    image_id: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    created_at: str = ""
    started_at: str = ""
    finished_at: str = ""
    pid: int = 0
    """Of its first process; 0 while it does not run."""
    network_mode: str = ""
    networks: tuple[DockerNetwork, ...] = ()
    ports: tuple[PublishedPort, ...] = ()
    mounts: tuple[MountPoint, ...] = ()
    health_exit_code: int = 0
    """Of the health check that ran last."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses from which it calls, where it has some of its own."""
        return tuple(one for network in self.networks for one in (network.ipv4, network.ipv6) if one)


@dataclass(frozen=True, slots=True)
class Eni:
    """The network interface of a task in the mode awsvpc, as ECS and the host tell of it."""

    ipv4: tuple[str, ...] = ()
    ipv6: tuple[str, ...] = ()
    mac: str = ""
    gateway_ipv4: str = ""
    """With the length of the subnet's prefix: ``10.0.1.1/24``."""
    gateway_ipv6: str = ""
    """Likewise; of an interface without IPv4 alone."""
    dns_servers: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    private_dns_name: str = ""
