"""What telemetry needs of the rest of the house and of the world."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from agent.model.figures import Sample, Watched
from agent.model.names import DockerId, TaskArn
from agent.model.portrait import Portrait
from agent.model.task import Task


class Tasks(Protocol):
    """The rows of tasks, as they are now."""

    @property
    def tasks(self) -> Mapping[TaskArn, Task]:
        """The rows; not to be changed."""
        ...


class Sampler(Protocol):
    """Reads the kernel's figures of containers."""

    async def sample(self, watched: Sequence[Watched]) -> Mapping[DockerId, Sample]:
        """One look at each; one that has ended meanwhile is left out."""
        ...

    def close(self) -> None:
        """Let go of all that is held of them."""
        ...


class Portraits(Protocol):
    """Docker, asked for all it shows of a container."""

    async def portrait_now(self, docker_id: DockerId) -> Portrait | None:
        """As it is now; None where Docker has no such container. Raises TryAgain."""
        ...


class Docker(Protocol):
    """The Docker Engine."""

    async def ping(self) -> None:
        """Return if Docker answers. Raises TryAgain."""
        ...


class TelemetryEndpoint(Protocol):
    """The ECS action DiscoverPollEndpoint, cached for 12 hours."""

    async def telemetry_endpoint(self, instance_arn: str) -> str:
        """The http(s) base URL of TCS. Raises TryAgain; InactiveInstance where ECS says so."""
        ...

    def forget(self) -> None:
        """Ask afresh next time: the endpoint did not answer."""
        ...


class Signer(Protocol):
    """Signs with the credentials of the agent."""

    async def upgrade_headers(self, url: str) -> dict[str, str]:
        """The SigV4 headers for the GET that opens a WebSocket at *url*. Raises TryAgain where there are no keys."""
        ...

    async def frame_headers(self, url: str, body: bytes) -> dict[str, str]:
        """The SigV4 headers of one frame: a GET of *url* with *body*, host and date among them. Raises TryAgain."""
        ...

    def refused(self, url: str, date: str, why: str) -> bool:
        """The handshake at *url* was refused at *date* for the reason *why*. Is the date of the signature to blame?"""
        ...
