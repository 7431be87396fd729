"""Containers of ECS tasks that another agent made: what Docker's answers say of them.

Of the environment the names alone are looked at, for whether the container fetches credentials.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from agent.docker import labels
from agent.docker.inspected import moment
from agent.model.errors import TryAgain
from agent.model.names import DockerId, Image, TaskArn
from agent.model.seen import Phase
from agent.model.status import Status
from agent.model.task import PortMapping, Transport

FETCHES = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=", "AWS_CONTAINER_CREDENTIALS_FULL_URI=")
MIB = 1 << 20
NO_SHARE = 2
"""CPU shares that stand for none asked for: fewer the kernel does not take."""
_RUNS = frozenset({Phase.RUNNING, Phase.PAUSED, Phase.RESTARTING})


@dataclass(frozen=True, slots=True)
class Foreign:
    """One line of Docker's listing: a container that says which task it is of, and that no agent of our kind made."""

    docker_id: DockerId
    name: str
    task: TaskArn
    container: str
    family: str
    version: str
    cluster: str
    runs: bool


@dataclass(frozen=True, slots=True)
class Inspected:
    """What an inspect says of such a container. CPU in shares, memory in MiB."""

    docker_id: DockerId
    image: Image
    status: Status
    stop_timeout: float | None
    ports: tuple[PortMapping, ...]
    cpu: int
    memory: int
    memory_reservation: int
    cgroup_parent: str
    fetches_credentials: bool
    exit_code: int | None
    created_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None


class _Port(msgspec.Struct, rename="pascal"):
    host_port: str = ""


class _State(msgspec.Struct, rename="pascal"):
    status: str = ""
    running: bool = False
    exit_code: int = 0
    started_at: str = ""
    finished_at: str = ""


class _Config(msgspec.Struct, rename="pascal"):
    image: str = ""
    stop_timeout: float | None = None
    env: list[str] | None = None


class _HostConfig(msgspec.Struct, rename="pascal"):
    port_bindings: dict[str, list[_Port] | None] | None = None
    cpu_shares: int = 0
    memory: int = 0
    memory_reservation: int = 0
    cgroup_parent: str = ""


class _Inspect(msgspec.Struct, rename="pascal"):
    id: str
    state: _State
    created: str = ""
    config: _Config = msgspec.field(default_factory=_Config)
    host_config: _HostConfig = msgspec.field(default_factory=_HostConfig)


class _Entry(msgspec.Struct, rename="pascal"):
    id: str
    state: str = ""
    names: list[str] | None = None
    labels: dict[str, str] | None = None


def listed(raw: Mapping[str, Any]) -> Foreign | None:
    """What a line of a listing says; None for a container that an agent of our kind made. Raises TryAgain."""
    try:
        found = msgspec.convert(raw, _Entry)
    except msgspec.ValidationError as error:
        raise TryAgain(f"Docker's listing cannot be read: {error}") from error
    told = found.labels or {}
    if labels.AGENT in told or not told.get(labels.TASK):
        return None
    return Foreign(
        docker_id=DockerId(found.id),
        name=next(iter(found.names or ()), "").removeprefix("/"),
        task=TaskArn(told[labels.TASK]),
        container=told.get(labels.CONTAINER, ""),
        family=told.get(labels.FAMILY, ""),
        version=told.get(labels.VERSION, ""),
        cluster=told.get(labels.CLUSTER, ""),
        runs=found.state in _RUNS,
    )


def inspected(raw: Mapping[str, Any]) -> Inspected:
    """What an inspect says. Raises TryAgain where it cannot be read."""
    try:
        found = msgspec.convert(raw, _Inspect)
    except msgspec.ValidationError as error:
        raise TryAgain(f"Docker's inspect cannot be read: {error}") from error
    host, started = found.host_config, moment(found.state.started_at)
    status = Status.RUNNING if found.state.running else Status.CREATED if started is None else Status.STOPPED
    return Inspected(
        docker_id=DockerId(found.id),
        image=Image(found.config.image),
        status=status,
        stop_timeout=found.config.stop_timeout,
        ports=_ports(host.port_bindings or {}),
        cpu=host.cpu_shares if host.cpu_shares > NO_SHARE else 0,
        memory=host.memory // MIB,
        memory_reservation=host.memory_reservation // MIB,
        cgroup_parent=host.cgroup_parent,
        fetches_credentials=any(one.startswith(FETCHES) for one in found.config.env or ()),
        exit_code=found.state.exit_code if status is Status.STOPPED else None,
        created_at=moment(found.created),
        started_at=started,
        finished_at=moment(found.state.finished_at) if status is Status.STOPPED else None,
    )


def _ports(asked: Mapping[str, list[_Port] | None]) -> tuple[PortMapping, ...]:
    """The ports that are published, each by itself."""
    found = []
    for port, entries in asked.items():
        number, _, transport = port.partition("/")
        if transport in tuple(Transport) and number.isdecimal():
            hosts = {int(one.host_port) for one in entries or () if one.host_port.isdecimal()} or {0}
            found += [PortMapping(int(number), host, Transport(transport)) for host in sorted(hosts)]
    return tuple(sorted(found, key=lambda one: (one.container_port, one.transport, one.host_port)))
