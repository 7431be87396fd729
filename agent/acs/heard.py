"""What one frame came to, in words for the loop."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.model.credentials import RoleCredentials
from agent.model.events import Event, StopsVerified, TaskStopRequested
from agent.wire import acs


@dataclass(frozen=True, slots=True)
class Note:
    """A line for the log."""

    event: str
    fields: Mapping[str, object] = field(default_factory=dict)
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Heard:
    """What one frame came to. `replies` leave at once, `acks` after the events are committed, in this order."""

    events: tuple[Event, ...] = ()
    credentials: tuple[RoleCredentials, ...] = ()
    replies: tuple[acs.Frame, ...] = ()
    acks: tuple[acs.Frame, ...] = ()
    notes: tuple[Note, ...] = ()
    understood: bool = True
    """True for a frame that keeps the connection alive: any that could be read, served or not."""
    seq: int = 0
    """The number of a payload: lists of tasks that are not newer count no more."""
    manifest: acs.TaskManifestMessage | None = None
    """A list of tasks, whose answers depend on what the engine makes of it (`answers`)."""

    @property
    def is_heartbeat(self) -> bool:
        """Did the server only say that it is there?"""
        return any(isinstance(reply, acs.HeartbeatAckRequest) for reply in self.replies)

    @property
    def wants_a_stop(self) -> bool:
        """Is a task to be stopped? Then nothing may hold the events back, not even a disk that is full."""
        return any(isinstance(event, TaskStopRequested | StopsVerified) for event in self.events)


def dropped(message_id: str | None, error: str) -> Heard:
    """Nothing comes of a message that breaks its contract: *error* names the field and the rule."""
    fields = {"message_id": message_id, "error": error}
    return Heard(notes=(Note("acs_message_dropped", fields, warning=True),))


def lack(message_id: str | None, cluster_arn: str | None, instance_arn: str | None) -> str:
    """What is wrong with the names that an answer repeats; empty if nothing is."""
    required = (("messageId", message_id), ("clusterArn", cluster_arn), ("containerInstanceArn", instance_arn))
    return next((f"{name}: must not be empty" for name, value in required if not value), "")
