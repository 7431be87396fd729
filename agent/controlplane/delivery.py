"""What an agent is owed, and what it should have. Derived from its tasks each time it is asked, never stored.

A task whose start has not been acknowledged is owed that; one that is to stop is owed only the stop, because a start
that comes late must not bring it to life. Message ids are derived, so that an acknowledgement over a later connection
still counts.

What was acknowledged may have been lost since, with the agent's disk. So at the start of a session the agent hears
which tasks it should have (the manifest), and everything that is not over is told once more: an agent does not say
which tasks of a manifest it lacks, and what it knows already changes nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from agent.controlplane.records import PlaneTask, TaskDefinition
from agent.controlplane.world import World

RUN, STOP = "run", "stop"
FULL_SYNC = "ecs.capability.full-sync"


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


@dataclass(frozen=True, slots=True)
class Manifest:
    """All tasks of an instance that are not over, under a number that is newer than every message about them.

    `is_acknowledged` says whether its agent knows such lists, and says that it has taken one.
    """

    seq: int
    cluster: str
    tasks: tuple[PlaneTask, ...]
    is_acknowledged: bool = False


def due(world: World, instance: str, *, again: bool = False) -> tuple[Delivery, ...]:
    """The unacknowledged messages of an instance, stops first, then in the order in which they became due.

    With *again* the acknowledged ones too.
    """
    tasks = world.tasks_on(instance)
    return (*_stops(tasks, again=again), *_runs(world, tasks, again=again))


def manifest(world: World, instance: str, now: datetime) -> Manifest | None:
    """The list of an instance's tasks, under a number of its own; None for an instance that is unknown."""
    home = world.instances.get(instance)
    if home is None:
        return None
    knows_lists = any(name == FULL_SYNC for name, _ in home.attributes)
    return Manifest(world.next_seq(now), home.cluster, tuple(world.tasks_on(instance)), knows_lists)


def over(world: World, instance: str, tasks: Iterable[str]) -> tuple[str, ...]:
    """Those of *tasks* that must not run on an instance any more.

    What is unknown here is not among them: an agent may have tasks of its own, and a control plane that lost its disk
    must not take everybody's containers with it. Nor is what belongs to another instance.
    """
    known = (world.tasks.get(arn) for arn in tasks)
    here = (task for task in known if task is not None and task.instance == instance)
    return tuple(task.arn for task in here if task.stopped or task.desired_status == "STOPPED")


def _stops(tasks: Iterable[PlaneTask], *, again: bool) -> Iterator[Delivery]:
    for task in sorted(tasks, key=lambda task: task.stop_seq):
        if task.stop_seq and (again or not task.stop_acked):
            yield Delivery(message_id(task, STOP), task.stop_seq, task)


def _runs(world: World, tasks: Iterable[PlaneTask], *, again: bool) -> Iterator[Delivery]:
    for task in tasks:
        if (again or not task.run_acked) and task.desired_status == "RUNNING":
            definition = world.definitions[task.definition.rpartition("/")[2]]
            yield Delivery(message_id(task, RUN), task.run_seq, task, definition)
