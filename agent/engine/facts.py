"""What a look at Docker makes of a container's row.

Facts only move a container forward, so late and double news are harmless. What Docker shows of another container, or
of an older run, is nothing to this row.
"""

from dataclasses import replace
from datetime import datetime

from agent.engine import reasons
from agent.engine.restarts import is_between_runs
from agent.model.seen import Labels, Phase, Seen
from agent.model.status import Doing, Health, Status
from agent.model.task import Container, ContainerSpec, Task


def concerns(container: Container, seen: Seen) -> bool:
    """Is *seen* this very container, in whichever of its runs?"""
    if container.docker_id:
        return container.docker_id == seen.docker_id
    return seen.labels.run >= container.run


def is_ghost(container: Container, seen: Seen) -> bool:
    """Does a container run whose row says STOPPED, as when Docker finished a start late?"""
    return concerns(container, seen) and container.known is Status.STOPPED and seen.status is Status.RUNNING


def is_of_an_older_run(container: Container, seen: Seen, *, may_be_late: bool = False) -> bool:
    """Does *seen* show a run that the policy has followed with another?

    Runs differ in their starts. Only a look that may have been overtaken is judged by which start is earlier: the
    clock of the host may have been set back between two runs.
    """
    if not container.restarts or container.started_at is None or seen.started_at is None:
        return False
    if may_be_late and seen.started_at < container.started_at:
        return True
    return is_between_runs(container) and seen.started_at == container.started_at


def apply(container: Container, seen: Seen, *, may_be_late: bool = False) -> Container:
    """The container's row after *seen*; the same row where it says nothing new."""
    if not concerns(container, seen) or is_of_an_older_run(container, seen, may_be_late=may_be_late):
        return container
    container = adopt(container, seen)
    match seen.status:
        case Status.RUNNING:
            return _runs(container, seen)
        case Status.STOPPED:
            return _has_stopped(container, seen)
        case _:
            return replace(container, known=max(container.known, Status.CREATED))


def with_health(
    spec: ContainerSpec, container: Container, seen: Seen, at: datetime, *, may_be_late: bool = False
) -> Container:
    """The container's row with the health that *seen* shows; the same row where that has not changed.

    A check that starts anew follows a new start only, so a look that says so of an older verdict has come late.
    """
    if not spec.health_check or seen.health is None or seen.status is not Status.RUNNING:
        return container
    if container.known is not Status.RUNNING or not concerns(container, seen):
        return container
    if is_of_an_older_run(container, seen, may_be_late=may_be_late):
        return container
    is_news = seen.health is not container.health and seen.health is not Health.UNKNOWN
    if not is_news and container.health_since is not None:
        return container
    return replace(container, health=seen.health, health_since=at, health_output=seen.health_output)


def with_metadata_id(task: Task, container: Container, seen: Seen) -> Container:
    """The container's row with the secret part of its metadata address, where that cannot be derived.

    A payload may give a found task a draw; what its containers know of themselves stays as it is.
    """
    if task.draw or container.metadata_id or not seen.metadata_id or not concerns(container, seen):
        return container
    return replace(container, metadata_id=seen.metadata_id)


def adopt(container: Container, seen: Seen) -> Container:
    """The container's row, with the id that Docker has given it."""
    if container.docker_id:
        return container
    return replace(container, docker_id=seen.docker_id, created_at=seen.created_at, removed=False)


def has_run(container: Container, seen: Seen, *, may_be_late: bool = False) -> bool:
    """Has this container run and ended? Then no act that was lost can bring it to life any more."""
    if not concerns(container, seen) or is_of_an_older_run(container, seen, may_be_late=may_be_late):
        return False
    return seen.status is Status.STOPPED and seen.started_at is not None


def end_of(task: Task, container: Container, ended_at: datetime) -> Seen | None:
    """What a look would show of a container whose present run ended with exit code 0; None if it was an older run.

    None, too, for one with published ports: Docker has not let go of them yet, and somebody may wait for them.
    """
    if container.known is not Status.RUNNING or Doing.START in container.in_flight or container.leases:
        return None
    if container.started_at is None or ended_at <= container.started_at:
        return None
    labels = Labels("", "", task.arn, container.name, task.spec.family, task.spec.version, run=container.run)
    return Seen(
        docker_id=container.docker_id,
        name="",
        labels=labels,
        phase=Phase.EXITED,
        exit_code=0,
        created_at=container.created_at,
        started_at=container.started_at,
        finished_at=ended_at,
    )


def vanished(container: Container, reason: str) -> Container:
    """The container's row after Docker said that there is no such container."""
    if container.known is Status.STOPPED:
        return container
    return replace(container, known=Status.STOPPED, wanted=Status.STOPPED, reason=container.reason or reason)


def _runs(container: Container, seen: Seen) -> Container:
    if container.known is Status.STOPPED:
        return container
    if container.known is Status.RUNNING and _other_start(container.started_at, seen.started_at):
        return replace(container, wanted=Status.STOPPED, reason=container.reason or reasons.RESTARTED_OUTSIDE)
    return replace(
        container,
        known=Status.RUNNING,
        started_at=seen.started_at,
        first_started_at=container.first_started_at or seen.started_at,
        exit_code=None,
        finished_at=None,
        bindings=seen.bindings,
        tries=0,
    )


def _other_start(known: datetime | None, shown: datetime | None) -> bool:
    return known is not None and shown is not None and known != shown


def _has_stopped(container: Container, seen: Seen) -> Container:
    if container.known is Status.STOPPED:
        return container
    if seen.started_at is None and Doing.START in container.in_flight:
        return container  # the start failed; its own answer is on its way and says why
    return replace(
        container,
        known=Status.STOPPED,
        exit_code=seen.exit_code,
        started_at=seen.started_at or container.started_at,
        first_started_at=container.first_started_at or seen.started_at,
        finished_at=seen.finished_at,
        reason=container.reason or reasons.of_exit(seen),
    )
