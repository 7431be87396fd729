"""The wall clock is set by an hour, forth or back: what was due stays due after as much time."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from agent.engine.clock_steps import TOMBSTONE_KEPT
from agent.model.acts import PullImage, RemoveContainer, StartContainer, StopContainer
from agent.model.events import (
    ClockStepped,
    ContainerAnswered,
    ContainerRemoved,
    DeadlinePassed,
    Fault,
    Observed,
    TaskAssigned,
)
from agent.model.names import Image, TaskArn
from agent.model.parts import Condition, Dependency, RestartPolicy
from agent.model.seen import Phase, Seen
from agent.model.status import Status
from agent.model.task import ContainerSpec
from tests.engine.rows import ARN, OTHER, RULES, T0, Play, after, listed, seen, spec

HOUR = timedelta(hours=1)
BOTH = pytest.mark.parametrize("by", [HOUR, -HOUR], ids=["forth", "back"])
FALLS = spec(ARN, ContainerSpec("app", Image("app:1"), essential=True, restart=RestartPolicy(attempt_period=60.0)))
NEEDY = spec(
    ARN,
    ContainerSpec("app", Image("app:1"), essential=True, start_timeout=20.0, health_check=True),
    ContainerSpec("side", Image("app:1"), depends_on=(Dependency("app", Condition.HEALTHY),)),
)


def step(play: Play, by: timedelta, at: datetime = T0) -> None:
    """The clock is set at *at* by the old one; nothing is decided by that but dates."""
    before = play.engine.next_deadline()
    decision = play.hear(ClockStepped(by, at + by))
    assert not any((decision.acts, decision.reports, decision.moves))
    assert play.engine.next_deadline() == (before + by if before is not None else None)


@BOTH
def test_a_stop_is_given_its_grace_and_no_more(by: timedelta) -> None:
    play = Play().running()
    play.stop()
    step(play, by, after(10))
    assert play.hear(DeadlinePassed(after(34) + by)).acts == ()
    assert [type(act).__name__ for act in play.hear(DeadlinePassed(after(36) + by)).acts] == ["KillContainer"]


@BOTH
def test_a_pull_is_tried_again_after_its_pause(by: timedelta) -> None:
    play = Play()
    play.assign()
    play.fail(PullImage, Fault.TRY_AGAIN)
    step(play, by)
    assert play.hear(DeadlinePassed(after(0.9) + by)).acts == ()
    assert [type(act) for act in play.hear(DeadlinePassed(after(1) + by)).acts] == [PullImage]


@BOTH
def test_cleanup_and_tombstones_keep_their_time(by: timedelta) -> None:
    play = Play().running()
    play.hear(Observed(seen(Phase.EXITED, exit_code=0), T0))
    play.settle()
    step(play, by)
    assert play.engine.next_deadline() == T0 + by + RULES.cleanup_wait
    play.wake()
    remove = play.take(RemoveContainer)
    assert isinstance(remove, RemoveContainer)
    play.hear(ContainerRemoved(remove, after(5) + by))
    step(play, by, after(5) + by)
    assert play.engine.next_deadline() == after(5) + by + by + TOMBSTONE_KEPT


@BOTH
def test_a_limit_of_a_start_keeps_its_time(by: timedelta) -> None:
    play = Play()
    play.assign(NEEDY)
    play.pulled()
    play.created()
    play.started()
    assert play.app.start_by == after(20)
    step(play, by, after(5))
    play.hear(DeadlinePassed(after(19) + by))
    assert play.task.wanted is Status.RUNNING
    play.hear(DeadlinePassed(after(21) + by))
    assert play.task["side"].known is Status.STOPPED


@BOTH
def test_a_limit_of_a_start_is_no_longer_for_a_clock_that_was_set_while_the_image_came(by: timedelta) -> None:
    play = Play()
    play.assign(NEEDY)
    step(play, by)
    play.pulled()
    play.created()
    began = after(3) + by
    act = play.take(StartContainer)
    assert isinstance(act, StartContainer)
    play.hear(ContainerAnswered(act, seen(started_at=began), began))
    assert play.app.start_by is not None
    assert play.app.start_by <= max(began, T0 + by) + timedelta(seconds=20)


@BOTH
@pytest.mark.parametrize(("lived", "again"), [(59, False), (61, True)])
def test_the_restart_policy_counts_time_that_has_passed(by: timedelta, lived: int, *, again: bool) -> None:
    play = Play().running_with(FALLS)
    step(play, by, after(30))
    play.hear(Observed(seen(Phase.EXITED, exit_code=1), after(lived) + by))
    assert (play.task.known is not Status.STOPPED) == again


def test_a_start_that_docker_stamped_before_the_clock_was_set_back_stops_no_restart() -> None:
    play = Play().running_with(FALLS)  # Docker's date is T0, and nothing says that the clock was set
    play.hear(Observed(seen(Phase.EXITED, exit_code=1), T0 - HOUR))
    assert play.task.known is not Status.STOPPED


@BOTH
def test_who_came_first_stays_first_in_the_queue(by: timedelta) -> None:
    play = Play(rules=replace(RULES, memory=100))

    third = TaskArn(ARN[:-1] + "e")
    for arn, at in ((ARN, T0), (OTHER, after(1))):
        play.hear(TaskAssigned(replace(spec(arn), memory=80), at, "0" * 40))
    step(play, by, after(2))
    play.hear(TaskAssigned(replace(spec(third), memory=80), after(3) + by, "0" * 40))
    assert [place[3] for place in play.engine._world.queue] == [OTHER, third]
    again = Play(*play.engine.tasks.values(), rules=play.engine._world.rules)
    assert [place[3] for place in again.engine._world.queue] == [OTHER, third]


def after_a_restart(play: Play, at: datetime, *shown: Seen) -> Play:
    """The agent starts again with the same rows, and hears its first listing *at*."""
    again = Play(play.task, heard=False)
    again.hear(replace(listed(*shown, asked=again.engine.step), at=at))
    return again


@pytest.mark.parametrize(
    ("at", "kill_at"),
    [(after(10) - HOUR, after(40) - HOUR), (after(10), after(30)), (after(10) + HOUR, after(10) + HOUR)],
    ids=["set back while the agent was down", "not set", "set forth, or a long time later"],
)
def test_a_stop_never_waits_longer_than_its_whole_grace_after_a_restart(at: datetime, kill_at: datetime) -> None:
    play = Play().running()
    play.stop()
    act = after_a_restart(play, at, seen()).take(StopContainer)
    assert isinstance(act, StopContainer)
    assert act.kill_at == kill_at


def test_no_date_lies_further_away_after_a_restart_than_it_could_at_most() -> None:
    play = Play().running()
    play.hear(Observed(seen(Phase.EXITED, exit_code=0), T0))
    again = after_a_restart(play, T0 - HOUR, seen(Phase.EXITED, exit_code=0))
    assert again.task.remove_at == T0 - HOUR + RULES.cleanup_wait

    falls = Play().running_with(FALLS)
    again = after_a_restart(falls, T0 - HOUR, seen())
    again.hear(Observed(seen(Phase.EXITED, exit_code=1), T0 - HOUR + timedelta(seconds=61)))
    assert again.task.known is not Status.STOPPED
