"""What the reporter needs of the world: the outbox, and ECS."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from agent.model.events import Event
from agent.model.reports import TaskReport, Verdict


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One unsent report. `call` is 0 until the row went into a call; rows of one call stay together for good."""

    number: int
    report: TaskReport
    call: int = 0


class Outbox(Protocol):
    """Unsent reports, oldest first. Survives the process."""

    async def unsent(self) -> tuple[OutboxRow, ...]:
        """Every unsettled row in the order of its number."""
        ...

    async def freeze(self, numbers: Iterable[int], call: int) -> None:
        """Bind the rows together into one call, before it is sent for the first time."""
        ...

    async def settle(self, numbers: Iterable[int]) -> None:
        """Forget rows that ECS has acknowledged or refused for good."""
        ...

    async def changed(self) -> None:
        """Return when rows have been added since the last return."""
        ...


class StateChanges(Protocol):
    """The ECS action SubmitTaskStateChange."""

    async def submit(self, report: TaskReport) -> Verdict:
        """Tell ECS. Failures are verdicts; never raises for what the network or ECS did."""
        ...


class Engine(Protocol):
    """Where the news goes that a task's reports are settled."""

    async def submit(self, *events: Event) -> None:
        """Return when the events are decided and committed."""
        ...
