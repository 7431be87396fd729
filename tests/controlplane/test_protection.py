"""Tasks of services are protected for a while, and tags are shown of each thing that can have some."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from agent.controlplane import tables
from agent.controlplane.plane import Plane
from agent.controlplane.protection import is_protected
from agent.controlplane.records import JsonObject, Record
from agent.controlplane.world import Change
from agent.store.db import Database
from tests.controlplane.desk import T0, Desk
from tests.controlplane.house import running
from tests.controlplane.inside import REGION


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.define()
    desk.host(cpu=10000, memory=10000)
    return desk


def protect(desk: Desk, *tasks: str, enabled: bool = True, **more: object) -> JsonObject:
    return desk.call("UpdateTaskProtection", cluster="default", tasks=list(tasks), protectionEnabled=enabled, **more)


def shown(desk: Desk, *tasks: str) -> JsonObject:
    return desk.call("GetTaskProtection", cluster="default", tasks=list(tasks))


def until(arn: str, **after: float) -> JsonObject:
    return {"taskArn": arn, "protectionEnabled": True, "expirationDate": (T0 + timedelta(**after)).timestamp()}


def off(arn: str) -> JsonObject:
    return {"taskArn": arn, "protectionEnabled": False}


def test_a_task_is_protected_for_two_hours_or_as_long_as_it_wants(desk: Desk) -> None:
    task = desk.run(group="service:web")
    assert shown(desk, task) == {"protectedTasks": [off(task)], "failures": []}

    assert protect(desk, task) == {"protectedTasks": [until(task, hours=2)], "failures": []}
    desk.later(minutes=10)
    assert protect(desk, task, expiresInMinutes=2880)["protectedTasks"] == [until(task, minutes=2890)]
    assert protect(desk, task, expiresInMinutes=1)["protectedTasks"] == [until(task, minutes=11)]
    assert shown(desk, task)["protectedTasks"] == [until(task, minutes=11)]


def test_protection_ends_by_itself_or_when_it_is_taken_back(desk: Desk) -> None:
    task = desk.run(group="service:web")
    protect(desk, task, expiresInMinutes=5)
    record = desk.plane.world.tasks[task]
    assert is_protected(record, desk.now)

    desk.later(minutes=5)
    assert shown(desk, task)["protectedTasks"] == [off(task)]
    assert not is_protected(record, desk.now)

    protect(desk, task)
    assert protect(desk, task, enabled=False, expiresInMinutes=60)["protectedTasks"] == [off(task)]
    assert desk.plane.world.tasks[task].protected_until is None


def test_tasks_of_no_service_and_tasks_that_end_are_failures_beside_those_that_are_protected(desk: Desk) -> None:
    ours, alone, ending = desk.run(group="service:web"), desk.run(), desk.run(group="service:web")
    desk.call("StopTask", task=ending)
    unknown = ours[:-4] + "ffff"

    for answer in (protect(desk, ours, alone, ending, unknown, ours), shown(desk, ours, alone, ending, unknown)):
        assert answer["protectedTasks"] == [until(ours, hours=2)]
        assert answer["failures"] == [
            {"arn": alone, "reason": "TASK_NOT_VALID"},
            {"arn": ending, "reason": "TASK_NOT_VALID"},
            {"arn": unknown, "reason": "MISSING"},
        ]
    assert [desk.plane.world.tasks[task].protected_until for task in (alone, ending)] == [None, None]


def test_protection_hinders_nobody_who_stops_the_task(desk: Desk) -> None:
    task = desk.run(group="service:web")
    protect(desk, task)

    assert desk.call("StopTask", task=task)["task"]["desiredStatus"] == "STOPPED"


@pytest.mark.parametrize(
    ("action", "members", "code", "text"),
    [
        ("UpdateTaskProtection", {"tasks": [], "protectionEnabled": True}, "InvalidParameterException", "empty"),
        ("GetTaskProtection", {"tasks": []}, "InvalidParameterException", "empty"),
        ("GetTaskProtection", {}, "InvalidParameterException", "empty"),
        ("UpdateTaskProtection", {"tasks": ["a"] * 11, "protectionEnabled": True}, "InvalidParameterException", "10"),
        ("GetTaskProtection", {"tasks": ["a"] * 101}, "InvalidParameterException", "100"),
        ("UpdateTaskProtection", {"tasks": ["a"]}, "InvalidParameterException", "protectionEnabled"),
        ("GetTaskProtection", {"tasks": ["a"], "cluster": "none"}, "ClusterNotFoundException", "Cluster not found"),
    ],
)
def test_what_breaks_a_rule_is_refused(desk: Desk, action: str, members: JsonObject, code: str, text: str) -> None:
    fault = desk.refused(action, **{"cluster": "default"} | members)

    assert (fault.code, text in str(fault)) == (code, True)


@pytest.mark.parametrize("minutes", [0, -1, 2881])
def test_minutes_are_between_one_and_two_days(desk: Desk, minutes: int) -> None:
    task = desk.run(group="service:web")
    for enabled in (True, False):
        fault = desk.refused(
            "UpdateTaskProtection",
            cluster="default",
            tasks=[task],
            protectionEnabled=enabled,
            expiresInMinutes=minutes,
        )
        assert fault.code == "InvalidParameterException"
        assert "expiresInMinutes" in str(fault)


def test_an_agent_asks_for_nobodys_protection_and_an_operator_may(tmp_path: Path) -> None:
    with running(tmp_path) as house:
        client, agents = house.client(), house.client(house.keys.agent)
        agents.register_container_instance(
            totalResources=[{"name": name, "type": "INTEGER", "integerValue": 100} for name in ("CPU", "MEMORY")]
        )
        with pytest.raises(ClientError, match="AccessDenied"):
            agents.get_task_protection(cluster="default", tasks=["a"])
        answer = client.update_task_protection(cluster="default", tasks=["a" * 32], protectionEnabled=True)
        assert [failure["reason"] for failure in answer["failures"]] == ["MISSING"]


def test_what_was_protected_is_so_after_a_restart(desk: Desk, tmp_path: Path) -> None:
    task = desk.run(group="service:web")
    protect(desk, task)
    world = desk.plane.world
    records: list[Record] = [*world.clusters.values(), *world.tasks.values()]
    rows = [Change(None, record) for record in records]

    async def through_a_file() -> list[Record]:
        async with Database.open(tmp_path / "plane.db", tables.STEPS) as database:
            await database.write(lambda connection: tables.write(connection, REGION, rows))
            return await database.write(lambda connection: tables.read(connection)[REGION])

    kept = Desk(Plane(REGION, "123456789012", asyncio.run(through_a_file())))

    assert shown(kept, task)["protectedTasks"] == [until(task, hours=2)]


def test_tags_are_shown_of_each_thing_that_can_have_some(desk: Desk) -> None:
    tags = [{"key": "team", "value": "shop"}, {"key": "empty", "value": ""}]
    cluster = desk.call("CreateCluster", clusterName="tagged", tags=tags)["cluster"]["clusterArn"]
    definition = desk.define(family="tagged", tags=tags)
    instance = desk.register(tags=tags)
    task = desk.run(tags=tags)

    for arn in (cluster, definition, instance, task):
        assert desk.call("ListTagsForResource", resourceArn=arn) == {"tags": tags}
    for arn in (desk.define(), desk.run()):
        assert desk.call("ListTagsForResource", resourceArn=arn) == {"tags": []}
    desk.call("StopTask", task=task)
    assert desk.call("ListTagsForResource", resourceArn=task) == {"tags": []}


HOME = "arn:aws:ecs:us-east-1:123456789012"


@pytest.mark.parametrize(
    ("arn", "code", "text"),
    [
        ("web", "InvalidParameterException", "is not the ARN of a resource"),
        ("", "InvalidParameterException", "is not the ARN of a resource"),
        ("arn:aws:s3:::bucket/key", "InvalidParameterException", "is not the ARN of a resource"),
        (f"{HOME}:cluster", "InvalidParameterException", "is not the ARN of a resource"),
        (f"{HOME}:task/0a1b", "InvalidParameterException", "Long arn format must be used"),
        (f"{HOME}:container-instance/0a1b", "InvalidParameterException", "Long arn format must be used"),
        (f"{HOME}:task/default/0a1b", "InvalidParameterException", "not found"),
        (f"{HOME}:cluster/none", "InvalidParameterException", "not found"),
        (f"{HOME}:service/default/web", "InvalidParameterException", "not found"),
        (HOME.replace("east", "west") + ":cluster/default", "InvalidParameterException", "not found"),
        (f"{HOME}:task-definition/none:1", "ClientException", "does not exist"),
        (f"{HOME}:task-definition/web", "ClientException", "does not exist"),
    ],
)
def test_tags_of_what_is_not_there_are_an_error(desk: Desk, arn: str, code: str, text: str) -> None:
    fault = desk.refused("ListTagsForResource", resourceArn=arn)

    assert (fault.code, text in str(fault)) == (code, True)
