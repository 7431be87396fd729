"""A person on this machine wants a task stopped.

Without force it is the stop that ECS asks for, with a reason that names who asked. By force, everything of the task
that may run is killed at once: over a stop whose grace runs, over a start that is on its way, in no order. The wish
stands in the row, so that it outlives a Docker that is away, and this process.
"""

from dataclasses import replace

from agent.engine import reasons, reports
from agent.engine.draft import Draft
from agent.model.events import OperatorStop
from agent.model.names import TaskArn
from agent.model.status import Doing, Status
from agent.model.task import Container


def hear(draft: Draft, event: OperatorStop) -> set[TaskArn]:
    """Wish the task stopped. Gives what is to be driven: nothing where there is no such task, or it is over."""
    task = draft.task(event.task)
    if task is None or task.known is Status.STOPPED or task.arn in draft.world.abandoned:
        return set()
    reason = reports.cut(reasons.stopped_by(event.operator, force=event.force))
    if not task.reason or (event.force and not task.forced):
        task = replace(task, reason=reason)
    if event.force:
        containers = tuple(_without_patience(container, reason) for container in task.containers)
        task = replace(task, forced=True, containers=containers)
    draft.put(replace(task, wanted=Status.STOPPED))
    return {task.arn}


def _without_patience(container: Container, reason: str) -> Container:
    """The row of a container to be killed: an act that failed for a while is due again now."""
    if container.at_rest:
        return container
    may_run = container.known is Status.RUNNING or container.is_doing(Doing.START)
    said = container.reason or (reason if may_run else "")
    return replace(container, wake_at=None, tries=0, reason=said)
