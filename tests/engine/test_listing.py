from dataclasses import replace

from agent.model.acts import CreateContainer, RemoveContainer, StartContainer, StopContainer
from agent.model.events import ActFailed, ContainerRemoved, DockerLost, Fault, Observed, TaskAssigned
from agent.model.names import DockerId, Image
from agent.model.seen import Phase, Summary
from agent.model.status import Doing, Status
from agent.model.task import Container, ContainerSpec, Task
from tests.engine.rows import ARN, OTHER, T0, Play, after, listed, seen, spec

GONE = frozenset({DockerId("id-app")})


def summary(docker_id: str, phase: Phase) -> Summary:
    return Summary(DockerId(docker_id), phase, ARN, "app")


def test_a_listing_judges_no_container_with_an_act_in_flight() -> None:
    play = Play().starting()
    assert play.list(gone=GONE).changes_nothing
    assert play.app.known is Status.CREATED


def test_a_listing_judges_no_container_of_which_something_was_heard_since_it_was_asked_for() -> None:
    play = Play().starting()
    asked = play.engine.step
    play.started()
    assert play.hear(listed(seen(Phase.EXITED, exit_code=1), asked=asked)).changes_nothing
    assert play.hear(listed(seen(Phase.EXITED, exit_code=1), asked=asked + 1)).reports[0].status is Status.STOPPED


def test_a_listing_that_tells_nothing_new_changes_nothing() -> None:
    play = Play().running()
    assert play.list(seen()).changes_nothing
    assert play.list().changes_nothing  # what does not differ is not inspected, and so not shown


def test_what_differs_from_its_row_is_inspected_and_what_does_not_is_left_alone() -> None:
    play = Play().running()
    assert play.engine.to_inspect([summary("id-app", Phase.RUNNING)]) == frozenset()
    assert play.engine.to_inspect([summary("id-app", Phase.PAUSED)]) == frozenset()
    assert play.engine.to_inspect([summary("id-app", Phase.EXITED)]) == GONE
    assert play.engine.to_inspect([]) == GONE
    assert play.engine.to_inspect([summary("new", Phase.CREATED)]) == GONE | {"new"}


def test_a_container_with_a_lost_act_is_inspected_whatever_the_listing_shows() -> None:
    play = Play().starting()
    play.fail(StartContainer, Fault.UNKNOWN)
    assert play.engine.to_inspect([summary("id-app", Phase.CREATED)]) == GONE


def test_one_that_is_over_and_gone_is_not_looked_for() -> None:
    play = Play().running()
    play.list(seen(Phase.EXITED, exit_code=0))
    assert play.engine.to_inspect([]) == frozenset()


def test_a_ghost_is_stopped_even_while_its_removal_waits_to_be_tried_again() -> None:
    play = Play().running()
    play.list(seen(Phase.EXITED, exit_code=0))
    play.wake()
    play.fail(RemoveContainer, Fault.GIVE_UP, "CannotRemoveContainerError: it runs")
    (act,) = play.list(seen(started_at=after(5))).acts
    assert isinstance(act, StopContainer)
    assert [type(one) for one in play.answer(StopContainer, seen(Phase.EXITED)).acts] == [RemoveContainer]


def test_a_ghost_whose_id_was_never_heard_is_stopped_and_removed() -> None:
    play = Play()
    play.assign()
    play.pulled()
    play.fail(CreateContainer, Fault.GIVE_UP, "CannotCreateContainerError: no")
    assert play.app.docker_id == ""
    (act,) = play.list(seen()).acts
    assert isinstance(act, StopContainer)
    assert act.docker_id == "id-app"
    play.answer(StopContainer, seen(Phase.EXITED))
    assert [type(one) for one in play.wake().acts] == [RemoveContainer]


def test_of_two_containers_with_one_name_the_rows_own_is_judged() -> None:
    play = Play().running()
    play.list(seen(Phase.EXITED, exit_code=5), seen(docker_id=DockerId("stranger"), run=2))
    assert (play.app.known, play.app.exit_code) == (Status.STOPPED, 5)


def test_what_a_user_restarted_is_stopped_and_says_why() -> None:
    play = Play().running()
    (act,) = play.hear(Observed(seen(started_at=after(9)), after(9))).acts
    assert isinstance(act, StopContainer)
    (report,) = play.answer(StopContainer, seen(Phase.EXITED, exit_code=143)).reports
    assert "restarted outside ECS" in report.containers[0].reason


def test_a_container_of_an_older_run_is_cleared_away_once_its_task_is_over() -> None:
    play = Play().running()
    play.list(seen(Phase.EXITED, exit_code=0))
    old = seen(docker_id=DockerId("older"))
    (act,) = play.list(old).acts
    assert isinstance(act, RemoveContainer)
    assert (act.docker_id, act.force) == ("older", True)
    assert play.list(old).acts == ()  # its removal is on its way
    play.take(RemoveContainer)
    play.hear(ActFailed(act, Fault.TRY_AGAIN, "busy", T0))
    assert [type(one) for one in play.list(old).acts] == [RemoveContainer]


def test_nothing_is_cleared_away_while_docker_is_lost() -> None:
    play = Play()
    play.stop(OTHER)
    stale = play.engine.step
    play.hear(DockerLost(T0))
    assert play.hear(listed(seen(arn=OTHER), asked=stale)).acts == ()
    assert [type(one) for one in play.list(seen(arn=OTHER)).acts] == [RemoveContainer]


def test_a_stop_before_the_first_listing_waits_for_what_it_may_show() -> None:
    play = Play(heard=False)
    assert play.stop().reports == ()
    (act,) = play.list(seen()).acts
    assert isinstance(act, StopContainer)
    (report,) = play.answer(StopContainer, seen(Phase.EXITED, exit_code=143)).reports
    assert (report.status, report.containers[0].exit_code) == (Status.STOPPED, 143)


