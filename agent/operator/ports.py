"""What a person's questions need of the rest of the house."""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from agent.model.names import DockerId, TaskArn
from agent.model.portrait import Portrait
from agent.model.saved import OutboxRow
from agent.model.task import Task


class Tasks(Protocol):
    """The rows of tasks, as they are now."""

    @property
    def tasks(self) -> Mapping[TaskArn, Task]:
        """The rows; not to be changed."""
        ...


class Outbox(Protocol):
    """Reports that ECS has not acknowledged."""

    async def unsent(self, after: int = 0) -> tuple[OutboxRow, ...]:
        """Every unsettled row, in the order of the numbers. Raises OSError."""
        ...


class Progress(Protocol):
    """How far the pull of one image has come."""

    @property
    def layers_done(self) -> int:
        """Layers that are here."""
        ...

    @property
    def layers(self) -> int:
        """Layers that are known of."""
        ...

    @property
    def bytes_done(self) -> int:
        """Bytes that are here."""
        ...

    @property
    def bytes_total(self) -> int:
        """Bytes of the layers whose size is known."""
        ...


class Pulls(Protocol):
    """Pulls that go on."""

    def snapshot(self) -> Mapping[str, Progress]:
        """How far each has come, by image."""
        ...


class Credentials(Protocol):
    """Values of credentials; only asked whether they are there."""

    def get(self, credentials_id: str) -> object | None:
        """The values behind an id, or None."""
        ...


class Link(Protocol):
    """The session with ECS. Moments are on the monotonic clock."""

    @property
    def is_connected(self) -> bool:
        """Does a connection stand now?"""
        ...

    @property
    def connections(self) -> int:
        """How many were opened."""
        ...

    @property
    def attempts(self) -> int:
        """How often one was tried."""
        ...

    @property
    def changed_at(self) -> float | None:
        """When a connection was opened or lost last; None before the first."""
        ...

    @property
    def heard_at(self) -> float | None:
        """When something was heard last."""
        ...


class Reports(Protocol):
    """Who tells ECS what became of tasks."""

    @property
    def is_refused(self) -> bool:
        """Does ECS take no reports at the moment?"""
        ...

    @property
    def answers(self) -> Mapping[str, int]:
        """How ECS answered, and how often."""
        ...


class Calls(Protocol):
    """The connection to Docker."""

    @property
    def calls(self) -> int:
        """How many calls were made."""
        ...

    @property
    def errors(self) -> Mapping[str, int]:
        """How many of them failed, and how."""
        ...


class Decisions(Protocol):
    """Who has everything decided."""

    @property
    def busy_since(self) -> float | None:
        """Since when events are being decided and committed, on the monotonic clock; None while none wait."""
        ...

    @property
    def waiting(self) -> int:
        """How many wait to be heard."""
        ...


class Journal(Protocol):
    """The journal, and the reports in it."""

    @property
    def is_durable(self) -> bool:
        """Does the disk have everything?"""
        ...

    @property
    def commits(self) -> int:
        """How many were made."""
        ...

    @property
    def commit_seconds(self) -> float:
        """How long they took together."""
        ...

    async def backlog(self) -> tuple[int, datetime | None]:
        """How many reports ECS has not taken, and from when the oldest is. Raises OSError."""
        ...


class Collected(Protocol):
    """What was removed because nobody used it any more."""

    @property
    def images(self) -> int:
        """Images."""
        ...

    @property
    def containers(self) -> int:
        """Containers."""
        ...

    @property
    def bytes(self) -> int:
        """The sizes of the images, as Docker gives them; layers that images share count for each."""
        ...


class Portraits(Protocol):
    """Docker, asked for all it shows of a container."""

    async def portrait(self, docker_id: DockerId) -> Portrait | None:
        """As it is now; None where Docker has no such container. Raises TryAgain."""
        ...
