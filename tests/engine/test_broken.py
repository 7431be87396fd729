"""A bug of ours has the radius of one task. Bugs are provoked by values that no type checker would let pass."""

from dataclasses import replace
from typing import TypeVar

import pytest

from agent.engine.engine import TaskIsBroken
from agent.model.acts import (
    CancelPull,
    CreateContainer,
    InspectContainer,
    KillContainer,
    ListContainers,
    PullImage,
    RemoveContainer,
    StopContainer,
)
from agent.model.events import ActBroke, ImagePulled, TaskAssigned, TaskBroke, TaskStopRequested
from agent.model.names import Image
from agent.model.seen import Phase
from agent.model.status import Status
from agent.model.task import ContainerSpec, ImageSource, PortMapping
from tests.engine.rows import ARN, OTHER, T0, Play, listed, seen, spec

T = TypeVar("T")


def made_wrong(value: T, **fields: object) -> T:
    """A copy of a frozen value with something in it that its type forbids."""
    return replace(value, **fields)  # type: ignore[type-var] # dataclasses, all of them


def poisoned() -> Play:
    """A task runs whose stop breaks, beside one that is well."""
    play = Play()
    play.assign(spec(ARN, made_wrong(spec().containers[0], stop_timeout="soon")))
    play.pulled()
    play.created()
    play.started()
    play.assign(spec(OTHER))
    return play


def test_a_bug_leaves_the_engine_as_it_was() -> None:
    play = poisoned()
    before, step, due = play.engine.snapshot(), play.engine.step, play.engine.next_deadline()
    with pytest.raises(TaskIsBroken, match="TypeError") as raised:
        play.engine.decide(TaskStopRequested(ARN, T0))
    assert raised.value.arn == ARN
    assert (play.engine.snapshot(), play.engine.step, play.engine.next_deadline()) == (before, step, due)


def test_a_task_that_breaks_again_while_it_is_stopped_is_killed_and_told_of() -> None:
    play = poisoned()
    decision = play.hear(TaskBroke(ARN, "TypeError: soon", T0))
    assert [type(act) for act in decision.acts] == [KillContainer]
    (report,) = decision.reports
    assert (report.task, report.status, report.moved) == (ARN, Status.STOPPED, True)
    assert "internal error" in report.reason
    assert [(part.name, part.status) for part in report.containers] == [("app", Status.STOPPED)]
    assert play.task.broken
    assert play.engine.tasks[OTHER].wanted is Status.RUNNING


def test_an_abandoned_task_is_not_driven_again_and_what_still_runs_of_it_is_killed() -> None:
    play = poisoned()
    play.hear(TaskBroke(ARN, "TypeError: soon", T0))
    assert play.stop().acts == ()
    play.take(KillContainer)
    assert play.hear(TaskBroke(ARN, "again", T0)).changes_nothing
    (act,) = play.list(seen()).acts
    assert isinstance(act, KillContainer)
    assert play.list(seen(Phase.EXITED)).acts == ()
    assert play.engine.next_deadline() is None


def test_the_row_of_an_abandoned_task_is_cleaned_up_after_a_restart() -> None:
    play = poisoned()
    play.hear(TaskBroke(ARN, "TypeError: soon", T0))
    again = Play(play.task)
    assert [type(act) for act in again.wake().acts] == [RemoveContainer]


def test_the_others_get_their_news_once_the_broken_task_is_out_of_the_way() -> None:
    play = Play()
    play.assign(spec(ARN, made_wrong(spec().containers[0], ports=(made_wrong(PortMapping(80), count="many"),))))
    play.assign(spec(OTHER))
    news = ImagePulled(ImageSource(Image("app:1")), T0)
    with pytest.raises(TaskIsBroken):
        play.engine.decide(news)
    play.hear(TaskBroke(ARN, "AttributeError", T0))
    decision = play.hear(news)
    assert [(act.task, type(act)) for act in decision.acts if isinstance(act, CreateContainer)] == [
        (OTHER, CreateContainer)
    ]


