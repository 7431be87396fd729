"""What another agent of this host answers on its introspection port (ECS developer guide, introspection)."""

from dataclasses import dataclass

import msgspec

from agent.model.errors import TryAgain
from agent.model.names import DockerId, Image, TaskArn


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Who that agent is. The ARN is empty as long as it has not registered."""

    cluster: str
    instance_arn: str
    version: str


@dataclass(frozen=True, slots=True)
class ToldContainer:
    """One container of a task definition. `restarts` is None where it has no restart policy."""

    docker_id: DockerId
    name: str
    image: Image
    restarts: int | None


@dataclass(frozen=True, slots=True)
class ToldTask:
    """One task of that agent's. `known` and `desired` are in ECS's words."""

    arn: TaskArn
    family: str
    version: str
    known: str
    desired: str
    containers: tuple[ToldContainer, ...]


class _Metadata(msgspec.Struct, rename="pascal"):
    cluster: str
    container_instance_arn: str | None = None
    version: str = ""


class _Container(msgspec.Struct, rename="pascal"):
    docker_id: str = ""
    name: str = ""
    image: str = ""
    restart_count: int | None = None


class _Task(msgspec.Struct, rename="pascal"):
    arn: str
    known_status: str
    desired_status: str = ""
    family: str = ""
    version: str = ""
    containers: list[_Container] | None = None


class _Tasks(msgspec.Struct, rename="pascal"):
    tasks: list[_Task] | None = None


def metadata(answer: bytes) -> Neighbour:
    """The answer to /v1/metadata. Raises TryAgain where it is none."""
    try:
        found = msgspec.json.decode(answer, type=_Metadata)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TryAgain(f"/v1/metadata is not answered as an ECS agent does: {error}") from error
    return Neighbour(found.cluster, found.container_instance_arn or "", found.version)


def tasks(answer: bytes) -> tuple[ToldTask, ...]:
    """The answer to /v1/tasks. Raises TryAgain where it is none."""
    try:
        found = msgspec.json.decode(answer, type=_Tasks).tasks or ()
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TryAgain(f"/v1/tasks is not answered as an ECS agent does: {error}") from error
    return tuple(
        ToldTask(
            arn=TaskArn(one.arn),
            family=one.family,
            version=one.version,
            known=one.known_status,
            desired=one.desired_status,
            containers=tuple(
                ToldContainer(DockerId(c.docker_id), c.name, Image(c.image), c.restart_count)
                for c in one.containers or ()
            ),
        )
        for one in found
    )
