"""The states a container and a task go through, in order.

One scale serves both: a task is as far as its least advanced container. Numbers only ever grow within one run of a
container; that is what lets late and double news be harmless.
"""

from enum import IntEnum, StrEnum


class Status(IntEnum):
    """How far a container or a task has come. Compared with ``<``: further is greater."""

    NONE = 0
    PULLED = 1
    CREATED = 2
    RUNNING = 3
    STOPPED = 4

    @property
    def told(self) -> str:
        """The word that ECS knows for this state (SubmitTaskStateChange, ``status``)."""
        return self.name if self in (Status.RUNNING, Status.STOPPED) else "PENDING"


class Doing(StrEnum):
    """An act on a container that has been decided and whose outcome has not been heard."""

    PULL = "pull"
    CREATE = "create"
    START = "start"
    STOP = "stop"
    KILL = "kill"
    INSPECT = "inspect"
    REMOVE = "remove"


class PullBehavior(StrEnum):
    """``ECS_IMAGE_PULL_BEHAVIOR``: when an image is fetched from its registry."""

    DEFAULT = "default"
    PREFER_CACHED = "prefer-cached"