def test_a_bug_in_a_listing_is_that_of_one_task() -> None:
    main = ContainerSpec("app", Image("app:1"), essential=True)
    side = made_wrong(ContainerSpec("side", Image("app:1")), stop_timeout="soon")
    play = Play()
    play.assign(spec(ARN, main, side))
    play.assign(spec(OTHER))
    play.pulled()
    for name in ("app", "side"):
        play.created(name)
        play.started(name)
    ends = listed(seen(Phase.EXITED), seen(Phase.EXITED, arn=OTHER), asked=play.engine.step)
    with pytest.raises(TaskIsBroken) as raised:
        play.engine.decide(ends)
    assert raised.value.arn == ARN


def test_even_a_row_that_cannot_be_filed_is_told_of_once() -> None:
    play = Play().running()
    play.engine._world.tasks[ARN] = made_wrong(play.task, containers=7)
    decision = play.engine.decide(TaskBroke(ARN, "worse", T0))
    assert [(report.task, report.status) for report in decision.reports] == [(ARN, Status.STOPPED)]
    assert decision.tasks == ()
    assert play.engine.decide(TaskBroke(ARN, "worse", T0)).changes_nothing


def test_an_act_that_broke_stops_its_task_and_asks_what_became_of_it() -> None:
    play = Play()
    play.assign()
    play.pulled()
    act = play.take(CreateContainer)
    play.hear(ActBroke(act, "KeyError: 'Env'", T0))
    assert [type(one) for one in play.list().acts] == [InspectContainer]
    (report,) = play.answer(InspectContainer, None).reports
    assert (report.status, "KeyError" in report.reason) == (Status.STOPPED, True)


def test_a_stop_that_broke_twice_ends_with_a_kill() -> None:
    play = Play().running()
    play.stop()
    play.hear(ActBroke(play.take(StopContainer), "first", T0))
    play.list(seen())
    decision = play.hear(ActBroke(play.take(StopContainer), "second", T0))
    assert [type(act) for act in decision.acts if not isinstance(act, ListContainers)] == [KillContainer]
    assert decision.reports[0].status is Status.STOPPED


def test_a_removal_that_broke_tells_nothing_a_second_time() -> None:
    play = Play().running()
    play.list(seen(Phase.EXITED, exit_code=0))
    play.wake()
    for _ in range(2):
        assert play.hear(ActBroke(play.take(RemoveContainer), "bug", T0)).reports == ()
        play.list(seen(Phase.EXITED, exit_code=0))
    assert not any(isinstance(act, RemoveContainer) for act in play.open)


def test_a_pull_that_broke_is_the_bug_of_those_that_wait_for_it() -> None:
    play = Play()
    play.assign(spec(ARN, ContainerSpec("app", Image("app:1"), essential=True), ContainerSpec("b", Image("b:1"))))
    play.assign(spec(OTHER, ContainerSpec("app", Image("b:1"), essential=True)))
    pull = next(act for act in play.open if isinstance(act, PullImage) and act.source.image == "app:1")
    decision = play.hear(ActBroke(pull, "bug", T0))
    assert [report.task for report in decision.reports] == [ARN]
    assert not play.engine.tasks[OTHER].broken
    assert decision.acts == ()  # the other still waits for the second image
    assert [type(act) for act in play.stop(OTHER).acts] == [CancelPull]


def test_an_act_of_nobody_that_broke_ends_the_daemon() -> None:
    with pytest.raises(RuntimeError, match="ListContainers broke"):
        Play().engine.decide(ActBroke(ListContainers(), "bug", T0))


def test_a_task_that_breaks_as_it_comes_is_refused_and_does_not_break_again() -> None:
    play = Play()
    assignment = TaskAssigned(spec(ARN, made_wrong(spec().containers[0], ports=(None,))), T0, "0" * 40)
    with pytest.raises(TaskIsBroken):
        play.engine.decide(assignment)
    (report,) = play.hear(TaskBroke(ARN, "bug", T0)).reports
    assert (report.task, report.status) == (ARN, Status.STOPPED)
    assert play.hear(assignment).changes_nothing


def test_a_broken_task_forgotten_by_now_is_nothing() -> None:
    play = Play()
    play.stop(OTHER)
    assert play.hear(TaskBroke(OTHER, "bug", T0)).changes_nothing
