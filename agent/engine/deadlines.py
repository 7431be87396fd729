"""What is due when: kills, retries, removals, and the end of tombstones.

Deadlines are absolute and saved. While acts are held there is none: a start of the agent hears its first listing before
any deadline passes.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from agent.engine import lifecycle
from agent.engine.draft import Draft, World
from agent.model.names import TaskArn
from agent.model.status import Doing, Status
from agent.model.task import Container, Task, Tombstone

TOMBSTONE_KEPT = timedelta(hours=1)
"""How long a tombstone stays once ECS knows all there was to tell."""


def next_of(world: World) -> datetime | None:
    """The earliest deadline of all; None if there is none."""
    if not world.released:
        return None
    dates = [when for task in world.tasks.values() if task.arn not in world.abandoned for when in _of_task(task)]
    dates += [stone.until for stone in world.tombstones.values() if stone.until is not None]
    return min(dates, default=None)


def _of_task(task: Task) -> list[datetime]:
    dates = [when for container in task.containers for when in _of_container(container)]
    if task.remove_at is not None:
        dates.append(task.remove_at)
    return dates


def _of_container(container: Container) -> list[datetime]:
    dates = []
    if container.wake_at is not None:
        dates.append(container.wake_at)
    if _awaits_kill(container) and container.kill_at is not None:
        dates.append(container.kill_at + lifecycle.KILL_SLACK)
    return dates


def _awaits_kill(container: Container) -> bool:
    return (
        container.known is not Status.STOPPED
        and bool(container.docker_id)
        and Doing.STOP in container.in_flight
        and not container.is_doing(Doing.KILL)
    )


def pass_all(draft: Draft) -> set[TaskArn]:
    """Clear what is due, and say which tasks are to be driven."""
    due = set()
    for task in list(draft.tasks()):
        if task.arn not in draft.world.abandoned and any(when <= draft.at for when in _of_task(task)):
            with draft.about(task.arn):
                draft.put(_pass(draft, task))
            due.add(task.arn)
    for stone in list(draft.world.tombstones.values()):
        if stone.until is not None and stone.until <= draft.at:
            draft.bury(stone.arn)
    return due


def _pass(draft: Draft, task: Task) -> Task:
    if task.remove_at is not None and task.remove_at <= draft.at:
        task = replace(task, remove_at=None)
    for container in task.containers:
        after = container
        if after.wake_at is not None and after.wake_at <= draft.at:
            after = replace(after, wake_at=None)
        if _awaits_kill(after) and after.kill_at is not None and after.kill_at + lifecycle.KILL_SLACK <= draft.at:
            after = lifecycle.kill(draft, task, after)
        task = task.having(after)
    return task


def tidy(draft: Draft, arn: TaskArn) -> None:
    """Remove what is left of a task whose time is over; once nothing is left, a tombstone takes its place."""
    task = draft.task(arn)
    if task is None or task.known is not Status.STOPPED or task.remove_at is not None:
        return
    for container in task.containers:
        task = task.having(lifecycle.remove(draft, task, container))
    if not all(container.removed for container in task.containers):
        draft.put(task)
        return
    draft.forget(arn)
    until = draft.at + TOMBSTONE_KEPT if task.settled else None
    draft.put_tombstone(Tombstone(arn, task.stopped_at or draft.at, until))
