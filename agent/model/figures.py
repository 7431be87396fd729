"""What is measured of running containers, each second: counters and levels as the kernel has them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from agent.model.names import DockerId


@dataclass(frozen=True, slots=True)
class Interface:
    """Counters of one network interface since it exists."""

    rx_bytes: int = 0
    rx_packets: int = 0
    rx_errors: int = 0
    rx_dropped: int = 0
    tx_bytes: int = 0
    tx_packets: int = 0
    tx_errors: int = 0
    tx_dropped: int = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at one container. Counters never go back while it is the same container, restarts included."""

    at: datetime
    docker_id: DockerId
    cpu: int
    """Nanoseconds of processor time used."""
    memory: int
    """Bytes in use without what the kernel can drop at once (v2: ``inactive_file``; v1: ``cache``)."""
    read_bytes: int = 0
    write_bytes: int = 0
    network: Mapping[str, Interface] | None = None
    """By interface, without the loopback; None where the container shares the host's network or has none."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A running container that is to be measured."""

    docker_id: DockerId
    pid: int
    """Of its first process."""
    shares_network: bool = False
    """Is its network not its own (``host``, ``none``, another container's)?"""
    since: str = field(default="", compare=True)
    """When it was started last; a later one begins its counters anew."""
    keeps_network: bool = False
    """Is its network its task's, whose counters go on when the container is started again?"""
