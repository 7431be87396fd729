"""Tasks that another agent began: taken in, followed, stopped, told of, forgotten; and never started."""

from dataclasses import replace

from agent.model.acts import CreateContainer, KillContainer, PullImage, RemoveContainer, StartContainer, StopContainer
from agent.model.decision import Decision
from agent.model.events import ContainerRemoved, Listed, ManifestHeard, StopsVerified, TasksTaken
from agent.model.names import DockerId, Image
from agent.model.parts import Dependency, RestartPolicy
from agent.model.seen import Phase
from agent.model.status import Doing, Status
from agent.model.takeover import INTERNAL, TakenContainer, TakenTask
from agent.model.task import Container, ContainerSpec
from tests.engine.rows import ARN, T0, Play, after, seen, spec

PAUSE = f"{INTERNAL}pause"


def one(name: str = "app", known: Status = Status.RUNNING, **more: object) -> TakenContainer:
    made = TakenContainer(DockerId(f"id-{name}"), name, Image("app:1"), known, created_at=T0)
    return replace(made, **more)  # type: ignore[arg-type] # fields are named by the tests


def taken(*containers: TakenContainer, **more: object) -> TasksTaken:
    task = TakenTask(ARN, "web", "1", containers or (one(),))
    return TasksTaken((replace(task, **more),), T0)  # type: ignore[arg-type] # likewise


def play(event: TasksTaken | None = None) -> Play:
    """An engine that has just begun, and has been told of what was taken over."""
    begun = Play(heard=False)
    begun.hear(event or taken())
    return begun


def started_anything(game: Play) -> bool:
    return any(isinstance(act, PullImage | CreateContainer | StartContainer) for d in game.decisions for act in d.acts)


def told(decision: Decision) -> list[tuple[Status, list[tuple[str, Status, int | None]]]]:
    return [(r.status, [(c.name, c.status, c.exit_code) for c in r.containers]) for r in decision.reports]


def test_nothing_is_told_or_done_before_a_listing_has_said_what_became_of_it() -> None:
    game = play()
    assert game.decisions[-1].acts == ()
    assert game.decisions[-1].reports == ()
    assert game.task.known is not Status.RUNNING


def test_what_runs_is_called_running_and_nothing_is_started() -> None:
    game = play()
    decision = game.list(seen())
    assert told(decision) == [(Status.RUNNING, [("app", Status.RUNNING, None)])]
    assert not started_anything(game)


def test_it_is_answered_by_the_ids_that_its_containers_have_had_from_the_agent_before_us() -> None:
    game = play()
    game.list(seen(metadata_id="0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0", task_credentials_id="role-1"))
    assert game.app.metadata_id == "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
    assert game.task.spec.task_credentials_id == "role-1"


def test_a_listing_that_was_asked_for_before_and_says_nothing_of_it_starts_nothing_either() -> None:
    game = play()
    for _ in range(3):
        game.list()
    assert not any(isinstance(act, PullImage | CreateContainer) for d in game.decisions for act in d.acts)
    assert all(act.again for d in game.decisions for act in d.acts if isinstance(act, StartContainer))


def test_an_exit_between_the_takeover_and_the_start_is_told() -> None:
    game = play()
    decision = game.list(seen(Phase.EXITED, exit_code=7))
    assert told(decision) == [
        (Status.RUNNING, [("app", Status.RUNNING, None)]),
        (Status.STOPPED, [("app", Status.STOPPED, 7)]),
    ]
    assert not started_anything(game)


def test_a_container_that_was_removed_between_is_told_as_vanished() -> None:
    game = play()
    assert game.engine.to_inspect([]) == {"id-app"}
    decision = game.list(gone=frozenset({DockerId("id-app")}))
    (report,) = decision.reports
    assert report.status is Status.STOPPED
    assert "removed outside ECS" in report.containers[0].reason


def test_a_later_exit_is_told_and_what_is_left_is_removed_after_the_wait() -> None:
    game = play()
    game.list(seen())
    decision = game.list(seen(Phase.EXITED, exit_code=3))
    assert told(decision) == [(Status.STOPPED, [("app", Status.STOPPED, 3)])]
    (act,) = game.wake().acts
    assert isinstance(act, RemoveContainer)
    assert act.docker_id == "id-app"


def test_a_stop_of_ecs_ends_it_with_the_grace_that_was_found() -> None:
    game = play(taken(one(stop_timeout=7.0)))
    game.list(seen())
    (act,) = game.stop().acts
    assert isinstance(act, StopContainer)
    assert (act.docker_id, act.kill_at) == ("id-app", after(7))
    assert told(game.answer(StopContainer, seen(Phase.EXITED, exit_code=143))) == [
        (Status.STOPPED, [("app", Status.STOPPED, 143)])
    ]


def test_a_task_whose_end_was_asked_for_is_ended() -> None:
    game = play(taken(stopping=True))
    decision = game.list(seen())
    assert [type(act) for act in decision.acts] == [StopContainer]


