"""What the daemon goes by, read once at start and never changed after that.

The fields hold values that have been checked; `reference.py` says which variable and which TOML key each comes from,
`load.py` reads them. Defaults stand here and nowhere else.
"""

import ipaddress
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from agent.model.status import PullBehavior

OWN_PORTS = frozenset({51678, 51679})
"""Introspection, and credentials with task metadata: never handed to a task, whatever is reserved beside them."""

HTTPS_PORT = 443
HTTP_PORT = 80


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one daemon. An empty string means: not given."""

    cluster: str = ""
    backend_host: str = ""
    region: str = ""
    data_dir: Path = Path("/var/lib/dockworker")
    docker_host: str = "unix:///var/run/docker.sock"
    accept_insecure_cert: bool = False
    imds_endpoint: str = "http://169.254.169.254"
    imds_disabled: bool = False

    reserved_memory: int = 0
    """MiB."""
    reserved_ports: tuple[int, ...] = (22, 2375, 2376, 51678, 51679)
    reserved_ports_udp: tuple[int, ...] = ()
    dynamic_host_port_range: tuple[int, int] | None = None
    """First and last; None asks the kernel (``ip_local_port_range``)."""
    instance_attributes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    instance_tags: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    available_logging_drivers: tuple[str, ...] = ("json-file", "none")
    disable_privileged: bool = False

    stop_timeout: timedelta = timedelta(seconds=30)
    cleanup_wait: timedelta = timedelta(hours=3)
    pull_behavior: PullBehavior = PullBehavior.DEFAULT
    image_pull_timeout: timedelta = timedelta(hours=2)
    image_pull_inactivity_timeout: timedelta = timedelta(minutes=1)

    log_level: str = "info"
    log_format: str = ""
    """``console`` or ``json``; empty means console on a terminal and JSON elsewhere."""

    not_honoured: tuple[str, ...] = ()
    """Settings that were given and that the reference agent knows, but this one does not act on yet."""

    def reserved_tcp(self, own_addresses: Collection[str] = ()) -> frozenset[int]:
        """TCP ports that no task may have: what is reserved, our own, and those of a control plane on this machine.

        *own_addresses* are the addresses of this machine beside the loopback ones.
        """
        return frozenset(self.reserved_ports) | OWN_PORTS | self._control_plane_ports(own_addresses)

    def _control_plane_ports(self, own_addresses: Collection[str]) -> frozenset[int]:
        if not self.backend_host:
            return frozenset()
        backend = urlsplit(self.backend_host)
        host = backend.hostname or ""
        if not (_is_loopback(host) or host in own_addresses):
            return frozenset()
        return frozenset({backend.port or (HTTP_PORT if backend.scheme == "http" else HTTPS_PORT)})


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
