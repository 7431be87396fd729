"""What an agent's report makes of a task. Nothing ever goes back; late news fills in what nobody knew, no more."""

from dataclasses import dataclass, replace
from datetime import datetime

from agent.controlplane.records import LAST_STATUS, JsonObject, PlaneTask, TaskContainer
from agent.model.reports import shortened

LONGEST_REASON = 255
ESSENTIAL_EXITED = "Essential container in task exited"
FAILED_TO_START = "Task failed to start"
NOT_TOLD = "Task failed to start: the control plane met a bug of its own and could not tell the agent"


@dataclass(frozen=True, slots=True)
class TaskReport:
    """One SubmitTaskStateChange, or one container's part of it. An empty `status` tells of containers alone."""

    status: str = ""
    reason: str = ""
    containers: tuple[JsonObject, ...] = ()
    pull_started_at: datetime | None = None
    pull_stopped_at: datetime | None = None
    execution_stopped_at: datetime | None = None


def take_report(task: PlaneTask, report: TaskReport, at: datetime) -> PlaneTask:
    """*task* after *report*; *task* itself, the same version, if it tells nothing new."""
    told = {container.get("containerName", ""): container for container in report.containers}
    containers = tuple(_take_container(c, told[c.name]) if c.name in told else c for c in task.containers)
    if task.stopped:
        return replace(task, containers=containers, version=task.version + (containers != task.containers))
    after = replace(
        task,
        containers=containers,
        pull_started_at=task.pull_started_at or report.pull_started_at,
        pull_stopped_at=task.pull_stopped_at or report.pull_stopped_at,
        execution_stopped_at=task.execution_stopped_at or report.execution_stopped_at,
    )
    if report.status == "RUNNING":
        after = _ran(after, at)
    if report.status == "STOPPED":
        after = _stopped(after, report.reason, at)
    elif any(container.essential and container.last_status == "STOPPED" for container in after.containers):
        after = _ending(after, at)
    return replace(after, version=task.version + 1) if after != task else task


def asked_to_stop(task: PlaneTask, seq: int, code: str, reason: str, at: datetime) -> PlaneTask:
    """*task*, which nobody had wished to stop, now to be stopped by message number *seq*."""
    return replace(
        task,
        desired_status="STOPPED",
        stop_seq=seq,
        stop_code=code,
        stopped_reason=reason,
        stopping_at=at if task.last_status == "RUNNING" else None,
        tags=(),
        version=task.version + 1,
    )


def acknowledged_stop(task: PlaneTask) -> PlaneTask:
    """The agent has been told to stop, and said so."""
    status = "STOPPING" if task.last_status == "RUNNING" else task.last_status
    moved = status != task.last_status
    return replace(task, stop_acked=True, last_status=status, version=task.version + moved)


def _take_container(container: TaskContainer, told: JsonObject) -> TaskContainer:
    if container.last_status == "STOPPED":
        return _take_end(container, told)
    status = told.get("status", container.last_status)
    known = status in LAST_STATUS and LAST_STATUS.index(status) >= LAST_STATUS.index(container.last_status)
    return replace(
        container.ended() if status == "STOPPED" else container,
        last_status=status if known else container.last_status,
        runtime_id=told.get("runtimeId") or container.runtime_id,
        image_digest=told.get("imageDigest") or container.image_digest,
        exit_code=told.get("exitCode", container.exit_code),
        reason=shortened(told.get("reason", ""), LONGEST_REASON) or container.reason,
        network_bindings=tuple(told.get("networkBindings", ())) or container.network_bindings,
    )


def _take_end(container: TaskContainer, told: JsonObject) -> TaskContainer:
    """How a container ended that was so far only taken for ended, as all are whose task is."""
    if told.get("status") != "STOPPED" or container.exit_code is not None:
        return container
    return replace(
        container,
        runtime_id=container.runtime_id or told.get("runtimeId", ""),
        image_digest=container.image_digest or told.get("imageDigest", ""),
        exit_code=told.get("exitCode"),
        reason=container.reason or shortened(told.get("reason", ""), LONGEST_REASON),
    )


def _ran(task: PlaneTask, at: datetime) -> PlaneTask:
    """All of it runs. A task that is already being stopped keeps that state."""
    status = "RUNNING" if task.last_status == "PENDING" else task.last_status
    stopping_at = task.stopping_at or (at if task.desired_status == "STOPPED" else None)
    return replace(task, last_status=status, started_at=task.started_at or at, stopping_at=stopping_at)


def _ending(task: PlaneTask, at: datetime) -> PlaneTask:
    """An essential container has ended: the agent is about to stop the others."""
    if task.desired_status == "STOPPED":
        return task
    return replace(_with_cause(task, ""), desired_status="STOPPED", stopping_at=at if task.started_at else None)


def _stopped(task: PlaneTask, reason: str, at: datetime) -> PlaneTask:
    task = _with_cause(task, reason)
    ran = task.started_at is not None
    return replace(
        task,
        last_status="STOPPED",
        desired_status="STOPPED",
        stopped_at=at,
        stopping_at=task.stopping_at or (at if ran else None),
        execution_stopped_at=task.execution_stopped_at or (at if ran else None),
        containers=tuple(container.ended() for container in task.containers),
        run_acked=True,
        stop_acked=True,
        tags=(),
    )


def _with_cause(task: PlaneTask, reason: str) -> PlaneTask:
    """Say why it stops, unless that is known: a user's wish is not overwritten by what followed from it."""
    if task.stop_code:
        return task
    if task.started_at is not None or any(_has_run(container) for container in task.containers if container.essential):
        return replace(task, stop_code="EssentialContainerExited", stopped_reason=reason or ESSENTIAL_EXITED)
    reasons = (container.reason for container in task.containers if container.reason)
    return replace(task, stop_code="TaskFailedToStart", stopped_reason=reason or next(reasons, FAILED_TO_START))


def _has_run(container: TaskContainer) -> bool:
    """Did it end by itself? Agents give an exit code also to a container that never came to be, but no id."""
    return container.exit_code is not None and bool(container.runtime_id)
