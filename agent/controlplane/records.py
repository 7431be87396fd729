"""What the control plane knows: one frozen record per row of its file.

A record holds everything that must survive a crash and nothing that can be computed: what remains of an instance is
what it registered minus the charges of its tasks, and what an agent is still owed follows from its tasks (delivery.py).
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Self

JsonObject = dict[str, Any]
"""A JSON object whose members the published API model has already checked."""

Tags = tuple[tuple[str, str], ...]

LAST_STATUS = ("PENDING", "RUNNING", "STOPPING", "STOPPED")
"""The states of a bridge, host or none mode task, in order; a task only ever moves to the right."""

UNKNOWN = "UNKNOWN"
"""The health of what has no check, or whose check has not come to anything yet."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster by its name. A deleted one stays, INACTIVE, until its name is taken again."""

    name: str
    arn: str
    created_at: datetime
    status: str = "ACTIVE"
    settings: tuple[JsonObject, ...] = ()
    tags: Tags = ()

    @property
    def key(self) -> str:
        """What the record is kept under."""
        return self.name


@dataclass(frozen=True, slots=True)
class TaskDefinition:
    """One revision. `body` is the definition as it reads back, defaults filled in."""

    family: str
    revision: int
    arn: str
    body: JsonObject = field(repr=False)
    registered_at: datetime
    registered_by: str
    status: str = "ACTIVE"
    requires_attributes: tuple[str, ...] = ()
    compatibilities: tuple[str, ...] = ()
    deregistered_at: datetime | None = None
    tags: Tags = ()

    @property
    def key(self) -> str:
        """What the record is kept under."""
        return f"{self.family}:{self.revision}"


@dataclass(frozen=True, slots=True)
class AgentUpdate:
    """A version that an agent is to put in its own place: where it lies, its SHA-256, and how far it is."""

    location: str
    signature: str
    seq: int
    status: str = "PENDING"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class InstanceCheck:
    """What one check of a host came to, in the words of the API, as its agent last told."""

    type: str
    status: str
    last_updated: datetime
    last_status_change: datetime


@dataclass(frozen=True, slots=True)
class ContainerInstance:
    """A host with an agent. `connection` names the ACS session that holds it, empty while there is none.

    `agent_key` is the id of the key pair that registered it, or that first held a session for one of before such ids
    were noted; it alone may speak for it (rights.py).
    """

    arn: str
    cluster: str
    registered_at: datetime
    cpu: int
    memory: int
    reserved_tcp: tuple[str, ...] = ()
    reserved_udp: tuple[str, ...] = ()
    attributes: Tags = ()
    tags: Tags = ()
    status: str = "ACTIVE"
    connection: str = ""
    version: int = 1
    agent_version: str = ""
    agent_hash: str = ""
    docker_version: str = ""
    ec2_instance_id: str = ""
    client_token: str = field(default="", repr=False)
    gpus: tuple[str, ...] = ()
    agent_key: str = ""
    update: AgentUpdate | None = None
    checks: tuple[InstanceCheck, ...] = ()

    @property
    def key(self) -> str:
        """What the record is kept under."""
        return self.arn

    @property
    def external(self) -> bool:
        """Is it outside EC2, so that only the launch type EXTERNAL may use it?"""
        return any(name == "ecs.capability.external" for name, _ in self.attributes)


@dataclass(frozen=True, slots=True)
class Charge:
    """What a task holds of its instance from placement until it is STOPPED."""

    cpu: int = 0
    memory: int = 0
    tcp: tuple[int, ...] = ()
    udp: tuple[int, ...] = ()
    gpus: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TaskContainer:
    """One container of a task, as its agent last told. `health` is empty where it has no health check."""

    name: str
    arn: str
    image: str
    essential: bool
    cpu: int = 0
    memory: int | None = None
    memory_reservation: int | None = None
    last_status: str = "PENDING"
    runtime_id: str = ""
    image_digest: str = ""
    exit_code: int | None = None
    reason: str = ""
    network_bindings: tuple[JsonObject, ...] = ()
    gpu_ids: tuple[str, ...] = ()
    health: str = ""

    def ended(self) -> Self:
        """The same container, STOPPED: what its health check said holds no longer."""
        return replace(self, last_status="STOPPED", health=UNKNOWN if self.health else "")


@dataclass(frozen=True, slots=True)
class PlaneTask:
    """A task: what was asked, where it was placed, how far it is, and what its agent has acknowledged.

    `run_seq` and `stop_seq` number the two messages an agent may be owed; 0 means the message was never due.
    Credentials are known by id alone; values are minted when a message leaves.
    """

    arn: str
    cluster: str
    instance: str
    definition: str
    charge: Charge
    containers: tuple[TaskContainer, ...]
    created_at: datetime
    group: str
    launch_type: str
    run_seq: int
    stop_seq: int = 0
    run_acked: bool = False
    stop_acked: bool = False
    overrides: JsonObject = field(default_factory=dict, repr=False)
    cpu: str = ""
    memory: str = ""
    started_by: str = ""
    reference_id: str = ""
    last_status: str = "PENDING"
    desired_status: str = "RUNNING"
    connectivity: str = "CONNECTED"
    connectivity_at: datetime | None = None
    pull_started_at: datetime | None = None
    pull_stopped_at: datetime | None = None
    started_at: datetime | None = None
    stopping_at: datetime | None = None
    execution_stopped_at: datetime | None = None
    stopped_at: datetime | None = None
    stop_code: str = ""
    stopped_reason: str = ""
    version: int = 1
    tags: Tags = ()
    attributes: Tags = ()
    availability_zone: str = ""
    task_role: str = ""
    execution_role: str = ""
    task_credentials_id: str = field(default="", repr=False)
    execution_credentials_id: str = field(default="", repr=False)
    protected_until: datetime | None = None

    @property
    def key(self) -> str:
        """What the record is kept under."""
        return self.arn

    @property
    def task_id(self) -> str:
        """The last part of the ARN."""
        return self.arn.rpartition("/")[2]

    @property
    def stopped(self) -> bool:
        """Has its agent told that nothing of it runs?"""
        return self.last_status == "STOPPED"


@dataclass(frozen=True, slots=True)
class Attachment:
    """A network interface or a volume on its way to a host, until its agent says that it is there.

    `kind` is one of notices.KINDS, `details` what an agent needs to know it by.
    """

    arn: str
    cluster: str
    instance: str
    kind: str
    seq: int
    expires_at: datetime
    details: JsonObject = field(repr=False)
    task: str = ""
    status: str = "ATTACHING"
    acked: bool = False

    @property
    def key(self) -> str:
        """What the record is kept under."""
        return self.arn

    @property
    def attachment_id(self) -> str:
        """The last part of the ARN."""
        return self.arn.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class RunToken:
    """A RunTask that was made under a clientToken: the same call again gets the same tasks."""

    cluster: str
    token: str
    fingerprint: str
    tasks: tuple[str, ...]
    failures: tuple[JsonObject, ...]
    at: datetime

    @property
    def key(self) -> str:
        """What the record is kept under."""
        return f"{self.cluster}/{self.token}"


@dataclass(frozen=True, slots=True)
class Counter:
    """A number that never goes back: the last sequence number, the last revision of a family."""

    name: str
    value: int

    @property
    def key(self) -> str:
        """What the record is kept under."""
        return self.name


Record = Cluster | TaskDefinition | ContainerInstance | PlaneTask | Attachment | RunToken | Counter
KINDS: tuple[type[Record], ...] = (Cluster, TaskDefinition, ContainerInstance, PlaneTask, Attachment, RunToken, Counter)
