"""A person on this machine wants a task stopped: with its grace, or by force."""

from dataclasses import replace

import pytest

from agent.model.acts import (
    CancelPull,
    CreateContainer,
    InspectContainer,
    KillContainer,
    StartContainer,
    StopContainer,
)
from agent.model.decision import Decision
from agent.model.events import DockerBack, DockerLost, Fault, Observed, OperatorStop
from agent.model.names import Image, TaskArn
from agent.model.parts import Link, RestartPolicy
from agent.model.seen import Phase
from agent.model.status import Doing, Status
from agent.model.task import ContainerSpec
from tests.engine.rows import ARN, OTHER, T0, Play, after, seen, spec

WHO = "uid 0 (root), pid 7, on this host"
APP = ContainerSpec("app", Image("app:1"), essential=True)
KILLED = f"OperatorStop: killed by {WHO}"


def operator(play: Play, *, force: bool, arn: TaskArn = ARN, seconds: float = 1) -> Decision:
    return play.hear(OperatorStop(arn, force, WHO, after(seconds)))


def kills(decision: Decision) -> list[str]:
    return [act.container for act in decision.acts if isinstance(act, KillContainer)]


def dies(play: Play, name: str = "app") -> Decision:
    return play.hear(Observed(seen(Phase.EXITED, name=name, exit_code=137), after(2)))


def test_without_force_it_is_a_stop_with_its_grace_and_a_reason_that_names_who_asked() -> None:
    play = Play().running()
    operator(play, force=False)
    act = play.take(StopContainer)
    assert isinstance(act, StopContainer)
    assert act.kill_at == after(31)
    assert dies(play).reports[-1].reason == f"OperatorStop: stopped by {WHO}"


def test_by_force_it_is_killed_at_once_and_ecs_is_told_code_and_operator() -> None:
    play = Play().running()
    assert kills(operator(play, force=True)) == ["app"]
    (report,) = dies(play).reports
    (part,) = report.containers
    assert (report.status, report.reason) == (Status.STOPPED, KILLED)
    assert (part.exit_code, part.reason) == (137, KILLED)


def test_force_overtakes_the_grace_of_a_stop_that_ecs_has_asked_for() -> None:
    play = Play().running()
    play.stop()
    assert play.app.in_flight == (Doing.STOP,)
    assert kills(operator(play, force=True)) == ["app"]
    assert dies(play).reports[-1].reason == KILLED


def test_force_follows_a_stop_of_the_same_operator() -> None:
    play = Play().running()
    operator(play, force=False)
    assert kills(operator(play, force=True)) == ["app"]
    assert play.task.reason == KILLED


def test_said_again_it_changes_nothing() -> None:
    play = Play().running()
    operator(play, force=True)
    assert operator(play, force=True).changes_nothing
    assert operator(play, force=False).changes_nothing
    dies(play)
    assert operator(play, force=True).changes_nothing


def test_by_force_nobody_waits_for_those_that_depend_on_it() -> None:
    db = ContainerSpec("db", Image("app:1"))
    play = Play()
    play.assign(spec(ARN, replace(APP, links=(Link("db", "db"),)), db))
    play.pulled()
    for name in ("db", "app"):
        play.created(name)
        play.started(name)
    assert sorted(kills(operator(play, force=True))) == ["app", "db"]


def test_a_start_on_its_way_is_overtaken_and_one_that_came_too_soon_is_tried_again() -> None:
    play = Play().starting()
    assert kills(operator(play, force=True)) == ["app"]
    play.answer(KillContainer, seen(Phase.CREATED))  # Docker had not begun the start: there was nothing to kill
    play.answer(StartContainer, seen())
    assert kills(play.wake()) == ["app"]


def test_what_has_not_run_and_is_being_stopped_is_not_killed_again_and_again() -> None:
    play = Play().starting()
    play.stop()
    play.fail(StartContainer, Fault.TRY_AGAIN)
    assert operator(play, force=True).acts == ()
    answer = play.answer(StopContainer, seen(Phase.CREATED))
    assert (answer.acts, play.app.known) == ((), Status.STOPPED)


def test_a_creation_on_its_way_ends_unstarted() -> None:
    play = Play()
    play.assign()
    play.pulled()
    assert operator(play, force=True).acts == ()
    decision = play.created()
    assert not any(isinstance(act, StartContainer) for act in decision.acts)
    assert decision.reports[-1].status is Status.STOPPED


def test_a_creation_whose_answer_was_lost_is_looked_for_first() -> None:
    play = Play()
    play.assign()
    play.pulled()
    play.fail(CreateContainer, Fault.UNKNOWN)
    operator(play, force=True)
    play.list()
    play.take(InspectContainer)


def test_a_pull_is_left_at_once() -> None:
    play = Play()
    play.assign()
    decision = operator(play, force=True)
    assert any(isinstance(act, CancelPull) for act in decision.acts)
    assert decision.reports[-1].reason == KILLED


def test_while_docker_is_away_the_wish_waits_and_is_the_first_thing_done_afterwards() -> None:
    play = Play().running()
    play.hear(DockerLost(T0))
    assert operator(play, force=True).acts == ()
    play.hear(DockerBack(T0))
    assert kills(play.list(seen())) == ["app"]


def test_a_new_process_remembers_the_wish() -> None:
    play = Play().running()
    operator(play, force=True)
    again = Play(play.task, heard=False)
    assert kills(again.list(seen())) == ["app"]


def test_a_kill_that_failed_for_a_while_is_tried_at_once_when_it_is_asked_for_again() -> None:
    play = Play().running()
    operator(play, force=True)
    play.fail(KillContainer, Fault.TRY_AGAIN, at=after(1))
    assert play.app.wake_at is not None
    assert kills(operator(play, force=True)) == ["app"]


def test_a_restart_policy_does_not_bring_it_back() -> None:
    policy = RestartPolicy(ignored_exit_codes=(), attempt_period=0.0)
    play = Play().running_with(spec(ARN, replace(APP, restart=policy)))
    operator(play, force=True)
    dies(play)
    assert (play.task.known, play.app.restarts) == (Status.STOPPED, 0)


@pytest.mark.parametrize("force", [True, False])
def test_of_a_task_that_nobody_knows_nothing_is_decided(*, force: bool) -> None:
    assert operator(Play().running(), force=force, arn=OTHER).changes_nothing
