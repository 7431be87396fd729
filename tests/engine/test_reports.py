from agent.engine.reports import cut
from agent.model.acts import StartContainer, StopContainer
from agent.model.events import Fault, ImagePulled, Observed
from agent.model.names import Image
from agent.model.reports import TaskReport
from agent.model.seen import Phase
from agent.model.status import Status
from agent.model.task import ContainerSpec, ImageSource
from tests.engine.rows import ARN, T0, Play, after, seen, spec

APP = ContainerSpec("app", Image("app:1"), essential=True)
SIDE = ContainerSpec("side", Image("side:1"))


def said(reports: tuple[TaskReport, ...]) -> list[tuple[str, bool, list[tuple[str, str]]]]:
    return [(r.status.name, r.moved, [(part.name, part.status.name) for part in r.containers]) for r in reports]


def two_starting(*specs: ContainerSpec) -> Play:
    play = Play()
    play.assign(spec(ARN, *specs))
    for one in specs:
        play.pulled(one.image)
        play.created(one.name)
    return play


def test_each_container_is_told_running_once_and_the_task_with_the_last() -> None:
    play = two_starting(APP, SIDE)
    assert said(play.started("app").reports) == [("CREATED", False, [("app", "RUNNING")])]
    assert said(play.started("side").reports) == [("RUNNING", True, [("side", "RUNNING")])]
    assert play.hear(Observed(seen(), T0)).changes_nothing


def test_one_that_ran_and_ended_between_two_looks_is_told_running_and_then_stopped() -> None:
    play = Play().starting()
    decision = play.answer(StartContainer, seen(Phase.EXITED, exit_code=0, finished_at=after(1)))
    assert said(decision.reports) == [("RUNNING", True, [("app", "RUNNING")]), ("STOPPED", True, [("app", "STOPPED")])]
    assert [part.exit_code for report in decision.reports for part in report.containers] == [None, 0]


def test_one_that_never_started_is_not_told_running() -> None:
    play = Play().starting()
    shown = seen(Phase.CREATED, error="no such program", exit_code=127)
    (report,) = play.answer(StartContainer, shown).reports
    assert report.status is Status.STOPPED
    assert report.containers[0].reason == "DockerStateError: no such program"


def test_the_end_of_an_essential_container_keeps_the_task_from_being_told_running() -> None:
    play = two_starting(APP, SIDE)
    play.started("app")
    play.hear(Observed(seen(Phase.EXITED, exit_code=1), T0))
    play.started("side")
    told = said(play.answer(StopContainer, seen(Phase.EXITED, name="side", exit_code=143), "side").reports)
    assert told == [("STOPPED", True, [("side", "STOPPED")])]
    assert not any(report.moved and report.status is Status.RUNNING for d in play.decisions for report in d.reports)


def test_a_task_that_is_to_stop_is_not_told_running() -> None:
    play = Play().starting()
    play.stop()
    assert said(play.started().reports) == [("CREATED", False, [("app", "RUNNING")])]


def test_a_task_of_containers_that_are_not_essential_stops_with_the_last() -> None:
    play = two_starting(ContainerSpec("app", Image("app:1")), SIDE)
    play.started("app")
    play.hear(Observed(seen(Phase.EXITED, exit_code=0), T0))
    play.hear(Observed(seen(Phase.EXITED, name="side", exit_code=0), T0))
    assert play.task.known is not Status.STOPPED  # the start of the second is not answered
    last = play.answer(StartContainer, seen(Phase.EXITED, name="side", exit_code=0), "side")
    assert said(last.reports) == [("STOPPED", True, [("side", "STOPPED")])]


def test_a_reason_is_cut_to_what_ecs_takes_and_the_cause_survives() -> None:
    short = cut("DockerStateError: " + "x" * 2000 + "no space left on device")

    assert len(short) == 1024
    assert short.startswith("DockerStateError: x")
    assert short.endswith("xno space left on device")


def test_a_long_reason_is_cut_in_the_report() -> None:
    play = Play().starting()
    (report,) = play.fail(StartContainer, Fault.GIVE_UP, "é" * 2000).reports
    assert 1021 < len(report.containers[0].reason.encode()) <= 1024


def test_the_times_of_the_pull_and_the_digest_ride_along() -> None:
    play = Play()
    play.assign()
    play.open.clear()
    play.hear(ImagePulled(ImageSource(Image("app:1")), after(3), digest="sha256:1"))
    play.created()
    (report,) = play.started().reports
    assert (report.pull_started_at, report.pull_stopped_at) == (T0, after(3))
    assert report.containers[0].image_digest == "sha256:1"


def test_a_listing_in_which_the_essential_container_has_ended_tells_of_no_running_task() -> None:
    play = two_starting(APP, SIDE)
    play.fail(StartContainer, Fault.UNKNOWN)
    play.fail(StartContainer, Fault.UNKNOWN)
    reports = play.list(seen(Phase.EXITED, exit_code=1), seen(Phase.EXITED, name="side", exit_code=0)).reports
    assert said(reports) == [
        ("CREATED", False, [("app", "RUNNING")]),
        ("STOPPED", True, [("app", "STOPPED"), ("side", "STOPPED")]),
    ]
