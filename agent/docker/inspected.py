"""From Docker's inspect and list answers to what the house knows of a container.

Environment and options are read only to scrub them out of Docker's error texts; nothing here hands them on, but for the
two ids in it by which the container will ask us for its metadata and its credentials.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from agent.docker import bindings, labels, reasons
from agent.docker.translate import private_values
from agent.model.errors import TryAgain
from agent.model.identity import Identity
from agent.model.names import DockerId
from agent.model.seen import Phase, Seen, Summary
from agent.model.status import Health

_LONGEST_OUTPUT = 1024
"""Bytes that are kept of what a health check wrote."""
_PHASES = frozenset(Phase)
_ENDED_AS_ASKED = frozenset({0, 143})
"""Exit codes of processes that ended by themselves, or on a stop signal: the out-of-memory killer did not end those."""


_METADATA = re.compile(
    r"ECS_CONTAINER_METADATA_URI(?:_V4)?=http://169\.254\.170\.2/v[34]/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
)
_CREDENTIALS = re.compile(r"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/credentials/([0-9A-Za-z_-]{1,128})")


class _Check(msgspec.Struct, rename="pascal"):
    output: str = ""


class _Health(msgspec.Struct, rename="pascal"):
    status: str = ""
    log: list[_Check] | None = None


class _State(msgspec.Struct, rename="pascal"):
    status: str
    running: bool = False
    paused: bool = False
    dead: bool = False
    health: _Health | None = None
    oom_killed: bool = msgspec.field(name="OOMKilled", default=False)
    exit_code: int = 0
    error: str = ""
    started_at: str = ""
    finished_at: str = ""


class _LogConfig(msgspec.Struct, rename="pascal"):
    config: dict[str, str] | None = None


class _HostConfig(msgspec.Struct, rename="pascal"):
    log_config: _LogConfig = msgspec.field(default_factory=_LogConfig)
    port_bindings: dict[str, list[bindings.HostPort] | None] | None = None


class _Config(msgspec.Struct, rename="pascal"):
    labels: dict[str, str] | None = None
    env: list[str] | None = None
    cmd: list[str] | None = None
    entrypoint: list[str] | None = None


class _Network(msgspec.Struct, rename="pascal"):
    ports: dict[str, list[bindings.HostPort] | None] | None = None


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
    state: str
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


def seen(
    raw: Mapping[str, Any],
    owner: Identity,
    taken: labels.Taken = labels.NOTHING_TAKEN,
    *,
    untold: Collection[str] = bindings.ONLY_IPV4,
) -> Seen | None:
    """What an inspect shows; None for a container that is not *owner*'s. Raises TryAgain where it cannot be read.

    Docker's times may be out of order: it notes the end of a quick exit before the start.
    """
    found = _read(raw)
    ours = labels.ours(found.id, found.config.labels or {}, owner, taken)
    if ours is None:
        return None
    finished = moment(found.state.finished_at)
    over = finished is not None and not found.state.running
    exit_code = found.state.exit_code if over else None
    held = _held(found)
    health, health_output = _health(found.state.health, held)
    return Seen(
        docker_id=DockerId(found.id),
        name=found.name.removeprefix("/"),
        labels=ours,
        phase=_phase(found.state),
        exit_code=exit_code,
        created_at=moment(found.created),
        started_at=moment(found.state.started_at),
        finished_at=finished,
        error=held.scrubbed(found.state.error),
        oom_killed=found.state.oom_killed and exit_code is not None and exit_code not in _ENDED_AS_ASKED,
        bindings=bindings.read(found.network_settings.ports or {}, ours.ports, untold=untold),
        health=health,
        health_output=health_output,
        metadata_id=_last_match(_METADATA, found.config.env or ()),
        task_credentials_id=_last_match(_CREDENTIALS, found.config.env or ()),
    )


def held(raw: Mapping[str, Any]) -> Held:
    """What an inspect says of published ports and private values. Raises TryAgain where it cannot be read."""
    return _held(_read(raw))


def summary(raw: Mapping[str, Any], owner: Identity, taken: labels.Taken = labels.NOTHING_TAKEN) -> Summary | None:
    """What a line of a listing shows; None for a container that is not *owner*'s.

    None also for one in a phase that is not known here: whoever knows the container looks at it by its id, and an
    inspect tells more than the word.
    """
    try:
        found = msgspec.convert(raw, _Entry)
    except msgspec.ValidationError as error:
        raise TryAgain(f"Docker's listing cannot be read: {error}") from error
    ours = labels.ours(found.id, found.labels or {}, owner, taken)
    if ours is None or found.state not in _PHASES:
        return None
    return Summary(docker_id=DockerId(found.id), phase=Phase(found.state), task=ours.task, container=ours.container)


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


def _phase(state: _State) -> Phase:
    """Docker's word for where the container is, or where its other members put it if the word is a new one."""
    if state.status in _PHASES:
        return Phase(state.status)
    if state.running:
        return Phase.PAUSED if state.paused else Phase.RUNNING
    if state.dead:
        return Phase.DEAD
    return Phase.EXITED if moment(state.started_at) else Phase.CREATED


def _last_match(pattern: re.Pattern[str], env: Collection[str]) -> str:
    """What *pattern* finds in the last variable that it matches whole; nothing where that is none."""
    return next((found[1] for one in reversed([*env]) if (found := pattern.fullmatch(one))), "")


def _health(health: _Health | None, held: Held) -> tuple[Health | None, str]:
    """What the health check says, and the end of what it wrote last; there the cause stands."""
    if health is None or health.status in ("", "none"):
        return None, ""
    words = {"healthy": Health.HEALTHY, "unhealthy": Health.UNHEALTHY}
    wrote = held.scrubbed(health.log[-1].output) if health.log else ""
    end = wrote.encode()[-_LONGEST_OUTPUT:].decode(errors="ignore")
    return words.get(health.status, Health.UNKNOWN), end


def _held(found: _Inspect) -> Held:
    asked = (found.host_config.port_bindings or {}).values()
    ports = {port.host_port for entries in asked for port in entries or ()}
    options = found.host_config.log_config.config or {}
    return Held(
        published=frozenset(int(port) for port in ports if port.isdecimal()),
        private=private_values(found.config.env or (), options.values()),
        public=frozenset((found.config.cmd or []) + (found.config.entrypoint or [])) | ports,
    )
