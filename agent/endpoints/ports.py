"""What the endpoints for containers need of the rest of the house."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from agent.model.credentials import RoleCredentials, SigningKeys
from agent.model.faults import Fault, FaultOp, FaultPlace, Outcome
from agent.model.names import NO_ID, DockerId, TaskArn
from agent.model.portrait import Portrait
from agent.model.protection import ProtectionAnswer, ProtectionWish
from agent.model.task import Task


class Tasks(Protocol):
    """The rows of tasks, as they are now."""

    @property
    def tasks(self) -> Mapping[TaskArn, Task]:
        """The rows; not to be changed."""
        ...


class Portraits(Protocol):
    """Docker, asked for all it shows of a container."""

    async def portrait(self, docker_id: DockerId) -> Portrait | None:
        """As it is now; None where Docker has no such container. Raises TryAgain."""
        ...

    async def stats(self, docker_id: DockerId) -> dict[str, Any] | None:
        """Docker's own object of statistics, untouched; None where there is no such container. Raises TryAgain."""
        ...


class Rates(Protocol):
    """What goes through the networks of containers."""

    def rates(self, docker_id: DockerId) -> tuple[float, float] | None:
        """Bytes received and sent a second; None until it was measured twice, and for one without own network."""
        ...


class Protections(Protocol):
    """The ECS actions GetTaskProtection and UpdateTaskProtection."""

    async def protection(
        self, cluster: str, task: str, keys: SigningKeys, wish: ProtectionWish | None = None
    ) -> ProtectionAnswer:
        """How *task* is protected, after what it wishes, if anything; the call is signed with *keys*.

        Raises ServiceRefused, NoTimelyAnswer.
        """
        ...


class ResourceTags(Protocol):
    """The ECS action ListTagsForResource."""

    async def resource_tags(self, arn: str, asker: str) -> Mapping[str, str]:
        """The tags of *arn*. The call says that the container *asker* wants them, unless that is empty.

        Raises TryAgain, whose text begins with how often it was tried.
        """
        ...


class FileState(StrEnum):
    """How far a container's file of metadata is."""

    ABSENT = "absent"
    BEGUN = "begun"
    READY = "ready"


class MetadataShelf(Protocol):
    """The files that tell containers of themselves. All methods raise OSError, also for names that no folder has."""

    async def begin(self, task: TaskArn, container: str, text: bytes) -> str:
        """Have a file, *text* unless there is one; gives its folder."""
        ...

    async def complete(self, task: TaskArn, container: str, text: bytes) -> None:
        """Replace the file: a reader sees the old one or the new one."""
        ...

    async def state(self, task: TaskArn, container: str) -> FileState:
        """What is there."""
        ...

    async def remove(self, task: TaskArn) -> None:
        """Remove all files of *task*. Absence is success."""
        ...

    async def keep(self, tasks: Collection[TaskArn]) -> bool:
        """Remove the files of all other tasks; are there any left?"""
        ...


class Vault(Protocol):
    """The values of credentials."""

    def get(self, credentials_id: str) -> RoleCredentials | None:
        """The values behind an id; None until they arrive."""
        ...


class AuditLog(Protocol):
    """The file in which requests for credentials are noted."""

    def note(self, line: str) -> None:
        """Write *line* soon. Never waits, and never fails: what the disk does not take is counted and said."""
        ...


class Likenesses(Protocol):
    """Docker, asked where a container is, by those who must be certain of it."""

    async def portrait(self, docker_id: DockerId) -> Portrait | None:
        """As it was a moment ago; None where Docker has no such container. Raises TryAgain."""
        ...

    async def portrait_now(self, docker_id: DockerId) -> Portrait | None:
        """As it is, asked for after the call began. Otherwise like `portrait`."""
        ...


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds the socket at the other end of a connection from this host."""

    docker_id: DockerId = NO_ID
    """The container among those asked about whose process it is."""
    of_host: bool = False
    """Is it a process of the host, in no container?"""


class Callers(Protocol):
    """Who on this host holds the other end of a connection. Nothing here raises: what cannot be told is nobody."""

    async def holder(self, peer: tuple[str, int], server: tuple[str, int], among: Mapping[DockerId, int]) -> Holder:
        """Who has the socket *peer* that is connected to *server*, both as the server sees them.

        *among* are the containers that share the network of the host, with their first processes.
        """
        ...

    async def is_of(self, pid: int, docker_id: DockerId) -> bool:
        """Is *pid* a process of that container, now?"""
        ...

    async def is_ours(self, address: str) -> bool:
        """Is *address* one of this host?"""
        ...


class Faults(Protocol):
    """Makes faults in networks, and unmakes them. Nothing here raises: what went wrong is an outcome."""

    async def do(self, op: FaultOp, fault: Fault, place: FaultPlace) -> Outcome:
        """Do it, or nothing: a start that fails leaves nothing behind."""
        ...

    async def on_host(self) -> Sequence[Fault]:
        """The faults in the network of the host, whoever made them."""
        ...


class Redirect(Protocol):
    """The firewall rules by which 169.254.170.2 leads to us. All methods raise TryAgain with what the tool said."""

    async def lacks(self) -> Sequence[str]:
        """What of it is missing, in words; nothing where all is there."""
        ...

    async def make(self) -> None:
        """Make what is missing."""
        ...

    async def remove(self) -> None:
        """Remove all of it. What is missing is removed already."""
        ...
