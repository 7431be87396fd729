"""What is counted of what happens."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from agent.model.acts import (
    Act,
    ContainerAct,
    CreateContainer,
    CreateVolume,
    PullImage,
    StartContainer,
    StopContainer,
)
from agent.model.decision import Decision, Moved
from agent.model.events import (
    ActBroke,
    ActFailed,
    ContainerAnswered,
    ContainerCreated,
    CredentialsArrived,
    DeadlinePassed,
    Event,
    Fault,
    ImagePulled,
    ResourceReady,
    TaskAssigned,
)
from agent.model.names import DockerId, Image
from agent.model.status import ResourceKind, Status
from agent.model.task import Container, ImageSource
from agent.operator.meter import MOST_CREDENTIALS, Meter, Spread, snake
from tests.operator.scene import APP, ARN, OTHER, T0, a_task, after

ID = DockerId("c" * 64)
CREATE = CreateContainer(ARN, "app", 1, "name", "web", "3", APP)
START = StartContainer(ARN, "app", 1, ID)
STOP = StopContainer(ARN, "app", 1, ID, after(30))
TICK = DeadlinePassed(T0)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Scene:
    def __init__(self) -> None:
        self.clock = Clock()
        self.meter = Meter(self.clock)

    def decide(self, *acts: Act) -> None:
        self.meter.note(TICK, Decision(acts=acts))

    def hear(self, event: Event, seconds: float = 0.0, decision: Decision | None = None) -> None:
        self.clock.now += seconds
        self.meter.note(event, decision or Decision())


def ok(act: ContainerAct) -> Event:
    return ContainerAnswered(act, None, T0)


@pytest.mark.parametrize(
    ("act", "outcome", "name"),
    [
        (CREATE, lambda: ContainerCreated(CREATE, ID, T0), "create"),
        (START, lambda: ok(START), "start"),
        (STOP, lambda: ok(STOP), "stop"),
    ],
)
def test_an_act_takes_from_its_decision_to_its_outcome(act: Act, outcome: Callable[[], Event], name: str) -> None:
    scene = Scene()
    scene.decide(act)
    assert scene.meter.in_flight == 1
    scene.hear(outcome(), 0.2)

    spread = scene.meter.durations[name]
    assert (sum(spread.counts), round(spread.total, 3), scene.meter.in_flight) == (1, 0.2, 0)
    assert scene.meter.acts[snake(type(act)), "done"] == 1


def test_what_fails_is_counted_by_how_and_has_no_duration() -> None:
    scene = Scene()
    for fault in Fault:
        scene.decide(START)
        scene.hear(ActFailed(START, fault, "why", T0), 1)
    scene.decide(CREATE)
    scene.hear(ActBroke(CREATE, "somewhere", T0), 1)

    assert {key for key in scene.meter.acts if key[0] == "start_container"} == {
        ("start_container", fault.value) for fault in Fault
    }
    assert scene.meter.acts["create_container", "bug"] == 1
    assert sum(sum(spread.counts) for spread in scene.meter.durations.values()) == 0


def test_a_pull_is_told_by_where_the_image_was() -> None:
    scene, source = Scene(), ImageSource(Image("app:1"))
    scene.decide(PullImage(source))
    scene.hear(ImagePulled(source, T0), 7)
    scene.decide(PullImage(source))
    scene.hear(ImagePulled(source, T0, cause="cache"), 0.1)

    assert [sum(one.counts) for one in scene.meter.pulls.values()] == [1, 1]
    assert scene.meter.pulls["registry"].total == pytest.approx(7)
    assert scene.meter.acts["pull_image", "done"] == 2


def test_an_outcome_of_an_act_that_an_earlier_process_began_counts_without_a_duration() -> None:
    scene = Scene()
    scene.hear(ok(START))

    assert scene.meter.acts["start_container", "done"] == 1
    assert sum(scene.meter.durations["start"].counts) == 0


def test_what_a_forgotten_task_had_in_flight_is_forgotten_and_nothing_else() -> None:
    scene, volume = Scene(), CreateVolume(OTHER, ResourceKind.VOLUME, "data")
    scene.decide(START, volume)
    scene.hear(TICK, decision=Decision(forgotten=(ARN,)))
    assert scene.meter.in_flight == 1
    scene.hear(ResourceReady(volume, T0))
    assert scene.meter.in_flight == 0


def test_moves_of_tasks_and_containers_are_counted_once() -> None:
    scene = Scene()
    running = a_task(Container("app", Status.RUNNING))
    begun = Moved(ARN, "", Status.CREATED, Status.RUNNING, "docker", after(4))
    scene.hear(TICK, decision=Decision(tasks=(running,), moves=(begun, replace(begun, before=Status.RUNNING))))
    assert (sum(scene.meter.task_starts.counts), scene.meter.task_starts.total) == (1, 4)

    for code, result in ((0, "succeeded"), (3, "failed"), (None, "unknown")):
        ended = a_task(Container("app", Status.STOPPED, exit_code=code))
        moves = (
            Moved(ARN, "app", Status.RUNNING, Status.STOPPED, "docker", after(9)),
            Moved(ARN, "", Status.RUNNING, Status.STOPPED, "docker", after(9)),
        )
        scene.hear(TICK, decision=Decision(tasks=(ended,), moves=moves))
        assert scene.meter.exits[result] == 1
    scene.hear(TICK, decision=Decision(moves=(Moved(ARN, "", Status.NONE, Status.STOPPED, "docker", after(9)),)))
    assert scene.meter.task_stops == {"running": 3, "starting": 1}


def test_a_task_that_comes_again_is_not_new() -> None:
    scene, task = Scene(), a_task(Container("app"))
    scene.hear(TaskAssigned(task.spec, T0, "d" * 40), decision=Decision(tasks=(task,)))
    scene.hear(TaskAssigned(task.spec, after(60), "e" * 40), decision=Decision(tasks=(task,)))
    scene.hear(TaskAssigned(task.spec, after(90), "e" * 40))

    assert (scene.meter.assigned, scene.meter.events["task_assigned"]) == (1, 3)


def test_a_restart_by_policy_is_a_start_of_a_later_run_and_its_repetition_is_none() -> None:
    scene = Scene()
    scene.decide(START, replace(START, run=2), replace(START, run=2, again=True))

    assert scene.meter.restarts == 1


def test_credentials_have_the_age_of_their_last_arrival_and_are_remembered_within_bounds() -> None:
    scene = Scene()
    scene.hear(CredentialsArrived("first", T0))
    scene.hear(CredentialsArrived("second", T0), 10)
    scene.hear(CredentialsArrived("first", T0), 10)
    assert scene.meter.credentials == {"second": 110.0, "first": 120.0}

    for number in range(MOST_CREDENTIALS - 1):
        scene.hear(CredentialsArrived(str(number), T0))
    assert len(scene.meter.credentials) == MOST_CREDENTIALS
    assert "second" not in scene.meter.credentials
    assert "first" in scene.meter.credentials


def test_a_spread_counts_up_to_each_bound_and_knows_no_negative_time() -> None:
    spread = Spread((1.0, 2.0))
    for seconds in (-5.0, 1.0, 1.5, 2.0, 60.0):
        spread.add(seconds)

    assert (spread.counts, spread.total) == ([2, 2, 1], 64.5)


def test_a_clock_that_was_set_back_makes_no_start_negative() -> None:
    scene, task = Scene(), a_task(Container("app", Status.RUNNING))
    at = T0 - timedelta(hours=1)
    moved = Moved(ARN, "", Status.CREATED, Status.RUNNING, "docker", at)
    scene.hear(TICK, decision=Decision(tasks=(task,), moves=(moved,)))

    assert scene.meter.task_starts.total == 0
