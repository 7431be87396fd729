from agent.engine.engine import Engine
from agent.model.decision import Decision, ManifestTaken
from agent.model.events import Listed, ManifestHeard, StopsVerified, TaskAssigned, TaskStopRequested
from agent.model.names import Step, TaskArn
from agent.model.rules import Rules
from agent.model.status import Status
from tests.engine.rows import T0, spec

ONE, TWO, THREE = (TaskArn(f"arn:aws:ecs:us-east-1:123456789012:task/c/{name}") for name in ("one", "two", "three"))


def with_tasks(*arns: TaskArn, manifest: int = 0) -> Engine:
    engine = Engine(Rules(), manifest=manifest)
    for arn in arns:
        engine.decide(TaskAssigned(spec(arn), T0, "00" * 20))
    return engine


def heard(engine: Engine, number: int, *running: TaskArn) -> Decision:
    return engine.decide(ManifestHeard(f"list-{number}", number, frozenset(running), T0))


def wanted(engine: Engine) -> dict[TaskArn, Status]:
    return {arn: task.wanted for arn, task in engine.tasks.items()}


def test_ecs_is_asked_about_tasks_that_its_list_does_not_have_and_none_is_stopped() -> None:
    engine = with_tasks(ONE, TWO)

    decision = heard(engine, 20, ONE, THREE)

    assert decision.manifests == (ManifestTaken("list-20", 20, (TWO,)),)
    assert not decision.changes_nothing, "the number is committed before ECS hears an ack"
    assert wanted(engine) == {ONE: Status.RUNNING, TWO: Status.RUNNING}


def test_a_task_that_is_to_stop_already_is_not_asked_about() -> None:
    engine = with_tasks(ONE)
    engine.decide(TaskStopRequested(ONE, T0))

    assert heard(engine, 20).manifests == (ManifestTaken("list-20", 20),)


def test_a_list_that_is_not_newer_says_nothing_also_after_a_restart() -> None:
    engine = with_tasks(ONE, manifest=20)

    for number in (0, 19, 20):
        assert heard(engine, number).changes_nothing
    assert heard(engine, 21).manifests == (ManifestTaken("list-21", 21, (ONE,)),)
    assert heard(engine, 21).changes_nothing


def test_what_ecs_names_in_its_answer_is_stopped_once_and_what_is_unknown_stays_unknown() -> None:
    engine = with_tasks(ONE, TWO)
    engine.decide(Listed((), frozenset(), frozenset(), Step(0), T0))
    heard(engine, 20)

    decision = engine.decide(StopsVerified("list-20", (TWO, THREE), T0))

    assert wanted(engine) == {ONE: Status.RUNNING, TWO: Status.STOPPED}
    assert [report.task for report in decision.reports] == [TWO]
    assert engine.decide(StopsVerified("list-20", (ONE,), T0)).changes_nothing
    assert wanted(engine)[ONE] is Status.RUNNING


def test_an_answer_to_no_list_or_to_an_older_one_stops_nothing() -> None:
    engine = with_tasks(ONE)
    for nothing in ("", "list-20"):
        assert engine.decide(StopsVerified(nothing, (ONE,), T0)).changes_nothing
    heard(engine, 20)
    heard(engine, 21)

    assert engine.decide(StopsVerified("list-20", (ONE,), T0)).changes_nothing
    assert wanted(engine) == {ONE: Status.RUNNING}


def test_decisions_that_are_committed_together_keep_every_list() -> None:
    engine = with_tasks()

    assert [taken.number for taken in heard(engine, 3).then(heard(engine, 5)).manifests] == [3, 5]
