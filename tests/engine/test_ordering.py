"""Who waits for whom: created in order, and given up where it can never be."""

from dataclasses import replace

import pytest

from agent.model.acts import CreateContainer, PullImage, StartContainer, StopContainer
from agent.model.events import DeadlinePassed, DockerLost, Fault, ImagePulled, Observed
from agent.model.names import Image
from agent.model.parts import Condition, Dependency, Link, VolumesFrom
from agent.model.seen import Phase, Seen
from agent.model.status import Health, Status
from agent.model.task import ContainerSpec, ImageSource, TaskSpec
from tests.engine.rows import ARN, T0, Play, after, listed, seen, spec

DB = ContainerSpec("db", Image("app:1"), health_check=True)
APP = ContainerSpec("app", Image("app:1"), essential=True)
GRAPH = "CannotStartContainerError: dependency graph: container app needs "


def needs(condition: Condition, **of_db: object) -> TaskSpec:
    db = replace(DB, **of_db)  # type: ignore[arg-type] # fields are named by the tests
    return spec(ARN, replace(APP, depends_on=(Dependency("db", condition),)), db)


def waiting(condition: Condition, **of_db: object) -> Play:
    """The database is created, and the application waits for it."""
    play = Play()
    play.assign(needs(condition, **of_db))
    play.pulled()
    assert [act.container for act in play.open if isinstance(act, CreateContainer)] == ["db"]
    play.created("db")
    return play


def created(play: Play) -> bool:
    return any(isinstance(act, CreateContainer) and act.container == "app" for act in play.open)


def db(phase: Phase = Phase.RUNNING, **more: object) -> Seen:
    return replace(seen(phase, name="db", health=Health.UNKNOWN), **more)  # type: ignore[arg-type] # likewise


def test_images_are_fetched_whatever_their_containers_wait_for() -> None:
    play = Play()
    app = replace(APP, image=Image("other:1"), depends_on=(Dependency("db", Condition.SUCCESS),))
    play.assign(spec(ARN, app, DB))
    assert {act.source.image for act in play.open if isinstance(act, PullImage)} == {"app:1", "other:1"}


def test_a_start_is_waited_for_and_nothing_more() -> None:
    play = waiting(Condition.START)
    assert not created(play)
    play.answer(StartContainer, db(), "db")
    assert created(play)


def test_one_that_has_started_and_ended_has_started() -> None:
    play = waiting(Condition.START)
    play.answer(StartContainer, db(Phase.EXITED, exit_code=5), "db")
    assert created(play)


@pytest.mark.parametrize(
    ("code", "condition"), [(0, Condition.COMPLETE), (5, Condition.COMPLETE), (0, Condition.SUCCESS)]
)
def test_an_end_is_acted_on_in_the_decision_that_hears_of_it(code: int, condition: Condition) -> None:
    play = waiting(condition)
    play.answer(StartContainer, db(), "db")
    assert not created(play)
    (act,) = play.hear(Observed(db(Phase.EXITED, exit_code=code), T0)).acts
    assert isinstance(act, CreateContainer)
    assert act.container == "app"


def test_health_is_acted_on_in_the_decision_that_hears_of_it() -> None:
    play = waiting(Condition.HEALTHY)
    play.answer(StartContainer, db(), "db")
    play.hear(Observed(db(health=Health.UNHEALTHY), after(1)))
    assert not created(play)
    (act,) = play.hear(Observed(db(health=Health.HEALTHY), after(2))).acts
    assert isinstance(act, CreateContainer)


@pytest.mark.parametrize(
    ("app", "waits_for"),
    [
        (replace(APP, links=(Link("db", "data"),)), Condition.START),
        (replace(APP, volumes_from=(VolumesFrom("db"),)), Condition.CREATE),
    ],
)
def test_links_wait_for_a_start_and_volumes_for_a_container(app: ContainerSpec, waits_for: Condition) -> None:
    play = Play()
    play.assign(spec(ARN, app, DB))
    play.pulled()
    assert not created(play)
    play.created("db")
    assert created(play) == (waits_for is Condition.CREATE)
    play.answer(StartContainer, db(), "db")
    assert created(play)


def test_a_container_waits_for_all_that_it_names() -> None:
    play = Play()
    both = (Dependency("db", Condition.START), Dependency("init", Condition.SUCCESS))
    play.assign(spec(ARN, replace(APP, depends_on=both), DB, ContainerSpec("init", Image("app:1"))))
    play.pulled()
    play.created("db")
    play.created("init")
    play.answer(StartContainer, db(), "db")
    assert not created(play)
    play.answer(StartContainer, seen(Phase.EXITED, name="init", exit_code=0), "init")
    assert created(play)


