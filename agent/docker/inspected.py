"""From Docker's inspect and list answers to what the house knows of a container.

Environment and options are read only to scrub them out of Docker's error texts; nothing here hands them on.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from agent.docker import labels, reasons
from agent.docker.translate import private_values
from agent.model.errors import TryAgain
from agent.model.identity import Identity
from agent.model.names import DockerId
from agent.model.seen import Phase, Seen, Summary
from agent.model.task import Binding, Transport


class _State(msgspec.Struct, rename="pascal"):
    status: Phase
    running: bool = False
    oom_killed: bool = msgspec.field(name="OOMKilled", default=False)
    exit_code: int = 0
    error: str = ""
    started_at: str = ""
    finished_at: str = ""


class _LogConfig(msgspec.Struct, rename="pascal"):
    config: dict[str, str] | None = None


class _HostPort(msgspec.Struct, rename="pascal"):
    host_ip: str = ""
    host_port: str = ""


class _HostConfig(msgspec.Struct, rename="pascal"):
    log_config: _LogConfig = msgspec.field(default_factory=_LogConfig)
    port_bindings: dict[str, list[_HostPort] | None] | None = None


class _Config(msgspec.Struct, rename="pascal"):
    labels: dict[str, str] | None = None
    env: list[str] | None = None
    cmd: list[str] | None = None
    entrypoint: list[str] | None = None


class _Network(msgspec.Struct, rename="pascal"):
    ports: dict[str, list[_HostPort] | None] | None = None


class _Inspect(msgspec.Struct, rename="pascal"):
    id: str
    state: _State
    name: str = ""
    created: str = ""
    config: _Config = msgspec.field(default_factory=_Config)
    host_config: _HostConfig = msgspec.field(default_factory=_HostConfig)
    network_settings: _Network = msgspec.field(default_factory=_Network)


class _Entry(msgspec.Struct, rename="pascal"):
    id: str
    state: Phase
    labels: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """What must be known to tell why a container did not start. Stays in this room."""

    published: frozenset[int]
    """Host ports that the container asks for."""
    private: frozenset[str] = field(repr=False)
    public: frozenset[str]

    def scrubbed(self, text: str) -> str:
        """The text without the container's private values."""
        return reasons.scrubbed(text, self.private, self.public)


def seen(raw: Mapping[str, Any], owner: Identity, *, with_ipv6: bool = False) -> Seen | None:
    """What an inspect shows; None for a container that is not *owner*'s. Raises TryAgain where it cannot be read.

    Docker's times may be out of order: it notes the end of a quick exit before the start.
    """
    found = _read(raw)
    ours = labels.read(found.config.labels or {})
    if ours is None or not labels.are_ours(ours, owner):
        return None
    finished = moment(found.state.finished_at)
    over = finished is not None and not found.state.running
    return Seen(
        docker_id=DockerId(found.id),
        name=found.name.removeprefix("/"),
        labels=ours,
        phase=found.state.status,
        exit_code=found.state.exit_code if over else None,
        created_at=moment(found.created),
        started_at=moment(found.state.started_at),
        finished_at=finished,
        error=_held(found).scrubbed(found.state.error),
        oom_killed=found.state.oom_killed,
        bindings=_bindings(found.network_settings.ports or {}, with_ipv6=with_ipv6),
    )


def held(raw: Mapping[str, Any]) -> Held:
    """What an inspect says of published ports and private values. Raises TryAgain where it cannot be read."""
    return _held(_read(raw))


def summary(raw: Mapping[str, Any], owner: Identity) -> Summary | None:
    """What a line of a listing shows; None for a container that is not *owner*'s."""
    try:
        found = msgspec.convert(raw, _Entry)
    except msgspec.ValidationError as error:
        raise TryAgain(f"Docker's listing cannot be read: {error}") from error
    ours = labels.read(found.labels or {})
    if ours is None or not labels.are_ours(ours, owner):
        return None
    return Summary(docker_id=DockerId(found.id), phase=found.state, task=ours.task, container=ours.container)


def moment(text: str) -> datetime | None:
    """A time of Docker's in UTC and whole microseconds; None for its zero time, the first day of the year 1."""
    if not text or text.startswith("0001-01-01"):
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError as error:
        raise TryAgain(f"Docker's time cannot be read: {text!r}") from error


def _read(raw: Mapping[str, Any]) -> _Inspect:
    try:
        return msgspec.convert(raw, _Inspect)
    except msgspec.ValidationError as error:  # names the path and the type, never the value
        raise TryAgain(f"Docker's inspect cannot be read: {error}") from error


def _held(found: _Inspect) -> Held:
    bindings = (found.host_config.port_bindings or {}).values()
    ports = {port.host_port for entries in bindings for port in entries or ()}
    options = found.host_config.log_config.config or {}
    return Held(
        published=frozenset(int(port) for port in ports if port.isdecimal()),
        private=private_values(found.config.env or (), options.values()),
        public=frozenset((found.config.cmd or []) + (found.config.entrypoint or [])),
    )


def _bindings(ports: Mapping[str, list[_HostPort] | None], *, with_ipv6: bool) -> tuple[Binding, ...]:
    """Published ports in order. Docker shows each twice, for IPv4 and IPv6; ECS is told of the first alone."""
    bindings = []
    for port, entries in ports.items():
        number, _, transport = port.partition("/")
        if transport not in (Transport.TCP, Transport.UDP) or not number.isdecimal():
            continue
        bindings += [
            Binding(int(number), int(entry.host_port), Transport(transport), entry.host_ip)
            for entry in entries or ()
            if entry.host_port.isdecimal() and (with_ipv6 or entry.host_ip != "::")
        ]
    return tuple(sorted(bindings, key=lambda b: (b.container_port, b.transport, b.host_port, b.bind_ip)))
