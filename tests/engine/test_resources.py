"""Volumes, cgroups and values: prepared beside the pulls, awaited by whom they concern, cleared at the end."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from agent.engine import resources
from agent.model.acts import (
    Act,
    CreateCgroup,
    CreateContainer,
    CreateVolume,
    FetchValues,
    Limits,
    PullImage,
    RemoveCgroup,
    RemoveContainer,
    RemoveVolume,
    StartContainer,
)
from agent.model.decision import Decision
from agent.model.errors import GiveUp
from agent.model.events import (
    ActBroke,
    ActFailed,
    ContainerRemoved,
    CredentialsArrived,
    DeadlinePassed,
    Fault,
    ResourceCleared,
    ResourceReady,
)
from agent.model.names import Image
from agent.model.parts import Mount, Registry, RegistryAuth, RestartPolicy, Scope, Secret, Volume, VolumeKind
from agent.model.rules import Rules
from agent.model.seen import Phase
from agent.model.status import ResourceDoing, ResourceKind, ResourceStatus, Status
from agent.model.task import ContainerSpec, TaskSpec
from tests.engine.rows import ARN, RULES, T0, Play, after, listed, seen, spec

LIMITED = replace(RULES, task_limits=True)
DATA = Volume("data")
TOKEN = Secret("TOKEN", "/token")
SECRET_LOGIN = RegistryAuth(Registry.ASM, credentials_parameter="arn:secret")
ROLE_LOGIN = RegistryAuth(Registry.ECR, use_execution_role=True)


def asking(**fields: Any) -> ContainerSpec:  # noqa: ANN401 -- the fields of a spec
    return replace(ContainerSpec("app", Image("app:1"), essential=True), **fields)


def having(*containers: ContainerSpec, **fields: Any) -> TaskSpec:  # noqa: ANN401 -- the fields of a spec
    return replace(spec(ARN, *containers), **fields)


def mounting(**fields: Any) -> TaskSpec:  # noqa: ANN401 -- the fields of a spec
    return having(asking(mounts=(Mount("data", "/data"),)), volumes=(DATA,), **fields)


def kinds(decision: Decision) -> list[type[Act]]:
    return [type(act) for act in decision.acts]


def act_of(play: Play, kind: type[Act]) -> resources.Acting:
    act = play.take(kind)
    assert isinstance(act, resources.Acting)
    return act


def ready(play: Play, kind: type[Act]) -> Decision:
    return play.hear(ResourceReady(act_of(play, kind), T0))


def fail(play: Play, kind: type[Act], fault: Fault, reason: str = "CannotCreateVolumeError: no") -> Decision:
    return play.hear(ActFailed(act_of(play, kind), fault, reason, T0))


def wake(play: Play) -> Decision:
    if play.engine.next_deadline() is None:
        play.settle()
    due = play.engine.next_deadline()
    assert due is not None
    return play.hear(DeadlinePassed(due))


# -- preparing --------------------------------------------------------------------------------------------------------


def test_all_is_prepared_at_once_and_beside_the_pull() -> None:
    play = Play(rules=LIMITED)
    decision = play.assign(having(asking(secrets=(TOKEN,)), volumes=(DATA, Volume("host", host_path="/srv"))))
    assert kinds(decision) == [CreateCgroup, CreateVolume, FetchValues, PullImage]
    volume = next(act for act in decision.acts if isinstance(act, CreateVolume))
    assert (volume.resource, volume.volume) == ("data", DATA)
    assert volume.name.startswith("ecs-web-1-data-")


def test_a_container_is_created_when_the_last_thing_it_needs_is_there() -> None:
    play = Play(rules=LIMITED)
    play.assign(mounting())
    assert play.pulled().acts == ()
    assert ready(play, CreateCgroup).acts == ()
    assert kinds(ready(play, CreateVolume)) == [CreateContainer]


def test_a_container_is_created_beside_the_cgroup_and_started_in_it() -> None:
    play = Play(rules=LIMITED)
    play.assign(having(asking()))
    assert kinds(play.pulled()) == [CreateContainer]
    assert play.created().acts == ()
    assert kinds(ready(play, CreateCgroup)) == [StartContainer]


def test_a_container_waits_for_its_own_volumes_and_values_only() -> None:
    side = ContainerSpec("side", Image("app:1"))
    play = Play()
    play.assign(having(asking(mounts=(Mount("data", "/data"),), secrets=(TOKEN,)), side, volumes=(DATA,)))
    created = [act.container for act in play.pulled().acts if isinstance(act, CreateContainer)]
    assert created == ["side"]


def test_a_shared_volume_keeps_its_name_and_is_seen_to_as_well() -> None:
    shared = Volume("pool", kind=VolumeKind.DOCKER, scope=Scope.SHARED)
    decision = Play().assign(having(asking(), volumes=(shared,)))
    assert [act.name for act in decision.acts if isinstance(act, CreateVolume)] == ["pool"]


@pytest.mark.parametrize(
    ("task", "rules", "limits"),
    [
        (having(asking(), cpu=0.5, memory=64), LIMITED, Limits(quota=50_000, period=100_000, memory=64)),
        (
            having(asking(), cpu=2),
            replace(LIMITED, cpu_period=timedelta(milliseconds=8), pids_limit=9),
            Limits(quota=16_000, period=8_000, pids=9),
        ),
        (having(asking(cpu=0), ContainerSpec("b", Image("b"), cpu=100)), LIMITED, Limits(shares=102)),
        (having(asking(cpu=300_000)), LIMITED, Limits(shares=262_144)),
    ],
)
def test_a_tasks_limits_are_its_cpu_as_a_quota_or_its_containers_shares(
    task: TaskSpec, rules: Rules, limits: Limits
) -> None:
    assert resources.limits(task, rules) == limits


def test_a_container_that_may_use_more_than_its_task_stops_the_task() -> None:
    play = Play(rules=LIMITED)
    decision = play.assign(having(asking(memory=65), memory=64))
    assert decision.acts == ()
    (report,) = decision.reports
    assert report.status is Status.STOPPED
    assert report.reason.startswith("ResourceInitializationError: container app may use 65 MiB")
    with pytest.raises(GiveUp):
        resources.limits(having(asking(memory=65), memory=64), LIMITED)


# -- failures ---------------------------------------------------------------------------------------------------------


def test_what_cannot_be_prepared_stops_the_task_with_its_reason_begun_with_a_capital_and_without_line_breaks() -> None:
    play = Play()
    play.assign(mounting())
    decision = fail(play, CreateVolume, Fault.GIVE_UP, "driver \n  says:   no")
    (report,) = decision.reports
    assert (report.status, report.reason) == (Status.STOPPED, "Driver says: no")
    assert play.task.resources[0].known is ResourceStatus.FAILED


def test_what_fails_for_a_while_is_tried_five_times_with_growing_waits() -> None:
    play = Play()
    play.assign(mounting())
    waits = []
    for _ in range(4):
        fail(play, CreateVolume, Fault.TRY_AGAIN)
        due = play.engine.next_deadline()
        assert due is not None
        waits.append((due - T0).total_seconds())
        assert kinds(play.hear(DeadlinePassed(due))) == [CreateVolume]
    assert waits == [1, 2, 4, 8]
    assert fail(play, CreateVolume, Fault.TRY_AGAIN).reports[0].reason == "CannotCreateVolumeError: no"


def test_an_answer_that_was_lost_is_asked_for_again_by_doing_it_again() -> None:
    play = Play()
    play.assign(mounting())
    assert fail(play, CreateVolume, Fault.UNKNOWN, "no answer").acts == ()
    assert (play.task.resources[0].doing, play.task.resources[0].lost) == (ResourceDoing.PREPARE, True)
    assert kinds(wake(play)) == [CreateVolume]
    for _ in range(20):  # however often Docker does not answer: that is no failure of the volume
        assert fail(play, CreateVolume, Fault.UNKNOWN, "no answer").reports == ()
        assert kinds(wake(play)) == [CreateVolume]


def test_after_a_restart_what_was_on_its_way_is_done_again_once_the_first_listing_is_heard() -> None:
    play = Play()
    play.assign(mounting())
    again = Play(play.task, heard=False)
    assert kinds(again.hear(listed())) == [CreateVolume, PullImage]


def test_limits_are_set_anew_after_a_restart_before_anything_starts_for_the_host_may_have_forgotten_them() -> None:
    play = Play(rules=LIMITED)
    play.assign(having(asking()))
    ready(play, CreateCgroup)
    play.pulled()
    play.created()
    again = Play(play.task, heard=False, rules=LIMITED)
    assert kinds(again.hear(listed(seen(Phase.CREATED)))) == [CreateCgroup]
    assert kinds(ready(again, CreateCgroup)) == [StartContainer]
    again.started()
    assert kinds(Play(again.task, heard=False, rules=LIMITED).hear(listed(seen()))) == []


def test_limits_are_set_anew_for_what_a_policy_starts_again() -> None:
    play = Play(rules=LIMITED)
    play.assign(having(asking(restart=RestartPolicy(attempt_period=0))))
    ready(play, CreateCgroup)
    play.pulled()
    play.created()
    play.started()
    again = Play(play.task, heard=False, rules=LIMITED)
    ended = seen(Phase.EXITED, exit_code=255, finished_at=after(1))
    assert kinds(again.hear(listed(ended))) == [CreateCgroup]
    assert kinds(ready(again, CreateCgroup)) == [StartContainer]


def test_a_cgroup_that_was_there_before_a_restart_is_removed_though_it_was_not_made_anew() -> None:
    play = Play(rules=LIMITED)
    play.assign(having(asking()))
    ready(play, CreateCgroup)
    again = Play(play.task, heard=False, rules=LIMITED)
    again.stop()
    again.hear(listed())
    assert kinds(over(again)) == [RemoveCgroup]


def test_a_cgroup_is_removed_though_its_journal_is_lost_and_its_task_was_to_stop_before_a_listing() -> None:
    play = Play(rules=LIMITED, heard=False)
    play.stop()
    play.assign(having(asking()))
    alive = seen()
    play.hear(listed(replace(alive, labels=replace(alive.labels, cgroup=True))))
    assert [(one.kind, one.known) for one in play.task.resources] == [(ResourceKind.CGROUP, ResourceStatus.READY)]


def test_a_cgroup_is_removed_though_its_journal_is_lost_and_its_task_is_found_ended() -> None:
    play = Play(rules=LIMITED, heard=False)
    play.assign(having(asking()))
    ended = seen(Phase.EXITED, exit_code=0, finished_at=after(1))
    play.hear(listed(replace(ended, labels=replace(ended.labels, cgroup=True))))
    assert play.task.known is Status.STOPPED
    play.settle()
    assert kinds(over(play)) == [RemoveCgroup]


def test_an_answer_that_nobody_waits_for_any_more_says_nothing() -> None:
    play = Play()
    play.assign(mounting())
    act = act_of(play, CreateVolume)
    assert play.hear(ResourceReady(act, T0)).changes_nothing is False
    assert play.hear(ResourceReady(act, T0)).changes_nothing
    assert play.hear(ActFailed(act, Fault.GIVE_UP, "late", T0)).changes_nothing


def test_a_bug_in_an_act_stops_its_task() -> None:
    play = Play()
    play.assign(mounting())
    (report,) = play.hear(ActBroke(act_of(play, CreateVolume), "KeyError in create", T0)).reports
    assert report.reason.startswith("DockworkerError")
    assert play.task.broken


# -- values and credentials -------------------------------------------------------------------------------------------


def test_values_are_fetched_once_the_execution_role_has_arrived_in_this_process() -> None:
    play = Play()
    decision = play.assign(having(asking(secrets=(TOKEN,)), execution_credentials_id="exec"))
    assert kinds(decision) == [PullImage]
    assert play.hear(CredentialsArrived("other", T0)).acts == ()
    (fetch,) = play.hear(CredentialsArrived("exec", T0)).acts
    assert isinstance(fetch, FetchValues)
    assert fetch.spec == play.task.spec


def test_credentials_that_came_before_their_task_count() -> None:
    play = Play()
    play.hear(CredentialsArrived("exec", T0))
    decision = play.assign(having(asking(secrets=(TOKEN,)), execution_credentials_id="exec"))
    assert FetchValues in kinds(decision)


def test_a_pull_waits_for_the_login_that_it_needs() -> None:
    play = Play()
    assert play.assign(having(asking(registry=ROLE_LOGIN), execution_credentials_id="exec")).acts == ()
    assert kinds(play.hear(CredentialsArrived("exec", T0))) == [PullImage]

    play = Play()
    assert kinds(play.assign(having(asking(registry=SECRET_LOGIN)))) == [FetchValues]
    assert kinds(ready(play, FetchValues)) == [PullImage]

    play = Play()
    assert kinds(play.assign(having(asking(registry=RegistryAuth(Registry.ECR))))) == [PullImage]


def test_values_are_fetched_anew_after_a_restart_while_a_container_may_need_them() -> None:
    play = Play()
    play.assign(having(asking(secrets=(TOKEN,))))
    ready(play, FetchValues)
    play.pulled()
    again = Play(play.task, heard=False)
    assert kinds(again.hear(listed())) == [FetchValues]
    assert kinds(ready(again, FetchValues)) == [CreateContainer]

    play.created()
    play.started()
    assert Play(play.task).task.resources[0].known is ResourceStatus.READY


# -- clearing ---------------------------------------------------------------------------------------------------------


def over(play: Play) -> Decision:
    """The task's time is over, and its containers are removed."""
    decision = wake(play)
    if RemoveContainer in kinds(decision):
        act = play.take(RemoveContainer)
        assert isinstance(act, RemoveContainer)
        decision = play.hear(ContainerRemoved(act, T0))
    return decision


