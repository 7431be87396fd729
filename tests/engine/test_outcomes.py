from dataclasses import replace

import pytest

from agent.engine import leases
from agent.engine.engine import Engine, TaskIsBroken
from agent.engine.naming import container_name
from agent.model.acts import CreateContainer, PullImage, RemoveContainer, StartContainer, StopContainer
from agent.model.events import (
    ActBroke,
    ActFailed,
    ContainerRemoved,
    DeadlinePassed,
    Fault,
    ReportsSettled,
    TaskAssigned,
    TaskBroke,
    TaskRefused,
)
from agent.model.names import DockerId, Image
from agent.model.seen import Phase
from agent.model.status import Status
from agent.model.task import ContainerSpec, PortMapping, Task, Transport
from tests.engine.rows import ARN, OTHER, RULES, T0, Play, listed, seen, spec

CANNOT_PULL = "CannotPullContainerError: not found"
PORTS = ContainerSpec("app", Image("app:1"), essential=True, ports=(PortMapping(80), PortMapping(53, 0, Transport.UDP)))


def test_a_pull_that_failed_for_good_goes_on_with_what_is_there_and_lends_its_reason() -> None:
    play = Play()
    play.assign()
    decision = play.hear(ActFailed(play.take(PullImage), Fault.GIVE_UP, CANNOT_PULL, T0))
    assert [type(act) for act in decision.acts] == [CreateContainer]
    missing = "CannotCreateContainerError: No such image: app:1"
    play.hear(ActFailed(play.take(CreateContainer), Fault.GIVE_UP, missing, T0))
    assert play.app.reason == CANNOT_PULL
    assert play.task.known is Status.STOPPED


def test_a_pull_that_may_work_later_is_tried_again_and_not_for_ever() -> None:
    play = Play()
    play.assign()
    pulls = 0
    while any(isinstance(act, PullImage) for act in play.open):
        pulls += 1
        play.hear(ActFailed(play.take(PullImage), Fault.TRY_AGAIN, "registry away", T0))
        if (due := play.engine.next_deadline()) is not None:
            play.hear(DeadlinePassed(due))
    assert pulls == 5
    assert any(isinstance(act, CreateContainer) for act in play.open)


def test_a_chosen_port_that_is_taken_is_chosen_again_within_bounds() -> None:
    play = Play(rules=replace(RULES, last_port=RULES.first_port + 99))
    play.assign(spec(ARN, PORTS))
    play.pulled()
    tried = set()
    while any(isinstance(act, CreateContainer) for act in play.open):
        act = play.take(CreateContainer)
        assert isinstance(act, CreateContainer)
        tried.add(act.leases)
        port = act.leases[0].host_port
        play.hear(ActFailed(act, Fault.PORT_TAKEN, "", T0, port))
    assert len(tried) == leases.ATTEMPTS
    assert play.app.reason.startswith("CannotStartContainerError: host port")


def test_a_fixed_port_that_is_taken_fails_at_once() -> None:
    play = Play()
    play.assign(spec(ARN, ContainerSpec("app", Image("app:1"), essential=True, ports=(PortMapping(80, 8080),))))
    play.pulled()
    play.created()
    play.hear(ActFailed(play.take(StartContainer), Fault.PORT_TAKEN, "", T0, 8080))
    assert "8080" in play.app.reason
    assert play.task.known is Status.STOPPED


def test_two_tasks_never_lease_the_same_port() -> None:
    play = Play()
    for arn in (ARN, OTHER):
        play.assign(spec(arn, PORTS))
    play.pulled()
    acts = [act for act in play.open if isinstance(act, CreateContainer)]
    ports = [(lease.transport, lease.host_port) for act in acts for lease in act.leases]
    assert len(ports) == len(set(ports)) == 4
    assert all(RULES.first_port <= port <= RULES.last_port for _, port in ports)


def test_a_stop_is_never_given_up() -> None:
    play = Play().running()
    play.stop()
    for _ in range(12):
        play.hear(ActFailed(play.take(StopContainer), Fault.GIVE_UP, "CannotStopContainerError: no", T0))
        due = play.engine.next_deadline()
        assert due is not None
        play.hear(DeadlinePassed(due))
    assert play.task.known is Status.RUNNING
    assert any(isinstance(act, StopContainer) for act in play.open)


def test_a_task_that_is_over_is_removed_after_its_time_and_leaves_a_tombstone() -> None:
    play = Play().running()
    play.stop()
    play.answer(StopContainer, seen(Phase.EXITED, exit_code=143))
    play.hear(ReportsSettled(frozenset({ARN}), T0))
    due = play.engine.next_deadline()
    assert due == T0 + RULES.cleanup_wait
    play.hear(DeadlinePassed(due))
    remove = play.take(RemoveContainer)
    assert isinstance(remove, RemoveContainer)
    decision = play.hear(ContainerRemoved(remove, due))
    assert decision.forgotten == (ARN,)
    assert play.assign().changes_nothing
    end = play.engine.next_deadline()
    assert end is not None
    assert play.hear(DeadlinePassed(end)).buried == (ARN,)


