"""What ECS is told, and when: each change of a task and of a container exactly once.

A container is called STOPPED only when it is certain that it does not run and will not (`Container.at_rest`). Before it
runs it is told of once more, as PENDING, when a registry has said which image its name means.
"""

from dataclasses import replace

from agent.engine import leases
from agent.engine.draft import Draft
from agent.model.reports import ContainerReport, TaskReport, shortened
from agent.model.status import Status
from agent.model.takeover import INTERNAL
from agent.model.task import Container, ContainerSpec, Task


def tell(draft: Draft, task: Task) -> Task:
    """Write an outbox row for what ECS does not know yet; gives the task with what is now told."""
    theirs = [(spec, c) for spec, c in task.pairs() if not c.name.startswith(INTERNAL)]  # ECS knows of no others
    news = tuple(c for spec, c in theirs if _tellable(c) > c.told or _has_digest_to_tell(task, spec, c))
    moved = task.known in (Status.RUNNING, Status.STOPPED) and task.known > task.told
    if not news and not moved:
        return task
    draft.report(
        TaskReport(
            task=task.arn,
            status=task.known,
            moved=moved,
            at=draft.at,
            reason=cut(task.reason),
            containers=tuple(_container(c) for c in news),
            pull_started_at=task.pull_started_at,
            pull_stopped_at=task.pull_stopped_at,
            execution_stopped_at=task.execution_stopped_at,
        ),
    )
    for container in news:
        told_digest = container.told_digest or bool(container.image_digest)
        task = task.having(replace(container, told=_tellable(container), told_digest=told_digest))
    return replace(task, told=task.known) if moved else task


def cut(reason: str) -> str:
    """As much of *reason* as ECS takes, cause included."""
    return shortened(reason)


def _tellable(container: Container) -> Status:
    if container.at_rest:
        return Status.STOPPED
    return Status.RUNNING if container.known is Status.RUNNING else container.told


def _has_digest_to_tell(task: Task, spec: ContainerSpec, container: Container) -> bool:
    """Has a tag turned out to mean an image which ECS has not heard of?"""
    is_new = bool(container.image_digest) and not container.told_digest and "@" not in spec.image
    is_coming = container.told is Status.NONE and Status.STOPPED not in (container.wanted, task.wanted)
    return is_new and is_coming


def _container(container: Container) -> ContainerReport:
    return ContainerReport(
        name=container.name,
        status=_tellable(container),
        docker_id=container.docker_id,
        exit_code=container.exit_code if container.at_rest else None,
        reason=cut(container.reason),
        bindings=leases.grouped(container.bindings, container.leases),
        image_digest=container.image_digest,
    )
