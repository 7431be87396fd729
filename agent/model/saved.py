"""What the journal gives back: the rows of tasks, and reports that ECS has not acknowledged."""

from dataclasses import dataclass

from agent.model.attachments import Attachment
from agent.model.reports import TaskReport
from agent.model.task import Task, Tombstone


@dataclass(frozen=True, slots=True)
class Saved:
    """What the journal holds of tasks."""

    tasks: tuple[Task, ...] = ()
    tombstones: tuple[Tombstone, ...] = ()
    manifest: int = 0
    """The number of the newest list of tasks that was taken from ECS."""
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One unsent report. `call` is 0 until the row went into a call; rows of one call stay together for good."""

    number: int
    report: TaskReport
    call: int = 0
