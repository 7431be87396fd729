from agent.model.acts import (
    CancelPull,
    CreateContainer,
    InspectContainer,
    KillContainer,
    ListContainers,
    PullImage,
    StartContainer,
    StopContainer,
)
from agent.model.events import ActFailed, DeadlinePassed, DockerBack, DockerLost, Fault, ImagePulled, Observed
from agent.model.names import Image
from agent.model.seen import Phase
from agent.model.status import Doing, Status
from agent.model.task import ContainerSpec, ImageSource
from tests.engine.rows import ARN, OTHER, T0, Play, after, listed, seen, spec


def kinds(acts: tuple[object, ...]) -> list[type]:
    return [type(act) for act in acts]


def test_a_task_is_pulled_created_and_started_with_nothing_in_between() -> None:
    play = Play()
    assert kinds(play.assign().acts) == [PullImage]
    assert kinds(play.pulled().acts) == [CreateContainer]
    assert kinds(play.created().acts) == [StartContainer]
    (report,) = play.started().reports
    assert (report.status, report.moved, report.containers[0].status) == (Status.RUNNING, True, Status.RUNNING)


def test_nothing_is_done_before_the_first_listing() -> None:
    play = Play(heard=False)
    assert play.assign().acts == ()
    assert kinds(play.hear(listed(asked=0)).acts) == [PullImage]


def test_a_payload_that_comes_twice_changes_nothing() -> None:
    play = Play().running()
    assert play.assign().changes_nothing


def test_a_stop_of_a_running_container_is_sent_with_its_deadline() -> None:
    play = Play().running()
    (act,) = play.stop().acts
    assert isinstance(act, StopContainer)
    assert act.kill_at == after(30)
    assert play.stop().acts == ()


def test_the_containers_own_stop_timeout_counts_first() -> None:
    play = Play()
    play.assign(spec(ARN, ContainerSpec("app", Image("app:1"), essential=True, stop_timeout=2.0)))
    play.pulled()
    play.created()
    play.started()
    (act,) = play.stop().acts
    assert isinstance(act, StopContainer)
    assert act.kill_at == after(2)


def test_a_stop_leaves_a_pull_and_the_last_to_leave_cancels_it() -> None:
    play = Play()
    play.assign()
    play.assign(spec(OTHER))
    assert CancelPull not in kinds(play.stop().acts)
    assert play.task.known is Status.STOPPED
    assert kinds(play.stop(OTHER).acts) == [CancelPull]


def test_who_comes_while_a_pull_is_being_cancelled_gets_another() -> None:
    play = Play()
    play.assign()
    play.stop()
    assert play.assign(spec(OTHER)).acts == ()
    pull = play.take(PullImage)
    assert kinds(play.hear(ActFailed(pull, Fault.CANCELLED, "", T0)).acts) == [PullImage]


def test_a_stop_waits_for_a_create_and_then_starts_nothing() -> None:
    play = Play()
    play.assign()
    play.pulled()
    assert play.stop().acts == ()
    assert play.task.known is not Status.STOPPED
    decision = play.created()
    assert decision.acts == ()
    assert [report.status for report in decision.reports] == [Status.STOPPED]


def test_a_stop_overtakes_a_start_and_stopped_is_told_when_the_start_is_answered() -> None:
    play = Play()
    play.assign()
    play.pulled()
    play.created()
    assert kinds(play.stop().acts) == [StopContainer]
    early = play.answer(StopContainer, seen(Phase.EXITED, exit_code=143))
    assert early.reports == ()
    late = play.answer(StartContainer, seen(Phase.EXITED, exit_code=143))
    assert [report.status for report in late.reports] == [Status.STOPPED]
    assert play.app.exit_code == 143


def test_a_lost_create_is_asked_about_after_a_listing_and_made_again() -> None:
    play = Play()
    play.assign()
    play.pulled()
    create = play.take(CreateContainer)
    assert kinds(play.hear(ActFailed(create, Fault.UNKNOWN, "", T0)).acts) == [ListContainers]
    (again,) = play.hear(listed(asked=play.engine.step)).acts
    assert isinstance(again, CreateContainer)
    assert again.again


def test_a_listing_that_was_asked_for_before_the_loss_releases_nothing() -> None:
    play = Play()
    play.assign()
    play.pulled()
    asked = play.engine.step - 1
    play.hear(ActFailed(play.take(CreateContainer), Fault.UNKNOWN, "", T0))
    assert play.hear(listed(asked=asked)).acts == ()


def test_a_lost_create_of_a_task_that_is_to_stop_is_inspected_before_stopped_is_told() -> None:
    play = Play()
    play.assign()
    play.pulled()
    play.hear(ActFailed(play.take(CreateContainer), Fault.UNKNOWN, "", T0))
    assert play.stop().reports == ()
    assert kinds(play.hear(listed(asked=play.engine.step)).acts) == [InspectContainer]
    (report,) = play.answer(InspectContainer, None).reports
    assert report.status is Status.STOPPED


