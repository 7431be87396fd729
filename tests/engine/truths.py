"""What must be true at each moment of a history, whatever has happened."""

from agent.model.names import TaskArn
from agent.model.status import Status
from tests.engine import queue_oracle
from tests.engine.road import Road


def check(road: Road) -> None:
    """Nothing that was called STOPPED runs, nothing was made or started twice, and no more is given than there is."""
    if road.engine._world.listed and not road.unwritten and not _is_overbooked(road):  # labels do not say how much
        queue_oracle.check(list(road.engine.tasks.values()), road.rules)
    for container in road.docker.running():
        arn, name = TaskArn(container.labels.task), container.labels.container
        if container.meddled:
            continue
        assert not road.told[arn, name, Status.STOPPED], f"{arn} {name} was called STOPPED and runs"
        assert not road.told[arn, "", Status.STOPPED], f"{arn} was called STOPPED and {name} runs"
    for key, count in road.docker.created.items():
        assert count <= 1, f"{key} was created {count} times"
    for pair, count in road.docker.started.items():
        assert count <= 1, f"{pair} was started {count} times"


def _is_overbooked(road: Road) -> bool:
    """Does a task live that was let in while the disk was full, into room that a crash has given back to others?"""
    found = (road.engine.tasks.get(arn) for arn in road.let_in_unwritten)
    return any(task is not None and not all(one.at_rest for one in task.containers) for task in found)
