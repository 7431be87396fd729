"""Down in reverse order: a container is stopped after all that depend on it."""

from dataclasses import replace

import pytest

from agent.model.acts import KillContainer, StopContainer
from agent.model.events import Observed, TaskStopRequested
from agent.model.names import Image
from agent.model.parts import Dependency, Link, VolumesFrom
from agent.model.seen import Phase
from agent.model.status import Status
from agent.model.task import ContainerSpec
from tests.engine.rows import ARN, T0, Play, after, seen, spec

DB = ContainerSpec("db", Image("app:1"), health_check=True)
APP = ContainerSpec("app", Image("app:1"), essential=True)


def chain() -> Play:
    """``app`` needs ``db``, which needs ``disk``; ``side`` is alone."""
    play = Play()
    disk, side = ContainerSpec("disk", Image("app:1")), ContainerSpec("side", Image("app:1"))
    play.assign(
        spec(ARN, disk, replace(APP, links=(Link("db", "db"),)), replace(DB, volumes_from=(VolumesFrom("disk"),)), side)
    )
    play.pulled()
    for name in ("disk", "db", "app", "side"):
        play.created(name)
        play.started(name)
    return play


def stops(play: Play) -> list[tuple[str, float]]:
    open_stops = [act for act in play.open if isinstance(act, StopContainer)]
    return [(act.container, (act.kill_at - T0).total_seconds()) for act in open_stops]


def test_a_stop_goes_from_the_last_to_the_first_and_others_go_along() -> None:
    play = chain()
    play.stop()
    assert stops(play) == [("app", 30), ("side", 30)]
    play.hear(Observed(seen(Phase.EXITED, exit_code=0), after(10)))
    assert stops(play) == [("app", 30), ("side", 30), ("db", 40)]  # its grace begins with its own stop
    play.hear(Observed(seen(Phase.EXITED, name="db", exit_code=0), after(20)))
    assert stops(play)[-1] == ("disk", 50)


def test_the_end_of_an_essential_container_stops_the_others_in_the_same_order() -> None:
    play = chain()
    play.hear(Observed(seen(Phase.EXITED, exit_code=1), T0))
    assert stops(play) == [("db", 30), ("side", 30)]


def test_one_that_may_still_appear_keeps_what_it_needs_alive() -> None:
    play = Play()
    play.assign(spec(ARN, replace(APP, links=(Link("db", "db"),)), DB))
    play.pulled()
    play.created("db")
    play.started("db")
    play.stop()
    assert stops(play) == []  # the creation of the other is not answered
    play.created()
    assert stops(play) == [("db", 30)]


def test_a_kill_waits_for_nobody_and_the_next_one_waits_for_it() -> None:
    play = chain()
    play.stop()
    acts = play.wake().acts
    assert {act.container for act in acts if isinstance(act, KillContainer)} == {"app", "side"}
    assert ("db", 30) not in stops(play)


def test_one_that_is_stopped_alone_does_not_wait_for_those_that_go_on() -> None:
    play = chain()
    play.hear(Observed(seen(name="db", started_at=after(9)), after(9)))  # somebody restarted it
    assert stops(play) == [("db", 39)]
    assert play.app.wanted is Status.RUNNING


def test_a_task_that_was_found_is_stopped_in_the_order_of_its_labels() -> None:
    play = Play(heard=False)
    app = seen()
    labels = replace(app.labels, depends_on=(Dependency("db"),))
    play.list(replace(app, labels=labels), seen(name="db"))
    play.stop()
    assert stops(play) == [("app", 30)]


def test_labels_that_run_in_a_circle_stop_nobody_from_being_stopped() -> None:
    play = Play(heard=False)
    app, other = seen(), seen(name="db")
    play.list(
        replace(app, labels=replace(app.labels, depends_on=(Dependency("db"),))),
        replace(other, labels=replace(other.labels, depends_on=(Dependency("app"),))),
    )
    acts = play.engine.decide(TaskStopRequested(ARN, T0)).acts  # unchecked: no order can be right here
    assert {act.container for act in acts if isinstance(act, StopContainer)} == {"app", "db"}


@pytest.mark.parametrize("timeout", [None, 0.0])
def test_a_stop_timeout_of_nothing_is_that_of_the_host(timeout: float | None) -> None:
    play = Play()
    play.assign(spec(ARN, replace(APP, stop_timeout=timeout)))
    play.pulled()
    play.created()
    play.started()
    play.stop()
    assert stops(play) == [("app", 30)]
