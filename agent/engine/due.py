"""When something is due for a row. Dates are absolute and stand in the row, so that a restart keeps them."""

from datetime import datetime, timedelta

from agent.model.rules import Rules
from agent.model.status import Doing, Status
from agent.model.task import Container, ContainerSpec, Task

KILL_SLACK = timedelta(seconds=5)
"""Docker kills at the end of the grace by itself; if it has not by then, the kill is ours."""

FIRST_WAIT = timedelta(seconds=1)
LONGEST_WAIT = timedelta(minutes=1)


def grace(spec: ContainerSpec, rules: Rules) -> timedelta:
    """How long a container has between the signal and the kill."""
    return timedelta(seconds=spec.stop_timeout) if spec.stop_timeout else rules.stop_timeout


def back_off(tries: int) -> timedelta:
    """How long to wait before an act is tried again that has failed *tries* times before."""
    return min(FIRST_WAIT * float(2 ** min(tries, 10)), LONGEST_WAIT)


def removal(draw: str, at: datetime, rules: Rules) -> datetime:
    """When what is left of a task is removed that stopped *at*: hosts do not all clean up in the same second."""
    share = int(draw[8:16] or "0", 16) / 2**32
    return at + rules.cleanup_wait + rules.cleanup_jitter * share


def of_task(task: Task) -> datetime | None:
    """The earliest date at which something is due for *task*."""
    earliest = task.remove_at if task.settled else None  # until ECS has taken its end, what is left of it stays
    for date in (*(one.wake_at for one in task.resources), *map(of_container, task.containers)):
        if date is not None and (earliest is None or date < earliest):
            earliest = date
    return earliest


def of_container(container: Container) -> datetime | None:
    """When an act is tried again, a stop turns into a kill, or those who wait for this container give up.

    A kill that has to wait for its turn waits.
    """
    act = container.wake_at if container.wake_at is not None else kill_of(container)
    if act is None or container.start_by is None:
        return act or container.start_by
    return min(act, container.start_by)


def kill_of(container: Container) -> datetime | None:
    """When a stop that is on its way is overtaken by a kill."""
    waits = (
        container.kill_at is not None
        and container.known is not Status.STOPPED
        and Doing.STOP in container.in_flight
        and Doing.KILL not in container.doing
        and container.docker_id
    )
    return container.kill_at + KILL_SLACK if waits and container.kill_at is not None else None
