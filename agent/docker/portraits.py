"""From Docker's inspect to all that metadata are made of. The environment and the log options are not read."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from agent.docker.bindings import HostPort
from agent.model.errors import TryAgain
from agent.model.names import DockerId
from agent.model.portrait import DockerNetwork, MountPoint, Portrait, PublishedPort

_NEVER = "0001-01-01"
"""How the time begins that Docker shows for what has not happened."""


class _Check(msgspec.Struct, rename="pascal"):
    exit_code: int = 0


class _Health(msgspec.Struct, rename="pascal"):
    log: list[_Check] | None = None


class _State(msgspec.Struct, rename="pascal"):
    pid: int = 0
    health: _Health | None = None
    started_at: str = ""
    finished_at: str = ""


class _Config(msgspec.Struct, rename="pascal"):
    image: str = ""
    labels: dict[str, str] | None = None


class _HostConfig(msgspec.Struct, rename="pascal"):
    network_mode: str = ""


class _Network(msgspec.Struct, rename="pascal"):
    ipv4: str = msgspec.field(name="IPAddress", default="")
    ipv6: str = msgspec.field(name="GlobalIPv6Address", default="")


class _Networks(msgspec.Struct, rename="pascal"):
    networks: dict[str, _Network | None] | None = None
    ports: dict[str, list[HostPort] | None] | None = None


class _Mount(msgspec.Struct, rename="pascal"):
    source: str = ""
    destination: str = ""
    name: str = ""


class _Inspect(msgspec.Struct, rename="pascal"):
    id: str
    name: str = ""
    created: str = ""
    image: str = ""
    state: _State = msgspec.field(default_factory=_State)
    config: _Config = msgspec.field(default_factory=_Config)
    host_config: _HostConfig = msgspec.field(default_factory=_HostConfig)
    network_settings: _Networks = msgspec.field(default_factory=_Networks)
    mounts: list[_Mount] | None = None


def portrait(raw: Mapping[str, Any]) -> Portrait:
    """What an inspect shows. Raises TryAgain where it cannot be read."""
    try:
        found = msgspec.convert(raw, _Inspect)
    except msgspec.ValidationError as error:  # names the path and the type, never the value
        raise TryAgain(f"Docker's inspect cannot be read: {error}") from error
    networks = (found.network_settings.networks or {}).items()
    checks = (found.state.health.log if found.state.health else None) or ()
    return Portrait(
        docker_id=DockerId(found.id),
        name=found.name.removeprefix("/"),
        image=found.config.image,
        image_id=found.image,
        labels=found.config.labels or {},
        created_at=_time(found.created),
        started_at=_time(found.state.started_at),
        finished_at=_time(found.state.finished_at),
        pid=found.state.pid,
        network_mode=found.host_config.network_mode,
        networks=tuple(DockerNetwork(name, one.ipv4, one.ipv6) for name, one in networks if one is not None),
        ports=tuple(_ports(found.network_settings.ports or {})),
        mounts=tuple(MountPoint(one.source, one.destination, one.name) for one in found.mounts or ()),
        health_exit_code=checks[-1].exit_code if checks else 0,
    )


def _ports(listed: Mapping[str, list[HostPort] | None]) -> Iterator[PublishedPort]:
    """Those that are bound. Docker lists the others with nothing behind them."""
    for port, entries in listed.items():
        number, _, transport = port.partition("/")
        for one in entries or ():
            if number.isdecimal() and one.host_port.isdecimal():
                yield PublishedPort(int(number), transport, int(one.host_port), one.host_ip)


def _time(text: str) -> str:
    return "" if text.startswith(_NEVER) else text
