"""What a host under pressure does for itself: new tasks are refused, and what has stopped goes before its time.

Nothing that is known here is touched by a strain: it may be short of room because of what it does, and to stop it is
for ECS to say. What goes before its time is what would have gone anyway, least recently stopped first; of each family
the tasks that failed last stay, for somebody will want to know why.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from agent.engine.draft import Draft
from agent.engine.reports import cut
from agent.engine.world import World
from agent.model.names import TaskArn
from agent.model.reports import TaskReport
from agent.model.status import Status
from agent.model.task import Task, Tombstone

KEPT_FAILURES = 3
"""How many failed tasks of each family stay for their whole time."""


# -- new tasks ----------------------------------------------------------------------------------------------------


def strain(draft: Draft, reason: str) -> set[TaskArn]:
    """New tasks are refused from now on, or taken again."""

    def change(world: World) -> None:
        world.strain = reason
        if not reason:
            world.doubtful.clear()

    draft.afterwards(change)
    return set()


def is_refused(draft: Draft, arn: TaskArn) -> bool:
    """Is a task that is unknown here turned away? If so it is told STOPPED, and its tombstone meets a repetition.

    Before the first listing it may be a task that runs here and whose record was lost: it waits, as all do then.
    """
    reason = draft.world.strain
    if not reason:
        return False
    if not draft.listed:
        draft.afterwards(lambda world: world.doubtful.add(arn))
        return False
    draft.put_tombstone(Tombstone(arn, draft.at))
    draft.report(TaskReport(arn, Status.STOPPED, moved=True, at=draft.at, reason=cut(reason)))
    draft.moved(arn, "", Status.NONE, Status.STOPPED, cut(reason))
    return True


def why_not(draft: Draft, task: Task) -> str:
    """Why a task that came under strain, and that the first listing did not show, is not let in after all."""
    return draft.world.strain if task.arn in draft.world.doubtful else ""


# -- what has stopped ---------------------------------------------------------------------------------------------


def reclaim(draft: Draft, most: int) -> set[TaskArn]:
    """Let the cleanup of at most *most* tasks begin now."""
    chosen = reclaimable(draft.tasks(), draft.at)[:most] if draft.released else ()
    for task in chosen:
        with draft.about(task.arn):
            draft.put(replace(task, remove_at=None))
    return {task.arn for task in chosen}


def reclaimable(tasks: Iterable[Task], at: datetime) -> tuple[Task, ...]:
    """The stopped tasks whose cleanup may begin before its time, in the order in which they go.

    None goes before its time while ECS has not taken its end. One whose time is over, and that only waits for ECS,
    goes last: its report is on the disk, and an outage of a day must not fill that disk with containers.
    """
    waiting = [task for task in tasks if task.known is Status.STOPPED and task.remove_at is not None]
    evidence = _evidence(waiting)
    free = [task for task in waiting if task.settled and task.arn not in evidence]
    overdue = [t for t in waiting if not t.settled and t.remove_at and t.remove_at <= at and t.arn not in evidence]
    return (*sorted(free, key=_age), *sorted(overdue, key=_age))


def has_failed(task: Task) -> bool:
    """Did a container of *task* come to grief? One that was told to stop has not failed by the code of its end."""
    return any(one.reason or (one.exit_code not in (None, 0) and one.kill_at is None) for one in task.containers)


def _evidence(tasks: Iterable[Task]) -> frozenset[TaskArn]:
    failed = defaultdict[str, list[Task]](list)
    for task in tasks:
        if has_failed(task):
            failed[task.spec.family].append(task)
    return frozenset(task.arn for some in failed.values() for task in sorted(some, key=_age)[-KEPT_FAILURES:])


def _age(task: Task) -> tuple[datetime, TaskArn]:
    return task.stopped_at or task.arrived, task.arn
