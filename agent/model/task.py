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
from agent.model.parts import (
    Association,
    Condition,
    Dependency,
    EnvironmentFile,
    Link,
    Mount,
    RegistryAuth,
    RestartPolicy,
    Secret,
    Volume,
    VolumesFrom,
)
from agent.model.status import Doing, Health, ResourceDoing, ResourceKind, ResourceStatus, Status


class Transport(StrEnum):
    """The transport protocols of a port mapping."""

    TCP = "tcp"
    UDP = "udp"


@dataclass(frozen=True, slots=True)
class PortMapping:
    """A container port to be published, or `count` ports that follow each other.

    ``host_port`` 0 asks the agent to choose; for a range it chooses as many that follow each other.
    """

    container_port: int
    host_port: int = 0
    transport: Transport = Transport.TCP
    count: int = 1


@dataclass(frozen=True, slots=True)
class Lease:
    """A host port that belongs to a container until the container is known not to run."""

    container_port: int
    host_port: int
    transport: Transport = Transport.TCP
    chosen: bool = False
    """True if the agent chose the port (it may choose again); False if the task definition fixed it."""
    count: int = 1
    """How many ports from this one on; more than one for a range."""


@dataclass(frozen=True, slots=True)
class Binding:
    """A published port as Docker shows it."""

    container_port: int
    host_port: int
    transport: Transport
    bind_ip: str
    count: int = 1
    """How many ports from this one on; more than one for a range."""


@dataclass(frozen=True, slots=True)
class ImageSource:
    """An image, and the login with which it is fetched. Who asks for the same source shares one pull."""

    image: Image
    registry: RegistryAuth | None = None
    credentials_id: str = ""
    """The execution role's credentials, where the login needs them."""


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """One container of a task, as ECS asked for it. Memory in MiB, CPU in shares (1024 are one processor)."""

    name: str
    image: Image
    essential: bool = False
    cpu: int = 0
    memory: int = 0
    memory_reservation: int = 0
    """As the host config has it; admission counts it in place of `memory` where it is set."""
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
    depends_on: tuple[Dependency, ...] = ()
    links: tuple[Link, ...] = ()
    mounts: tuple[Mount, ...] = ()
    volumes_from: tuple[VolumesFrom, ...] = ()
    start_timeout: float | None = None
    """Seconds from this container's start within which it must come to what others wait for; None sets no limit."""
    restart: RestartPolicy | None = None
    health_check: bool = False
    """True if ECS asked for health to be kept (``healthCheckType`` is ``docker``)."""
    secrets: tuple[Secret, ...] = ()
    environment_files: tuple[EnvironmentFile, ...] = ()
    registry: RegistryAuth | None = None
    gpus: tuple[str, ...] = ()
    """UUIDs of the GPUs that ECS gave to this container."""
    logs_by_execution_role: bool = False
    """True if the awslogs driver signs with the execution role (``logsAuthStrategy``)."""

    @property
    def dependencies(self) -> tuple[Dependency, ...]:
        """All that this container waits for: what it says itself, links (a START), and ``volumesFrom`` (a CREATE)."""
        links = tuple(Dependency(link.container, Condition.START) for link in self.links)
        volumes = tuple(Dependency(one.container, Condition.CREATE) for one in self.volumes_from)
        return self.depends_on + links + volumes


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
    pid_mode: str = ""
    ipc_mode: str = ""
    volumes: tuple[Volume, ...] = ()
    task_credentials_id: str = ""
    execution_credentials_id: str = ""
    service: str = ""
    """The service whose task it is, as ECS says; empty for a standalone one, and where nobody knows."""
    launch_type: str = ""
    """As ECS says: ``EC2``, ``EXTERNAL``."""
    associations: tuple[Association, ...] = ()
    fault_injection: bool = False
    """May containers of this task ask for faults (``enableFaultInjection``)?"""
    rebuilt: bool = False
    """True while the task is known only from the labels of its containers (the journal was lost)."""

    @property
    def credentials_ids(self) -> tuple[str, ...]:
        """The ids of the credentials that the task uses."""
        return tuple(one for one in (self.task_credentials_id, self.execution_credentials_id) if one)

    @property
    def wants_values(self) -> bool:
        """Must values be fetched before all containers can be created: secrets, environment files, logins?"""
        return any(
            one.secrets or one.environment_files or (one.registry and one.registry.credentials_parameter)
            for one in self.containers
        )

    def source(self, spec: ContainerSpec) -> ImageSource:
        """Where the image of *spec* comes from."""
        uses_role = spec.registry is not None and (
            spec.registry.use_execution_role or bool(spec.registry.credentials_parameter)
        )
        return ImageSource(spec.image, spec.registry, self.execution_credentials_id if uses_role else "")


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
    """When those who wait for this container give up: its start, and its ``startTimeout`` more."""
    image_digest: str = ""
    told_digest: bool = False
    """True once an outbox row holds `image_digest`."""
    removed: bool = False
    first_started_at: datetime | None = None
    """The start of the first run; `started_at` is that of the present one."""
    restarts: int = 0
    """How often the restart policy has started this container again."""
    restarted_at: datetime | None = None
    metadata_id: str = field(default="", repr=False)
    """The secret part of its metadata address, where it was found with the container; else it derives from the draw."""
    health: Health = Health.UNKNOWN
    health_since: datetime | None = None
    health_output: str = ""
    """The last lines of the health check, at most 1024 bytes."""

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
class Resource:
    """Where one of the things stands that containers need besides an image: a volume, a cgroup, secrets."""

    kind: ResourceKind
    name: str = ""
    """The volume's name in the task definition; empty for the kinds of which a task has one."""
    known: ResourceStatus = ResourceStatus.NONE
    doing: ResourceDoing | None = None
    lost: bool = False
    """True if `doing` may or may not have happened: its answer was lost."""
    tries: int = 0
    wake_at: datetime | None = None
    """When an act that failed for a while is tried again."""


@dataclass(frozen=True, slots=True)
class Task:
    """One row of the journal: a task, everything decided about it, and everything known of it."""

    spec: TaskSpec
    containers: tuple[Container, ...]
    arrived: datetime
    draw: str = field(default="", repr=False)
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
    resources: tuple[Resource, ...] = ()
    settled: bool = False
    """True once ECS has acknowledged everything there was to tell."""
    broken: bool = False
    """True after a bug of ours met this task: it is not driven again."""
    forced: bool = False
    """True once an operator has asked for its end by force: its containers are killed, without order or grace."""
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
