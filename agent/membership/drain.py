"""Which tasks a drain waits for, and which it ends itself. Nothing here waits or asks."""

from collections.abc import Iterable

from agent.model.names import TaskArn
from agent.model.status import Status
from agent.model.task import Task

OFF, SERVICES, ALL = "off", "services", "all"


def left(tasks: Iterable[Task], mode: str) -> list[TaskArn]:
    """The tasks that have not ended yet, or of whose end ECS has not been told."""
    return [task.arn for task in tasks if _counts(task, mode) and not (task.known is Status.STOPPED and task.settled)]


def to_end(tasks: Iterable[Task], mode: str) -> list[TaskArn]:
    """The tasks that nobody ends but this agent: ECS ends those of services, and starts others elsewhere first."""
    if mode != ALL:
        return []
    return [task.arn for task in tasks if not task.spec.service and task.wanted is Status.RUNNING]


def _counts(task: Task, mode: str) -> bool:
    return mode == ALL or (mode == SERVICES and bool(task.spec.service))
