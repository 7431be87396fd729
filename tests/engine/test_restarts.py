"""Containers that start again by policy: a new run of the same container, of which ECS hears nothing."""

from dataclasses import replace
from datetime import timedelta

import pytest

from agent.model.acts import CreateContainer, StartContainer, StopContainer
from agent.model.decision import Decision
from agent.model.events import ActFailed, ContainerAnswered, DockerLost, Fault, Observed
from agent.model.names import Image
from agent.model.parts import Condition, Dependency, RestartPolicy
from agent.model.seen import Phase, Seen
from agent.model.status import Doing, Health, Status
from agent.model.task import ContainerSpec, PortMapping
from tests.engine.rows import ARN, T0, Play, after, listed, seen, spec

POLICY = RestartPolicy(ignored_exit_codes=(0, 42), attempt_period=60.0)
APP = ContainerSpec("app", Image("app:1"), essential=True, restart=POLICY, health_check=True)


def running(app: ContainerSpec = APP, *others: ContainerSpec) -> Play:
    play = Play()
    play.assign(spec(ARN, app, *others))
    play.pulled()
    play.created()
    play.started()
    return play


def exits(play: Play, at: float, code: int | None = 1, started: float = 0, **more: object) -> Decision:
    shown = seen(Phase.EXITED, exit_code=code, started_at=after(started), finished_at=after(at))
    return play.hear(Observed(replace(shown, **more), after(at)))  # type: ignore[arg-type] # fields are named below


def starts(play: Play, at: float) -> Decision:
    act = play.take(StartContainer)
    assert isinstance(act, StartContainer)
    return play.hear(ContainerAnswered(act, seen(started_at=after(at)), after(at)))


def test_an_exit_starts_the_same_container_again_and_ecs_hears_nothing() -> None:
    play = running()
    decision = exits(play, 60)
    (act,) = decision.acts
    assert act == StartContainer(ARN, "app", 2, play.app.docker_id, last_start=T0)
    assert decision.reports == ()
    assert starts(play, 61).reports == ()
    app = play.app
    assert (app.known, app.told, app.run, app.restarts) == (Status.RUNNING, Status.RUNNING, 2, 1)
    assert (app.first_started_at, app.started_at, app.restarted_at) == (T0, after(61), after(60))
    assert (app.exit_code, app.finished_at) == (None, None)
    assert (play.task.known, play.task.wanted) == (Status.RUNNING, Status.RUNNING)


@pytest.mark.parametrize("code", [0, 42, None])
def test_an_exit_that_is_ignored_or_without_a_code_is_the_end(code: int | None) -> None:
    play = running()
    (report,) = exits(play, 100, code).reports
    assert (report.status, report.containers[0].exit_code) == (Status.STOPPED, code)
    assert play.open == []


def test_an_exit_too_soon_after_the_first_start_is_the_end() -> None:
    play = running()
    (report,) = exits(play, 59).reports
    assert report.status is Status.STOPPED


@pytest.mark.parametrize(("at", "is_again"), [(119, False), (120, True)])
def test_later_exits_are_counted_from_the_last_restart(at: float, is_again: bool) -> None:  # noqa: FBT001
    play = running()
    exits(play, 60)
    starts(play, 75)
    exits(play, at, started=75)
    assert (play.app.run, play.app.known is Status.STOPPED) == ((3, False) if is_again else (2, True))


def test_a_container_that_is_to_stop_is_not_started_again() -> None:
    play = running()
    play.stop()
    play.hear(Observed(seen(Phase.EXITED, exit_code=143), after(100)))
    assert play.app.known is Status.STOPPED
    assert not any(isinstance(act, StartContainer) for act in play.open)


def test_a_run_that_only_docker_knows_of_is_the_last_one_when_the_next_is_asked_for() -> None:
    play = running()
    again = Play(play.task, heard=False)  # a restart after the exit was never written: the disk was full
    ended = seen(Phase.EXITED, exit_code=1, started_at=after(61), finished_at=after(130))
    (act,) = again.hear(replace(listed(ended), at=after(140))).acts
    assert isinstance(act, StartContainer)
    assert act.last_start == after(61)


