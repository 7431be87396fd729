from dataclasses import replace

import pytest

from agent.model.acts import CreateContainer, StartContainer
from agent.model.events import EndedWell, Observed
from agent.model.names import DockerId, Image
from agent.model.parts import Condition, Dependency, RestartPolicy
from agent.model.seen import Phase
from agent.model.status import Status
from agent.model.task import ContainerSpec, PortMapping
from tests.engine.rows import ARN, OTHER, T0, Play, after, seen, spec

INIT = ContainerSpec("init", Image("app:1"))
APP = ContainerSpec("app", Image("app:1"), essential=True, depends_on=(Dependency("init", Condition.SUCCESS),))
ID = DockerId("id-init")


def with_init_running(init: ContainerSpec = INIT) -> Play:
    play = Play()
    play.assign(spec(ARN, init, APP))
    play.pulled()
    play.created("init")
    play.started("init")
    return play


def test_who_waits_for_an_exit_with_code_0_goes_on_before_docker_is_looked_at() -> None:
    play = with_init_running()
    decision = play.hear(EndedWell(ARN, ID, after(1), after(1)))
    assert [type(act) for act in decision.acts] == [CreateContainer]
    assert (play.task["init"].known, play.task["init"].exit_code) == (Status.STOPPED, 0)
    assert play.task["init"].finished_at == after(1)
    assert [one.containers[0].name for one in decision.reports] == ["init"]


def test_the_look_that_follows_says_nothing_new() -> None:
    play = with_init_running()
    play.hear(EndedWell(ARN, ID, after(1), after(1)))
    shown = seen(Phase.EXITED, name="init", exit_code=0, finished_at=after(1.2))
    assert play.hear(Observed(shown, after(2))).changes_nothing


@pytest.mark.parametrize(
    "event",
    [
        EndedWell(ARN, DockerId("another"), after(1), after(1)),
        EndedWell(OTHER, ID, after(1), after(1)),
        EndedWell(ARN, ID, T0, after(1)),  # no later than the start: the end of a run before
    ],
)
def test_news_of_another_container_task_or_run_are_nothing(event: EndedWell) -> None:
    assert with_init_running().hear(event).changes_nothing


def test_news_of_an_end_that_overtakes_the_answer_to_the_start_wait_for_that_answer() -> None:
    play = Play()
    play.assign(spec(ARN, INIT, APP))
    play.pulled()
    play.created("init")
    assert play.hear(EndedWell(ARN, ID, after(1), after(1))).changes_nothing
    assert play.open
    play.answer(StartContainer, seen(Phase.EXITED, name="init", exit_code=0), "init")
    assert play.task["init"].known is Status.STOPPED


def test_one_that_publishes_ports_is_looked_at_first_for_docker_lets_go_of_them_after_its_end() -> None:
    play = with_init_running(replace(INIT, ports=(PortMapping(80, 8080),)))
    assert play.hear(EndedWell(ARN, ID, after(1), after(1))).changes_nothing


def test_a_policy_that_covers_exit_code_0_restarts_and_drops_the_late_look() -> None:
    play = with_init_running(replace(INIT, restart=RestartPolicy((), 60.0)))
    decision = play.hear(EndedWell(ARN, ID, after(61), after(61)))
    assert [type(act) for act in decision.acts] == [StartContainer]
    assert play.hear(Observed(seen(Phase.EXITED, name="init", exit_code=0), after(62))).changes_nothing
