"""Containers that start again by themselves (API reference, ContainerRestartPolicy).

An exit that the policy covers begins a new run of the same container. ECS hears nothing of it: for ECS the container
has run all the time.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from agent.model.status import Health, Status
from agent.model.task import Container, ContainerSpec


def covers(spec: ContainerSpec, before: Container, after: Container, at: datetime) -> bool:
    """Does the policy of *spec* start a container again that ran *before* and has ended *after*?

    An exit without a code, as of a container that has vanished, is none that a policy covers. Where the clock was set
    back behind the start nobody knows how long it ran, and it is given the benefit of the doubt.
    """
    policy = spec.restart
    if policy is None or before.known is not Status.RUNNING or after.known is not Status.STOPPED:
        return False
    if Status.STOPPED in (before.wanted, after.wanted):
        return False
    last = after.restarted_at or after.first_started_at
    if after.exit_code is None or after.exit_code in policy.ignored_exit_codes or last is None:
        return False
    return at < last or at - last >= timedelta(seconds=policy.attempt_period)


def again(before: Container, after: Container, at: datetime) -> Container:
    """The row of a container that is to start again: a new run of what Docker has created.

    While an act on it is unanswered, it is called running: the answer brings the news of the exit once more.
    """
    if after.in_flight:
        return replace(before, doing=after.doing, lost=after.lost)
    return replace(
        after,
        known=Status.CREATED,
        run=after.run + 1,
        doing=(),
        lost=(),
        reason=before.reason,
        kill_at=None,
        wake_at=None,
        tries=0,
        restarts=after.restarts + 1,
        restarted_at=at,
        health=Health.UNKNOWN,
        health_since=None,
        health_output="",
    )


def is_between_runs(container: Container) -> bool:
    """Has it run, and is it to start again?"""
    return container.known < Status.RUNNING and container.first_started_at is not None