def stopped(task: TaskSpec, rules: Rules = RULES) -> Play:
    play = Play(rules=rules)
    play.assign(task)
    for kind in (CreateCgroup, CreateVolume):
        if any(isinstance(act, kind) for act in play.open):
            ready(play, kind)
    play.stop()
    return play


def test_the_containers_go_first_then_what_they_used_then_the_row() -> None:
    play = Play(rules=LIMITED)
    play.assign(mounting())
    ready(play, CreateCgroup)
    ready(play, CreateVolume)
    play.pulled()
    play.created()
    play.fail(StartContainer, Fault.GIVE_UP)
    assert kinds(wake(play)) == [RemoveContainer]
    act = play.take(RemoveContainer)
    assert isinstance(act, RemoveContainer)
    assert kinds(play.hear(ContainerRemoved(act, T0))) == [RemoveCgroup, RemoveVolume]
    play.hear(ResourceCleared(act_of(play, RemoveCgroup), T0))
    assert play.hear(ResourceCleared(act_of(play, RemoveVolume), T0)).forgotten == (ARN,)


def test_a_shared_volume_is_never_removed_nor_what_was_never_begun() -> None:
    shared = Volume("pool", kind=VolumeKind.DOCKER, scope=Scope.SHARED)
    play = stopped(having(asking(), volumes=(shared,)))
    assert over(play).forgotten == (ARN,)


