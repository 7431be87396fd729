"""What a look at Docker makes of a container's row.

Facts only move a container forward, so late and double news are harmless. What Docker shows of another container, or
of an older run, is nothing to this row.
"""

from dataclasses import replace
from datetime import datetime

from agent.engine import reasons
from agent.model.seen import Seen
from agent.model.status import Doing, Status
from agent.model.task import Container


def concerns(container: Container, seen: Seen) -> bool:
    """Is *seen* this very container in its present run?"""
    if container.docker_id:
        return container.docker_id == seen.docker_id
    return seen.labels.run >= container.run


def is_ghost(container: Container, seen: Seen) -> bool:
    """Does a container run whose row says STOPPED, as when Docker finished a start late?"""
    return concerns(container, seen) and container.known is Status.STOPPED and seen.status is Status.RUNNING


def apply(container: Container, seen: Seen) -> Container:
    """The container's row after *seen*; the same row where it says nothing new."""
    if not concerns(container, seen):
        return container
    container = adopt(container, seen)
    match seen.status:
        case Status.RUNNING:
            return _runs(container, seen)
        case Status.STOPPED:
            return _has_stopped(container, seen)
        case _:
            return replace(container, known=max(container.known, Status.CREATED))


def adopt(container: Container, seen: Seen) -> Container:
    """The container's row, with the id that Docker has given it."""
    if container.docker_id:
        return container
    return replace(container, docker_id=seen.docker_id, created_at=seen.created_at, removed=False)


def has_run(container: Container, seen: Seen) -> bool:
    """Has this container run and ended? Then no act that was lost can bring it to life any more."""
    return concerns(container, seen) and seen.status is Status.STOPPED and seen.started_at is not None


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
    return replace(container, known=Status.RUNNING, started_at=seen.started_at, bindings=seen.bindings, tries=0)


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
        started_at=container.started_at or seen.started_at,
        finished_at=seen.finished_at,
        reason=container.reason or reasons.of_exit(seen),
    )
