"""Time in which the agent was down, or Docker was, counts against no ``startTimeout``.

The rows say when something was last heard; between that and the first listing the agent may have been down. What it
idled before it went down is given too, since no row says how long that was.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from agent.engine.draft import Draft
from agent.model.task import Task


def length(tasks: Iterable[Task], at: datetime) -> timedelta:
    """How long nothing was heard before *at*; *tasks* are the rows as the agent left them."""
    last = max((date for task in tasks for date in _dates(task)), default=at)
    return max(at - last, timedelta())


def without_docker(draft: Draft, at: datetime) -> timedelta:
    """How long Docker was lost, where the listing that is being heard ends that."""
    return max(at - draft.lost_at, timedelta()) if draft.released and draft.lost_at is not None else timedelta()


def forgiven(task: Task, down: timedelta, at: datetime) -> Task:
    """*task* with all limits of starts as much later as the agent was *down*; none is given more than its whole time.

    An agent that is started again and again would else put them off further each time.
    """
    for spec, container in task.pairs():
        if container.start_by is not None and down:
            latest = max(container.start_by, at + timedelta(seconds=spec.start_timeout or 0))
            task = task.having(replace(container, start_by=min(container.start_by + down, latest)))
    return task


def _dates(task: Task) -> Iterator[datetime]:
    dates = [task.arrived, task.admitted, task.pull_started_at, task.pull_stopped_at, task.execution_stopped_at]
    dates.append(task.stopped_at)
    for c in task.containers:
        dates += [c.created_at, c.started_at, c.finished_at, c.restarted_at, c.health_since]
    return (date for date in dates if date is not None)
