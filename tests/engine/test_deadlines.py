from dataclasses import replace
from datetime import timedelta

from agent.engine import due
from agent.engine.clock_steps import TOMBSTONE_KEPT
from agent.model.acts import KillContainer, PullImage, RemoveContainer, StopContainer
from agent.model.events import (
    ContainerRemoved,
    DeadlinePassed,
    DockerLost,
    Fault,
    Observed,
    Reclaim,
    ReportsSettled,
    TaskAssigned,
)
from agent.model.names import Image
from agent.model.seen import Phase
from agent.model.status import Doing, Status
from agent.model.task import ContainerSpec
from tests.engine.rows import ARN, RULES, T0, Play, after, seen, spec


def ended() -> Play:
    play = Play().running()
    play.hear(Observed(seen(Phase.EXITED, exit_code=0), T0))
    return play


def test_nothing_is_due_before_the_first_listing_and_while_docker_is_lost() -> None:
    row = replace(ended().task, settled=True)
    play = Play(row, heard=False)
    assert play.engine.next_deadline() is None
    play.list()
    assert play.engine.next_deadline() == T0 + RULES.cleanup_wait
    play.hear(DockerLost(T0))
    assert play.engine.next_deadline() is None


def test_a_kill_that_fails_is_tried_again_later_and_not_at_once() -> None:
    play = Play().running()
    play.stop()
    play.wake()
    play.fail(KillContainer, Fault.TRY_AGAIN, at=after(36))
    due = play.engine.next_deadline()
    assert due == after(37)
    assert [type(act) for act in play.wake().acts] == [KillContainer]


def test_a_kill_that_waits_is_not_drawn_forward_by_its_neighbours() -> None:
    play = Play()
    play.assign(spec(ARN, *(ContainerSpec(name, Image("app:1"), essential=True) for name in ("app", "side"))))
    play.pulled()
    for name in ("app", "side"):
        play.created(name)
        play.started(name)
    play.stop()
    play.wake()
    play.fail(KillContainer, Fault.TRY_AGAIN, at=after(40))
    play.fail(KillContainer, Fault.TRY_AGAIN, at=after(50))
    (act,) = play.wake().acts
    assert isinstance(act, KillContainer)
    assert act.container == "app"


def test_a_kill_that_docker_accepts_and_does_not_do_is_tried_again_later() -> None:
    play = Play().running()
    play.stop()
    play.wake()
    play.answer(KillContainer, seen())
    assert play.app.doing == (Doing.STOP,)
    assert play.engine.next_deadline() == after(1)


def test_a_stop_that_is_repeated_after_its_time_gives_docker_a_moment_before_the_kill() -> None:
    play = Play().running()
    play.stop()
    play.fail(StopContainer, Fault.TRY_AGAIN, at=after(60))
    (act,) = play.wake().acts
    assert isinstance(act, StopContainer)
    assert act.kill_at == after(61)
    due = play.engine.next_deadline()
    assert due is not None
    assert due > after(61)


def test_no_kill_is_due_for_a_container_that_has_ended() -> None:
    play = Play().running()
    play.stop()
    play.hear(Observed(seen(Phase.EXITED, exit_code=143), T0))
    play.settle()
    assert play.engine.next_deadline() == T0 + RULES.cleanup_wait


def test_a_pull_is_tried_again_when_it_is_due_and_not_before() -> None:
    play = Play()
    play.assign()
    play.fail(PullImage, Fault.TRY_AGAIN)
    assert play.assign().acts == ()
    assert play.engine.next_deadline() == after(1)
    assert [type(act) for act in play.wake().acts] == [PullImage]


def test_a_removal_that_fails_is_tried_again_for_ever_with_longer_pauses() -> None:
    play = ended()
    play.wake()
    pauses = []
    for _ in range(9):
        play.fail(RemoveContainer, Fault.GIVE_UP, at=T0)
        due = play.engine.next_deadline()
        assert due is not None
        pauses.append((due - T0).total_seconds())
        play.wake()
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert play.task.known is Status.STOPPED


def test_a_tombstone_goes_an_hour_after_its_reports_are_settled() -> None:
    play = ended()
    play.hear(Reclaim(1, T0 + RULES.cleanup_wait))
    remove = play.take(RemoveContainer)
    assert isinstance(remove, RemoveContainer)
    decision = play.hear(ContainerRemoved(remove, T0))
    assert [(stone.arn, stone.until) for stone in decision.tombstones] == [(ARN, None)]
    assert play.engine.next_deadline() is None
    play.hear(ReportsSettled(frozenset({ARN}), after(5)))
    assert play.engine.next_deadline() == after(5) + TOMBSTONE_KEPT
    assert play.wake().buried == (ARN,)
    assert play.engine.next_deadline() is None


def test_what_is_left_of_a_task_stays_until_ecs_has_taken_its_end_however_late() -> None:
    play = ended()
    assert play.engine.next_deadline() is None
    assert play.hear(DeadlinePassed(T0 + RULES.cleanup_wait + timedelta(days=1))).acts == ()

    play.settle()
    assert play.engine.next_deadline() == T0 + RULES.cleanup_wait
    assert [type(act) for act in play.wake().acts] == [RemoveContainer]


def test_settled_reports_of_a_task_that_lives_settle_nothing() -> None:
    assert Play().running().hear(ReportsSettled(frozenset({ARN}), T0)).changes_nothing


def test_a_cleanup_is_put_off_by_a_share_of_the_jitter_that_the_draw_decides() -> None:
    rules = replace(RULES, cleanup_jitter=timedelta(minutes=10))
    dates = [due.removal(draw, T0, rules) for draw in ("0" * 40, "0" * 8 + "8" + "0" * 31, "f" * 40, "")]
    early = T0 + rules.cleanup_wait
    assert dates[0] == dates[3] == early
    assert dates[1] == early + timedelta(minutes=5)
    assert early + timedelta(minutes=9) < dates[2] <= early + timedelta(minutes=10)
    play = Play(rules=rules)
    play.hear(TaskAssigned(spec(), T0, "f" * 40))
    play.stop()
    assert play.task.remove_at == dates[2]
