"""Acts whose answers were lost: until a later act is answered, the container may still come to life."""

import pytest

from agent.model.acts import (
    Act,
    CreateContainer,
    InspectContainer,
    KillContainer,
    ListContainers,
    PullImage,
    RemoveContainer,
    StartContainer,
    StopContainer,
)
from agent.model.events import Fault, Observed
from agent.model.names import NO_ID, DockerId, Image
from agent.model.seen import Phase
from agent.model.status import Doing, Status
from agent.model.task import Container, ContainerSpec, PortMapping, Task
from tests.engine.rows import ARN, T0, Play, after, seen, spec

GONE = frozenset({DockerId("id-app")})


def row(known: Status, wanted: Status, *doing: Doing) -> Task:
    docker_id = DockerId("id-app") if known >= Status.CREATED else NO_ID
    container = Container("app", known=known, wanted=wanted, doing=doing, docker_id=docker_id, kill_at=after(30))
    return Task(spec(), (container,), arrived=T0, admitted=T0, wanted=wanted)


@pytest.mark.parametrize(
    ("known", "wanted", "doing", "due"),
    [
        (Status.NONE, Status.RUNNING, Doing.PULL, PullImage),
        (Status.PULLED, Status.RUNNING, Doing.CREATE, CreateContainer),
        (Status.CREATED, Status.RUNNING, Doing.START, StartContainer),
        (Status.NONE, Status.STOPPED, Doing.PULL, None),
        (Status.PULLED, Status.STOPPED, Doing.CREATE, InspectContainer),
        (Status.CREATED, Status.STOPPED, Doing.START, StopContainer),
        (Status.RUNNING, Status.STOPPED, Doing.STOP, StopContainer),
        (Status.RUNNING, Status.STOPPED, Doing.KILL, KillContainer),
        (Status.PULLED, Status.STOPPED, Doing.INSPECT, InspectContainer),
    ],
)
def test_after_a_restart_each_act_of_a_row_is_repeated_as_the_table_says(
    known: Status, wanted: Status, doing: Doing, due: type[Act] | None
) -> None:
    play = Play(row(known, wanted, doing), heard=False)
    acts = play.list().acts
    assert [type(act) for act in acts] == ([] if due is None else [due])
    assert all(act.again for act in acts if isinstance(act, CreateContainer | StartContainer))
    assert (play.task.told is Status.STOPPED) == (due is None)


def test_a_stop_that_fails_for_a_while_does_not_settle_the_start_that_was_lost() -> None:
    play = Play().starting()
    play.fail(StartContainer, Fault.UNKNOWN)
    play.stop()
    play.list(seen(Phase.CREATED))
    assert play.fail(StopContainer, Fault.TRY_AGAIN).reports == ()
    assert [type(act) for act in play.wake().acts] == [StopContainer]
    assert play.answer(StopContainer, seen(Phase.CREATED)).reports[0].status is Status.STOPPED


@pytest.mark.parametrize("fault", [Fault.TRY_AGAIN, Fault.GIVE_UP, Fault.UNKNOWN, Fault.CANCELLED])
def test_a_create_that_was_lost_is_asked_about_until_there_is_an_answer(fault: Fault) -> None:
    play = Play()
    play.assign()
    play.pulled()
    play.fail(CreateContainer, Fault.UNKNOWN)
    play.stop()
    play.list()
    assert play.fail(InspectContainer, fault).reports == ()
    decision = play.list() if fault in (Fault.UNKNOWN, Fault.CANCELLED) else play.wake()
    assert [type(act) for act in decision.acts] == [InspectContainer]
    assert play.answer(InspectContainer, None).reports[0].status is Status.STOPPED


def test_a_start_that_is_given_up_after_one_was_lost_is_not_called_stopped_before_a_stop_is_answered() -> None:
    play = Play().starting()
    play.fail(StartContainer, Fault.UNKNOWN)
    play.list(seen(Phase.CREATED))
    for _ in range(4):
        play.fail(StartContainer, Fault.TRY_AGAIN)
        play.wake()
    decision = play.fail(StartContainer, Fault.TRY_AGAIN)
    assert play.app.known is Status.STOPPED
    assert decision.reports == ()
    assert [type(act) for act in decision.acts] == [StopContainer]
    assert play.answer(StopContainer, seen(Phase.CREATED)).reports[0].status is Status.STOPPED


def test_a_stop_settles_no_start_that_was_lost_after_it_had_been_sent() -> None:
    play = Play().starting()
    play.stop()
    play.fail(StartContainer, Fault.UNKNOWN)
    assert play.answer(StopContainer, seen(Phase.CREATED)).reports == ()
    assert play.app.lost == (Doing.START,)
    assert play.list(seen(Phase.CREATED)).acts == ()  # what came to nothing is not asked for again at once
    assert [type(act) for act in play.wake().acts] == [StopContainer]
    assert play.answer(StopContainer, seen(Phase.CREATED)).reports[0].status is Status.STOPPED


