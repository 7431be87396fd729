"""A check that lets everything pass would prove nothing: each rule is broken here on purpose."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from agent.engine import invariants
from agent.engine.invariants import InvariantBroken
from agent.engine.world import Pull, Snapshot
from agent.model.acts import KillContainer, RemoveContainer, StartContainer, StopContainer
from agent.model.decision import Decision
from agent.model.names import DockerId
from agent.model.reports import ContainerReport, TaskReport
from agent.model.status import Doing, Status
from agent.model.task import Container, ImageSource, Lease, Task, Tombstone
from tests.engine.rows import ARN, OTHER, T0, after, spec

ID = DockerId("id-app")
START = StartContainer(ARN, "app", 1, ID)
STOP = StopContainer(ARN, "app", 1, ID, after(30))
RUNNING = Container("app", known=Status.RUNNING, told=Status.RUNNING, docker_id=ID)
TOLD = TaskReport(ARN, Status.STOPPED, moved=True, at=T0, containers=(ContainerReport("app", Status.STOPPED),))
STOPPED = replace(RUNNING, known=Status.STOPPED, wanted=Status.STOPPED, told=Status.STOPPED)


def row(container: Container, **fields: object) -> Task:
    task = Task(spec(), (container,), arrived=T0, known=Status.RUNNING, told=Status.RUNNING)
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
