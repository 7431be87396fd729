"""What the engine asks of the world. Each act says how it is repeated when its outcome was lost.

At most one act is in flight per thing (a container, an image). Three may overtake: `StopContainer` over
`StartContainer`, `KillContainer` over anything, `CancelPull` over `PullImage`.
"""

from dataclasses import dataclass, field
from datetime import datetime

from agent.model.names import NO_ID, DockerId, TaskArn
from agent.model.parts import Volume
from agent.model.status import Doing, PullBehavior, ResourceKind
from agent.model.task import ContainerSpec, ImageSource, Lease, TaskSpec


@dataclass(frozen=True, slots=True)
class PullImage:
    """Fetch an image. Repeated by doing it **again**: Docker keeps the layers it has.

    `behavior` says when the image on the host will do.
    """

    source: ImageSource
    behavior: PullBehavior = PullBehavior.DEFAULT


@dataclass(frozen=True, slots=True)
class CancelPull:
    """Stop fetching an image that nobody waits for any more. Overtakes; the pull's own outcome frees the slot."""

    source: ImageSource


@dataclass(frozen=True, slots=True)
class ResourceAct:
    """What every act on a thing that containers need says. All are repeated by doing them **again**."""

    task: TaskArn
    kind: ResourceKind
    resource: str = ""
    """The volume's name in the task definition."""


@dataclass(frozen=True, slots=True)
class CreateVolume(ResourceAct):
    """Create a Docker volume under `name`, or see that it is there."""

    name: str = ""
    volume: Volume = field(default_factory=lambda: Volume(""))
    task_credentials_id: str = ""
    """Whose credentials an EFS volume with IAM signs with."""


@dataclass(frozen=True, slots=True)
class RemoveVolume(ResourceAct):
    """Remove a Docker volume of a task. Absence is success."""

    name: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a task as a whole may use; 0 sets no limit. Memory in MiB, `quota` and `period` in microseconds."""

    shares: int = 0
    quota: int = 0
    period: int = 0
    memory: int = 0
    pids: int = 0


@dataclass(frozen=True, slots=True)
class CreateCgroup(ResourceAct):
    """Create a task's cgroup, under `path` as Docker's ``CgroupParent`` takes it, and set its limits."""

    path: str = ""
    limits: Limits = Limits()


@dataclass(frozen=True, slots=True)
class RemoveCgroup(ResourceAct):
    """Remove a task's cgroup. Absence is success."""

    path: str = ""


@dataclass(frozen=True, slots=True)
class FetchValues(ResourceAct):
    """Fetch a task's secrets, environment files and registry logins into the vault."""

    spec: TaskSpec | None = None


@dataclass(frozen=True, slots=True)
class ContainerAct:
    """What every act on one container says."""

    task: TaskArn
    container: str
    run: int


@dataclass(frozen=True, slots=True)
class Wiring:
    """What a container shares with the rest of its task, in Docker's words."""

    links: tuple[str, ...] = ()
    """``<Docker name>:<alias>``."""
    binds: tuple[str, ...] = ()
    """``<volume or host path>:<container path>[:ro]``."""
    volumes_from: tuple[str, ...] = ()
    """``<Docker name>[:ro]``."""
    pid_mode: str = ""
    ipc_mode: str = ""
    cgroup_parent: str = ""
    task_memory: int = 0
    """MiB to be shown as the limit of a container without one; 0 for none."""
    metadata_id: str = field(default="", repr=False)
    """The secret part of the container's metadata address; a UUID."""
    task_credentials_id: str = ""
    execution_credentials_id: str = ""
    has_gpus: bool = False
    """True if any container of the task was given a GPU."""
    task_volumes: tuple[str, ...] = ()
    """Names, as the task definition has them, of the Docker volumes that end with the task; for labels alone."""


@dataclass(frozen=True, slots=True)
class CreateContainer(ContainerAct):
    """Create a container under its derived name. Repeated by **asking, then again**.

    A name that is taken is inspected: what matches is adopted, what is ours and never started is replaced.
    """

    name: str
    family: str
    version: str
    spec: ContainerSpec
    leases: tuple[Lease, ...] = ()
    order: int = 0
    count: int = 1
    network_mode: str = "bridge"
    again: bool = False
    wiring: Wiring = Wiring()


@dataclass(frozen=True, slots=True)
class StartContainer(ContainerAct):
    """Start a created container. Repeated by **asking, then again**: one that has run is not run twice."""

    docker_id: DockerId
    again: bool = False
    last_start: datetime | None = None
    """When its run before this one began, for a restart by policy: that start is not the one which is asked about."""


@dataclass(frozen=True, slots=True)
class StopContainer(ContainerAct):
    """Signal a container, and kill it at `kill_at`. Repeated with **the rest of it**: the grace that is left."""

    docker_id: DockerId
    kill_at: datetime


@dataclass(frozen=True, slots=True)
class KillContainer(ContainerAct):
    """Kill a container now. Overtakes anything. Repeated by doing it **again**."""

    docker_id: DockerId


@dataclass(frozen=True, slots=True)
class InspectContainer(ContainerAct):
    """Ask Docker what became of a container, by id or by derived name. Repeated by doing it **again**.

    Docker reserves a name before the container exists, so a 404 for a `name` counts only after two seconds.
    """

    name: str
    docker_id: DockerId = NO_ID


@dataclass(frozen=True, slots=True)
class RemoveContainer(ContainerAct):
    """Remove a container and its anonymous volumes, by id or by derived name. Repeated by **asking, then again**.

    Absence is success.
    """

    name: str
    docker_id: DockerId = NO_ID
    force: bool = False


@dataclass(frozen=True, slots=True)
class ListContainers:
    """Take a listing soon: the outcome of some act was lost. Repeated by doing it **again**."""


Act = (
    PullImage
    | CancelPull
    | CreateVolume
    | RemoveVolume
    | CreateCgroup
    | RemoveCgroup
    | FetchValues
    | CreateContainer
    | StartContainer
    | StopContainer
    | KillContainer
    | InspectContainer
    | RemoveContainer
    | ListContainers
)

DOING: dict[type[ContainerAct], Doing] = {
    CreateContainer: Doing.CREATE,
    StartContainer: Doing.START,
    StopContainer: Doing.STOP,
    KillContainer: Doing.KILL,
    InspectContainer: Doing.INSPECT,
    RemoveContainer: Doing.REMOVE,
}
"""Which word of a row's `doing` stands for which act."""
