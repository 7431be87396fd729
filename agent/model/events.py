"""What the engine is told. Past tense; time, chance and step numbers are fields, never calls."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from agent.model.acts import Act, ContainerAct, ResourceAct
from agent.model.attachments import AttachmentKind
from agent.model.names import DockerId, Step, TaskArn
from agent.model.seen import Seen
from agent.model.takeover import TakenTask
from agent.model.task import ImageSource, TaskSpec


@dataclass(frozen=True, slots=True)
class TaskAssigned:
    """ECS wants this task to run here. Comes from a payload message, possibly more than once."""

    spec: TaskSpec
    at: datetime
    draw: str
    """At least 40 random hexadecimal digits, drawn where the message was received."""
    cause: str = ""
    seq: int = 0


@dataclass(frozen=True, slots=True)
class TaskStopRequested:
    """ECS wants this task stopped. The task may be unknown here."""

    task: TaskArn
    at: datetime
    cause: str = ""
    seq: int = 0


@dataclass(frozen=True, slots=True)
class OperatorStop:
    """Somebody on this machine wants a task stopped; with `force` at once, whatever grace there is.

    `operator` says who, in words that follow "by". A task that is unknown or over stays as it is; repeats are harmless.
    """

    task: TaskArn
    force: bool
    operator: str
    at: datetime
    cause: str = "operator"


@dataclass(frozen=True, slots=True)
class TaskRefused:
    """A task of a payload could not be read, or asks for what this agent does not have."""

    task: TaskArn
    reason: str
    at: datetime
    cause: str = ""


@dataclass(frozen=True, slots=True)
class ManifestHeard:
    """ECS says which tasks it wants to run here. `number` grows with every list; one that is not newer says nothing."""

    message_id: str
    number: int
    running: frozenset[TaskArn]
    at: datetime
    cause: str = ""


@dataclass(frozen=True, slots=True)
class StopsVerified:
    """ECS has looked again at tasks that its list did not have, and these are to stop. Counts once for a list."""

    message_id: str
    tasks: tuple[TaskArn, ...]
    at: datetime
    cause: str = ""


@dataclass(frozen=True, slots=True)
class CredentialsArrived:
    """The values behind a credentials id are in the vault (again)."""

    credentials_id: str
    at: datetime
    cause: str = ""


@dataclass(frozen=True, slots=True)
class ImageResolved:
    """A registry, or the host, has said which image a name means, while the pull goes on. Not an act's outcome."""

    source: ImageSource
    digest: str
    at: datetime
    cause: str = ""


@dataclass(frozen=True, slots=True)
class ImagePulled:
    """The image is on the host. `digest` is empty where the registry was not asked."""

    source: ImageSource
    at: datetime
    digest: str = ""
    cause: str = ""


@dataclass(frozen=True, slots=True)
class ContainerCreated:
    """Docker made the container, or had made it already."""

    act: ContainerAct
    docker_id: DockerId
    at: datetime
    cause: str = ""


@dataclass(frozen=True, slots=True)
class ContainerAnswered:
    """An act on a container was answered: start, stop, kill or inspect. `seen` is the inspect that followed.

    `seen` is None where Docker knows no such container.
    """

    act: ContainerAct
    seen: Seen | None
    at: datetime
    cause: str = ""


@dataclass(frozen=True, slots=True)
class ContainerRemoved:
    """Docker has no such container any more."""

    act: ContainerAct
    at: datetime
    cause: str = ""


@dataclass(frozen=True, slots=True)
class ResourceReady:
    """A volume or cgroup is there, or a task's values are in the vault."""

    act: ResourceAct
    at: datetime
    cause: str = ""


@dataclass(frozen=True, slots=True)
class ResourceCleared:
    """A volume or cgroup is not there any more."""

    act: ResourceAct
    at: datetime
    cause: str = ""


class Fault(StrEnum):
    """What an act's failure asks the engine to do."""

    TRY_AGAIN = "try_again"
    GIVE_UP = "give_up"
    UNKNOWN = "unknown"
    """The answer was lost: the act may or may not have happened."""
    PORT_TAKEN = "port_taken"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class ActFailed:
    """An act did not do what it promised. `reason` is what ECS may be told: ``Name: text``."""

    act: Act
    fault: Fault
    reason: str
    at: datetime
    port: int = 0
    cause: str = ""


@dataclass(frozen=True, slots=True)
class ActBroke:
    """A bug of ours met an act. It harms no task but its own; a pull's is that of the tasks that wait for the image."""

    act: Act
    error: str
    at: datetime
    cause: str = ""


