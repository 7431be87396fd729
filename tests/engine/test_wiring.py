"""What a container shares with the rest of its task reaches Docker in Docker's words."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from agent.engine import naming, wiring
from agent.model.acts import CreateContainer, Wiring
from agent.model.errors import GiveUp
from agent.model.names import Image
from agent.model.parts import Link, Mount, Scope, Volume, VolumeKind, VolumesFrom
from agent.model.rules import Rules
from agent.model.status import Status
from agent.model.task import Container, ContainerSpec, Task, TaskSpec
from tests.engine.rows import ARN, RULES, T0, Play, spec

DRAW = "5" * 40
VOLUMES = (
    Volume("anonymous"),
    Volume("host", host_path="/srv"),
    Volume("pool", kind=VolumeKind.DOCKER, scope=Scope.SHARED),
)


def of(app: ContainerSpec, rules: Rules = RULES, draw: str = DRAW, **fields: Any) -> Wiring:  # noqa: ANN401 -- the fields of a spec
    names: TaskSpec = replace(spec(ARN, app, ContainerSpec("db", Image("db:1"))), volumes=VOLUMES, **fields)
    return wiring.of_container(Task(names, (Container("app"), Container("db")), T0, draw), app, rules)


def app(**fields: Any) -> ContainerSpec:  # noqa: ANN401 -- the fields of a spec
    return replace(ContainerSpec("app", Image("app:1"), essential=True), **fields)


def test_links_and_volumes_from_name_containers_as_docker_knows_them() -> None:
    db = naming.container_name(spec(), "db")
    found = of(app(links=(Link("db", "store"), Link("db", "")), volumes_from=(VolumesFrom("db", read_only=True),)))
    assert found.links == (f"{db}:store", f"{db}:db")
    assert found.volumes_from == (f"{db}:ro",)
    assert of(app(volumes_from=(VolumesFrom("db"),))).volumes_from == (db,)


def test_the_volumes_that_end_with_the_task_are_named_whoever_mounts_them() -> None:
    assert of(app()).task_volumes == ("anonymous",)


def test_mounts_bind_paths_of_the_host_and_volumes_by_their_names() -> None:
    mounts = (Mount("host", "/a"), Mount("pool", "/b", read_only=True), Mount("anonymous", "/c"))
    first, second, third = of(app(mounts=mounts)).binds
    assert (first, second) == ("/srv:/a", "pool:/b:ro")
    assert third == f"{naming.volume_name(spec(), VOLUMES[0])}:/c"
    assert third.startswith("ecs-web-1-anonymous-")


@pytest.mark.parametrize(
    ("mount", "text"),
    [
        (Mount("nowhere", "/a"), "container app mounts volume nowhere, which the task does not have"),
        (Mount("", "/a"), "a mount point of container app names no source volume"),
        (Mount("host", ""), "container app mounts volume host without a container path"),
    ],
)
def test_a_mount_of_nothing_is_refused_by_name(mount: Mount, text: str) -> None:
    with pytest.raises(GiveUp, match=text):
        of(app(mounts=(mount,)))
    play = Play()
    play.assign(spec(ARN, app(mounts=(mount,))))
    play.pulled()
    assert play.task.known is Status.STOPPED
    assert play.app.reason.startswith("HostConfigError: ")


def test_modes_credentials_and_gpus_are_the_tasks() -> None:
    found = of(app(), pid_mode="host", ipc_mode="none", task_credentials_id="t", execution_credentials_id="e")
    assert (found.pid_mode, found.ipc_mode) == ("host", "none")
    assert (found.task_credentials_id, found.execution_credentials_id) == ("t", "e")
    assert not found.has_gpus
    assert of(app(gpus=("gpu-1",))).has_gpus


@pytest.mark.parametrize(("version", "path"), [(1, "/ecs/0123456789abcdef0123456789abcdef"), (2, None)])
def test_a_task_with_limits_has_a_cgroup_for_its_containers(version: int, path: str | None) -> None:
    play = Play(rules=replace(RULES, task_limits=True, cgroup_version=version))
    play.assign()
    found = wiring.of_container(play.task, play.task.spec.containers[0], play.engine._world.rules)
    assert found.cgroup_parent == (path or "ecstasks-0123456789abcdef0123456789abcdef.slice")
    assert of(app()).cgroup_parent == ""


@pytest.mark.parametrize(
    ("version", "propagates", "own", "shown"), [(2, True, 0, 64), (2, True, 9, 0), (2, False, 0, 0), (1, True, 0, 0)]
)
def test_a_container_without_a_limit_shows_the_tasks_where_the_operator_asked_for_it(
    version: int, own: int, shown: int, *, propagates: bool
) -> None:
    rules = replace(RULES, cgroup_version=version, propagates_memory=propagates)
    assert of(app(memory=own), rules, memory=64).task_memory == shown


def test_the_metadata_id_is_a_uuid_that_derives_from_the_draw_and_the_name() -> None:
    first = of(app()).metadata_id
    assert str(UUID(first)) == first
    assert first == of(app()).metadata_id
    assert first not in (of(app(), draw="6" * 40).metadata_id, naming.metadata_id(DRAW, "db"))
    assert of(app(), draw="").metadata_id == ""
    assert first not in repr(of(app()))


def test_the_act_carries_the_wiring() -> None:
    play = Play()
    play.assign(replace(spec(ARN, app(mounts=(Mount("host", "/a"),))), volumes=VOLUMES[1:2]))
    (act,) = play.pulled().acts
    assert isinstance(act, CreateContainer)
    assert act.wiring.binds == ("/srv:/a",)


def test_nobody_is_created_beside_an_essential_container_that_never_can_be() -> None:
    side = ContainerSpec("side", Image("app:1"))
    play = Play()
    play.assign(spec(ARN, side, app(mounts=(Mount("nowhere", "/a"),))))
    assert play.pulled().acts == ()
    assert play.task.known is Status.STOPPED