def test_a_lost_start_is_asked_about_and_one_that_has_run_is_not_run_again() -> None:
    play = Play()
    play.assign()
    play.pulled()
    play.created()
    play.hear(ActFailed(play.take(StartContainer), Fault.UNKNOWN, "", T0))
    decision = play.hear(listed(seen(Phase.EXITED, exit_code=3), asked=play.engine.step))
    assert decision.acts == ()
    assert play.app.exit_code == 3


def test_a_lost_start_of_a_task_that_is_to_stop_is_stopped() -> None:
    play = Play()
    play.assign()
    play.pulled()
    play.created()
    play.hear(ActFailed(play.take(StartContainer), Fault.UNKNOWN, "", T0))
    play.stop()
    assert kinds(play.hear(listed(seen(Phase.CREATED), asked=play.engine.step)).acts) == [StopContainer]


def test_a_lost_stop_is_given_the_rest_of_its_grace() -> None:
    play = Play().running()
    play.stop()
    play.hear(ActFailed(play.take(StopContainer), Fault.UNKNOWN, "", after(10)))
    (act,) = play.hear(listed(seen(), asked=play.engine.step)).acts
    assert isinstance(act, StopContainer)
    assert act.kill_at == after(30)


def test_a_lost_kill_is_repeated_though_the_stop_that_it_overtook_is_never_answered() -> None:
    play = Play().running()
    play.stop()
    play.wake()
    play.hear(ActFailed(play.take(KillContainer), Fault.UNKNOWN, "", after(40)))
    assert play.app.doing == (Doing.STOP, Doing.KILL)
    assert kinds(play.hear(listed(seen(), asked=play.engine.step)).acts) == [KillContainer]


def test_a_kill_overtakes_a_stop_that_has_outlived_its_grace() -> None:
    play = Play().running()
    play.stop()
    due = play.engine.next_deadline()
    assert due is not None
    assert after(30) < due <= after(40)
    assert kinds(play.hear(DeadlinePassed(due)).acts) == [KillContainer]
    assert play.app.doing == (Doing.STOP, Doing.KILL)
    assert play.engine.next_deadline() is None


def test_acts_are_held_while_docker_is_lost_and_released_by_a_later_listing() -> None:
    play = Play().running()
    play.hear(DockerLost(T0))
    assert play.stop().acts == ()
    play.hear(DockerBack(T0))
    assert play.hear(listed(seen(), asked=play.engine.step - 3)).acts == ()
    assert kinds(play.hear(listed(seen(), asked=play.engine.step)).acts) == [StopContainer]


def test_an_exit_that_overtakes_the_answer_to_its_start_is_kept() -> None:
    play = Play()
    play.assign()
    play.pulled()
    play.created()
    early = play.hear(Observed(seen(Phase.EXITED, exit_code=7), T0))
    assert [report.status for report in early.reports] == [Status.RUNNING]  # it did run
    (report,) = play.answer(StartContainer, seen(Phase.EXITED, exit_code=7)).reports
    assert (report.status, report.containers[0].exit_code) == (Status.STOPPED, 7)


def test_the_end_of_an_essential_container_stops_the_other() -> None:
    play = Play()
    main, side = ContainerSpec("app", Image("app:1"), essential=True), ContainerSpec("side", Image("app:1"))
    play.assign(spec(ARN, main, side))
    play.pulled()
    for name in ("app", "side"):
        play.created(name)
        play.started(name)
    decision = play.hear(Observed(seen(Phase.EXITED, exit_code=0), T0))
    (act,) = decision.acts
    assert isinstance(act, StopContainer)
    assert act.container == "side"
    assert play.task.execution_stopped_at == T0
    assert play.task.known is Status.RUNNING


def test_the_end_of_another_container_is_told_on_its_own() -> None:
    play = Play()
    main, side = ContainerSpec("app", Image("app:1"), essential=True), ContainerSpec("side", Image("app:1"))
    play.assign(spec(ARN, main, side))
    play.pulled()
    for name in ("app", "side"):
        play.created(name)
        play.started(name)
    decision = play.hear(Observed(seen(Phase.EXITED, name="side", exit_code=4), T0))
    (report,) = decision.reports
    assert (report.moved, report.status, report.containers[0].name) == (False, Status.RUNNING, "side")
    assert decision.acts == ()


def test_news_of_an_image_nobody_waits_for_changes_nothing() -> None:
    assert Play().hear(ImagePulled(ImageSource(Image("other:1")), T0)).changes_nothing


def test_a_container_that_somebody_started_after_its_task_had_stopped_is_stopped() -> None:
    play = Play().running()
    play.hear(Observed(seen(Phase.EXITED, exit_code=0), T0))
    decision = play.hear(Observed(seen(started_at=after(5)), after(5)))
    assert kinds(decision.acts) == [StopContainer]
    assert decision.reports == ()
