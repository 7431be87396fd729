"""What the endpoints for containers need of the rest of the house."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from agent.model.credentials import RoleCredentials
from agent.model.names import DockerId, TaskArn
from agent.model.portrait import Portrait
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


class Vault(Protocol):
    """The values of credentials."""

    def get(self, credentials_id: str) -> RoleCredentials | None:
        """The values behind an id; None until they arrive."""
        ...


class Callers(Protocol):
    """Who on this host holds the other end of a connection."""

    async def docker_id(self, peer: tuple[str, int], server: tuple[str, int]) -> DockerId | None:
        """The container whose process has the socket *peer* that is connected to *server*; None for no container.

        Both by address and port, as the server sees them.
        """
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