def test_what_may_have_been_made_is_removed_though_it_failed() -> None:
    play = Play()
    play.assign(mounting())
    fail(play, CreateVolume, Fault.GIVE_UP)
    assert kinds(over(play)) == [RemoveVolume]


def test_a_removal_waits_for_the_answer_to_the_creation() -> None:
    play = Play()
    play.assign(mounting())
    play.stop()
    assert over(play).acts == ()
    assert kinds(ready(play, CreateVolume)) == [RemoveVolume]


def test_a_removal_that_fails_is_tried_for_some_minutes_and_then_left() -> None:
    play = stopped(mounting())
    decision = over(play)
    for _ in range(resources.CLEAR_TRIES - 1):
        assert kinds(decision) == [RemoveVolume]
        assert fail(play, RemoveVolume, Fault.TRY_AGAIN).forgotten == ()
        decision = wake(play)
    assert fail(play, RemoveVolume, Fault.TRY_AGAIN).forgotten == (ARN,)


def test_a_bug_in_a_removal_leaves_the_thing_and_not_the_row() -> None:
    play = stopped(mounting(), LIMITED)
    over(play)
    play.hear(ActBroke(act_of(play, RemoveVolume), "KeyError", T0))
    assert play.hear(ResourceCleared(act_of(play, RemoveCgroup), T0)).forgotten == (ARN,)


