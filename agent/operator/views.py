"""A task as a person who asks about it is shown it: states, errors, times. Never an environment, never a secret."""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any

from agent.model.names import TaskArn, task_id
from agent.model.saved import OutboxRow
from agent.model.task import Container, ContainerSpec, Task
from agent.operator import waits
from agent.operator.chronicle import Line
from agent.operator.ports import Credentials, Progress

View = dict[str, Any]
"""What becomes JSON."""


def matches(question: str, arns: Collection[TaskArn]) -> list[TaskArn]:
    """The tasks that *question* may mean: an ARN, an id, or the beginning of one. An exact one is alone."""
    exact = [arn for arn in arns if question in (arn, task_id(arn))]
    return exact or sorted(arn for arn in arns if question and task_id(arn).startswith(question))


def in_brief(task: Task) -> View:
    """One line of a list."""
    return {
        "taskArn": task.arn,
        "family": task.spec.family,
        "revision": task.spec.version,
        "known": task.known.name,
        "wanted": task.wanted.name,
        "arrived": task.arrived.isoformat(),
        "reason": task.reason,
    }


def in_full(
    task: Task,
    *,
    story: Collection[Line],
    unsent: Collection[OutboxRow] | None,
    pulls: Mapping[str, Progress],
    credentials: Credentials,
) -> View:
    """Everything that is known of a task. *unsent* is None where the journal cannot be read."""
    waiting = None if unsent is None else sum(row.report.task == task.arn for row in unsent)
    return {
        **in_brief(task),
        "told": task.told.name,
        "reportsWaiting": waiting,
        "settled": task.settled,
        "broken": task.broken,
        "forced": task.forced,
        "waits": list(waits.of_task(task, credentials)),
        "containers": [
            _container(spec, container, list(waits.of_container(task, spec, container, pulls)), story)
            for spec, container in task.pairs()
        ],
        "resources": [
            {"kind": one.kind.value, "name": one.name, "known": one.known.value, "doing": one.doing, "tries": one.tries}
            for one in task.resources
        ],
        "timeline": [
            {"at": at.isoformat(), "what": what} for at, what in sorted(_timeline(task, story), key=lambda one: one[0])
        ],
        "story": [{"at": one.at.isoformat(), "container": one.container, "line": one.text} for one in story],
    }


def _container(spec: ContainerSpec, container: Container, waiting: list[str], story: Collection[Line]) -> View:
    failures = [line.failure for line in story if line.failure and line.container == container.name]
    return {
        "name": container.name,
        "image": spec.image,
        "imageDigest": container.image_digest,
        "essential": spec.essential,
        "known": container.known.name,
        "wanted": container.wanted.name,
        "told": container.told.name,
        "exitCode": container.exit_code,
        "reason": container.reason,
        "pullReason": container.pull_reason,
        "lastFailure": failures[-1] if failures else "",
        "health": container.health.value,
        "healthOutput": container.health_output,
        "restarts": container.restarts,
        "runtimeId": container.docker_id,
        "waits": waiting,
        "ports": [
            {
                "containerPort": one.container_port,
                "hostPort": one.host_port,
                "protocol": one.transport.value,
                "count": one.count,
                "bindIp": one.bind_ip,
            }
            for one in container.bindings
        ],
    }


def _timeline(task: Task, story: Collection[Line]) -> Iterator[tuple[datetime, str]]:
    of_task = (
        (task.arrived, "arrived"),
        (task.admitted, "admitted"),
        (task.pull_started_at, "pull started"),
        (task.pull_stopped_at, "pull ended"),
        (task.execution_stopped_at, "an essential container ended, or the task was to be stopped"),
        (task.stopped_at, "stopped"),
    )
    yield from ((at, what) for at, what in of_task if at is not None)
    for one in task.containers:
        yield from _of_container(one)
    yield from ((line.at, line.text) for line in story if not line.container and _is_of_ecs(line))


def _of_container(container: Container) -> Iterator[tuple[datetime, str]]:
    name = container.name
    first = container.first_started_at
    restarted = first is not None and first != container.started_at
    found = (
        (container.created_at, f"{name} created"),
        (first if restarted else None, f"{name} started for the first time"),
        (container.started_at, f"{name} started, restart {container.restarts}" if restarted else f"{name} started"),
        (container.finished_at, f"{name} finished"),
    )
    yield from ((at, what) for at, what in found if at is not None)


def _is_of_ecs(line: Line) -> bool:
    return "ECS" in line.text and not line.failure
