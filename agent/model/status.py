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
    """``ECS_IMAGE_PULL_BEHAVIOR``: when an image is fetched from its registry, and what a failure of that means."""

    DEFAULT = "default"
    """Always fetched; if that fails, the image on the host is used."""
    ALWAYS = "always"
    """Always fetched; if that fails, the task stops."""
    ONCE = "once"
    """Fetched unless this agent has fetched it before; if that fails, the task stops."""
    PREFER_CACHED = "prefer-cached"
    """Fetched only if it is not on the host."""


class Health(StrEnum):
    """What a container's health check says, in ECS's words (API reference, ``healthStatus``)."""

    UNKNOWN = "UNKNOWN"
    HEALTHY = "HEALTHY"
    UNHEALTHY = "UNHEALTHY"


class ResourceKind(StrEnum):
    """Things that containers need besides an image."""

    CGROUP = "cgroup"
    VOLUME = "volume"
    VALUES = "values"
    """Secrets, environment files and registry logins of the task, in the vault."""


class ResourceStatus(StrEnum):
    """Where such a thing stands. FAILED is for good: the task stops."""

    NONE = "none"
    READY = "ready"
    FAILED = "failed"
    GONE = "gone"


class ResourceDoing(StrEnum):
    """An act on such a thing that has been decided and whose outcome has not been heard."""

    PREPARE = "prepare"
    CLEAR = "clear"
