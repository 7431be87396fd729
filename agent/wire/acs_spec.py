"""From a task on the wire to what the engine is asked to run.

Read task by task: what is wrong with one is said of that one alone, as BadInput with the field's own name.
"""

import math

import msgspec

from agent.model.credentials import RoleCredentials
from agent.model.errors import BadInput
from agent.model.names import Image, TaskArn
from agent.model.task import ContainerSpec, PortMapping, TaskSpec, Transport
from agent.wire import acs_task
from agent.wire.acs_features import refuse_what_is_missing
from agent.wire.acs_task import IAMRoleCredentials, Task
from agent.wire.reading import read

TASK_ROLE = "TaskApplication"
EXECUTION_ROLE = "TaskExecution"

NETWORK_MODES = frozenset({"bridge", "host", "none", "awsvpc"})

WANTED = {"RUNNING": "RUNNING", "STOPPED": "STOPPED", "DEAD": "STOPPED"}
"""Words of ``desiredStatus``, and what they come to."""

WAITING = frozenset({"", "NONE", "UNKNOWN", "MANIFEST_PULLED", "CREATED"})
"""Words of ``desiredStatus`` that ask for less than running. ECS sends none of them."""


class _Head(msgspec.Struct, frozen=True, rename="camel"):
    arn: object = None
    desired_status: object = None


class _Roles(msgspec.Struct, frozen=True, rename="camel"):
    role_credentials: IAMRoleCredentials | None = None
    execution_role_credentials: IAMRoleCredentials | None = None


class _Overrides(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    command: list[str] | None = None


def read_arn(raw: msgspec.Raw) -> TaskArn:
    """The ARN of a task, whatever else is wrong with it. Raises BadInput where there is none."""
    arn = read(raw, _Head).arn
    if not isinstance(arn, str) or not arn:
        raise BadInput("arn", "must be a text that is not empty")
    return TaskArn(arn)


def is_stop(raw: msgspec.Raw) -> bool:
    """Does ECS want this task stopped, and not run? Raises BadInput where it wants neither."""
    word = read(raw, _Head).desired_status or ""
    if not isinstance(word, str) or word not in WANTED.keys() | WAITING:
        raise BadInput("desiredStatus", "must be RUNNING or STOPPED")
    if word in WAITING:
        raise BadInput("desiredStatus", f"tasks that are to be no more than {word or 'NONE'} are not supported yet")
    return WANTED[word] == "STOPPED"


def read_roles(raw: msgspec.Raw) -> tuple[RoleCredentials, ...]:
    """The values behind the roles of a task. Raises BadInput."""
    roles = read(raw, _Roles)
    found = (
        role_credentials(roles.role_credentials, TASK_ROLE, "roleCredentials"),
        role_credentials(roles.execution_role_credentials, EXECUTION_ROLE, "executionRoleCredentials"),
    )
    return tuple(credentials for credentials in found if credentials is not None)


def role_credentials(given: IAMRoleCredentials | None, role_type: str, path: str) -> RoleCredentials | None:
    """*given* in the words of the house. Raises BadInput where there is no id to keep them by."""
    if given is None:
        return None
    if not given.credentials_id:
        raise BadInput(f"{path}.credentialsId", "must not be empty")
    return RoleCredentials(
        credentials_id=given.credentials_id,
        role_arn=given.role_arn or "",
        role_type=role_type,
        expiration=given.expiration or "",
        access_key_id=given.access_key_id or "",
        secret_access_key=given.secret_access_key or "",
        session_token=given.session_token or "",
    )


def read_spec(raw: msgspec.Raw) -> TaskSpec:
    """The task as the engine is asked to run it.

    Raises BadInput where a field is wrong, or asks for something that this agent does not have: a task runs as it
    was asked for, or not at all.
    """
    task = read(raw, Task)
    refuse_what_is_missing(task)
    roles = {role.role_type: role.credentials_id for role in read_roles(raw)}
    containers = tuple(_container(c, f"containers[{at}]") for at, c in enumerate(task.containers or ()))
    if not containers:
        raise BadInput("containers", "must name at least one container")
    if len({container.name for container in containers}) < len(containers):
        raise BadInput("containers", "two containers have the same name")
    return TaskSpec(
        arn=read_arn(raw),
        family=task.family or "",
        version=task.version or "",
        containers=containers,
        cpu=_finite(task.cpu or 0.0, "cpu"),
        memory=task.memory or 0,
        network_mode=_network_mode(task.network_mode),
        task_credentials_id=roles.get(TASK_ROLE, ""),
        execution_credentials_id=roles.get(EXECUTION_ROLE, ""),
    )


def _container(asked: acs_task.Container, path: str) -> ContainerSpec:
    if not asked.name:
        raise BadInput(f"{path}.name", "must not be empty")
    if not asked.image:
        raise BadInput(f"{path}.image", "must not be empty")
    docker = asked.docker_config or acs_task.DockerConfig()
    command = _command(asked, path)
    mappings = asked.port_mappings or ()
    return ContainerSpec(
        name=asked.name,
        image=Image(asked.image),
        essential=bool(asked.essential),
        cpu=asked.cpu or 0,
        memory=asked.memory or 0,
        command=tuple(command),
        entry_point=tuple(asked.entry_point or ()),
        environment=asked.environment or {},
        ports=tuple(_port(mapping, f"{path}.portMappings[{at}]") for at, mapping in enumerate(mappings)),
        stop_timeout=float(asked.stop_timeout) if asked.stop_timeout else None,
        docker_config=docker.config or "",
        host_config=docker.host_config or "",
        container_arn=asked.container_arn or "",
    )


def _command(asked: acs_task.Container, path: str) -> list[str]:
    """The command, or what RunTask put in its place. The empty text is no JSON, and refused like any other."""
    if asked.overrides is not None:
        where = f"{path}.overrides"
        overrides = _Overrides() if asked.overrides == "null" else read(asked.overrides, _Overrides, where)
        if overrides.command is not None:
            return overrides.command
    return asked.command or []


def _port(mapping: acs_task.PortMapping, path: str) -> PortMapping:
    if not mapping.container_port:
        raise BadInput(f"{path}.containerPort", "must be a port from 1 to 65535")
    word = mapping.protocol or Transport.TCP
    if word not in set(Transport):
        raise BadInput(f"{path}.protocol", "must be tcp or udp")
    return PortMapping(mapping.container_port, mapping.host_port or 0, Transport(word))


def _network_mode(word: str | None) -> str:
    mode = word or "bridge"
    if mode not in NETWORK_MODES:
        raise BadInput("networkMode", f"must be one of {', '.join(sorted(NETWORK_MODES))}")
    return mode


def _finite(number: float, path: str) -> float:
    if not math.isfinite(number):
        raise BadInput(path, "must be a finite number")
    return number
