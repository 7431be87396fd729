"""Which container waits for which: who may be created now, who never will, and who is stopped before whom.

``dependsOn``, links and ``volumesFrom`` are edges of one graph. Nothing here looks at Docker: rows are compared.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from agent.model.parts import Condition, Dependency
from agent.model.status import Doing, Health, Status
from agent.model.task import Container, ContainerSpec, Task, TaskSpec

NEVER_STARTED = 143
"""The exit code that ECS shows of a container that never started because of another."""

TIMED = (Condition.COMPLETE, Condition.SUCCESS, Condition.HEALTHY)
"""Those for which ``startTimeout`` sets a limit: a start is all that the others wait for."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a container is not created yet; `is_final` if it never will be."""

    text: str
    is_final: bool = False


def obstacle(task: Task, spec: ContainerSpec, at: datetime | None) -> Obstacle | None:
    """What keeps the container of *spec* from being created; None if nothing does. What is final comes first.

    Where *at* is None no time passes, as while Docker is lost.
    """
    found = [one for need in spec.dependencies if (one := _obstacle(task, spec.name, need, at)) is not None]
    return next((one for one in found if one.is_final), found[0] if found else None)


def is_waiting(container: Container) -> bool:
    """Is it neither created nor on its way to be, and still wanted?"""
    return (
        container.wanted is not Status.STOPPED
        and container.known <= Status.PULLED
        and not container.is_doing(Doing.CREATE)
    )


def may_stop(task: Task, name: str) -> bool:
    """Have all containers ended that need the one called *name*, of those that are to end themselves?

    One that is stopped alone (it was restarted by somebody else) does not wait for those that go on.
    """
    needy = [container for spec, container in task.pairs() if any(need.container == name for need in spec.dependencies)]
    holds = any(one.wanted is Status.STOPPED and not one.at_rest for one in needy)
    return not holds or bool(_circle(task.spec))  # who found a circle in labels knows no order


def limited(task: Task, born: datetime) -> Task:
    """*task* with `start_by` of each container that others wait for, as its ``startTimeout`` says.

    The time counts from the start of its first run, and from *born* at the earliest.
    """
    for spec, container in task.pairs():
        limit = _start_by(task, spec, container, born)
        if limit != container.start_by:
            task = task.having(replace(container, start_by=limit))
    return task


def refused(task: Task) -> Task:
    """*task*, which is to stop at once and says why if its dependencies can never be resolved."""
    text = _contradiction(task.spec)
    if not text or task.wanted is Status.STOPPED:
        return task
    reason = f"TaskDependencyError: Task dependencies cannot be resolved, taskArn: {task.arn}: {text}"
    return replace(task, wanted=Status.STOPPED, reason=task.reason or reason)


def _obstacle(task: Task, name: str, need: Dependency, at: datetime | None) -> Obstacle | None:
    pair = next(((spec, container) for spec, container in task.pairs() if spec.name == need.container), None)
    if pair is None:
        return _never(name, need, "the task does not have")
    spec, other = pair
    if _is_met(need.condition, other):
        return None
    if end := _end_of(need.condition, spec, other):
        return _never(name, need, end)
    if at is not None and need.condition in TIMED and other.start_by is not None and other.start_by <= at:
        return _never(name, need, f"did not come to it within its startTimeout of {spec.start_timeout:g} seconds")
    return Obstacle(f"container {name} waits for {need.condition} of {need.container}")


def _never(name: str, need: Dependency, why: str) -> Obstacle:
    condition = f"{need.condition} of container {need.container}"
    return Obstacle(
        f"CannotStartContainerError: dependency graph: container {name} needs {condition}, which {why}", is_final=True
    )


def _is_met(condition: Condition, other: Container) -> bool:
    match condition:
        case Condition.CREATE:
            return bool(other.docker_id)
        case Condition.START:
            return other.first_started_at is not None
        case Condition.COMPLETE:
            return _has_ended(other) and other.exit_code is not None
        case Condition.SUCCESS:
            return _has_ended(other) and other.exit_code == 0
        case Condition.HEALTHY:
            return other.known is Status.RUNNING and other.health is Health.HEALTHY


def _has_ended(other: Container) -> bool:
    return other.known is Status.STOPPED and other.first_started_at is not None


def _end_of(condition: Condition, spec: ContainerSpec, other: Container) -> str:
    """Why *other* will never come to *condition*, which it has not come to yet."""
    if other.known is Status.STOPPED and other.first_started_at is None:
        return "has not started and will not"
    if condition is Condition.HEALTHY and not spec.health_check:
        return "has no health check"
    if other.known is not Status.STOPPED:
        return ""
    if condition is Condition.HEALTHY:
        return "has ended"
    return "ended without an exit code" if other.exit_code is None else f"ended with exit code {other.exit_code}"


def _start_by(task: Task, spec: ContainerSpec, container: Container, born: datetime) -> datetime | None:
    if not spec.start_timeout or container.known is Status.STOPPED or container.first_started_at is None:
        return None
    if not any(_awaits(other_spec, other, container) for other_spec, other in task.pairs()):
        return None
    if container.start_by is not None:
        return container.start_by
    return max(container.first_started_at, born) + timedelta(seconds=spec.start_timeout)


def _awaits(spec: ContainerSpec, waiting: Container, other: Container) -> bool:
    return is_waiting(waiting) and any(
        need.container == other.name and need.condition in TIMED and not _is_met(need.condition, other)
        for need in spec.dependencies
    )


def _contradiction(spec: TaskSpec) -> str:
    containers = {one.name: one for one in spec.containers}
    for one in spec.containers:
        for need in one.dependencies:
            other = containers.get(need.container)
            if other is None:
                return f"container {one.name} depends on {need.container}, which the task does not have"
            if need.condition is Condition.HEALTHY and not other.health_check:
                return f"container {one.name} depends on {other.name} being HEALTHY, which has no health check"
    return " -> ".join(_circle(spec))


def _circle(spec: TaskSpec) -> tuple[str, ...]:
    """Names of containers that wait for each other in a circle, the first once more at the end; empty if none do."""
    graph = {one.name: tuple(need.container for need in one.dependencies) for one in spec.containers}
    clear: set[str] = set()
    return next((circle for name in graph for circle in _walk(graph, name, (), clear)), ())


def _walk(
    graph: Mapping[str, tuple[str, ...]], name: str, path: tuple[str, ...], clear: set[str]
) -> Iterator[tuple[str, ...]]:
    if name in path:
        yield (*path[path.index(name) :], name)
        return
    if name in clear:
        return
    for other in graph.get(name, ()):
        yield from _walk(graph, other, (*path, name), clear)
    clear.add(name)
