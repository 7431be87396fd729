"""What a person's questions need of the rest of the house."""

from collections.abc import Mapping
from typing import Protocol

from agent.model.names import TaskArn
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
