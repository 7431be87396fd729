"""What the reporter needs of the world: the outbox, and ECS."""

from collections.abc import Iterable
from typing import Protocol

from agent.model.events import Event
from agent.model.names import TaskArn
from agent.model.reports import TaskReport, Verdict
from agent.model.saved import OutboxRow


class Outbox(Protocol):
    """Unsent reports, oldest first. Survives the process."""

    async def unsent(self, after: int = 0, most: int = -1) -> tuple[OutboxRow, ...]:
        """Unsettled rows with a number above *after*, in the order of the numbers; *most* of them, or every one.

        Raises OSError.
        """
        ...

    async def all_told(self) -> frozenset[TaskArn]:
        """The tasks whose end was told and settled, though the engine has not heard so: a crash came between.

        Raises OSError.
        """
        ...

    async def freeze(self, numbers: Iterable[int], call: int) -> None:
        """Bind the rows together into one call, before it is sent for the first time. Raises OSError."""
        ...

    async def settle(self, numbers: Iterable[int]) -> frozenset[TaskArn]:
        """Forget rows that ECS has acknowledged or refused for good; gives their tasks that have nothing unsent left.

        Raises OSError.
        """
        ...

    async def changed(self) -> None:
        """Return when rows have been added since the last return."""
        ...


class StateChanges(Protocol):
    """The ECS actions SubmitTaskStateChange and SubmitAttachmentStateChanges."""

    async def submit(self, report: TaskReport) -> Verdict:
        """Tell ECS. Failures are verdicts; never raises for what the network or ECS did."""
        ...


class Engine(Protocol):
    """Where the news goes that a task's end is told and settled."""

    async def submit(self, *events: Event) -> None:
        """Return when the events are decided and committed."""
        ...