def test_a_container_without_a_policy_is_not_started_again() -> None:
    play = running(replace(APP, restart=None))
    exits(play, 100)
    assert play.task.known is Status.STOPPED


def test_an_exit_found_after_the_agent_was_down_is_followed_by_a_restart() -> None:
    play = Play(running().task, heard=False)
    found = replace(listed(seen(Phase.EXITED, exit_code=1), asked=0), at=after(5000))
    decision = play.hear(found)
    assert [type(act) for act in decision.acts] == [StartContainer]
    assert decision.reports == ()


def test_a_container_that_vanished_is_not_started_again() -> None:
    play = running()
    play.hear(replace(listed(asked=play.engine.step, gone=frozenset({play.app.docker_id})), at=after(100)))
    assert play.task.known is Status.STOPPED


def test_an_exit_found_without_a_record_of_its_container_is_the_end() -> None:
    play = Play(heard=False)
    shown = seen(Phase.EXITED, exit_code=1)
    found = listed(replace(shown, labels=replace(shown.labels, restart=POLICY)))
    assert play.hear(replace(found, at=after(5000))).acts == ()
    assert play.task.known is Status.STOPPED


def test_a_found_container_that_runs_is_started_again_as_its_labels_say() -> None:
    play = Play(heard=False)
    shown = seen()
    play.list(replace(shown, labels=replace(shown.labels, restart=POLICY)))
    assert [type(act) for act in exits(play, 60).acts] == [StartContainer]


def test_a_restart_that_fails_is_the_end_with_the_last_exit_code() -> None:
    play = running()
    exits(play, 60, 9)
    (report,) = play.fail(StartContainer, Fault.GIVE_UP, "CannotStartContainerError: no").reports
    told = report.containers[0]
    assert (told.status, told.exit_code, told.reason) == (Status.STOPPED, 9, "CannotStartContainerError: no")


def test_a_port_that_is_taken_meanwhile_ends_the_restarts() -> None:
    play = running(replace(APP, ports=(PortMapping(80),)))
    exits(play, 60)
    port = play.app.leases[0].host_port
    play.fail(StartContainer, Fault.PORT_TAKEN, f"CannotStartContainerError: port {port}", port=port)
    assert play.app.known is Status.STOPPED
    assert not any(isinstance(act, CreateContainer) for act in play.open)


def test_a_stop_between_two_runs_sends_nothing_and_keeps_the_exit_code() -> None:
    play = running()
    play.hear(DockerLost(after(50)))
    exits(play, 60, 9)
    assert play.open == []
    (report,) = play.stop().reports
    assert (report.status, report.containers[0].exit_code) == (Status.STOPPED, 9)


def test_a_stop_overtakes_a_restart() -> None:
    play = running()
    exits(play, 60)
    assert [type(act) for act in play.stop().acts] == [StopContainer]
    play.answer(StopContainer, seen(Phase.EXITED, exit_code=1))
    play.answer(StartContainer, seen(Phase.EXITED, exit_code=1))
    assert (play.app.known, play.app.run) == (Status.STOPPED, 2)


# -- facts of an older run ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("late", [seen(Phase.EXITED, exit_code=1), seen(), replace(seen(), health=Health.UNHEALTHY)])
def test_late_news_of_an_older_run_is_nothing(late: Seen) -> None:
    play = running()
    exits(play, 60)
    assert play.hear(Observed(late, after(61))).changes_nothing
    starts(play, 62)
    assert play.hear(Observed(late, after(63))).changes_nothing


def test_late_news_of_an_older_run_settles_no_restart_that_was_lost() -> None:
    play = running()
    exits(play, 60)
    starts(play, 61)
    exits(play, 122, started=61)
    play.hear(ActFailed(play.take(StartContainer), Fault.UNKNOWN, "", after(123)))
    exits(play, 60)
    assert play.app.lost == (Doing.START,)
    exits(play, 122, started=61)
    assert play.app.lost == (Doing.START,)


