"""Everything the engine knows: the rows, and what a restart may forget."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from agent.engine import due, leases
from agent.model.names import DockerId, Step, TaskArn
from agent.model.rules import Rules
from agent.model.task import ImageSource, Task, Tombstone

Key = tuple[TaskArn, str]
"""A container of a task."""


@dataclass(frozen=True, slots=True)
class Pull:
    """An image on its way, and who waits for it."""

    waiting: frozenset[Key] = frozenset()
    cancelling: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is known at one moment, for comparison with another."""

    tasks: Mapping[TaskArn, Task]
    tombstones: Mapping[TaskArn, Tombstone]
    pulls: Mapping[ImageSource, Pull]


@dataclass(frozen=True, slots=True)
class Row:
    """A task's row, and what is kept at hand of it. Made before anything is changed: a row may hold a bug's work."""

    task: Task
    ports: tuple[leases.Port, ...]
    due: datetime | None

    @classmethod
    def of(cls, task: Task) -> Self:
        """The row of *task*."""
        return cls(task, tuple(leases.held(task)), due.of_task(task))


@dataclass(slots=True)
class World:
    """The engine's state. Rows are written through `put` and `drop`, which keep dates and ports at hand."""

    rules: Rules
    tasks: dict[TaskArn, Task] = field(default_factory=dict)
    tombstones: dict[TaskArn, Tombstone] = field(default_factory=dict)
    step: Step = Step(0)  # noqa: RUF009 -- a NewType call is the value itself
    pulls: dict[ImageSource, Pull] = field(default_factory=dict)
    heard: dict[Key, Step] = field(default_factory=dict)
    """When something about a container was last decided or heard."""
    unsure: dict[Key, Step] = field(default_factory=dict)
    """Containers with an act of unknown outcome: they wait for a listing that was asked for later than this."""
    strays: frozenset[DockerId] = frozenset()
    """Containers of forgotten tasks whose removal is on its way."""
    released: bool = False
    """False from the start, or from a loss of Docker, until a listing has been heard: acts are held."""
    listed: bool = False
    """False until the first listing: a task that is unknown may still turn up in it."""
    held_since: Step = Step(0)  # noqa: RUF009 -- likewise
    abandoned: set[TaskArn] = field(default_factory=set)
    """Tasks that met a bug again while they were stopped for one: nothing is decided about them any more."""
    dates: dict[TaskArn, datetime] = field(default_factory=dict)
    """When something is due for a task."""
    ports: Counter[leases.Port] = field(default_factory=Counter)
    """How many containers that may run have a lease of a port: one at most, where the agent chose it."""

    def put(self, row: "Row") -> None:
        """Write a row."""
        task = row.task
        self._forget_ports(task.arn)
        self.tasks[task.arn] = task
        self.ports.update(row.ports)
        if row.due is None:
            self.dates.pop(task.arn, None)
        else:
            self.dates[task.arn] = row.due

    def drop(self, arn: TaskArn) -> None:
        """Forget a task, and all that was remembered about its containers."""
        self._forget_ports(arn)
        task = self.tasks.pop(arn, None)
        self.dates.pop(arn, None)
        self.abandoned.discard(arn)
        for container in task.containers if task is not None else ():
            self.heard.pop((arn, container.name), None)

    def _forget_ports(self, arn: TaskArn) -> None:
        for port in leases.held(self.tasks[arn]) if arn in self.tasks else ():
            self.ports[port] -= 1
            if not self.ports[port]:
                del self.ports[port]
