"""New tasks are refused while the host is strained, and stopped ones go before their time, but never too early."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from agent.engine import pressure
from agent.engine.invariants import InvariantBroken, check
from agent.engine.world import Snapshot
from agent.model.acts import RemoveContainer
from agent.model.decision import Decision
from agent.model.events import Observed, Reclaim, Strained, TaskStopRequested
from agent.model.names import TaskArn
from agent.model.seen import Phase
from agent.model.status import Status
from agent.model.task import Task
from tests.engine.rows import ARN, OTHER, RULES, T0, Play, after, listed, seen, spec

FULL = "DiskPressure: 97 % of bytes of /var/lib/docker used, critical is 95 %"


def strained(play: Play | None = None) -> Play:
    play = play or Play()
    assert play.hear(Strained(FULL, T0)).changes_nothing
    return play


def test_a_task_that_is_unknown_is_refused_with_the_reason_and_told_stopped_once() -> None:
    play = strained()
    decision = play.assign()

    assert [(r.task, r.status, r.moved, r.reason) for r in decision.reports] == [(ARN, Status.STOPPED, True, FULL)]
    assert [stone.arn for stone in decision.tombstones] == [ARN]
    assert not decision.acts
    assert not decision.tasks
    assert play.assign().changes_nothing


def test_tasks_are_taken_again_once_the_strain_is_gone() -> None:
    play = strained()
    play.hear(Strained("", after(1)))

    assert play.assign().tasks[0].wanted is Status.RUNNING


def test_a_task_that_is_known_goes_on_under_strain() -> None:
    play = Play()
    play.assign()
    strained(play)
    assert play.assign().changes_nothing
    play.pulled()
    play.created()
    play.started()

    assert play.task.known is Status.RUNNING
    assert play.stop().acts


def test_before_the_first_listing_nobody_knows_which_tasks_are_new() -> None:
    play = strained(Play(heard=False))
    play.assign()
    play.assign(spec(OTHER))
    assert play.task.wanted is Status.RUNNING

    decision = play.hear(listed(seen(), asked=play.engine.step))

    assert play.task.known is Status.RUNNING, "it runs here, and its record was lost"
    assert [(r.task, r.reason) for r in decision.reports if r.status is Status.STOPPED] == [(OTHER, FULL)]


def test_a_strain_that_is_gone_before_the_first_listing_refuses_nobody() -> None:
    play = strained(Play(heard=False))
    play.assign()
    play.hear(Strained("", after(1)))
    play.list()

    assert play.task.wanted is Status.RUNNING


def test_no_row_may_begin_under_strain() -> None:
    task = Play().running().task
    before = Snapshot({}, {}, {}, strain=FULL)

    with pytest.raises(InvariantBroken, match="no new task is"):
        check(before, Snapshot({ARN: task}, {}, {}, strain=FULL), Decision(tasks=(task,)))


def ended(*, exit_code: int = 0, settled: bool = True) -> Play:
    play = Play().running()
    play.hear(Observed(seen(Phase.EXITED, exit_code=exit_code), T0))
    if settled:
        play.settle()
    return play


def test_the_cleanup_of_a_stopped_task_begins_when_room_is_needed() -> None:
    decision = ended().hear(Reclaim(1, after(1)))

    assert [type(act) for act in decision.acts] == [RemoveContainer]


def test_nothing_is_cleared_away_before_its_time_that_ecs_does_not_know_of() -> None:
    play = ended(settled=False)
    assert play.hear(Reclaim(9, T0 + RULES.cleanup_wait - timedelta(seconds=1))).acts == ()
    assert [type(act) for act in play.hear(Reclaim(9, T0 + RULES.cleanup_wait)).acts] == [RemoveContainer]


def test_a_task_that_lives_is_no_room_to_be_had() -> None:
    assert Play().running().hear(Reclaim(9, T0 + timedelta(days=9))).acts == ()


def row(number: int, *, exit_code: int = 0, settled: bool = True, family: str = "web") -> Task:
    """A task that stopped so many minutes after T0."""
    task = ended(exit_code=exit_code, settled=settled).task
    arn = TaskArn(f"{ARN[:-2]}{number:02}")
    stopped = T0 + timedelta(minutes=number)
    what = replace(task.spec, arn=arn, family=family)
    return replace(task, spec=what, stopped_at=stopped, remove_at=stopped + RULES.cleanup_wait)


def order(*rows: Task, at: datetime = T0 + timedelta(minutes=99)) -> list[int]:
    return [int(task.arn[-2:]) for task in pressure.reclaimable(rows, at)]


def test_the_least_recently_stopped_goes_first() -> None:
    assert order(row(3), row(1), row(2)) == [1, 2, 3]


def test_the_three_tasks_of_each_family_that_failed_last_stay() -> None:
    failed = [row(number, exit_code=3) for number in (5, 1, 4, 2, 3)]
    others = [row(number, exit_code=3, family="api") for number in (6, 7)]

    assert order(*failed, *others, row(8)) == [1, 2, 8]


def test_a_container_that_was_told_to_stop_has_not_failed_by_its_exit_code() -> None:
    play = Play().running()
    play.hear(TaskStopRequested(ARN, T0))
    play.hear(Observed(seen(Phase.EXITED, exit_code=143), T0))

    assert not pressure.has_failed(play.task)
    assert pressure.has_failed(row(1, exit_code=143))


def test_a_task_that_only_waits_for_ecs_goes_after_all_others() -> None:
    late = T0 + RULES.cleanup_wait + timedelta(minutes=2)

    assert order(row(1, settled=False), row(3), row(9, settled=False), at=late) == [3, 1]


def test_at_most_so_many_go_at_once() -> None:
    play = Play(row(1), row(2), row(3))

    decision = play.hear(Reclaim(2, after(1)))

    assert sorted(task.arn[-2:] for task in decision.tasks) == ["01", "02"]