def test_each_thing_of_a_task_is_known_by_kind_and_name() -> None:
    play = Play(rules=LIMITED)
    play.assign(having(asking(secrets=(TOKEN,)), volumes=(DATA, Volume("more"))))
    found = [(one.kind, one.name) for one in play.task.resources]
    assert found == [
        (ResourceKind.CGROUP, ""),
        (ResourceKind.VOLUME, "data"),
        (ResourceKind.VOLUME, "more"),
        (ResourceKind.VALUES, ""),
    ]
    play.hear(ResourceReady(next(a for a in play.open if isinstance(a, CreateVolume) and a.resource == "more"), T0))
    assert [one.known for one in play.task.resources].index(ResourceStatus.READY) == 2


def a_found_task(phase: Phase = Phase.RUNNING) -> Play:
    """A task without a row, found by the labels of a container; it had a cgroup and a volume."""
    play = Play(heard=False, rules=LIMITED)
    shown = seen(phase)
    play.hear(listed(replace(shown, labels=replace(shown.labels, volumes=("data",), cgroup=True))))
    return play


def test_what_a_found_task_had_is_known_from_labels_and_cleared_with_it_under_the_same_names() -> None:
    usual = Play(rules=LIMITED)
    usual.assign(mounting())
    made = act_of(usual, CreateVolume)
    assert isinstance(made, CreateVolume)

    play = a_found_task()
    assert {one.kind: one.known for one in play.task.resources} == {
        ResourceKind.CGROUP: ResourceStatus.READY,
        ResourceKind.VOLUME: ResourceStatus.READY,
    }
    play.list(seen(Phase.EXITED, exit_code=0))
    wake(play)
    play.hear(ContainerRemoved(play.take(RemoveContainer), T0))  # type: ignore[arg-type] # it is one
    (cgroup, volume) = (act for act in play.open if isinstance(act, RemoveCgroup | RemoveVolume))
    assert isinstance(cgroup, RemoveCgroup)
    assert isinstance(volume, RemoveVolume)
    assert (cgroup.path, volume.name) == (f"/ecs/{ARN.rpartition('/')[2]}", made.name)


def test_a_stop_that_comes_before_the_first_look_finds_what_the_task_had_too() -> None:
    play = Play(heard=False, rules=LIMITED)
    play.stop()
    shown = seen()
    play.hear(listed(replace(shown, labels=replace(shown.labels, volumes=("data",), cgroup=True))))
    assert (play.task.spec.family, play.task.spec.version) == ("web", "1")
    assert len(play.task.resources) == 2


def test_a_payload_has_what_was_found_prepared_again_and_the_rest_prepared() -> None:
    play = a_found_task()
    decision = play.assign(having(asking(), volumes=(DATA, Volume("more"))))
    assert sorted(kind.__name__ for kind in kinds(decision)) == ["CreateCgroup", "CreateVolume", "CreateVolume"]


def test_a_new_process_makes_nothing_for_a_task_that_only_labels_tell_of() -> None:
    play = a_found_task()
    again = Play(replace(play.task, spec=replace(play.task.spec, containers=(asking(restart=RestartPolicy()),))))
    assert all(one.known is ResourceStatus.READY for one in again.task.resources)
    assert not again.open