def test_a_task_that_was_over_is_told_once_more_and_cleared_away() -> None:
    game = play(taken(one(known=Status.STOPPED, essential=False, exit_code=0, finished_at=T0), stopping=True))
    assert told(game.decisions[-1]) == [(Status.STOPPED, [("app", Status.STOPPED, 0)])]
    game.list(seen(Phase.EXITED, exit_code=0))
    assert [type(act) for act in game.wake().acts] == [RemoveContainer]


def test_a_task_of_which_nothing_was_there_yet_is_told_stopped_with_the_reason() -> None:
    nothing = TasksTaken((TakenTask(ARN, "web", "1", (), stopping=True, reason="NotBegun: why"),), T0)
    game = play(nothing)
    game.list()
    (report,) = [report for decision in game.decisions for report in decision.reports]
    assert (report.status, report.reason, report.containers) == (Status.STOPPED, "NotBegun: why", ())


def test_a_container_that_had_ended_while_its_task_ran_ends_nothing() -> None:
    game = play(taken(one("init", Status.STOPPED, essential=False, exit_code=0), one()))
    decision = game.list(seen(), seen(Phase.EXITED, name="init", exit_code=0))
    assert game.task.known is Status.RUNNING
    assert (Status.RUNNING, [("app", Status.RUNNING, None)]) in told(decision)


def test_the_container_that_was_added_to_a_task_is_stopped_last_and_never_told() -> None:
    needs = (Dependency(PAUSE),)
    game = play(taken(one(depends_on=needs), one(PAUSE)))
    shown = (seen(), seen(name=PAUSE))
    assert told(game.list(*shown)) == [(Status.RUNNING, [("app", Status.RUNNING, None)])]
    (first,) = game.stop().acts
    assert isinstance(first, StopContainer)
    assert first.container == "app"
    decision = game.answer(StopContainer, seen(Phase.EXITED, exit_code=0))
    assert [act.container for act in decision.acts if isinstance(act, StopContainer)] == [PAUSE]
    last = game.answer(StopContainer, seen(Phase.EXITED, name=PAUSE, exit_code=137), PAUSE)
    assert [r.status for r in last.reports] == [Status.STOPPED]
    assert all(c.name != PAUSE for d in game.decisions for r in d.reports for c in r.containers)


def test_a_payload_fills_it_in_and_forgets_no_container_that_was_added() -> None:
    game = play(taken(one(depends_on=(Dependency(PAUSE),)), one(PAUSE)))
    game.list(seen(), seen(name=PAUSE))
    game.assign(spec(ARN, ContainerSpec("app", Image("app:1"), essential=True, stop_timeout=2.0)))
    assert [c.name for c in game.task.containers] == ["app", PAUSE]
    assert not game.task.spec.rebuilt
    assert game.task.asked("app").stop_timeout == 2.0
    assert not started_anything(game)
    game.stop()
    assert [act.container for act in game.open if isinstance(act, StopContainer)] == ["app"]


def test_a_restart_policy_starts_the_same_container_again_and_no_other() -> None:
    game = play(taken(one(restart=RestartPolicy())))
    game.list(seen())
    game.hear(replace(taken(), at=after(1)))  # a repeat changes nothing
    decision = game.hear(_listed_later(game, 400))
    (act,) = decision.acts
    assert isinstance(act, StartContainer)
    assert act.docker_id == "id-app"
    assert decision.reports == ()


def _listed_later(game: Play, seconds: float) -> Listed:
    shown = seen(Phase.EXITED, exit_code=1, finished_at=after(seconds))
    return Listed((shown,), frozenset({shown.docker_id}), frozenset(), game.engine.step, after(seconds))


def test_who_is_known_already_or_over_stays_as_it_is() -> None:
    game = Play().running()
    assert game.hear(taken()).changes_nothing
    over = Play()
    over.stop()
    assert over.hear(taken()).changes_nothing


def test_a_list_of_ecs_that_lacks_it_asks_and_stops_it_when_told() -> None:
    game = play()
    game.list(seen())
    decision = game.hear(ManifestHeard("m-1", 1, frozenset(), T0))
    assert decision.manifests[0].candidates == (ARN,)
    decision = game.hear(StopsVerified("m-1", (ARN,), T0))
    assert [type(act) for act in decision.acts] == [StopContainer]


def test_it_holds_its_processors_and_memory_while_it_runs() -> None:
    game = play(taken(one(cpu=512, memory=256)))
    game.list(seen())
    held = game.engine._world.holdings[ARN]
    assert held.holds
    assert "512" in repr(held.amounts)
    assert "256" in repr(held.amounts)


def test_its_cgroup_goes_with_it() -> None:
    game = play(taken(has_cgroup=True))
    game.list(seen())
    game.list(seen(Phase.EXITED, exit_code=0))
    game.wake()
    act = game.take(RemoveContainer)
    assert isinstance(act, RemoveContainer)
    decision = game.hear(ContainerRemoved(act, T0))
    assert [type(a).__name__ for a in decision.acts] == ["RemoveCgroup"]


def test_the_row_of_a_container_that_ran_is_one_with_a_lost_start() -> None:
    game = play()
    assert isinstance(game.app, Container)
    assert (game.app.doing, game.app.lost) == ((Doing.START,), (Doing.START,))
    assert not any(isinstance(act, KillContainer) for d in game.decisions for act in d.acts)
