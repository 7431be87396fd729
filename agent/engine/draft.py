"""A decision in the making.

The engine's state is never touched while an event is being decided: changes are laid over it here and swapped in last,
so that an exception half-way leaves everything as it was.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from agent.engine import leases
from agent.engine.amounts import Holding, Port
from agent.engine.world import Key, Pull, Row, World
from agent.model.acts import Act, CancelPull, PullImage
from agent.model.attachments import Attachment
from agent.model.decision import Decision, ManifestTaken, Moved
from agent.model.names import Step, TaskArn
from agent.model.reports import TaskReport
from agent.model.status import Status
from agent.model.task import Container, ImageSource, Task, Tombstone

K = TypeVar("K")
V = TypeVar("V")


class TaskIsBroken(Exception):
    """A bug of ours met the decision about one task. The decision was not taken."""

    def __init__(self, arn: TaskArn, bug: Exception) -> None:
        super().__init__(f"{type(bug).__name__}: {bug}")
        self.arn = arn


class Draft:
    """What one event has changed so far. `at` is when it happened, `cause` what told us."""

    def __init__(self, world: World, at: datetime, cause: str) -> None:
        self.world = world
        self.at = at
        self.cause = cause
        self.step = Step(world.step + 1)
        self.acts: list[Act] = []
        self.released = world.released
        self.listed = world.listed
        self.held_since = world.held_since
        self.lost_at = world.lost_at
        self.unsure = world.unsure
        self.rules = world.rules
        """The settings that decisions depend on."""
        self._tasks: dict[TaskArn, Task | None] = {}
        self._tombstones: dict[TaskArn, Tombstone | None] = {}
        self._pulls: dict[ImageSource, Pull | None] = {}
        self._attachments: dict[str, Attachment | None] = {}
        self._heard: set[Key] = set()
        self._credentials: set[str] = set()
        self._reports: list[TaskReport] = []
        self._moves: list[Moved] = []
        self._manifests: list[ManifestTaken] = []
        self._afterwards: list[Callable[[World], None]] = []

    def task(self, arn: TaskArn) -> Task | None:
        """The task as this decision has it."""
        if arn in self._tasks:
            return self._tasks[arn]
        return self.world.tasks.get(arn)

    def tasks(self) -> Iterator[Task]:
        """All tasks as this decision has them, in the order of their arrival."""
        for arn, task in self.world.tasks.items():
            if (now := self._tasks.get(arn, task)) is not None:
                yield now
        for arn, new in self._tasks.items():
            if new is not None and arn not in self.world.tasks:
                yield new

    def is_taken(self, task: Task) -> leases.IsTaken:
        """Says of a port whether a container that may run has it leased, or its task fixes it.

        *task* is as its row is going to be.
        """
        changed = Counter[Port]()
        for arn, row in {**self._tasks, task.arn: task}.items():
            before, holding = self.world.tasks.get(arn), self.world.holdings.get(arn)
            changed.subtract(_ports(before, holding) if before is not None else ())
            changed.update(_ports(row, Holding.of(row, holding)) if row is not None else ())
        world = self.world
        return lambda port: world.ports[port] + world.held.ports[port] + changed[port] > 0

    def holdings(self) -> dict[TaskArn, Holding | None]:
        """The holdings that this decision has changed, as they are now; None for a task that is forgotten."""
        changed: dict[TaskArn, Holding | None] = {}
        for arn, task in self._tasks.items():
            before = self.world.holdings.get(arn)
            with self.about(arn):
                after = Holding.of(task, before) if task is not None else None
            if after != before:
                changed[arn] = after
        return changed

    def has_credentials(self, credentials_id: str) -> bool:
        """Have the values behind this id arrived in this process? Nobody waits for those of no id."""
        return not credentials_id or credentials_id in self._credentials or credentials_id in self.world.credentials

    def hear_credentials(self, credentials_id: str) -> None:
        """The values behind an id have arrived."""
        self._credentials.add(credentials_id)

    @contextmanager
    def about(self, arn: TaskArn) -> Iterator[None]:
        """Whatever goes wrong inside is a bug that concerns this task alone."""
        try:
            yield
        except Exception as bug:
            raise TaskIsBroken(arn, bug) from bug

    def put(self, task: Task) -> None:
        """Change a task's row."""
        if self.task(task.arn) != task:
            self._tasks[task.arn] = task

    def forget(self, arn: TaskArn) -> None:
        """Drop a task's row; a tombstone takes its place."""
        self._tasks[arn] = None

    def tombstone(self, arn: TaskArn) -> Tombstone | None:
        """The tombstone of a forgotten or refused task, if there is one."""
        if arn in self._tombstones:
            return self._tombstones[arn]
        return self.world.tombstones.get(arn)

    def put_tombstone(self, stone: Tombstone) -> None:
        """Set or change a tombstone."""
        self._tombstones[stone.arn] = stone

    def bury(self, arn: TaskArn) -> None:
        """Drop a tombstone that has served its time."""
        self._tombstones[arn] = None

    def attachment(self, arn: str) -> Attachment | None:
        """The attachment as this decision has it."""
        return self._attachments[arn] if arn in self._attachments else self.world.attachments.get(arn)

    def attachments(self) -> tuple[Attachment, ...]:
        """All attachments as this decision has them."""
        return tuple(one for one in {**self.world.attachments, **self._attachments}.values() if one is not None)

    def attach(self, one: Attachment) -> None:
        """Set or change an attachment."""
        self._attachments[one.arn] = one

    def detach(self, arn: str) -> None:
        """Forget an attachment."""
        self._attachments[arn] = None

    def hear(self, arn: TaskArn, container: str) -> None:
        """Note that something about a container is decided or heard now: older listings do not judge it."""
        self._heard.add((arn, container))

    def report(self, report: TaskReport) -> None:
        """Write an outbox row."""
        self._reports.append(report)

    def moved(self, task: TaskArn, container: str, before: Status, now: Status, reason: str = "") -> None:
        """Write a line of the task's story."""
        self._moves.append(Moved(task, container, before, now, self.cause, self.at, reason))

    def take_manifest(self, taken: ManifestTaken) -> None:
        """Make a list of ECS's the newest one."""
        self._manifests.append(taken)

    def afterwards(self, change: Callable[[World], None]) -> None:
        """Change what a restart may forget, once the event is decided."""
        self._afterwards.append(change)

    def pull(self, source: ImageSource) -> Pull | None:
        """The image's pull, if one is on its way."""
        return self._pulls[source] if source in self._pulls else self.world.pulls.get(source)

    def join_pull(self, source: ImageSource, key: Key) -> None:
        """Wait for an image; the first to wait has it fetched."""
        pull = self.pull(source)
        if pull is None:
            self.acts.append(PullImage(source, self.rules.pull_behavior))
            pull = Pull()
        self._pulls[source] = replace(pull, waiting=pull.waiting | {key})

    def leave_pull(self, source: ImageSource, key: Key) -> None:
        """Wait no more; the last to leave cancels the pull."""
        pull = self.pull(source)
        if pull is None or key not in pull.waiting:
            return
        waiting = pull.waiting - {key}
        if not waiting and not pull.cancelling:
            self.acts.append(CancelPull(source))
        self._pulls[source] = Pull(waiting, cancelling=pull.cancelling or not waiting)

    def end_pull(self, source: ImageSource) -> frozenset[Key]:
        """The pull has been answered; gives those who waited."""
        pull = self.pull(source)
        self._pulls[source] = None
        return pull.waiting if pull else frozenset()

    def is_sure(self, arn: TaskArn, container: Container) -> bool:
        """Has a listing been heard since the last act of unknown outcome on this container?"""
        return (arn, container.name) not in self.unsure

    def find_gpus(self, gpus: frozenset[str]) -> None:
        """The host has these GPUs now."""
        self.rules = replace(self.rules, gpus=gpus)

    @property
    def has_news_of_gpus(self) -> bool:
        """Are the GPUs others than before?"""
        return self.rules.gpus != self.world.rules.gpus

    def hold(self) -> None:
        """Docker is lost: no act until a listing that is asked for from now on has been heard."""
        self.released, self.held_since, self.lost_at = False, self.step, self.lost_at or self.at

    def lose(self, arn: TaskArn, container: str) -> None:
        """Note that an act's answer was lost: the container waits for a listing that is asked for from now on."""
        self.unsure = {**self.unsure, (arn, container): self.step}

    def swap_in(self) -> Decision:
        """Make the changes the engine's state, and say what they were."""
        world = self.world
        tasks = {arn: task for arn, task in self._tasks.items() if task != world.tasks.get(arn)}
        stones = {arn: stone for arn, stone in self._tombstones.items() if stone != world.tombstones.get(arn)}
        attached = {arn: one for arn, one in self._attachments.items() if one != world.attachments.get(arn)}
        rows = {arn: self._row(task) for arn, task in tasks.items()}
        for arn, row in rows.items():
            if row is None:
                world.drop(arn)
            else:
                world.put(row)
        _lay_over(world.tombstones, stones)
        _lay_over(world.pulls, self._pulls)
        _lay_over(world.attachments, attached)
        world.step, world.released, world.listed = self.step, self.released, self.listed
        world.held_since, world.lost_at, world.unsure = self.held_since, self.lost_at, self.unsure
        world.rules = self.rules
        world.credentials |= self._credentials
        world.heard.update((key, self.step) for key in self._heard if key[0] in world.tasks)
        for taken in self._manifests:
            world.manifest, world.verifiable = taken.number, taken.message_id
        for change in self._afterwards:
            change(world)
        return Decision(
            tasks=tuple(task for task in tasks.values() if task is not None),
            forgotten=tuple(arn for arn, task in tasks.items() if task is None),
            tombstones=tuple(stone for stone in stones.values() if stone is not None),
            buried=tuple(arn for arn, stone in stones.items() if stone is None),
            reports=tuple(self._reports),
            acts=tuple(self.acts),
            moves=tuple(self._moves),
            manifests=tuple(self._manifests),
            attachments=tuple(one for one in attached.values() if one is not None),
            detached=tuple(arn for arn, one in attached.items() if one is None),
        )

    def _row(self, task: Task | None) -> Row | None:
        if task is None:
            return None
        with self.about(task.arn):
            return Row.of(task, self.world.holdings.get(task.arn))


def _ports(task: Task, holding: Holding | None) -> Iterator[Port]:
    yield from leases.held(task)
    if holding is not None and holding.holds:
        yield from holding.amounts.ports


def _lay_over(known: dict[K, V], changes: Mapping[K, V | None]) -> None:
    for key, value in changes.items():
        if value is None:
            known.pop(key, None)
        else:
            known[key] = value