def test_a_stop_before_the_first_listing_is_told_once_the_listing_shows_nothing() -> None:
    play = Play(heard=False)
    play.stop()
    (report,) = play.list().reports
    assert (report.status, report.moved, report.containers) == (Status.STOPPED, True, ())
    assert play.assign().changes_nothing
    assert play.stop().changes_nothing


def test_a_task_that_is_found_with_nothing_running_is_not_started_and_stopped_for_sure() -> None:
    play = Play(heard=False)
    decision = play.list(seen(Phase.CREATED))
    assert [type(act) for act in decision.acts] == [StopContainer]  # it may be on its way up
    assert decision.reports == ()
    (report,) = play.answer(StopContainer, seen(Phase.CREATED)).reports
    assert report.status is Status.STOPPED
    assert "without a record" in report.reason


def test_a_task_that_is_found_half_started_is_completed() -> None:
    play = Play(heard=False)
    (act,) = play.list(seen(), seen(Phase.CREATED, name="side")).acts
    assert isinstance(act, StartContainer)
    assert (act.container, act.again) == ("side", True)
    assert play.answer(StartContainer, seen(name="side"), "side").reports[0].status is Status.RUNNING


def test_a_found_container_of_which_there_are_two_is_the_later_one() -> None:
    play = Play(heard=False)
    play.list(seen(Phase.EXITED, exit_code=1, docker_id=DockerId("older")), seen(run=2))
    assert [(c.name, c.run, c.docker_id, c.known) for c in play.task.containers] == [
        ("app", 2, "id-app", Status.RUNNING)
    ]


def test_one_more_container_of_a_found_task_joins_it_later() -> None:
    play = Play(heard=False)
    play.list(seen())
    play.list(seen(), seen(name="side"))
    assert [container.name for container in play.task.containers] == ["app", "side"]


def test_a_payload_makes_a_found_task_whole_and_begins_nothing_of_one_that_is_over() -> None:
    whole = spec(ARN, *spec().containers, ContainerSpec("side", Image("side:1")))
    play = Play(heard=False)
    play.list(seen())
    play.assign(whole)
    assert (play.task.spec, play.task.draw) == (whole, "0" * 40)
    assert play.task["side"].doing == (Doing.PULL,)

    over = Play(heard=False)
    over.list(seen(Phase.EXITED, exit_code=0))
    assert over.assign(whole).changes_nothing


METADATA_ID = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"


def test_a_found_container_keeps_the_address_of_its_metadata_also_when_a_payload_fills_its_task_in() -> None:
    play = Play(heard=False)
    play.list(seen(metadata_id=METADATA_ID))
    assert play.app.metadata_id == METADATA_ID

    play.assign(spec(ARN, *spec().containers, ContainerSpec("side", Image("side:1"))))
    assert play.task.draw
    assert (play.app.metadata_id, play.task["side"].metadata_id) == (METADATA_ID, "")


def test_where_the_address_of_metadata_derives_from_the_draw_what_a_container_says_of_it_is_nothing() -> None:
    play = Play().running()
    assert play.list(seen(metadata_id=METADATA_ID)).changes_nothing
    assert play.app.metadata_id == ""


def test_a_found_task_has_the_credentials_that_its_containers_ask_for() -> None:
    play = Play(heard=False)
    play.list(seen(), seen(name="side", task_credentials_id="role-1"))
    assert play.task.spec.credentials_ids == ("role-1",)


def test_credentials_of_another_task_are_not_those_of_a_found_one_whatever_its_containers_say() -> None:
    play = Play(heard=False)
    play.hear(TaskAssigned(replace(spec(OTHER), task_credentials_id="role-1"), T0, "0" * 40))
    play.list(seen(task_credentials_id="role-1"))
    assert play.task.spec.credentials_ids == ()

    play.list(seen(task_credentials_id="role-1"), seen(name="side", task_credentials_id="role-2"))
    assert play.task.spec.credentials_ids == ()  # two names for one thing: one of them is made up


def test_what_was_heard_of_a_forgotten_task_is_forgotten() -> None:
    play = Play().running()
    play.list(seen(Phase.EXITED, exit_code=0))
    play.wake()
    act = play.take(RemoveContainer)
    assert isinstance(act, RemoveContainer)
    play.hear(ContainerRemoved(act, T0))
    world = play.engine._world
    assert (world.heard, world.ports, world.dates, dict(world.tasks)) == ({}, {}, {}, {})


def test_a_look_at_a_container_that_its_task_does_not_have_is_nothing() -> None:
    assert Play().running().hear(Observed(seen(name="stranger"), T0)).changes_nothing
    assert Play().hear(Observed(seen(arn=OTHER), T0)).changes_nothing


def test_labels_say_how_a_found_container_is_stopped() -> None:
    play = Play(heard=False)
    shown = seen()
    play.list(replace(shown, labels=replace(shown.labels, stop_timeout=4.0)))
    (act,) = play.stop().acts
    assert isinstance(act, StopContainer)
    assert act.kill_at == after(4)


def test_of_a_container_whose_creation_the_disk_did_not_take_the_start_may_be_on_its_way() -> None:
    behind = Container("app", known=Status.NONE, doing=(Doing.PULL,))  # all that the disk had before a crash
    play = Play(Task(spec(), (behind,), T0, "0" * 40, admitted=T0), heard=False)
    assert play.stop().reports == ()
    decision = play.list(seen(Phase.CREATED))
    assert decision.reports == ()
    assert [type(act) for act in decision.acts] == [StopContainer]
    (report,) = play.answer(StopContainer, seen(Phase.EXITED, exit_code=143)).reports
    assert report.status is Status.STOPPED
