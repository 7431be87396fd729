"""What another agent tells, and what Docker shows, come to one."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from agent.docker import foreign
from agent.docker.foreign import Foreign, Inspected
from agent.host import introspection
from agent.host.introspection import ToldTask
from agent.model.errors import TryAgain
from agent.model.names import DockerId, Image, TaskArn
from agent.model.parts import Dependency, RestartPolicy
from agent.model.status import Status
from agent.model.takeover import TakenTask, Takeover
from agent.model.task import PortMapping, Transport
from agent.takeover import joining

T0 = datetime(2026, 1, 1, tzinfo=UTC)
ID = "3c1d0e7f9a8b4c5d8e6f7a8b9c0d1e2f"
ARN = TaskArn(f"arn:aws:ecs:eu-west-1:111122223333:task/blue/{ID}")
PAUSE = "~internal~ecs~pause"
TASKS = (
    b'{"Tasks":[{"Arn":"' + ARN.encode() + b'","DesiredStatus":"RUNNING","KnownStatus":"RUNNING","Family":"shop",'
    b'"Version":"7","Containers":[{"DockerId":"aa","DockerName":"ecs-shop-7-web-a2f4e8d0c1b3a5960100","Name":"web",'
    b'"Image":"nginx:1.27","ImageID":"sha256:9d","CreatedAt":"2024-05-01T12:00:00.512345678Z",'
    b'"StartedAt":"2024-05-01T12:00:01.004Z","Ports":[{"ContainerPort":80,"Protocol":"tcp","HostPort":32768}],'
    b'"Volumes":[{"Source":"/srv/data","Destination":"/data"}],"RestartCount":0},'
    b'{"DockerId":"bb","DockerName":"ecs-shop-7-init","Name":"init","Image":"init:1","ImageID":""}]}]}'
)


def told(known: str = "RUNNING", desired: str = "RUNNING") -> ToldTask:
    (task,) = introspection.tasks(TASKS)
    return replace(task, known=known, desired=desired)


def look(
    docker_id: str, status: Status = Status.RUNNING, *, stop_timeout: float | None = None, cgroup_parent: str = ""
) -> Inspected:
    return Inspected(
        DockerId(docker_id),
        Image("sha256:9d"),
        status,
        stop_timeout,
        ports=(),
        cpu=0,
        memory=0,
        memory_reservation=0,
        cgroup_parent=cgroup_parent,
        fetches_credentials=False,
        exit_code=0 if status is Status.STOPPED else None,
        created_at=T0,
        started_at=T0,
        finished_at=None,
    )


def shown(docker_id: str, container: str, task: str = ARN) -> Foreign:
    return Foreign(DockerId(docker_id), f"ecs-{container}", TaskArn(task), container, "shop", "7", "blue", runs=True)


def joined(task: ToldTask, *looks: Inspected, added: tuple[Foreign, ...] = ()) -> TakenTask:
    (one,) = joining.joined(joining.Scene((task,), added, {one.docker_id: one for one in looks}))
    return one


def test_metadata_is_read_as_it_is_answered() -> None:
    answer = b'{"Cluster":"blue","ContainerInstanceArn":"arn:x","Version":"Amazon ECS Agent - v1.105.1 (abc1234)"}'
    neighbour = introspection.metadata(answer)
    assert (neighbour.cluster, neighbour.instance_arn) == ("blue", "arn:x")
    assert introspection.metadata(b'{"Cluster":"blue","ContainerInstanceArn":null,"Version":""}').instance_arn == ""


@pytest.mark.parametrize(
    "answer", [b"", b"[]", b'{"AvailableCommands":["/v1/metadata"]}', b"<html>", b'{"Cluster":"\xff"}']
)
def test_what_is_no_agents_answer_is_refused(answer: bytes) -> None:
    with pytest.raises(TryAgain, match="/v1/metadata"):
        introspection.metadata(answer)


def test_an_agent_without_tasks_has_none() -> None:
    assert introspection.tasks(b'{"Tasks":[]}') == ()
    assert introspection.tasks(b'{"Tasks":null}') == ()


def test_what_runs_counts_as_essential_and_what_has_ended_does_not() -> None:
    taken = joined(told(), look("aa"), look("bb", Status.STOPPED))
    assert [(one.name, one.known, one.essential) for one in taken.containers] == [
        ("web", Status.RUNNING, True),
        ("init", Status.STOPPED, False),
    ]
    assert not taken.stopping


def test_the_grace_is_the_containers_own_and_the_image_as_the_definition_names_it() -> None:
    web, init = joined(told(), look("aa", stop_timeout=90.0), look("bb")).containers
    assert (web.stop_timeout, init.stop_timeout) == (90.0, None)
    assert web.image == "nginx:1.27"


def test_a_restart_policy_is_one_where_restarts_are_counted() -> None:
    web, init = joined(told(), look("aa"), look("bb")).containers
    assert (web.restart, init.restart) == (RestartPolicy(), None)


def test_the_container_that_was_added_is_taken_along_and_all_others_need_it() -> None:
    pause = shown("pp", PAUSE)
    other = shown("qq", PAUSE, task=f"{ARN[:-1]}0")
    assert joining.to_look_at([told()], [pause, other]) == ["aa", "bb", "pp"]
    taken = joined(told(), look("aa"), look("bb"), look("pp"), look("qq"), added=(pause, other))
    assert {one.name: one.depends_on for one in taken.containers} == {
        "web": (Dependency(PAUSE),),
        "init": (Dependency(PAUSE),),
        PAUSE: (),
    }


@pytest.mark.parametrize(
    ("known", "desired", "stopping", "pending"),
    [
        ("RUNNING", "RUNNING", False, False),
        ("RUNNING", "STOPPED", True, False),
        ("STOPPED", "STOPPED", True, False),
        ("STOPPED", "", True, False),
        ("PENDING", "STOPPED", True, False),
        ("PENDING", "RUNNING", True, True),
    ],
)
def test_what_ends_is_ended_and_what_has_not_begun_is_pending(
    *, known: str, desired: str, stopping: bool, pending: bool
) -> None:
    task = told(known=known, desired=desired)
    taken = joined(task, look("aa"))
    assert (taken.stopping, joining.is_pending(task), bool(taken.reason)) == (stopping, pending, pending)


def test_a_container_that_is_gone_is_left_out_and_with_the_last_the_task_that_is_over() -> None:
    assert [one.name for one in joined(told(), look("aa")).containers] == ["web"]
    assert joining.joined(joining.Scene((told(known="STOPPED"),), (), {})) == ()
    (pending,) = joining.joined(joining.Scene((told(known="PENDING"),), (), {}))
    assert (pending.containers, pending.stopping) == ((), True)


@pytest.mark.parametrize(
    ("parent", "ours"),
    [(f"/ecs/{ID}", True), (f"ecstasks-{ID}.slice", True), ("", False), ("/ecs", False), ("/ecs/other", False)],
)
def test_a_cgroup_is_the_tasks_if_it_is_called_so(*, parent: str, ours: bool) -> None:
    assert joined(told(), look("aa", cgroup_parent=parent)).has_cgroup is ours


def test_containers_of_unknown_tasks_are_strangers() -> None:
    ours, theirs = shown("aa", "web"), shown("xx", "web", task="arn:other")
    assert joining.strangers([told()], [ours, theirs]) == [theirs]


def test_labels_say_what_those_of_our_own_would() -> None:
    taken = joined(told(), look("aa", stop_timeout=5.0, cgroup_parent=f"/ecs/{ID}"), look("bb", Status.STOPPED))
    labels = joining.labels_of(Takeover("agent", "blue", "arn:instance", "http://there", T0, (taken,)))
    assert (labels[DockerId("aa")].task, labels[DockerId("aa")].agent) == (ARN, "agent")
    assert (labels[DockerId("aa")].stop_timeout, labels[DockerId("aa")].cgroup) == (5.0, True)
    assert (labels[DockerId("bb")].essential, labels[DockerId("bb")].order) == (False, 1)


INSPECT: dict[str, Any] = {
    "Id": "aa",
    "Created": "2026-01-01T00:00:00.123456789Z",
    "State": {
        "Status": "running",
        "Running": True,
        "ExitCode": 0,
        "StartedAt": "2026-01-01T00:00:01Z",
        "FinishedAt": "0001-01-01T00:00:00Z",
    },
    "Config": {
        "Image": "nginx:1.27",
        "StopTimeout": 42,
        "Env": ["A=b", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/x"],
    },
    "HostConfig": {
        "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}], "53/udp": [{"HostIp": "", "HostPort": ""}]},
        "CpuShares": 512,
        "Memory": 256 << 20,
        "MemoryReservation": 128 << 20,
        "CgroupParent": "/ecs/x",
    },
}


def test_an_inspect_is_read() -> None:
    found = foreign.inspected(INSPECT)
    assert (found.status, found.stop_timeout, found.exit_code, found.finished_at) == (Status.RUNNING, 42, None, None)
    assert (found.cpu, found.memory, found.memory_reservation, found.cgroup_parent) == (512, 256, 128, "/ecs/x")
    assert found.ports == (PortMapping(53, 0, Transport.UDP), PortMapping(80, 8080))
    assert found.fetches_credentials


def test_an_inspect_of_what_has_ended_or_not_begun_is_read() -> None:
    ended = INSPECT["State"] | {"Running": False, "ExitCode": 3, "FinishedAt": "2026-01-01T00:00:02Z"}
    found = foreign.inspected(INSPECT | {"State": ended, "HostConfig": {"CpuShares": 2}, "Config": {}})
    assert (found.status, found.exit_code, found.cpu, found.fetches_credentials) == (Status.STOPPED, 3, 0, False)
    created = INSPECT["State"] | {"Running": False, "StartedAt": "0001-01-01T00:00:00Z"}
    found = foreign.inspected(INSPECT | {"State": created})
    assert (found.status, found.exit_code) == (Status.CREATED, None)


def test_a_listing_shows_what_carries_a_task_and_is_not_ours() -> None:
    labels = {"com.amazonaws.ecs.task-arn": ARN, "com.amazonaws.ecs.container-name": "web"}
    entry = {"Id": "aa", "State": "running", "Names": ["/ecs-web"], "Labels": labels}
    found = foreign.listed(entry)
    assert found is not None
    assert (found.name, found.container, found.runs) == ("ecs-web", "web", True)
    assert foreign.listed(entry | {"Labels": labels | {"dockworker.agent": "x"}}) is None
    assert foreign.listed(entry | {"Labels": None}) is None
