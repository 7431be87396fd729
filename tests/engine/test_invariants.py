"""A check that lets everything pass would prove nothing: each rule is broken here on purpose."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from agent.engine import invariants
from agent.engine.invariants import InvariantBroken
from agent.engine.world import Pull, Snapshot
from agent.model.acts import (
    CreateContainer,
    CreateVolume,
    KillContainer,
    RemoveContainer,
    RemoveVolume,
    StartContainer,
    StopContainer,
)
from agent.model.decision import Decision
from agent.model.names import DockerId
from agent.model.parts import Condition, Dependency, RestartPolicy
from agent.model.reports import ContainerReport, TaskReport
from agent.model.status import Doing, Health, ResourceDoing, ResourceKind, ResourceStatus, Status
from agent.model.task import Container, ImageSource, Lease, Resource, Task, Tombstone
from tests.engine.rows import ARN, OTHER, T0, after, spec

ID = DockerId("id-app")
START = StartContainer(ARN, "app", 1, ID)
STOP = StopContainer(ARN, "app", 1, ID, after(30))
RUNNING = Container("app", known=Status.RUNNING, told=Status.RUNNING, docker_id=ID)
TOLD = TaskReport(ARN, Status.STOPPED, moved=True, at=T0, containers=(ContainerReport("app", Status.STOPPED),))
STOPPED = replace(RUNNING, known=Status.STOPPED, wanted=Status.STOPPED, told=Status.STOPPED)


def row(container: Container, **fields: object) -> Task:
    task = Task(spec(), (container,), arrived=T0, admitted=T0, known=Status.RUNNING, told=Status.RUNNING)
    return replace(task, **fields)  # type: ignore[arg-type] # fields are named by the tests


def over(container: Container = STOPPED) -> Task:
    return row(container, known=Status.STOPPED, told=Status.STOPPED, wanted=Status.STOPPED)


def know(*tasks: Task, pulls: dict[ImageSource, Pull] | None = None, stones: tuple[Tombstone, ...] = ()) -> Snapshot:
    return Snapshot({task.arn: task for task in tasks}, {stone.arn: stone for stone in stones}, pulls or {})


def check(before: Task, after: Task, *acts: object, reports: tuple[TaskReport, ...] = ()) -> Callable[[], None]:
    decision = Decision(tasks=(after,), acts=acts, reports=reports)  # type: ignore[arg-type] # acts, all of them
    return lambda: invariants.check(know(before), know(after), decision)


def test_a_sound_decision_passes() -> None:
    before = row(RUNNING)
    check(before, row(replace(RUNNING, wanted=Status.STOPPED, doing=(Doing.STOP,)), wanted=Status.STOPPED), STOP)()
    check(before, over(), reports=(TOLD,))()


BEFORE = row(RUNNING)
STOPPING = replace(RUNNING, wanted=Status.STOPPED, doing=(Doing.STOP,))
STARTING = replace(RUNNING, wanted=Status.STOPPED, doing=(Doing.START,))
OVERTAKEN = replace(RUNNING, doing=(Doing.START, Doing.STOP))
NOTHING = replace(TOLD, moved=False, containers=())
REMOVE = RemoveContainer(ARN, "app", 1, "name", ID)


RAN = replace(RUNNING, first_started_at=T0, started_at=T0)


def again(**fields: object) -> Container:
    made = replace(RAN, known=Status.CREATED, run=2, restarts=1, restarted_at=after(60), exit_code=1)
    return replace(made, **fields)  # type: ignore[arg-type] # likewise


def policed(container: Container = RAN) -> Task:
    policy = RestartPolicy(ignored_exit_codes=(0,), attempt_period=60.0)
    (app,) = spec().containers
    return row(container, spec=spec(ARN, replace(app, restart=policy)), wanted=container.wanted)


def test_a_sound_restart_passes() -> None:
    check(policed(), policed(again()))()


@pytest.mark.parametrize(
    ("rule", "broken"),
    [
        ("known goes back", check(BEFORE, row(replace(RUNNING, known=Status.CREATED)))),
        ("known goes back", check(BEFORE, row(RUNNING, known=Status.CREATED))),
        ("wanted goes back", check(row(RUNNING, wanted=Status.STOPPED), BEFORE)),
        ("wanted or told goes back", check(row(replace(RUNNING, run=2)), BEFORE)),
        ("a new run begins", check(row(OVERTAKEN), row(replace(RUNNING, run=2)))),
        ("more than one act", check(BEFORE, row(replace(STOPPING, doing=(Doing.STOP, Doing.REMOVE))), STOP, REMOVE)),
        ("holds each act once", check(BEFORE, row(replace(STOPPING, doing=(Doing.STOP, Doing.STOP))), STOP)),
        ("holds each act once", check(BEFORE, row(replace(RUNNING, lost=(Doing.STOP,))))),
        ("stop is not in flight", check(BEFORE, row(replace(RUNNING, tries=1)), STOP)),
        ("stop is decided twice", check(BEFORE, row(STOPPING), STOP, STOP)),
        ("no act was decided", check(BEFORE, row(STOPPING))),
        ("start for a container that is wanted STOPPED", check(BEFORE, row(STARTING), START)),
        ("called STOPPED, and may appear", check(BEFORE, row(replace(RUNNING, told=Status.STOPPED)))),
        ("called STOPPED while a container", check(BEFORE, row(RUNNING, known=Status.STOPPED))),
        ("STOPPED is in the row and RUNNING in the outbox", check(BEFORE, over())),
        ("STOPPED is told after STOPPED", check(BEFORE, over(), reports=(TOLD, TOLD))),
        ("STOPPED is told after STOPPED", check(over(), over(replace(STOPPED, tries=1)), reports=(TOLD,))),
        ("a report says something", check(BEFORE, row(replace(RUNNING, tries=1)), reports=(NOTHING,))),
        ("says something new", check(BEFORE, BEFORE)),
        ("no policy says so", check(BEFORE, row(again()))),
        ("a restart is one new run", check(policed(), policed(again(run=3)))),
        ("a restart is one new run", check(policed(), policed(again(restarts=2)))),
        ("again after exit code 0", check(policed(), policed(again(exit_code=0)))),
        ("again after exit code None", check(policed(), policed(again(exit_code=None)))),
        ("again too early", check(policed(), policed(again(restarted_at=after(59))))),
        ("though it was to end", check(policed(replace(RAN, known=Status.STOPPED)), policed(again()))),
    ],
)  # fmt: skip
def test_each_rule_of_one_task_is_seen_broken(rule: str, broken: Callable[[], None]) -> None:
    with pytest.raises(InvariantBroken, match=rule) as raised:
        broken()
    assert raised.value.task == ARN


def test_what_changes_without_a_row_is_seen() -> None:
    with pytest.raises(InvariantBroken, match="whatever changes is committed"):
        invariants.check(know(BEFORE), know(row(replace(RUNNING, tries=1))), Decision())
    with pytest.raises(InvariantBroken, match="a tombstone that changes is committed"):
        invariants.check(know(), know(stones=(Tombstone(ARN, T0),)), Decision())
    with pytest.raises(InvariantBroken, match="leaves a tombstone"):
        invariants.check(know(BEFORE), know(), Decision(forgotten=(ARN,)))
    stopping = row(STOPPING)
    with pytest.raises(InvariantBroken, match="no row says so"):
        invariants.check(know(stopping), know(stopping), Decision(acts=(STOP,)))


def test_an_act_of_no_task_clears_away_after_one() -> None:
    away = RemoveContainer(ARN, "app", 1, "name", ID, force=True)
    invariants.check(know(), know(stones=(stone := Tombstone(ARN, T0),)), Decision(tombstones=(stone,), acts=(away,)))
    with pytest.raises(InvariantBroken, match="clears away"):
        invariants.check(know(), know(), Decision(acts=(KillContainer(ARN, "app", 1, ID),)))


def test_a_pull_and_those_who_wait_for_it_know_of_each_other() -> None:
    image = ImageSource(spec().containers[0].image)
    alone = know(pulls={image: Pull()})
    with pytest.raises(InvariantBroken, match="nobody waits"):
        invariants.check(alone, alone, Decision())
    pulling = know(row(replace(RUNNING, doing=(Doing.PULL,))))
    with pytest.raises(InvariantBroken, match="known to the pull"):
        invariants.check(pulling, pulling, Decision())


def test_a_chosen_port_belongs_to_one_container() -> None:
    leased = replace(RUNNING, leases=(Lease(80, 50000, chosen=True),))
    other = replace(row(leased), spec=spec(OTHER))
    both = know(row(leased), other)
    with pytest.raises(InvariantBroken, match="port 50000"):
        invariants.check(both, both, Decision())
    fixed = replace(RUNNING, leases=(Lease(80, 50000),))
    shared = know(row(fixed), replace(row(fixed), spec=spec(OTHER)))
    invariants.check(shared, shared, Decision())  # the user's own affair


def test_a_report_without_a_row_is_the_one_of_a_task_never_known() -> None:
    stone = Tombstone(ARN, T0)
    invariants.check(know(), know(stones=(stone,)), Decision(tombstones=(stone,), reports=(TOLD,)))
    with pytest.raises(InvariantBroken, match="never known here"):
        invariants.check(know(), know(), Decision(reports=(TOLD,)))


def pair(condition: Condition, app: Container, needed: Container) -> Task:
    """``app`` depends on ``db``."""
    (asked,) = spec().containers
    both = spec(ARN, replace(asked, depends_on=(Dependency("db", condition),)), replace(asked, name="db"))
    return Task(both, (app, replace(needed, name="db")), arrived=T0, admitted=T0)


PULLED = Container("app", known=Status.PULLED)
CREATING = replace(PULLED, doing=(Doing.CREATE,))


@pytest.mark.parametrize(
    ("condition", "short_of_it", "come_to_it"),
    [
        (Condition.CREATE, PULLED, replace(PULLED, known=Status.CREATED, docker_id=ID)),
        (Condition.START, replace(RAN, first_started_at=None), RAN),
        (Condition.COMPLETE, replace(RAN, exit_code=0), replace(RAN, known=Status.STOPPED, exit_code=1)),
        (Condition.SUCCESS, replace(RAN, known=Status.STOPPED, exit_code=1), replace(STOPPED, exit_code=0)),
        (Condition.HEALTHY, RAN, replace(RAN, health=Health.HEALTHY)),
    ],
)
def test_a_container_that_is_created_too_early_is_seen(
    condition: Condition, short_of_it: Container, come_to_it: Container
) -> None:
    def create(needed: Container) -> None:
        after = pair(condition, CREATING, needed)
        act = CreateContainer(ARN, "app", 1, "name", "web", "1", after.spec.containers[0])
        check(pair(condition, PULLED, needed), after, act)()

    create(come_to_it)
    with pytest.raises(InvariantBroken, match=f"created before db has come to {condition}"):
        create(short_of_it)


def test_a_container_that_is_stopped_too_early_is_seen() -> None:
    going = replace(RUNNING, wanted=Status.STOPPED)
    act = StopContainer(ARN, "db", 1, ID, after(30))
    stopping = replace(going, doing=(Doing.STOP,))
    check(pair(Condition.START, STOPPED, going), pair(Condition.START, STOPPED, stopping), act)()
    with pytest.raises(InvariantBroken, match="stopped before app"):
        check(pair(Condition.START, going, going), pair(Condition.START, going, stopping), act)()


VOLUME = Resource(ResourceKind.VOLUME, "data")
MAKE = CreateVolume(ARN, ResourceKind.VOLUME, "data", "name")
CLEAR = RemoveVolume(ARN, ResourceKind.VOLUME, "data", "name")
MAKING = replace(VOLUME, doing=ResourceDoing.PREPARE)
CLEARING = replace(VOLUME, known=ResourceStatus.READY, doing=ResourceDoing.CLEAR)


def having(*resources: Resource, **fields: object) -> Task:
    return row(RUNNING, resources=resources, **fields)


def test_a_sound_decision_about_a_volume_passes() -> None:
    check(having(VOLUME), having(MAKING), MAKE)()
    check(having(MAKING), having(replace(VOLUME, known=ResourceStatus.READY)))()


@pytest.mark.parametrize(
    ("decided", "rule"),
    [
        (check(having(VOLUME), having(VOLUME, seq=1), MAKE), "prepare is decided, and no row says so"),
        (check(having(VOLUME), having(replace(MAKING, lost=True)), MAKE), "prepare is decided, and no row says so"),
        (check(having(VOLUME), having(MAKING)), "the row says prepare, and no act was decided"),
        (check(having(VOLUME), having(MAKING), MAKE, MAKE), "one act at a time"),
        (check(having(replace(CLEARING, doing=None)), having(CLEARING), CLEAR), "cleared after them"),
        (check(having(replace(CLEARING, doing=None)), having(VOLUME)), "none follows ready"),
        (check(having(VOLUME), having()), "keeps the record"),
        (check(having(), having(admitted=after(1))), "who is admitted stays so"),
        (check(having(admitted=None), having(admitted=None, seq=1)), "who waits does nothing"),
        (check(having(admitted=None), having(VOLUME, admitted=None)), "who waits does nothing"),
    ],
)
def test_rules_of_what_containers_need_are_noticed(decided: Callable[[], None], rule: str) -> None:
    with pytest.raises(InvariantBroken, match=rule):
        decided()
