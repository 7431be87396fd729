"""What the introspection endpoint says, byte by byte."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from agent.model.names import DockerId
from agent.model.parts import RestartPolicy
from agent.model.portrait import MountPoint, Portrait, PublishedPort
from agent.model.status import Status
from agent.model.task import Container, PortMapping, Task
from agent.operator import introspection
from agent.wire import go_json
from tests.operator.scene import APP, ARN, OTHER, a_task, after

A, B = DockerId("a" * 64), DockerId("b" * 64)
NO_TASK = '{"Arn":"","KnownStatus":"","Family":"","Version":"","Containers":null}'


def running(docker_id: DockerId = A, name: str = "app") -> Container:
    return Container(
        name, Status.RUNNING, docker_id=docker_id, created_at=after(1.5), started_at=after(2.25), restarts=3
    )


def alive(app: Container | None = None, arn: str = ARN) -> Task:
    return replace(a_task(app or running(), arn=type(ARN)(arn)), known=Status.RUNNING)


def shown(*tasks: Task, portrait: Portrait | None = None, query: Mapping[str, str] = {}) -> tuple[int, str]:
    told = introspection.tasks(tasks, {portrait.docker_id: portrait} if portrait else {}, query)
    return told.status, go_json.dumps(told.body).decode()


def test_the_agent_is_told_as_amazons_is() -> None:
    body = introspection.metadata("blue", "arn:i", "1.105.1", "abc1234")

    assert go_json.dumps(body) == (
        b'{"Cluster":"blue","ContainerInstanceArn":"arn:i","Version":"Amazon ECS Agent - v1.105.1 (abc1234)"}'
    )
    assert introspection.metadata("blue", "", "1", "x")["ContainerInstanceArn"] is None


def test_a_task_is_shown_with_what_docker_shows_of_its_containers() -> None:
    portrait = Portrait(
        A,
        "ecs-web-3-app-00",
        image_id="sha256:9d",
        created_at="2026-01-01T00:00:01.512345678Z",
        started_at="2026-01-01T00:00:02Z",
        ports=(PublishedPort(80, "tcp", 32768, "0.0.0.0"),),
        mounts=(MountPoint("/srv/data", "/data"), MountPoint("/var/lib/docker/v", "/cache", "v")),
    )

    status, body = shown(alive(), portrait=portrait)

    assert status == 200
    assert body == (
        f'{{"Tasks":[{{"Arn":"{ARN}","DesiredStatus":"RUNNING","KnownStatus":"RUNNING","Family":"web","Version":"3",'
        f'"Containers":[{{"DockerId":"{A}","DockerName":"ecs-web-3-app-00","Name":"app","Image":"app:1",'
        '"ImageID":"sha256:9d","CreatedAt":"2026-01-01T00:00:01.512345678Z","StartedAt":"2026-01-01T00:00:02Z",'
        '"Ports":[{"ContainerPort":80,"Protocol":"tcp","HostPort":32768}],"Volumes":['
        '{"DockerName":"v","Source":"/var/lib/docker/v","Destination":"/cache"},'
        '{"Source":"/srv/data","Destination":"/data"}]}]}]}'
    )


def test_a_container_that_docker_says_nothing_of_is_shown_by_its_row() -> None:
    spec = replace(APP, ports=(PortMapping(80), PortMapping(53, 5353)), restart=RestartPolicy())

    status, body = shown(replace(a_task(running(), spec=spec), known=Status.RUNNING), query={"taskarn": ARN})

    assert status == 200
    assert body.startswith(f'{{"Arn":"{ARN}","DesiredStatus":"RUNNING","KnownStatus":"RUNNING"')
    assert '"ImageID":"","CreatedAt":"2026-01-01T00:00:01.5Z","StartedAt":"2026-01-01T00:00:02.25Z"' in body
    assert (
        '"Ports":[{"ContainerPort":80,"Protocol":"tcp"},{"ContainerPort":53,"Protocol":"tcp","HostPort":5353}]' in body
    )
    assert body.endswith('"RestartCount":3}]}')


@pytest.mark.parametrize(
    ("known", "wanted", "words"),
    [
        (Status.NONE, Status.RUNNING, '"DesiredStatus":"RUNNING","KnownStatus":"PENDING"'),
        (Status.CREATED, Status.STOPPED, '"DesiredStatus":"STOPPED","KnownStatus":"PENDING"'),
        (Status.STOPPED, Status.STOPPED, '"DesiredStatus":"STOPPED","KnownStatus":"STOPPED"'),
        (Status.STOPPED, Status.RUNNING, f'"Arn":"{ARN}","KnownStatus":"STOPPED"'),
        (Status.RUNNING, Status.CREATED, f'"Arn":"{ARN}","KnownStatus":"RUNNING"'),
    ],
)
def test_states_are_told_in_the_words_of_ecs(known: Status, wanted: Status, words: str) -> None:
    task = replace(a_task(Container("app")), known=known, wanted=wanted)

    status, body = shown(task)

    assert status == 200
    assert words in body
    assert '"Containers":[]' in body, "a container that Docker does not have is not shown"


@pytest.mark.parametrize(
    ("query", "status", "subject"),
    [
        ({"taskarn": ARN}, 200, ARN),
        ({"dockerid": A}, 200, ARN),
        ({"dockerid": "b" * 12}, 200, OTHER),
        ({"dockerid": "b"}, 200, OTHER),
        ({"dockerid": "b" * 13}, 404, ""),
        ({"dockerid": "c"}, 404, ""),
        ({"taskarn": ""}, 404, ""),
        ({"dockerid": ""}, 400, ""),
        ({"dockerid": A, "taskarn": ARN}, 400, ""),
        ({"dockerid": "", "taskarn": ""}, 400, ""),
    ],
)
def test_a_filter_gives_one_task_or_none(query: dict[str, str], status: int, subject: str) -> None:
    found, body = shown(alive(), alive(running(B), OTHER), query=query)

    assert found == status
    assert body.startswith(f'{{"Arn":"{subject}"') if subject else body == NO_TASK


def test_a_beginning_of_two_containers_names_none_even_if_they_are_of_one_task() -> None:
    twins = a_task(running(A), running(DockerId("a" * 63 + "b"), "db"))

    assert shown(twins, query={"dockerid": "aaa"}) == (400, NO_TASK)


def test_without_tasks_the_list_is_empty_and_an_unknown_parameter_filters_nothing() -> None:
    assert shown() == (200, '{"Tasks":[]}')
    assert shown(alive(), query={"shortid": "zzz"})[1].startswith('{"Tasks":[{"Arn"')
    assert introspection.wanted([alive()], {"taskarn": ARN, "dockerid": A}) == []
    assert introspection.docker_ids([alive(), a_task(Container("app"))]) == (A,)
