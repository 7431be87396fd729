"""What ECS is told of a task, or of something attached to the host: the content of one call that submits a change."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from agent.model.names import NO_ID, DockerId, TaskArn
from agent.model.status import Status
from agent.model.task import Binding

REASON_LIMIT = 1024
"""Bytes of a task's or container's reason that ECS takes (wire protocol, SubmitTaskStateChange)."""

GAP = "..."


def shortened(reason: str, limit: int = REASON_LIMIT) -> str:
    """*reason* in at most *limit* bytes of UTF-8: what is too much is taken out of the middle.

    It begins with the name of the error, and ends with the cause: chains of errors put the first one last.
    """
    whole = reason.encode(errors="replace")
    if len(whole) <= limit:
        return whole.decode()
    head = limit // 3
    tail = limit - head - len(GAP)
    return whole[:head].decode(errors="ignore") + GAP + whole[-tail:].decode(errors="ignore")


@dataclass(frozen=True, slots=True)
class ContainerReport:
    """One container's part of a task's report."""

    name: str
    status: Status
    docker_id: DockerId = NO_ID
    exit_code: int | None = None
    reason: str = ""
    bindings: tuple[Binding, ...] = ()
    image_digest: str = ""


@dataclass(frozen=True, slots=True)
class TaskReport:
    """One change of a task. `moved` tells a change of the task itself from one of its containers alone.

    `status` is the task's state when the change was decided, told even where only a container changed.
    """

    task: TaskArn
    status: Status
    moved: bool
    at: datetime
    reason: str = ""
    containers: tuple[ContainerReport, ...] = ()
    pull_started_at: datetime | None = None
    pull_stopped_at: datetime | None = None
    execution_stopped_at: datetime | None = None
    attachment: str = ""
    """The ARN of an attachment that is there. Then the report says that alone, of `task` if there is one."""

    @property
    def subject(self) -> TaskArn:
        """What has its reports told in order: a task, or an attachment that belongs to none."""
        return self.task or TaskArn(self.attachment)


class Verdict(StrEnum):
    """What ECS's answer to a report asks of us."""

    SETTLED = "settled"
    REFUSED = "refused"
    """InvalidParameterException: never sent again."""
    HELD = "held"
    """ClientException, AccessDenied, ClusterNotFound: this task's reports wait, the others go on."""
    LATER = "later"
    """Everything else: try again, all of them."""