def test_a_stop_settles_a_start_that_was_lost_before() -> None:
    play = Play().starting()
    play.fail(StartContainer, Fault.UNKNOWN)
    play.stop()
    play.list(seen(Phase.CREATED))
    assert play.app.lost == (Doing.START,)
    play.answer(StopContainer, seen(Phase.CREATED))
    assert not play.app.doing


def test_no_stop_is_sent_over_a_start_whose_container_has_ended_already() -> None:
    play = Play().starting()
    play.stop()
    assert play.answer(StopContainer, None).acts == ()  # somebody removed it
    assert play.answer(StartContainer, None).reports[0].status is Status.STOPPED


def test_a_listing_that_shows_that_it_ran_settles_a_lost_start() -> None:
    play = Play().starting()
    play.hear(Observed(seen(Phase.EXITED, exit_code=0), T0))
    play.fail(StartContainer, Fault.UNKNOWN)
    decision = play.list(seen(Phase.EXITED, exit_code=0))
    assert decision.acts == ()
    assert decision.reports[0].status is Status.STOPPED


def test_a_lost_create_is_settled_by_a_look_at_what_it_made() -> None:
    play = Play()
    play.assign()
    play.pulled()
    play.hear(Observed(seen(Phase.CREATED), T0))
    play.fail(CreateContainer, Fault.UNKNOWN)
    assert [type(act) for act in play.list(seen(Phase.CREATED)).acts] == [StartContainer]


def test_a_removal_that_was_lost_waits_for_a_listing() -> None:
    play = Play().running()
    play.hear(Observed(seen(Phase.EXITED, exit_code=0), T0))
    play.wake()
    assert [type(act) for act in play.fail(RemoveContainer, Fault.UNKNOWN).acts] == [ListContainers]
    assert [type(act) for act in play.list(seen(Phase.EXITED)).acts] == [RemoveContainer]


def test_a_start_that_docker_accepts_and_does_not_do_is_repeated_with_patience_and_given_up() -> None:
    play = Play().starting()
    for _ in range(4):
        assert play.answer(StartContainer, seen(Phase.CREATED)).acts == ()
        assert [type(act) for act in play.wake().acts] == [StartContainer]
    (report,) = play.answer(StartContainer, seen(Phase.CREATED)).reports
    assert report.status is Status.STOPPED
    assert report.containers[0].reason.startswith("CannotStartContainerError")


def test_a_port_that_is_taken_begins_no_new_run_of_a_task_that_is_to_stop() -> None:
    play = Play()
    play.assign(spec(ARN, ContainerSpec("app", Image("app:1"), essential=True, ports=(PortMapping(80),))))
    play.pulled()
    play.created()
    play.stop()
    (report,) = play.fail(StartContainer, Fault.PORT_TAKEN, port=play.app.leases[0].host_port).reports
    assert (report.status, play.app.run, play.app.docker_id) == (Status.STOPPED, 1, DockerId("id-app"))
    assert play.answer(StopContainer, seen(Phase.CREATED)).acts == ()


def test_what_runs_is_stopped_whatever_docker_says_of_its_start() -> None:
    play = Play().starting()
    play.hear(Observed(seen(), T0))
    decision = play.fail(StartContainer, Fault.GIVE_UP, "CannotStartContainerError: no")
    assert play.app.known is Status.RUNNING
    assert [type(act) for act in decision.acts] == [StopContainer]
    (report,) = play.answer(StopContainer, seen(Phase.EXITED, exit_code=143)).reports
    assert report.containers[0].reason == "CannotStartContainerError: no"


def test_another_container_under_the_name_is_no_container_that_ran() -> None:
    play = Play()
    play.assign()
    play.pulled()
    play.hear(Observed(seen(docker_id=DockerId("by-hand")), T0))
    play.created()
    assert play.app.known is Status.STOPPED
    assert play.app.docker_id == DockerId("id-app")


def test_an_image_that_comes_for_a_container_that_was_found_meanwhile_takes_it_no_step_back() -> None:
    play = Play()
    play.assign()
    play.hear(Observed(seen(Phase.CREATED), T0))
    assert [type(act) for act in play.pulled().acts] == [StartContainer]


def test_a_container_that_vanished_needs_no_act() -> None:
    play = Play().running()
    decision = play.list(gone=GONE)
    assert decision.acts == ()
    assert decision.reports[0].containers[0].reason.startswith("ContainerVanishedError")