@pytest.mark.parametrize(
    ("condition", "shown", "why"),
    [
        (Condition.SUCCESS, {"exit_code": 7}, "SUCCESS of container db, which ended with exit code 7"),
        (Condition.SUCCESS, {"exit_code": None}, "SUCCESS of container db, which ended without an exit code"),
        (Condition.COMPLETE, {"exit_code": None}, "COMPLETE of container db, which ended without an exit code"),
        (Condition.HEALTHY, {"exit_code": 0}, "HEALTHY of container db, which has ended"),
    ],
)
def test_what_can_never_come_ends_who_waits_with_143(condition: Condition, shown: dict[str, int], why: str) -> None:
    play = waiting(condition)
    play.answer(StartContainer, db(), "db")
    (report,) = play.hear(Observed(db(Phase.EXITED, **shown), after(5))).reports[-1:]
    told = {part.name: part for part in report.containers}
    assert (told["app"].status, told["app"].exit_code, told["app"].reason) == (Status.STOPPED, 143, GRAPH + why)
    assert (report.status, report.moved) == (Status.STOPPED, True)
    assert not created(play)


@pytest.mark.parametrize("condition", [Condition.START, Condition.COMPLETE, Condition.SUCCESS, Condition.HEALTHY])
def test_one_that_will_not_start_ends_who_waits_for_it(condition: Condition) -> None:
    play = waiting(condition)
    play.fail(StartContainer, Fault.GIVE_UP, "CannotStartContainerError: no such program")
    assert play.app.exit_code == 143
    assert play.app.reason == f"{GRAPH}{condition} of container db, which has not started and will not"
    assert play.task["db"].exit_code is None


def test_volumes_can_be_had_of_one_that_did_not_start() -> None:
    play = Play()
    play.assign(spec(ARN, replace(APP, volumes_from=(VolumesFrom("db"),)), DB))
    play.pulled()
    play.fail(CreateContainer, Fault.GIVE_UP, "CannotCreateContainerError: no")
    assert play.app.reason.endswith("CREATE of container db, which has not started and will not")


def test_the_end_of_one_that_waits_runs_along_the_chain_and_leaves_its_pull() -> None:
    play = Play()
    middle = ContainerSpec("middle", Image("app:1"), depends_on=(Dependency("db", Condition.SUCCESS),))
    last = replace(APP, image=Image("slow:1"), depends_on=(Dependency("middle", Condition.START),))
    play.assign(spec(ARN, DB, middle, last))
    play.hear(ImagePulled(ImageSource(Image("app:1")), T0))
    play.created("db")
    play.answer(StartContainer, db(Phase.EXITED, exit_code=1), "db")
    assert [container.exit_code for container in play.task.containers] == [1, 143, 143]
    assert play.task.known is Status.STOPPED
    assert play.engine.snapshot().pulls[ImageSource(Image("slow:1"))].cancelling


def test_one_that_is_not_essential_ends_alone() -> None:
    play = Play()
    side = ContainerSpec("side", Image("app:1"), depends_on=(Dependency("db", Condition.SUCCESS),))
    play.assign(spec(ARN, APP, side, DB))
    play.pulled()
    play.created()
    play.started()
    play.created("db")
    (report,) = play.answer(StartContainer, db(Phase.EXITED, exit_code=1), "db").reports[-1:]
    assert (report.moved, {part.name for part in report.containers}) == (True, {"db", "side"})
    assert play.task.known is Status.RUNNING
    assert play.task.wanted is Status.RUNNING


# -- startTimeout ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("condition", [Condition.COMPLETE, Condition.SUCCESS, Condition.HEALTHY])
def test_a_start_timeout_is_counted_from_the_start_of_the_one_waited_for(condition: Condition) -> None:
    play = waiting(condition, start_timeout=40.0)
    assert play.task["db"].start_by is None
    play.answer(StartContainer, db(started_at=after(2)), "db")
    assert play.engine.next_deadline() == play.task["db"].start_by == after(42)
    decision = play.hear(DeadlinePassed(after(42)))
    assert play.app.exit_code == 143
    assert play.app.reason.endswith("which did not come to it within its startTimeout of 40 seconds")
    assert [type(act) for act in decision.acts] == [StopContainer]  # the database, for its task is over
    assert play.task["db"].start_by is None


def test_a_start_timeout_is_none_for_those_who_wait_for_a_start() -> None:
    play = waiting(Condition.START, start_timeout=40.0)
    assert play.engine.next_deadline() is None


