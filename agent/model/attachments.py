"""Things that ECS attaches to the host, and wants to hear of when they are there."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from agent.model.names import TaskArn


class AttachmentKind(StrEnum):
    """What is attached. ECS is told of the first as a change of its task, of the others by a call of their own."""

    TASK_INTERFACE = "task_interface"
    INSTANCE_INTERFACE = "instance_interface"
    VOLUME = "volume"


@dataclass(frozen=True, slots=True)
class Attachment:
    """Something on its way to the host. After `expires_at` nobody asks for it any more."""

    arn: str
    kind: AttachmentKind
    key: str
    """By what it is known on the host: the MAC address of a link, in lower case, or the serial number of a disk."""
    expires_at: datetime
    wait_ms: int
    """How many milliseconds ECS gave it: no clock that is set makes them more."""
    task: TaskArn = TaskArn("")  # noqa: RUF009 -- a NewType call is the value itself
    told: bool = False
    """It is there, and the outbox has been told so."""