@dataclass(frozen=True, slots=True)
class TaskBroke:
    """A bug of ours met the decision about a task."""

    task: TaskArn
    where: str
    at: datetime
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Observed:
    """A hint from Docker's event stream made us look at one container. Late news is harmless."""

    seen: Seen
    at: datetime
    cause: str = ""


@dataclass(frozen=True, slots=True)
class EndedWell:
    """Docker's event stream says that a container has ended with exit code 0.

    Docker tells so before it answers anybody who asks what became of the container. Any other code may have a reason
    that only a look shows; 0 has none, so nothing has to wait for the look.
    """

    task: TaskArn
    docker_id: DockerId
    ended_at: datetime
    at: datetime
    cause: str = "docker die"


@dataclass(frozen=True, slots=True)
class Listed:
    """What Docker showed under our label, applied whole. Says nothing of what moved since it was `asked` for.

    `seen` holds an inspect for each entry that differed from what was known, `present` the ids of every entry, and
    `gone` the known ids that were not listed and whose inspect said 404.
    """

    seen: tuple[Seen, ...]
    present: frozenset[DockerId]
    gone: frozenset[DockerId]
    asked: Step
    at: datetime
    cause: str = "listing"


@dataclass(frozen=True, slots=True)
class TasksTaken:
    """These tasks ran under the agent before us, and are ours now. What became of them since then, a listing says.

    A task that is known here, or over, stays as it is; repeats are harmless.
    """

    tasks: tuple[TakenTask, ...]
    at: datetime
    cause: str = "takeover"


@dataclass(frozen=True, slots=True)
class DeadlinePassed:
    """It is `at` now: whatever was due before is due."""

    at: datetime
    cause: str = "clock"


@dataclass(frozen=True, slots=True)
class ClockStepped:
    """The wall clock was set: it shows so much more than before (less, if negative), and no time has passed for that.

    Decided before anything that was stamped by the clock as it is now.
    """

    by: timedelta
    at: datetime
    cause: str = "clock"


@dataclass(frozen=True, slots=True)
class DockerLost:
    """Docker does not answer. A fact about Docker, never about a container."""

    at: datetime
    cause: str = "docker"


@dataclass(frozen=True, slots=True)
class DockerBack:
    """Docker answers again. Acts are released by the listing that follows."""

    at: datetime
    cause: str = "docker"


@dataclass(frozen=True, slots=True)
class Strained:
    """The host can take no new task, and *reason* says why (``Name: text``); it can again where that is empty.

    Said whenever it changes, and said anew after a start. Tasks that are known here go on.
    """

    reason: str
    at: datetime
    cause: str = "strain"


@dataclass(frozen=True, slots=True)
class GpusFound:
    """The host has these GPUs, and no others. Said whenever it changes, and said anew after a start.

    A task that runs keeps what it was given, whatever is said here.
    """

    gpus: frozenset[str]
    at: datetime
    cause: str = "gpus"


@dataclass(frozen=True, slots=True)
class Reclaim:
    """Room is needed: the cleanup of at most `most` tasks that have stopped does not wait for its time."""

    most: int
    at: datetime
    cause: str = "disk"


@dataclass(frozen=True, slots=True)
class AttachmentAnnounced:
    """ECS is attaching something to the host and wants to hear when it is there, within `wait_ms` milliseconds.

    Comes more than once. `key` and `task` are those of `Attachment`.
    """

    arn: str
    kind: AttachmentKind
    key: str
    wait_ms: int
    at: datetime
    task: TaskArn = TaskArn("")  # noqa: RUF009 -- a NewType call is the value itself
    cause: str = ""


@dataclass(frozen=True, slots=True)
class AttachmentsFound:
    """The host has links or disks with these keys. Repeats are harmless."""

    keys: frozenset[str]
    at: datetime
    cause: str = "host"


@dataclass(frozen=True, slots=True)
class ReportsSettled:
    """ECS has acknowledged (or refused for good) everything there was to tell of these tasks."""

    tasks: frozenset[TaskArn]
    at: datetime
    cause: str = "reporter"


Event = (
    TaskAssigned
    | TaskStopRequested
    | OperatorStop
    | TaskRefused
    | ManifestHeard
    | StopsVerified
    | CredentialsArrived
    | ImageResolved
    | ImagePulled
    | ResourceReady
    | ResourceCleared
    | ContainerCreated
    | ContainerAnswered
    | ContainerRemoved
    | ActFailed
    | ActBroke
    | TaskBroke
    | Observed
    | EndedWell
    | Listed
    | TasksTaken
    | DeadlinePassed
    | ClockStepped
    | DockerLost
    | DockerBack
    | Strained
    | GpusFound
    | Reclaim
    | AttachmentAnnounced
    | AttachmentsFound
    | ReportsSettled
)
