"""What the engine asks of the world. Each act says how it is repeated when its outcome was lost.

At most one act is in flight per thing (a container, an image). Three may overtake: `StopContainer` over
`StartContainer`, `KillContainer` over anything, `CancelPull` over `PullImage`.
"""

from dataclasses import dataclass
from datetime import datetime

from agent.model.names import NO_ID, DockerId, Image, TaskArn
from agent.model.status import Doing
from agent.model.task import ContainerSpec, Lease


@dataclass(frozen=True, slots=True)
class PullImage:
    """Fetch an image. Repeated by doing it **again**: Docker keeps the layers it has.

    With `prefer_cached`, an image that is on the host already is not fetched.
    """

    image: Image
    prefer_cached: bool = False


@dataclass(frozen=True, slots=True)
class CancelPull:
    """Stop fetching an image that nobody waits for any more. Overtakes; the pull's own outcome frees the slot."""

    image: Image


@dataclass(frozen=True, slots=True)
class ContainerAct:
    """What every act on one container says."""

    task: TaskArn
    container: str
    run: int


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


@dataclass(frozen=True, slots=True)
class StartContainer(ContainerAct):
    """Start a created container. Repeated by **asking, then again**: one that has run is not run twice."""

    docker_id: DockerId
    again: bool = False


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
