"""What is due when: kills, retries, removals, and the end of tombstones and of waits for attachments.

Deadlines are absolute and saved. While acts are held there is none but those of attachments, which Docker knows nothing
of: a start of the agent hears its first listing before any other deadline passes.
"""

from dataclasses import replace
from datetime import datetime

from agent.engine import attachments, clock_steps, due, ending, resources
from agent.engine.draft import Draft
from agent.engine.world import World
from agent.model.names import TaskArn
from agent.model.status import Status
from agent.model.task import Task, Tombstone


def next_of(world: World) -> datetime | None:
    """The earliest deadline of all; None if there is none."""
    attached = attachments.next_of(world)
    if not world.released:
        return attached
    dates = [world.dates[arn] for arn in world.dates if arn not in world.abandoned]
    dates += [stone.until for stone in world.tombstones.values() if stone.until is not None]
    if attached is not None:
        dates.append(attached)
    return min(dates, default=None)


def pass_all(draft: Draft) -> set[TaskArn]:
    """Clear what is due, and say which tasks are to be driven."""
    attachments.pass_all(draft)
    passed = set[TaskArn]()
    if not draft.released:
        return passed
    for arn, date in draft.world.dates.items():
        task = draft.task(arn)
        if task is not None and date <= draft.at and arn not in draft.world.abandoned:
            with draft.about(arn):
                draft.put(_pass(draft, task))
            passed.add(arn)
    for stone in draft.world.tombstones.values():
        if stone.until is not None and stone.until <= draft.at:
            draft.bury(stone.arn)
    return passed


def _pass(draft: Draft, task: Task) -> Task:
    if task.settled and task.remove_at is not None and task.remove_at <= draft.at:
        task = replace(task, remove_at=None)
    task = resources.pass_all(draft, task)
    for container in task.containers:
        after = container
        if after.wake_at is not None and after.wake_at <= draft.at:
            after = replace(after, wake_at=None)
        kill_at = due.kill_of(after)
        if after.wake_at is None and kill_at is not None and kill_at <= draft.at:
            after = ending.kill(draft, task, after)
        task = task.having(after)
    return task


def tidy(draft: Draft, arn: TaskArn) -> None:
    """Remove what is left of a task whose time is over; once nothing is left, a tombstone takes its place."""
    task = draft.task(arn)
    if task is None or task.known is not Status.STOPPED or task.remove_at is not None:
        return
    for container in task.containers:
        task = task.having(ending.remove(draft, task, container))
    if not all(container.removed for container in task.containers):
        draft.put(task)
        return
    task = resources.clear(draft, task)
    if not resources.is_clear(task):
        draft.put(task)
        return
    draft.forget(arn)
    until = draft.at + clock_steps.TOMBSTONE_KEPT if task.settled else None
    draft.put_tombstone(Tombstone(arn, task.stopped_at or draft.at, until))
