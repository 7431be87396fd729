"""What the runner needs of the world: Docker, and a journal."""

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Protocol

from agent.model.acts import CreateCgroup, CreateContainer, CreateVolume, FetchValues, RemoveCgroup, RemoveVolume
from agent.model.credentials import ContainerValues, RegistryLogin, TaskValues
from agent.model.decision import Decision
from agent.model.names import DockerId, Image
from agent.model.saved import Saved
from agent.model.seen import Hint, Seen, Summary
from agent.model.task import ImageSource, Lease


class Containers(Protocol):
    """Docker's containers that are ours. All methods raise TryAgain, GiveUp or OutcomeUnknown and nothing else."""

    async def create(self, act: CreateContainer, values: ContainerValues) -> DockerId:
        """Create, or adopt what an earlier call made. *values* join the body here and nowhere else.

        Raises PortTaken where a leased port turns out to be in use.
        """
        ...

    async def start(self, docker_id: DockerId) -> None:
        """Start; one that runs already is success. Raises PortTaken."""
        ...

    async def stop(self, docker_id: DockerId, grace: float) -> None:
        """Signal, wait up to *grace* seconds, kill. Stopped already, or absent, is success."""
        ...

    async def kill(self, docker_id: DockerId) -> None:
        """Kill. Not running, or absent, is success."""
        ...

    async def remove(self, reference: str, *, force: bool) -> None:
        """Remove by id or name, with anonymous volumes. Absent is success."""
        ...

    async def inspect(self, reference: str) -> Seen | None:
        """Look at one container by id or name. None if there is none, or it is not ours."""
        ...

    async def listing(self) -> Sequence[Summary]:
        """All containers of ours, stopped ones too."""
        ...


class Probe(Protocol):
    """Looks whether host ports are free."""

    async def check(self, leases: Sequence[Lease]) -> None:
        """Return if every chosen port can be bound now. Raises PortTaken; a fixed port is left to Docker's verdict."""
        ...


class Images(Protocol):
    """Docker's images."""

    async def has(self, image: Image) -> bool:
        """Is the image on the host?"""
        ...

    async def digest(self, image: Image) -> str:
        """The digest under which the host has the image, or ``""``."""
        ...

    async def pull(self, source: ImageSource, login: RegistryLogin | None, resolved: Callable[[str], None]) -> str:
        """Fetch the image; gives its digest, or ``""``. Cancelling the job cancels the pull.

        *resolved* is called with the digest as soon as the registry has told it. Without a *login* the host's own
        configuration is asked.
        """
        ...


class PullMemory(Protocol):
    """Remembers which images this agent has fetched (``ECS_IMAGE_PULL_BEHAVIOR=once``)."""

    async def has_pulled(self, image: Image) -> bool:
        """Has this agent fetched the image before, and not removed it since?"""
        ...

    async def note_pull(self, image: Image) -> None:
        """Remember that it was fetched just now."""
        ...


class Volumes(Protocol):
    """Docker's volumes. Raise TryAgain, GiveUp or OutcomeUnknown and nothing else."""

    async def create(self, act: CreateVolume) -> None:
        """Create, or see that it is there; GiveUp where a shared one is missing and may not be made."""
        ...

    async def remove(self, act: RemoveVolume) -> None:
        """Remove. Absent is success."""
        ...


class Cgroups(Protocol):
    """Cgroups of tasks. Raise GiveUp with what the kernel said."""

    async def create(self, act: CreateCgroup) -> None:
        """Create and limit. One that is there gets the limits anew."""
        ...

    async def remove(self, act: RemoveCgroup) -> None:
        """Remove, with what is left below it. Absent is success. Raises TryAgain while processes are in it."""
        ...


class Values(Protocol):
    """Fetches what tasks keep elsewhere: secrets, environment files, logins."""

    async def fetch(self, act: FetchValues) -> TaskValues:
        """All values of a task, or none. Raises TryAgain, or GiveUp with what ECS is told."""
        ...

    async def login(self, source: ImageSource) -> RegistryLogin:
        """A login for a registry of type ECR. Raises TryAgain or GiveUp."""
        ...


class Hints(Protocol):
    """Docker's event stream, filtered at Docker."""

    def watch(self, opened: Callable[[], None]) -> AsyncGenerator[Hint, None]:
        """Call *opened* once the stream stands, then give hints. Raises TryAgain when the stream ends."""
        ...


class Pulse(Protocol):
    """Docker, asked for a sign of life."""

    async def ping(self) -> None:
        """Return if Docker answers. Raises TryAgain."""
        ...

    def is_back(self) -> None:
        """Docker was away and answers again: what it was asked before that may never be answered."""
        ...


class Journal(Protocol):
    """Tasks, tombstones and outgoing reports, on disk where there is one that can be written."""

    async def load(self) -> Saved:
        """All rows. Raises OSError where the file cannot be read."""
        ...

    async def commit(self, decision: Decision) -> None:
        """Write everything of *decision* in one transaction. Where the disk fails, it is kept, to be written later."""
        ...

    @property
    def is_durable(self) -> bool:
        """Does the disk have everything that was committed?"""
        ...

    async def saved(self) -> None:
        """Return when the disk has everything that was committed before."""
        ...
