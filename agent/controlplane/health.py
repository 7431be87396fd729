"""What health is made of what agents tell: of a task by its containers, of a host by its checks.

Nothing here is forgotten when an agent goes away: what it told last stays until it comes back, or the container ends.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from agent.controlplane.records import UNKNOWN, ContainerInstance, InstanceCheck, PlaneTask, TaskContainer

HEALTHY, UNHEALTHY = "HEALTHY", "UNHEALTHY"
HEALTH = (HEALTHY, UNHEALTHY, UNKNOWN)
OK = "OK"
WORST_FIRST = ("IMPAIRED", "INSUFFICIENT_DATA", "INITIALIZING", OK)
"""The states of an instance's check (API: InstanceHealthCheckState)."""


def task_health(task: PlaneTask) -> str:
    """The health of a task: that of its essential containers whose definitions have a health check.

    One that is UNHEALTHY decides, then one that is UNKNOWN. Without any such container it is UNKNOWN.
    """
    found = {container.health for container in task.containers if container.essential and container.health}
    return next((word for word in (UNHEALTHY, UNKNOWN, HEALTHY) if word in found), UNKNOWN)


def with_health(task: PlaneTask, told: Mapping[str, str]) -> PlaneTask:
    """*task* with the health of containers by their names; *task* itself, the same version, if that tells nothing new.

    Agents tell of what has a health check in its definition, not of those that images bring. What has ended has no
    health any more.
    """
    containers = tuple(_with_health(container, told.get(container.name, "")) for container in task.containers)
    if containers == task.containers:
        return task
    return replace(task, containers=containers, version=task.version + 1)


def _with_health(container: TaskContainer, told: str) -> TaskContainer:
    if not told or container.last_status == "STOPPED":
        return container
    return replace(container, health=told)


def with_checks(instance: ContainerInstance, told: Iterable[InstanceCheck]) -> ContainerInstance:
    """*instance* with what its checks came to; a check that is not told of stays as it was."""
    before = {check.type: check for check in instance.checks}
    after = before | {check.type: check for check in told}
    moved = any(name not in before or before[name].status != check.status for name, check in after.items())
    return replace(instance, checks=tuple(after.values()), version=instance.version + moved)


def overall(checks: Iterable[InstanceCheck]) -> str:
    """The worst of what the checks of a host came to. Where none has told anything, there is too little to say."""
    found = {check.status for check in checks}
    return next((word for word in WORST_FIRST if word in found), "INSUFFICIENT_DATA")
