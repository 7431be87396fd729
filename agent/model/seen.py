"""What Docker shows of a container of ours, free of environment, options and secrets."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from agent.model.names import DockerId, TaskArn
from agent.model.parts import Dependency, RestartPolicy
from agent.model.status import Health, Status
from agent.model.task import Binding, PortMapping


class Phase(StrEnum):
    """Docker's own words for where a container is (``State.Status`` of an inspect, ``State`` of a listing)."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Labels:
    """What our labels say of a container: enough to rebuild its task when the journal is lost."""

    agent: str
    instance: str
    task: TaskArn
    container: str
    family: str
    version: str
    essential: bool = True
    stop_timeout: float | None = None
    ports: tuple[PortMapping, ...] = ()
    order: int = 0
    count: int = 1
    """How many containers the task has."""
    run: int = 1
    image: str = ""
    depends_on: tuple[Dependency, ...] = ()
    """With links and volumesFrom: what is needed to stop in reverse order."""
    restart: RestartPolicy | None = None
    volumes: tuple[str, ...] = ()
    """The volumes that end with the task, whichever container mounts them."""
    cgroup: bool = False
    """True if the task as a whole has a cgroup."""
    digest: str = ""
    """SHA-256 of the create body without secrets: two bodies that match are the same container."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One container as an inspect shows it. Times are in UTC; None where Docker has none yet."""

    docker_id: DockerId
    name: str
    labels: Labels
    phase: Phase
    exit_code: int | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    error: str = ""
    oom_killed: bool = False
    bindings: tuple[Binding, ...] = ()
    health: Health | None = None
    """None where the container has no health check; UNKNOWN while it is starting."""
    health_output: str = ""
    """The last output of the health check, at most 1024 bytes, free of the container's private values."""

    metadata_id: str = field(default="", repr=False)
    """The secret part of its metadata address, as its environment has it."""
    task_credentials_id: str = field(default="", repr=False)
    """The id of its task's credentials, as its environment has it."""

    @property
    def status(self) -> Status:
        """How far the container has come (task-engine: a paused one runs; one that failed to start has stopped)."""
        if self.phase in (Phase.RUNNING, Phase.PAUSED, Phase.RESTARTING):
            return Status.RUNNING
        if self.phase is Phase.CREATED and not self.error:
            return Status.CREATED
        return Status.STOPPED


@dataclass(frozen=True, slots=True)
class Summary:
    """One line of Docker's listing: no exit code, no times."""

    docker_id: DockerId
    phase: Phase
    task: TaskArn
    container: str


@dataclass(frozen=True, slots=True)
class Hint:
    """Something happened to a container of ours; look at it."""

    docker_id: DockerId
    action: str
    task: TaskArn = TaskArn("")  # noqa: RUF009 -- a NewType call is the value itself
    ended_well: datetime | None = None
    """When the container ended, if it did with exit code 0: then a look could tell no more."""


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What a Docker Engine says of itself and its host, as far as capabilities and resources depend on it."""

    version: str
    """The engine's version without build metadata, such as ``20.10.24``."""
    api_version: str
    """The newest API version that the engine speaks, such as ``1.41``."""
    oldest_api_version: str
    logging_drivers: tuple[str, ...] = ()
    volume_drivers: tuple[str, ...] = ()
    runtimes: tuple[str, ...] = ()
    security_options: tuple[str, ...] = ()
    """Names only: ``seccomp``, ``apparmor``, ``selinux``, ``rootless``, ``userns``."""
    cgroup_version: str = "1"
    cgroup_driver: str = ""
    """``cgroupfs`` or ``systemd``: who makes the cgroups of containers, and how their parents are named."""
    memory: int = 0
    """Bytes of the engine's host (``MemTotal``)."""
    processors: int = 0
    architecture: str = ""
    operating_system: str = ""
    root_dir: str = ""
    """Where the engine keeps images and containers, on its host."""
