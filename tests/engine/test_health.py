"""Health is kept where ECS asks for it: a row, and no report."""

from dataclasses import replace

from agent.model.acts import StartContainer
from agent.model.events import Observed
from agent.model.names import Image
from agent.model.seen import Phase, Seen, Summary
from agent.model.status import Health
from agent.model.task import ContainerSpec
from tests.engine.rows import ARN, T0, Play, after, listed, seen, spec

APP = ContainerSpec("app", Image("app:1"), essential=True, health_check=True)


def shows(health: Health | None, output: str = "") -> Seen:
    return replace(seen(), health=health, health_output=output)


def running(app: ContainerSpec = APP) -> Play:
    play = Play()
    play.assign(spec(ARN, app))
    play.pulled()
    play.created()
    play.answer(StartContainer, shows(Health.UNKNOWN))
    return play


def kept(play: Play) -> tuple[Health, object, str]:
    return play.app.health, play.app.health_since, play.app.health_output


def test_a_verdict_is_kept_with_its_time_and_output_and_told_to_nobody() -> None:
    play = running()
    assert kept(play) == (Health.UNKNOWN, T0, "")
    decision = play.hear(Observed(shows(Health.HEALTHY, "ok"), after(3)))
    assert kept(play) == (Health.HEALTHY, after(3), "ok")
    assert (decision.reports, decision.acts) == ((), ())
    assert len(decision.tasks) == 1


def test_the_same_verdict_again_changes_nothing() -> None:
    play = running()
    play.hear(Observed(shows(Health.UNHEALTHY, "no"), after(3)))
    assert play.hear(Observed(shows(Health.UNHEALTHY, "still no"), after(9))).changes_nothing
    assert kept(play) == (Health.UNHEALTHY, after(3), "no")


def test_a_check_that_has_only_begun_takes_no_verdict_back() -> None:
    play = running()
    play.hear(Observed(shows(Health.HEALTHY), after(3)))
    assert play.hear(Observed(shows(Health.UNKNOWN), after(4))).changes_nothing


def test_health_that_ecs_does_not_ask_for_is_not_kept() -> None:
    play = running(replace(APP, health_check=False))
    assert play.hear(Observed(shows(Health.HEALTHY), after(3))).changes_nothing
    assert kept(play) == (Health.UNKNOWN, None, "")


def test_health_without_a_check_in_docker_is_unknown() -> None:
    play = running()
    assert play.hear(Observed(shows(None), after(3))).changes_nothing


def test_what_has_ended_keeps_its_last_verdict() -> None:
    play = running()
    play.hear(Observed(shows(Health.HEALTHY), after(3)))
    play.hear(Observed(replace(seen(Phase.EXITED, exit_code=0), health=Health.UNHEALTHY), after(4)))
    assert play.app.health is Health.HEALTHY


def test_containers_whose_health_is_kept_are_looked_at_with_every_listing() -> None:
    play = running()
    line = Summary(play.app.docker_id, Phase.RUNNING, ARN, "app")
    assert play.engine.to_inspect([line]) == {play.app.docker_id}
    play.list(shows(Health.HEALTHY))
    assert play.app.health is Health.HEALTHY
    assert running(replace(APP, health_check=False)).engine.to_inspect([line]) == frozenset()


def test_a_listing_that_was_asked_for_before_a_verdict_does_not_take_it_back() -> None:
    play = running()
    asked = play.engine.step
    play.hear(Observed(shows(Health.HEALTHY), after(3)))
    assert play.hear(listed(shows(Health.UNHEALTHY), asked=asked)).changes_nothing
