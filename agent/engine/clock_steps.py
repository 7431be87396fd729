"""When the wall clock is set, not moved by time: the dates of ours that stand in rows are set along with it.

What was due in ten seconds is due in ten seconds, whatever the clock says then. Dates that others gave us (Docker's,
and those that ECS was told) stay as they are, but for the first start of a container: the restart policy and the limit
of a start count from it.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from agent.engine import attachments, due
from agent.engine.draft import Draft
from agent.engine.world import Place, World
from agent.model.names import TaskArn
from agent.model.rules import Rules
from agent.model.task import Container, ContainerSpec, Task

TOMBSTONE_KEPT = timedelta(hours=1)
"""How long a tombstone stays once ECS knows all there was to tell."""


def shift_all(draft: Draft, by: timedelta) -> set[TaskArn]:
    """Set every date of ours *by* so much later, or earlier. Nothing becomes due by that, so nobody is driven."""
    for task in list(draft.tasks()):
        with draft.about(task.arn):
            draft.put(_shifted(task, by))
    for stone in list(draft.world.tombstones.values()):
        if stone.until is not None:
            draft.put_tombstone(replace(stone, until=stone.until + by))
    attachments.shift_all(draft, by)
    draft.afterwards(lambda world: _shift_world(world, by))
    return set()


def clamp_all(draft: Draft) -> None:
    """After a start: no date lies further away than it could at the most, had the clock never been set.

    While the agent was down nobody saw the clock being set back. A wait that began before is then no longer than a
    whole one that begins now.
    """
    for task in list(draft.tasks()):
        with draft.about(task.arn):
            draft.put(_clamped(task, draft.at, draft.rules))
    for stone in list(draft.world.tombstones.values()):
        if stone.until is not None and stone.until > draft.at + TOMBSTONE_KEPT:
            draft.put_tombstone(replace(stone, until=draft.at + TOMBSTONE_KEPT))
    attachments.clamp_all(draft)


def _shifted(task: Task, by: timedelta) -> Task:
    return replace(
        task,
        arrived=task.arrived + by if task.admitted is None else task.arrived,  # its place in the queue
        remove_at=_later(task.remove_at, by),
        resources=tuple(replace(one, wake_at=_later(one.wake_at, by)) for one in task.resources),
        containers=tuple(
            replace(
                one,
                kill_at=_later(one.kill_at, by),
                wake_at=_later(one.wake_at, by),
                start_by=_later(one.start_by, by),
                first_started_at=_later(one.first_started_at, by),
                restarted_at=_later(one.restarted_at, by),
            )
            for one in task.containers
        ),
    )


def _clamped(task: Task, at: datetime, rules: Rules) -> Task:
    latest = at + due.LONGEST_WAIT
    return replace(
        task,
        remove_at=_at_most(task.remove_at, due.removal(task.draw, at, rules)),
        resources=tuple(replace(one, wake_at=_at_most(one.wake_at, latest)) for one in task.resources),
        containers=tuple(_clamped_container(spec, one, at, rules) for spec, one in task.pairs()),
    )


def _clamped_container(spec: ContainerSpec, container: Container, at: datetime, rules: Rules) -> Container:
    return replace(
        container,
        kill_at=container.kill_at and min(container.kill_at, at + due.grace(spec, rules)),
        wake_at=_at_most(container.wake_at, at + due.LONGEST_WAIT),
        start_by=container.start_by and min(container.start_by, at + timedelta(seconds=spec.start_timeout or 0)),
        first_started_at=_at_most(container.first_started_at, at),
        restarted_at=_at_most(container.restarted_at, at),
    )


def _later(date: datetime | None, by: timedelta) -> datetime | None:
    return None if date is None else date + by


def _at_most(date: datetime | None, latest: datetime) -> datetime | None:
    return None if date is None else min(date, latest)


def _shift_world(world: World, by: timedelta) -> None:
    world.lost_at = _later(world.lost_at, by)
    world.waiting = {arn: _moved(place, by) for arn, place in world.waiting.items()}
    world.queue = [_moved(place, by) for place in world.queue]


def _moved(place: Place, by: timedelta) -> Place:
    return place[0] + by, *place[1:]
