"""Everything the control plane knows of one region.

The only place where records are put and taken away. Each change remembers what stood there before, so that a call
that ends in an error, or whose commit failed, leaves no trace.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from agent.controlplane.records import (
    Attachment,
    Cluster,
    ContainerInstance,
    Counter,
    PlaneTask,
    Record,
    RunToken,
    TaskDefinition,
)


@dataclass(frozen=True, slots=True)
class Change:
    """One record before and after; None where there was, or is, none."""

    before: Record | None
    after: Record | None

    @property
    def record(self) -> Record:
        """The record that tells kind and key."""
        record = self.after if self.after is not None else self.before
        assert record is not None
        return record


class World:
    """The records of one region by kind and key, and the changes made since they were last collected.

    The dictionaries are for reading; :meth:`put` and :meth:`remove` alone change them.
    """

    def __init__(self, region: str, account: str, records: Iterable[Record] = ()) -> None:
        self.region = region
        self.account = account
        self.clusters: dict[str, Cluster] = {}
        self.definitions: dict[str, TaskDefinition] = {}
        self.instances: dict[str, ContainerInstance] = {}
        self.tasks: dict[str, PlaneTask] = {}
        self.attachments: dict[str, Attachment] = {}
        self.tokens: dict[str, RunToken] = {}
        self.counters: dict[str, Counter] = {}
        self._shelves: dict[type[Record], dict[str, Any]] = {
            Cluster: self.clusters,
            TaskDefinition: self.definitions,
            ContainerInstance: self.instances,
            PlaneTask: self.tasks,
            Attachment: self.attachments,
            RunToken: self.tokens,
            Counter: self.counters,
        }
        self._tasks_on: dict[str, dict[str, None]] = {}
        self._changes: list[Change] = []
        for record in records:
            self._set(record)

    def tasks_on(self, instance: str) -> list[PlaneTask]:
        """The tasks that hold something of an instance, which are those that are not STOPPED. Oldest message first."""
        found = [self.tasks[arn] for arn in self._tasks_on.get(instance, ())]
        return sorted(found, key=lambda task: task.run_seq)

    def last(self, counter: str) -> int:
        """The last number given out under *counter*; 0 before the first."""
        found = self.counters.get(counter)
        return found.value if found else 0

    def next_seq(self, now: datetime) -> int:
        """A new sequence number: greater than every earlier one, also than those of a disk that was lost."""
        number = max(self.last("seq") + 1, int(now.timestamp() * 1000))
        self.put(Counter("seq", number))
        return number

    def put(self, record: Record) -> None:
        """Set *record* in place of its namesake."""
        before: Record | None = self._shelves[type(record)].get(record.key)
        if before != record:
            self._changes.append(Change(before, record))
            self._set(record)

    def remove(self, record: Record) -> None:
        """Forget *record*."""
        self._changes.append(Change(record, None))
        self._unset(record)

    def collect(self) -> tuple[Change, ...]:
        """The changes since the last collection, in order."""
        changes, self._changes = tuple(self._changes), []
        return changes

    def undo(self, changes: Iterable[Change]) -> None:
        """Put back what stood before *changes*, the latest first."""
        for change in reversed(tuple(changes)):
            if change.before is not None:
                self._set(change.before)
            elif change.after is not None:
                self._unset(change.after)

    def _set(self, record: Record) -> None:
        self._shelves[type(record)][record.key] = record
        if isinstance(record, PlaneTask):
            self._index(record, held=not record.stopped)

    def _unset(self, record: Record) -> None:
        del self._shelves[type(record)][record.key]
        if isinstance(record, PlaneTask):
            self._index(record, held=False)

    def _index(self, task: PlaneTask, *, held: bool) -> None:
        """Keep apart what still matters to an instance: an hour's stopped tasks must slow nobody down."""
        there = self._tasks_on.setdefault(task.instance, {})
        if held:
            there[task.arn] = None
        else:
            there.pop(task.arn, None)
        if not there:
            del self._tasks_on[task.instance]