def test_a_lost_restart_is_asked_about_and_told_apart_from_the_run_before() -> None:
    play = running()
    exits(play, 60)
    play.fail(StartContainer, Fault.UNKNOWN)
    (act,) = play.list(seen(Phase.EXITED, exit_code=1)).acts
    assert isinstance(act, StartContainer)
    assert (act.again, act.last_start) == (True, T0)
    assert play.app.doing == (Doing.START,)


def test_a_restart_that_happened_though_its_answer_was_lost_is_recognised() -> None:
    play = running()
    exits(play, 60)
    play.fail(StartContainer, Fault.UNKNOWN)
    assert play.list(seen(started_at=after(61))).acts == ()
    assert (play.app.known, play.app.doing) == (Status.RUNNING, ())


def test_a_listing_is_believed_though_the_clock_of_the_host_was_set_back() -> None:
    play = running()
    exits(play, 60)
    earlier = T0 - timedelta(hours=1)
    play.answer(StartContainer, seen(started_at=earlier))
    assert play.app.started_at == earlier
    play.list(seen(Phase.EXITED, exit_code=0, started_at=earlier))
    assert play.app.known is Status.STOPPED


def test_an_exit_that_overtakes_the_answer_to_its_restart_waits_for_it() -> None:
    play = running()
    exits(play, 60)
    early = exits(play, 130, started=61)
    assert (early.acts, early.reports) == ((), ())
    act = play.take(StartContainer)
    assert isinstance(act, StartContainer)
    shown = seen(Phase.EXITED, exit_code=1, started_at=after(61))
    assert [type(one) for one in play.hear(ContainerAnswered(act, shown, after(131))).acts] == [StartContainer]
    assert play.app.run == 3


def test_one_that_ended_before_the_answer_to_its_first_start_is_told_running_and_started_again() -> None:
    play = Play()
    play.assign(spec(ARN, APP))
    play.pulled()
    play.created()
    act = play.take(StartContainer)
    assert isinstance(act, StartContainer)
    decision = play.hear(ContainerAnswered(act, seen(Phase.EXITED, exit_code=1), after(70)))
    assert [type(one) for one in decision.acts] == [StartContainer]
    assert [report.status for report in decision.reports] == [Status.RUNNING]


def test_the_restart_of_another_is_no_end_for_those_who_wait_for_one() -> None:
    init = ContainerSpec("init", Image("app:1"), restart=POLICY)
    play = Play()
    waiting = replace(APP, restart=None, depends_on=(Dependency("init", Condition.COMPLETE),))
    play.assign(spec(ARN, waiting, init))
    play.pulled()
    play.created("init")
    play.started("init")
    play.hear(Observed(seen(Phase.EXITED, name="init", exit_code=1), after(60)))
    assert play.app.known is Status.PULLED
    again = seen(Phase.EXITED, name="init", exit_code=0, started_at=after(61))
    assert [type(act) for act in play.answer(StartContainer, again, "init").acts] == [CreateContainer]


def test_nobody_is_started_again_once_an_essential_container_has_ended() -> None:
    other = ContainerSpec("other", Image("app:1"), essential=True)
    play = running(APP, other)
    play.created("other")
    play.started("other")
    both = (seen(Phase.EXITED, name="other", exit_code=0), seen(Phase.EXITED, exit_code=1))
    play.hear(replace(listed(*both, asked=play.engine.step), at=after(100)))
    assert play.task.known is Status.STOPPED
    assert not play.open


def test_a_new_run_begins_with_no_health() -> None:
    play = running()
    play.hear(Observed(replace(seen(), health=Health.HEALTHY, health_output="ok"), after(3)))
    exits(play, 60)
    assert (play.app.health, play.app.health_since, play.app.health_output) == (Health.UNKNOWN, None, "")


def test_a_restart_that_docker_is_too_busy_for_is_tried_again() -> None:
    play = running()
    exits(play, 60)
    play.hear(ActFailed(play.take(StartContainer), Fault.TRY_AGAIN, "busy", after(61)))
    (act,) = play.wake().acts
    assert isinstance(act, StartContainer)
    assert (act.run, act.last_start) == (2, T0)
