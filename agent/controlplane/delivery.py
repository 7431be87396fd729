"""What an agent is owed. Derived from its tasks each time it is asked, never stored.

A task whose start has not been acknowledged is owed that; one that is to stop is owed only the stop, because a start
that comes late must not bring it to life. Message ids are derived, so that an acknowledgement over a later connection
still counts.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from agent.controlplane.records import PlaneTask, TaskDefinition
from agent.controlplane.world import World

RUN, STOP = "run", "stop"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One task's message. `definition` is None for a stop, which needs none."""

    message_id: str
    seq: int
    task: PlaneTask
    definition: TaskDefinition | None = None


def message_id(task: PlaneTask, kind: str) -> str:
    """The name of a task's message."""
    return f"{task.task_id}-{kind}"


def due(world: World, instance: str) -> tuple[Delivery, ...]:
    """The unacknowledged messages of an instance, stops first, then in the order in which they became due."""
    tasks = world.tasks_on(instance)
    return (*_stops(tasks), *_runs(world, tasks))


def _stops(tasks: Iterable[PlaneTask]) -> Iterator[Delivery]:
    for task in sorted(tasks, key=lambda task: task.stop_seq):
        if task.stop_seq and not task.stop_acked:
            yield Delivery(message_id(task, STOP), task.stop_seq, task)


def _runs(world: World, tasks: Iterable[PlaneTask]) -> Iterator[Delivery]:
    for task in tasks:
        if not task.run_acked and task.desired_status == "RUNNING":
            definition = world.definitions[task.definition.rpartition("/")[2]]
            yield Delivery(message_id(task, RUN), task.run_seq, task, definition)
