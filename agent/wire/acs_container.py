"""From a container on the wire to what the engine is asked to run.

Docker's own documents travel on as texts; read here is only what decisions depend on.
"""

import re

import msgspec

from agent.model.errors import BadInput
from agent.model.names import Image
from agent.model.parts import Condition, Dependency, Link, Mount, RestartPolicy, VolumesFrom
from agent.model.task import ContainerSpec, PortMapping, Transport
from agent.wire import acs_parts, acs_values
from agent.wire.acs_task import Container
from agent.wire.reading import filled, member, one_of, read, read_document

EXECUTION_ROLE = "ExecutionRole"
"""The one word of ``logsAuthStrategy``."""
HEALTH_OF_DOCKER = "docker"
"""The one word of ``healthCheckType``."""
CONDITIONS = tuple(one for one in Condition if one is not Condition.CREATE)
MEBIBYTE = 1 << 20
LAST_PORT = 65535
LONGEST = 10 * 365 * 86400.0
"""Seconds that are as good as for ever, and still make a date when they are added to one."""

_RANGE = re.compile(r"([0-9]{1,5})-([0-9]{1,5})")


class _Overrides(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    command: list[str] | None = None


def container(asked: Container, path: str, gpus: tuple[str, ...] = ()) -> ContainerSpec:
    """The container that stood at *path*, with the GPUs that ECS chose for it. Raises BadInput."""
    docker = asked.docker_config or acs_parts.DockerConfig()
    mounts, ports = asked.mount_points or (), asked.port_mappings or ()
    return ContainerSpec(
        name=filled(asked.name, f"{path}.name"),
        image=Image(filled(asked.image, f"{path}.image")),
        essential=bool(asked.essential),
        cpu=asked.cpu or 0,
        memory=asked.memory or 0,
        memory_reservation=_reservation(docker, f"{path}.dockerConfig.hostConfig"),
        command=tuple(_command(asked, path)),
        entry_point=tuple(asked.entry_point or ()),
        environment=asked.environment or {},
        ports=tuple(_port(mapping, f"{path}.portMappings[{at}]") for at, mapping in enumerate(ports)),
        start_timeout=_seconds(asked.start_timeout),
        stop_timeout=_seconds(asked.stop_timeout),
        docker_config=docker.config or "",
        host_config=docker.host_config or "",
        container_arn=asked.container_arn or "",
        depends_on=tuple(_dependency(one, f"{path}.dependsOn[{at}]") for at, one in enumerate(asked.depends_on or ())),
        links=tuple(_link(text, f"{path}.links[{at}]") for at, text in enumerate(asked.links or ())),
        mounts=tuple(_mount(one, f"{path}.mountPoints[{at}]") for at, one in enumerate(mounts)),
        volumes_from=tuple(
            VolumesFrom(filled(one.source_container, f"{path}.volumesFrom[{at}].sourceContainer"), bool(one.read_only))
            for at, one in enumerate(asked.volumes_from or ())
        ),
        restart=_restart(asked.restart_policy),
        health_check=asked.health_check_type == HEALTH_OF_DOCKER,
        secrets=acs_values.secrets(asked.secrets or [], path),
        environment_files=acs_values.environment_files(asked.environment_files or [], path),
        registry=acs_values.registry(asked.registry_authentication, path),
        gpus=gpus,
        logs_by_execution_role=asked.logs_auth_strategy == EXECUTION_ROLE,
    )


def _command(asked: Container, path: str) -> list[str]:
    """The command, or what RunTask put in its place. The empty text is no JSON, and refused like any other."""
    if asked.overrides is not None:
        where = f"{path}.overrides"
        overrides = _Overrides() if asked.overrides == "null" else read(asked.overrides, _Overrides, where)
        if overrides.command is not None:
            return overrides.command
    return asked.command or []


def _reservation(docker: acs_parts.DockerConfig, path: str) -> int:
    """MiB that the container counts for, where its host config reserves memory in place of a limit."""
    amount = member(read_document(docker.host_config, path), "MemoryReservation") or 0
    if isinstance(amount, bool) or not isinstance(amount, int) or amount < 0:
        raise BadInput(f"{path}.MemoryReservation", "must be a number of bytes")
    return amount // MEBIBYTE


def _seconds(given: int | None) -> float | None:
    """A time limit; 0 is none of its own."""
    return min(float(given), LONGEST) if given else None


def _port(mapping: acs_parts.PortMapping, path: str) -> PortMapping:
    transport = one_of(mapping.protocol or Transport.TCP, Transport, f"{path}.protocol")
    if mapping.container_port_range:
        return _ports(mapping, mapping.container_port_range, transport, path)
    if not mapping.container_port:
        raise BadInput(f"{path}.containerPort", f"must be a port from 1 to {LAST_PORT}")
    return PortMapping(mapping.container_port, mapping.host_port or 0, transport)


def _ports(mapping: acs_parts.PortMapping, text: str, transport: Transport, path: str) -> PortMapping:
    for name, given in (("containerPort", mapping.container_port), ("hostPort", mapping.host_port)):
        if given:
            raise BadInput(f"{path}.{name}", "must be absent beside containerPortRange")
    found = _RANGE.fullmatch(text)
    if not found or not 1 <= int(found[1]) <= int(found[2]) <= LAST_PORT:
        raise BadInput(f"{path}.containerPortRange", f"must be a first and a last port from 1 to {LAST_PORT}: 80-90")
    return PortMapping(int(found[1]), 0, transport, count=int(found[2]) - int(found[1]) + 1)


def _dependency(asked: acs_parts.ContainerDependency, path: str) -> Dependency:
    name = filled(asked.container_name, f"{path}.containerName")
    for condition in CONDITIONS:
        if condition == asked.condition:
            return Dependency(name, condition)
    raise BadInput(f"{path}.condition", f"must be {' or '.join(CONDITIONS)}")


def _link(text: str, path: str) -> Link:
    name, _, alias = text.partition(":")
    if not name or ":" in alias:
        raise BadInput(path, "must be a container's name, or name:alias")
    return Link(name, alias or name)


def _mount(asked: acs_parts.MountPoint, path: str) -> Mount:
    return Mount(
        filled(asked.source_volume, f"{path}.sourceVolume"),
        filled(asked.container_path, f"{path}.containerPath"),
        bool(asked.read_only),
    )


def _restart(asked: acs_parts.RestartPolicy | None) -> RestartPolicy | None:
    if asked is None or not asked.enabled:
        return None
    codes = tuple(asked.ignored_exit_codes or ())
    if asked.restart_attempt_period is None:
        return RestartPolicy(codes)
    return RestartPolicy(codes, min(float(asked.restart_attempt_period), LONGEST))