def test_a_start_timeout_ends_when_nobody_waits_any_more() -> None:
    play = waiting(Condition.HEALTHY, start_timeout=40.0)
    play.answer(StartContainer, db(), "db")
    assert play.engine.next_deadline() == after(40)
    play.hear(Observed(db(health=Health.HEALTHY), after(3)))
    assert play.engine.next_deadline() is None
    play.created()
    play.hear(Observed(db(health=Health.UNHEALTHY), after(4)))
    assert play.engine.next_deadline() is None
    assert play.task["db"].start_by is None


def test_what_comes_with_the_listing_after_docker_was_lost_counts_before_the_time() -> None:
    play = waiting(Condition.HEALTHY, start_timeout=40.0)
    play.answer(StartContainer, db(), "db")
    play.hear(DockerLost(after(5)))
    assert play.hear(DeadlinePassed(after(60))).reports == ()
    decision = play.hear(replace(listed(db(health=Health.HEALTHY), asked=play.engine.step), at=after(61)))
    assert [type(act) for act in decision.acts] == [CreateContainer]


def test_time_in_which_docker_was_lost_does_not_count() -> None:
    play = waiting(Condition.HEALTHY, start_timeout=40.0)
    play.answer(StartContainer, db(), "db")
    play.hear(DockerLost(after(30)))
    play.hear(DockerLost(after(50)))
    play.hear(replace(listed(db(), asked=play.engine.step), at=after(90)))
    assert play.task["db"].start_by == after(100)
    play.hear(replace(listed(db(), asked=play.engine.step), at=after(95)))
    assert play.task["db"].start_by == after(100)
    play.hear(DeadlinePassed(after(100)))
    assert play.app.exit_code == 143


def test_time_in_which_the_agent_was_down_does_not_count() -> None:
    before = waiting(Condition.HEALTHY, start_timeout=40.0)
    before.answer(StartContainer, db(), "db")
    assert before.task["db"].start_by == after(40)
    play = Play(before.task, heard=False)
    play.hear(replace(listed(db(), asked=0), at=after(1000)))
    assert play.task["db"].start_by == after(1040)
    assert play.app.known is Status.PULLED


def test_an_agent_that_is_started_again_and_again_puts_no_limit_off_for_ever() -> None:
    play = waiting(Condition.HEALTHY, start_timeout=40.0)
    play.answer(StartContainer, db(), "db")
    for seconds in (30, 60, 90):
        play = Play(play.task, heard=False)
        play.hear(replace(listed(db(), asked=0), at=after(seconds)))
        assert play.task["db"].start_by == after(seconds + 40)


def test_a_start_that_the_agent_slept_through_counts_from_when_it_woke() -> None:
    before = waiting(Condition.HEALTHY, start_timeout=40.0)
    play = Play(before.task, heard=False)
    play.hear(replace(listed(db(started_at=after(1)), asked=0), at=after(1000)))
    assert play.task["db"].start_by == after(1040)


# -- what can never be resolved -------------------------------------------------------------------------------------


def on(name: str, *others: str, condition: Condition = Condition.START) -> ContainerSpec:
    return ContainerSpec(name, Image("app:1"), depends_on=tuple(Dependency(one, condition) for one in others))


@pytest.mark.parametrize(
    ("containers", "why"),
    [
        ((on("a", "b"), on("b", "a")), "a -> b -> a"),
        ((on("x", "a"), on("a", "b"), on("b", "c"), on("c", "a")), "a -> b -> c -> a"),
        ((on("a", "a"),), "a -> a"),
        (
            (replace(on("a"), links=(Link("b", "b"),)), replace(on("b"), volumes_from=(VolumesFrom("a"),))),
            "a -> b -> a",
        ),
        ((on("a", "ghost"),), "container a depends on ghost, which the task does not have"),
        (
            (on("a", "b", condition=Condition.HEALTHY), on("b")),
            "container a depends on b being HEALTHY, which has no health check",
        ),
    ],
)
def test_dependencies_that_cannot_be_resolved_stop_the_task_at_once(
    containers: tuple[ContainerSpec, ...], why: str
) -> None:
    play = Play()
    decision = play.assign(spec(ARN, *containers))
    (report,) = decision.reports
    assert (report.status, report.moved) == (Status.STOPPED, True)
    assert report.reason == f"TaskDependencyError: Task dependencies cannot be resolved, taskArn: {ARN}: {why}"
    assert decision.acts == ()


def test_two_ways_to_one_container_are_no_circle() -> None:
    play = Play()
    assert play.assign(spec(ARN, on("a", "b", "c"), on("b", "c"), on("c"))).reports == ()
