"""What is taken over from the agent that looked after this machine before: its instance, and what runs of its tasks.

Nobody tells us all of a task that was begun elsewhere. What Docker and that agent's introspection do not say is decided
once, when it is taken over, and stands here.
"""

from dataclasses import dataclass
from datetime import datetime

from agent.model.names import DockerId, Image, TaskArn
from agent.model.parts import Dependency, RestartPolicy
from agent.model.status import Status
from agent.model.task import PortMapping

INTERNAL = "~internal~ecs~"
"""How the names of containers begin that an agent adds to a task; no task definition can have such a name."""


@dataclass(frozen=True, slots=True)
class TakenContainer:
    """One container as it stood when its task was taken over. CPU in shares, memory in MiB."""

    docker_id: DockerId
    name: str
    image: Image
    known: Status
    essential: bool = True
    stop_timeout: float | None = None
    ports: tuple[PortMapping, ...] = ()
    depends_on: tuple[Dependency, ...] = ()
    """Of all others on a container that was added to the task: it is stopped last."""
    restart: RestartPolicy | None = None
    cpu: int = 0
    memory: int = 0
    memory_reservation: int = 0
    exit_code: int | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TakenTask:
    """One task, with every container of it that Docker has."""

    arn: TaskArn
    family: str
    version: str
    containers: tuple[TakenContainer, ...] = ()
    stopping: bool = False
    """Was its end asked for, or reached, already?"""
    reason: str = ""
    """Why it ends, where that is because it was taken over."""
    has_cgroup: bool = False


@dataclass(frozen=True, slots=True)
class Takeover:
    """All that was taken over. Its containers are ours by their ids: labels cannot be added to a container."""

    agent_id: str
    cluster: str
    instance_arn: str
    agent_url: str
    """Where the agent before us answers as long as it runs."""
    at: datetime
    tasks: tuple[TakenTask, ...] = ()
    is_heard: bool = False
    """True once the journal has these tasks: from then on it says what became of them."""
