"""Everything the engine knows: the rows, and what a restart may forget."""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from agent.engine import due, leases
from agent.engine.amounts import Holding, Port, Standing, Sums
from agent.model.attachments import Attachment
from agent.model.names import DockerId, Step, TaskArn
from agent.model.rules import Rules
from agent.model.task import ImageSource, Task, Tombstone

Key = tuple[TaskArn, str]
"""A container of a task."""

Place = tuple[datetime, int, int, TaskArn]
"""A place in the queue; the third part keeps those in order who came at the same time."""


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
    manifest: int = 0
    strain: str = ""
    """Why a task that is unknown is refused; empty while none is, as before the first listing."""
    attachments: Mapping[str, Attachment] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """A task's row, and what is kept at hand of it. Made before anything is changed: a row may hold a bug's work."""

    task: Task
    ports: tuple[Port, ...]
    due: datetime | None
    holding: Holding

    @classmethod
    def of(cls, task: Task, before: Holding | None = None) -> Self:
        """The row of *task*, whose holding was *before*."""
        return cls(task, tuple(leases.held(task)), due.of_task(task), Holding.of(task, before))


@dataclass(slots=True)
class World:
    """The engine's state. Rows are written through `put` and `drop`, which keep dates, ports and amounts at hand."""

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
    lost_at: datetime | None = None
    """When Docker was lost, until acts are released again."""
    abandoned: set[TaskArn] = field(default_factory=set)
    """Tasks that met a bug again while they were stopped for one: nothing is decided about them any more."""
    dates: dict[TaskArn, datetime] = field(default_factory=dict)
    """When something is due for a task."""
    ports: Counter[Port] = field(default_factory=Counter)
    """How many containers that may run have a lease of a port: one at most, where the agent chose it."""
    holdings: dict[TaskArn, Holding] = field(default_factory=dict)
    held: Sums = field(default_factory=Sums)
    """The amounts of all tasks that hold theirs."""
    ending: Sums = field(default_factory=Sums)
    """Of these, the amounts of tasks that are stopping."""
    waiting: dict[TaskArn, Place] = field(default_factory=dict)
    """Tasks that are not admitted yet."""
    queue: list[Place] = field(default_factory=list)
    """The same in order: of arrival, and of those who came together as they were named."""
    places: int = 0
    """How many places there have been in the queue."""
    manifest: int = 0
    """The number of the newest list of tasks that was heard from ECS."""
    attachments: dict[str, Attachment] = field(default_factory=dict)
    """What is on its way to the host, or has come, until its time is up; by its ARN."""
    verifiable: str = ""
    """The name of that list, as long as ECS has not said which tasks are to stop. A restart forgets it."""
    strain: str = ""
    """Why no new task is taken; empty while they are. A restart forgets it, and whoever knows says it anew."""
    doubtful: set[TaskArn] = field(default_factory=set)
    """Tasks that came under strain before the first listing, which might have shown that they run here."""
    credentials: set[str] = field(default_factory=set)
    """The ids whose values have arrived since this process began."""

    def put(self, row: "Row") -> None:
        """Write a row."""
        task = row.task
        self._forget_ports(task.arn)
        self.tasks[task.arn] = task
        self.ports.update(row.ports)
        self._count(task.arn, row.holding)
        if row.holding.standing is Standing.WAITS and task.arn not in self.waiting:
            self.waiting[task.arn] = self.place(task)
            insort(self.queue, self.waiting[task.arn])
            self.places += 1
        if row.due is None:
            self.dates.pop(task.arn, None)
        else:
            self.dates[task.arn] = row.due

    def drop(self, arn: TaskArn) -> None:
        """Forget a task, and all that was remembered about its containers."""
        self._forget_ports(arn)
        self._count(arn, None)
        task = self.tasks.pop(arn, None)
        self.dates.pop(arn, None)
        self.abandoned.discard(arn)
        self.doubtful.discard(arn)
        for container in task.containers if task is not None else ():
            self.heard.pop((arn, container.name), None)
        if task is not None and (ids := self.credentials.intersection(task.spec.credentials_ids)):
            self.credentials -= ids.difference(*(other.spec.credentials_ids for other in self.tasks.values()))

    def _count(self, arn: TaskArn, after: Holding | None) -> None:
        before = self.holdings.pop(arn, None)
        if after is not None:
            self.holdings[arn] = after
        if before is not None and after is not None and before.standing is after.standing and before.spec is after.spec:
            return
        for holding, times in ((before, -1), (after, 1)):
            if holding is not None and holding.holds:
                self.held.add(holding.amounts, times)
            if holding is not None and holding.standing is Standing.ENDS:
                self.ending.add(holding.amounts, times)
        if after is None or after.standing is not Standing.WAITS:
            place = self.waiting.pop(arn, None)
            if place is not None:
                del self.queue[bisect_left(self.queue, place)]

    def place(self, task: Task) -> Place:
        """The place in the queue of a task that comes now."""
        return task.arrived, task.seq, self.places, task.arn

    def _forget_ports(self, arn: TaskArn) -> None:
        for port in leases.held(self.tasks[arn]) if arn in self.tasks else ():
            self.ports[port] -= 1
            if not self.ports[port]:
                del self.ports[port]
