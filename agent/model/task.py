"""What ECS asked for (specs) and how far it has come (states).

A :class:`Task` is one row of the journal. Everything that must survive a crash is a field here, and nothing else is:
what is on its way (`doing`), when a stop turns into a kill, which host ports are leased, which credentials are used
(by id, never by value). All of it is frozen; a change is a new value.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Self

from agent.model.names import NO_ID, DockerId, Image, TaskArn
from agent.model.status import Doing, Status


class Transport(StrEnum):
    """The transport protocols of a port mapping."""

    TCP = "tcp"
    UDP = "udp"


@dataclass(frozen=True, slots=True)
class PortMapping:
    """A container port to be published. ``host_port`` 0 asks the agent to choose one."""

    container_port: int
    host_port: int = 0
    transport: Transport = Transport.TCP


@dataclass(frozen=True, slots=True)
class Lease:
    """A host port that belongs to a container until the container is known not to run."""

    container_port: int
    host_port: int
    transport: Transport = Transport.TCP
    chosen: bool = False
    """True if the agent chose the port (it may choose again); False if the task definition fixed it."""


@dataclass(frozen=True, slots=True)
class Binding:
    """A published port as Docker shows it."""

    container_port: int
    host_port: int
    transport: Transport
    bind_ip: str


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """One container of a task, as ECS asked for it. Memory in MiB, CPU in shares (1024 are one processor)."""

    name: str
    image: Image
    essential: bool = False
    cpu: int = 0
    memory: int = 0
    command: tuple[str, ...] = ()
    entry_point: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict, repr=False)
    ports: tuple[PortMapping, ...] = ()
    stop_timeout: float | None = None
    """Seconds from the stop signal to the kill; None leaves it to ``ECS_CONTAINER_STOP_TIMEOUT``."""
    docker_config: str = field(default="", repr=False)
    """ECS's own text of Docker's ``Config`` object (JSON); the base of the create body."""
    host_config: str = field(default="", repr=False)
    """ECS's own text of Docker's ``HostConfig`` object (JSON)."""
    container_arn: str = ""


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """A task as ECS asked for it. CPU in processors, memory in MiB; 0 sets no limit for the whole task."""

    arn: TaskArn
    family: str
    version: str
    containers: tuple[ContainerSpec, ...]
    cpu: float = 0.0
    memory: int = 0
    network_mode: str = "bridge"
    task_credentials_id: str = ""
    execution_credentials_id: str = ""
    rebuilt: bool = False
    """True while the task is known only from the labels of its containers (the journal was lost)."""

    @property
    def credentials_ids(self) -> tuple[str, ...]:
        """The ids of the credentials that the task uses."""
        return tuple(one for one in (self.task_credentials_id, self.execution_credentials_id) if one)


@dataclass(frozen=True, slots=True)
class Container:
    """Where one container of a task stands."""

    name: str
    known: Status = Status.NONE
    wanted: Status = Status.RUNNING
    told: Status = Status.NONE
    """The furthest state for which an outbox row exists."""
    run: int = 1
    """Restarts by policy begin a new run; facts about an older one are dropped."""
    doing: tuple[Doing, ...] = ()
    lost: tuple[Doing, ...] = ()
    """Those of `doing` that may or may not have happened: their answers were lost."""
    docker_id: DockerId = NO_ID
    exit_code: int | None = None
    reason: str = ""
    pull_reason: str = ""
    """Why the last pull failed; becomes the reason only if no container can be created without it."""
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    leases: tuple[Lease, ...] = ()
    leases_tried: int = 0
    bindings: tuple[Binding, ...] = ()
    kill_at: datetime | None = None
    """When a stop turns into a kill. Committed with the stop, so that a restart gives the rest of it."""
    wake_at: datetime | None = None
    """When an act that failed for a while is tried again."""
    tries: int = 0
    start_by: datetime | None = None
    image_digest: str = ""
    removed: bool = False

    def is_doing(self, *acts: Doing) -> bool:
        """Is one of *acts* decided and unanswered?"""
        return any(act in self.doing for act in acts)

    @property
    def in_flight(self) -> tuple[Doing, ...]:
        """Acts whose answer is on its way."""
        return tuple(act for act in self.doing if act not in self.lost)

    @property
    def may_appear(self) -> bool:
        """May Docker still bring this container to life for an act we have not heard the end of?"""
        return self.is_doing(Doing.CREATE, Doing.START, Doing.INSPECT)

    @property
    def at_rest(self) -> bool:
        """Is it certain that the container does not run and will not?"""
        return self.known is Status.STOPPED and not self.may_appear


@dataclass(frozen=True, slots=True)
class Task:
    """One row of the journal: a task, everything decided about it, and everything known of it."""

    spec: TaskSpec
    containers: tuple[Container, ...]
    arrived: datetime
    draw: str = ""
    """Hexadecimal digits drawn when the task arrived; names and first guesses of ports derive from it."""
    admitted: datetime | None = None
    known: Status = Status.NONE
    wanted: Status = Status.RUNNING
    told: Status = Status.NONE
    """The furthest state for which an outbox row exists."""
    reason: str = ""
    pull_started_at: datetime | None = None
    pull_stopped_at: datetime | None = None
    execution_stopped_at: datetime | None = None
    stopped_at: datetime | None = None
    remove_at: datetime | None = None
    """When the containers of a stopped task are removed (``ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION``)."""
    settled: bool = False
    """True once ECS has acknowledged everything there was to tell."""
    broken: bool = False
    """True after a bug of ours met this task: it is not driven again."""
    seq: int = 0

    @property
    def arn(self) -> TaskArn:
        """The task's ARN."""
        return self.spec.arn

    def __getitem__(self, name: str) -> Container:
        """The state of the container called *name*. Raises KeyError where the task has none."""
        for container in self.containers:
            if container.name == name:
                return container
        raise KeyError(name)

    @property
    def publishes(self) -> bool:
        """Are the ports of this task published on the host by Docker?"""
        return self.spec.network_mode in ("", "bridge")

    def pairs(self) -> Iterator[tuple[ContainerSpec, Container]]:
        """Each container's spec beside its state, in the order of the task definition."""
        return zip(self.spec.containers, self.containers, strict=True)

    def asked(self, name: str) -> ContainerSpec:
        """The spec of the container called *name*. Raises KeyError where the task has none."""
        for spec in self.spec.containers:
            if spec.name == name:
                return spec
        raise KeyError(name)

    def having(self, container: Container) -> Self:
        """This task with *container* in place of its namesake."""
        return replace(self, containers=tuple(container if c.name == container.name else c for c in self.containers))


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What is left of a forgotten task: a payload for it is acknowledged and changes nothing."""

    arn: TaskArn
    at: datetime
    until: datetime | None = None
    """When the tombstone itself may go; None until the task's reports are settled."""
    refused: bool = False
    """True for a task that could not be read: the payload that brings it is never acknowledged."""
