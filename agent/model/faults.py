"""Faults that a container may ask for in its own network: what is cut, slowed down or lost, and what became of it."""

from dataclasses import dataclass
from enum import StrEnum

from agent.model.names import NO_ID, DockerId
from agent.model.task import Transport


class FaultKind(StrEnum):
    """The kinds of faults, as they are called in paths and texts."""

    BLACKHOLE = "network-blackhole-port"
    LATENCY = "network-latency"
    LOSS = "network-packet-loss"


class FaultOp(StrEnum):
    """What may be done about a fault."""

    START = "start"
    STOP = "stop"
    STATUS = "status"


class Traffic(StrEnum):
    """Which way packets go, seen from the container."""

    INGRESS = "ingress"
    EGRESS = "egress"


@dataclass(frozen=True, slots=True)
class Blackhole:
    """No packet to `port` comes through, but for those from or to the addresses and networks in `spared`."""

    port: int
    transport: Transport
    traffic: Traffic
    spared: tuple[str, ...] = ()

    @property
    def kind(self) -> FaultKind:
        """Which kind of fault it is."""
        return FaultKind.BLACKHOLE

    def __str__(self) -> str:
        return f"{self.kind} {self.traffic} {self.transport} {self.port}"


@dataclass(frozen=True, slots=True)
class Latency:
    """Packets to `sources` leave late, in milliseconds; so do `flows` percent of all flows."""

    delay: int = 0
    jitter: int = 0
    sources: tuple[str, ...] = ()
    spared: tuple[str, ...] = ()
    flows: int = 100

    @property
    def kind(self) -> FaultKind:
        """Which kind of fault it is."""
        return FaultKind.LATENCY

    def __str__(self) -> str:
        return f"{self.kind} of {self.delay}±{self.jitter} ms for {self.flows}% of flows to {len(self.sources)} sources"


@dataclass(frozen=True, slots=True)
class PacketLoss:
    """Of packets to `sources` so many `percent` are lost, within `flows` percent of all flows."""

    percent: int = 0
    sources: tuple[str, ...] = ()
    spared: tuple[str, ...] = ()
    flows: int = 100

    @property
    def kind(self) -> FaultKind:
        """Which kind of fault it is."""
        return FaultKind.LOSS

    def __str__(self) -> str:
        return f"{self.kind} of {self.percent}% for {self.flows}% of flows to {len(self.sources)} sources"


Fault = Blackhole | Latency | PacketLoss


@dataclass(frozen=True, slots=True)
class FaultPlace:
    """Whose network is meant: that of a container, by its first process, or that of the host."""

    docker_id: DockerId = NO_ID
    pid: int = 0

    @property
    def is_host(self) -> bool:
        """Is it the network of the host?"""
        return not self.docker_id


HOST_NETWORK = FaultPlace()


class Outcome(StrEnum):
    """What came of it."""

    RUNNING = "running"
    STOPPED = "stopped"
    NOT_RUNNING = "not-running"
    LATENCY_RUNS = "a latency fault runs"
    """Nothing was done: one fault of this kind is enough."""
    LOSS_RUNS = "a packet loss fault runs"
    NO_NETWORK = "no network"
    """The container does not run, or has no network of its own."""
    NO_INTERFACE = "no interface"
    """Nothing leads out of that network."""
    TIMED_OUT = "timed out"
    """What had been done by then was undone."""
    FAILED = "failed"
    """A tool refused; what had been done by then was undone."""