def test_a_stop_of_an_unknown_task_is_told_once_and_touches_nothing() -> None:
    play = Play()
    first, second = play.stop(OTHER), play.stop(OTHER)
    assert [report.status for report in first.reports] == [Status.STOPPED]
    assert [stone.arn for stone in first.tombstones] == [OTHER]
    assert (first.acts, second.changes_nothing) == ((), True)


def test_a_refused_task_is_told_once_with_its_reason() -> None:
    play = Play()
    event = TaskRefused(OTHER, "UnrecogniedTaskError: no", T0)
    assert [report.reason for report in play.hear(event).reports] == ["UnrecogniedTaskError: no"]
    assert play.hear(event).changes_nothing


def test_a_container_removed_by_hand_is_believed_only_by_a_listing_that_may_judge_it() -> None:
    play = Play().running()
    gone = frozenset({DockerId("id-app")})
    play.hear(listed(asked=0, gone=gone))
    assert [play.app.known] == [Status.RUNNING]
    play.hear(listed(asked=play.engine.step, gone=gone))
    assert [play.app.known] == [Status.STOPPED]
    assert play.app.exit_code is None


def test_a_task_whose_row_is_lost_is_rebuilt_from_labels_and_obeys_a_stop() -> None:
    play = Play(heard=False)
    play.hear(listed(seen()))
    assert play.task.spec.rebuilt
    assert play.task.known is Status.RUNNING
    assert [type(act) for act in play.stop().acts] == [StopContainer]


def test_a_resent_payload_fills_a_rebuilt_task_in() -> None:
    play = Play(heard=False)
    play.hear(listed(seen()))
    decision = play.assign()
    assert not play.task.spec.rebuilt
    assert decision.acts == ()


def test_a_container_of_a_task_that_is_over_and_forgotten_is_cleared_away() -> None:
    play = Play()
    play.stop(OTHER)
    (act,) = play.hear(listed(seen(arn=OTHER), asked=play.engine.step)).acts
    assert isinstance(act, RemoveContainer)
    assert act.force


def test_a_bug_in_one_tasks_decision_leaves_the_engine_as_it_was_and_costs_that_task_only() -> None:
    play = Play().running()
    broken = spec(OTHER, ContainerSpec("app", Image("app:1"), essential=True, ports=(PortMapping(80, count="x"),)))  # type: ignore[arg-type]
    play.hear(TaskAssigned(broken, T0, "0" * 40))
    before, rows = play.engine.step, dict(play.engine.tasks)
    with pytest.raises(TaskIsBroken) as raised:
        play.pulled()
    assert raised.value.arn == OTHER
    assert dict(play.engine.tasks) == rows
    assert play.engine.step >= before

    decision = play.hear(TaskBroke(OTHER, "AttributeError: no", T0))
    assert [(r.task, r.status) for r in decision.reports] == [(OTHER, Status.STOPPED)]
    assert "AttributeError" in decision.reports[0].reason
    assert play.task.known is Status.RUNNING


def test_an_act_that_broke_stops_its_own_task() -> None:
    play = Play().running()
    play.assign(spec(OTHER))
    play.hear(ActBroke(play.take(PullImage), "KeyError: no", T0))
    assert play.engine.tasks[OTHER].broken
    assert not play.task.broken


def test_after_a_restart_every_act_of_a_row_is_one_of_unknown_outcome() -> None:
    play = Play()
    play.assign()
    play.pulled()
    row: Task = play.task
    again = Engine(RULES, (row,))
    assert again.next_deadline() is None
    decision = again.decide(listed())
    (act,) = decision.acts
    assert isinstance(act, CreateContainer)
    assert act.again


def test_names_are_derived_readable_and_different() -> None:
    first = container_name(spec(), "my_app.1")
    assert first == container_name(spec(), "my_app.1")
    assert first.startswith("ecs-web-1-myapp1-")
    assert first != container_name(spec(), "my-app.1")
    assert len(first.rpartition("-")[2]) == 20


def test_an_older_run_says_nothing_of_a_newer_one() -> None:
    play = Play()
    play.assign(spec(ARN, PORTS))
    play.pulled()
    play.created()
    play.hear(ActFailed(play.take(StartContainer), Fault.PORT_TAKEN, "", T0, play.app.leases[0].host_port))
    assert play.app.run == 2
    play.hear(listed(seen(Phase.EXITED, exit_code=1, run=1), asked=play.engine.step))
    assert play.app.exit_code is None
