from datetime import timedelta

import pytest

from agent.controlplane.events import MinutePassed
from tests.controlplane.desk import T0, WEB, Desk


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.define()
    return desk


def test_run_task_promises_and_shows_nothing_that_has_not_happened(desk: Desk) -> None:
    host = desk.host()

    answer = desk.call("RunTask", taskDefinition="web", tags=[{"key": "team", "value": "a"}], referenceId="r")

    [task] = answer["tasks"]
    assert answer["failures"] == []
    assert task["lastStatus"] == "PENDING"
    assert task["desiredStatus"] == "RUNNING"
    assert task["version"] == 1
    assert task["containerInstanceArn"] == host
    assert task["createdAt"] == T0.timestamp()
    assert task["tags"] == [{"key": "team", "value": "a"}]
    assert task["overrides"] == {"containerOverrides": [{"name": "web"}], "inferenceAcceleratorOverrides": []}
    assert not {"startedAt", "stoppedAt", "stopCode", "pullStartedAt"} & task.keys()
    [container] = task["containers"]
    assert container["lastStatus"] == "PENDING"
    assert container["cpu"] == "100"
    assert not {"runtimeId", "exitCode"} & container.keys()


def test_a_cluster_without_hosts_is_an_error_and_a_lost_agent_is_a_failure(desk: Desk) -> None:
    desk.call("CreateCluster")
    fault = desk.refused("RunTask", taskDefinition="web")
    assert (fault.code, str(fault)) == (
        "InvalidParameterException",
        "No Container Instances were found in your cluster.",
    )

    host = desk.register()
    answer = desk.call("RunTask", taskDefinition="web")

    assert answer == {"tasks": [], "failures": [{"arn": host, "reason": "AGENT"}]}


@pytest.mark.parametrize(
    ("container", "reason"),
    [
        ({"cpu": 1001}, "RESOURCE:CPU"),
        ({"memory": 1001}, "RESOURCE:MEMORY"),
        ({"portMappings": [{"containerPort": 80, "hostPort": 22}]}, "RESOURCE:PORTS"),
        ({"portMappings": [{"containerPort": 80, "hostPort": 53, "protocol": "udp"}]}, "RESOURCE:PORTS"),
        ({"privileged": True}, "ATTRIBUTE"),
    ],
)
def test_what_does_not_fit_is_a_failure_with_its_reason(desk: Desk, container: dict[str, object], reason: str) -> None:
    host = desk.host()
    desk.define(WEB | container)

    assert desk.call("RunTask", taskDefinition="web")["failures"] == [{"arn": host, "reason": reason}]


def test_the_same_port_number_is_free_for_the_other_protocol(desk: Desk) -> None:
    desk.host()
    desk.define(WEB | {"portMappings": [{"containerPort": 80, "hostPort": 22, "protocol": "udp"}]})

    desk.run()

    assert desk.call("RunTask", taskDefinition="web")["failures"][0]["reason"] == "RESOURCE:PORTS"


def test_placement_is_partial_and_charges_until_stopped(desk: Desk) -> None:
    host = desk.host(memory=250)

    answer = desk.call("RunTask", taskDefinition="web", count=3)

    assert len(answer["tasks"]) == 2
    assert answer["failures"] == [{"arn": host, "reason": "RESOURCE:MEMORY"}]
    left = {r["name"]: r.get("integerValue") for r in desk.instance(host)["remainingResources"]}
    assert (left["CPU"], left["MEMORY"]) == (800, 50)
    first = answer["tasks"][0]["taskArn"]
    desk.call("StopTask", task=first)
    assert desk.call("RunTask", taskDefinition="web")["tasks"] == [], "held until it is known not to run"
    desk.report(first, "STOPPED")
    assert len(desk.call("RunTask", taskDefinition="web")["tasks"]) == 1


def test_distinct_instances_are_kept_apart_by_group(desk: Desk) -> None:
    hosts = {desk.host(), desk.host()}
    apart = [{"type": "distinctInstance"}]

    answer = desk.call("RunTask", taskDefinition="web", count=3, placementConstraints=apart)

    assert {task["containerInstanceArn"] for task in answer["tasks"]} == hosts
    assert [failure["reason"] for failure in answer["failures"]] == [
        "distinctInstance placement constraint unsatisfied."
    ]
    assert len(desk.call("RunTask", taskDefinition="web", group="g", placementConstraints=apart)["tasks"]) == 1


@pytest.mark.parametrize(
    ("members", "code", "text"),
    [
        ({"capacityProviderStrategy": [{"capacityProvider": "x"}]}, "ClientException", "capacityProviderStrategy"),
        ({"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["s"]}}}, "ClientException", "networkConf"),
        ({"placementStrategy": [{"type": "random"}]}, "ClientException", "placementStrategy"),
        ({"placementConstraints": [{"type": "memberOf", "expression": "a"}]}, "ClientException", "memberOf"),
        ({"enableExecuteCommand": True}, "ClientException", "enableExecuteCommand"),
        ({"launchType": "FARGATE"}, "InvalidParameterException", "FARGATE"),
        ({"launchType": "MOON"}, "InvalidParameterException", "launchType"),
        ({"count": 11}, "InvalidParameterException", "count"),
        ({"startedBy": "a b"}, "InvalidParameterException", "startedBy"),
        ({"propagateTags": "SERVICE"}, "InvalidParameterException", "propagateTags"),
        ({"taskDefinition": "nope"}, "ClientException", "TaskDefinition not found."),
        ({"taskDefinition": "web:x"}, "InvalidParameterException", "revision"),
        ({"cluster": "nope"}, "ClusterNotFoundException", "Cluster not found."),
        ({"overrides": {"containerOverrides": [{"name": "db"}]}}, "InvalidParameterException", "db"),
        ({"overrides": {"containerOverrides": [{"command": ["x"]}]}}, "InvalidParameterException", "name"),
        ({"overrides": {"cpu": "lots"}}, "InvalidParameterException", "cpu"),
        ({"overrides": {"ephemeralStorage": {"sizeInGiB": 30}}}, "ClientException", "ephemeralStorage"),
        ({"count": "2"}, "SerializationException", "count"),
        ({"tags": [{"key": "aws:x", "value": ""}]}, "InvalidParameterException", "aws:"),
        ({"clientToken": "a b"}, "InvalidParameterException", "clientToken"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(desk: Desk, members: dict[str, object], code: str, text: str) -> None:
    desk.host()

    fault = desk.refused("RunTask", **{"taskDefinition": "web"} | members)

    assert fault.code == code
    assert text in str(fault)


def test_an_invalid_enumeration_is_told_before_a_missing_cluster(desk: Desk) -> None:
    fault = desk.refused("RunTask", taskDefinition="web", cluster="nope", launchType="MOON")

    assert fault.code == "InvalidParameterException"


def test_an_unknown_member_is_ignored_and_a_null_is_absent(desk: Desk) -> None:
    desk.host()

    assert desk.run(noSuchMember=1, overrides=None)


def test_the_same_client_token_is_the_same_call(desk: Desk) -> None:
    desk.host()
    first = desk.call("RunTask", taskDefinition="web", clientToken="t", count=2)

    again = desk.call("RunTask", taskDefinition="web", clientToken="t", count=2)

    assert again == first
    assert not desk.last.changes
    fault = desk.refused("RunTask", taskDefinition="web", clientToken="t", count=1)
    assert fault.code == "ConflictException"
    assert fault.body["resourceIds"] == [task["taskArn"] for task in first["tasks"]]


def test_overrides_change_what_is_charged_and_shown(desk: Desk) -> None:
    host = desk.host()
    override = {"name": "web", "command": ["other"], "memory": 300, "cpu": 5}

    arn = desk.run(overrides={"containerOverrides": [override]})

    left = {r["name"]: r.get("integerValue") for r in desk.instance(host)["remainingResources"]}
    assert (left["CPU"], left["MEMORY"]) == (995, 700)
    assert desk.task(arn)["overrides"]["containerOverrides"] == [override]
    assert desk.task(arn)["containers"][0]["memory"] == "300"


def test_external_tasks_go_to_external_hosts_only(desk: Desk) -> None:
    desk.host()
    external = desk.host(attributes=[{"name": "ecs.capability.external"}])

    here = desk.task(desk.run())
    there = desk.task(desk.run(launchType="EXTERNAL"))

    assert here["containerInstanceArn"] != external
    assert there["containerInstanceArn"] == external


def test_a_stopped_tasks_answer_does_not_change(desk: Desk) -> None:
    desk.host()
    arn = desk.run()
    desk.call("StopTask", task=arn.rpartition("/")[2], reason="first")

    again = desk.call("StopTask", task=arn, reason="second")["task"]

    assert again["stoppedReason"] == "first"
    assert not desk.last.changes
    assert str(desk.refused("StopTask", task="0" * 32)) == "The referenced task was not found."


def test_list_tasks_filters_by_desired_status_family_host_and_starter(desk: Desk) -> None:
    host = desk.host()
    desk.define(family="other")
    mine, other = desk.run(startedBy="me"), desk.run(taskDefinition="other")
    desk.call("StopTask", task=other)

    def listed(**filters: str) -> list[str]:
        arns: list[str] = desk.call("ListTasks", **filters)["taskArns"]
        return arns

    assert listed() == [mine]
    assert listed(desiredStatus="STOPPED") == [other]
    assert listed(desiredStatus="PENDING") == []
    assert listed(family="other", desiredStatus="STOPPED") == [other]
    assert listed(family="oth", desiredStatus="STOPPED") == []
    assert listed(containerInstance=host) == [mine]
    assert listed(startedBy="me") == [mine]
    assert listed(startedBy="you") == []
    assert desk.refused("ListTasks", startedBy="me", family="web").code == "InvalidParameterException"
    assert desk.refused("ListTasks", serviceName="s").code == "ServiceNotFoundException"


def test_pages_follow_one_another_and_tokens_fit_one_list_only(desk: Desk) -> None:
    desk.host()
    arns = sorted(task["taskArn"] for task in desk.call("RunTask", taskDefinition="web", count=5)["tasks"])

    first = desk.call("ListTasks", maxResults=3)
    second = desk.call("ListTasks", maxResults=3, nextToken=first["nextToken"])

    assert first["taskArns"] + second["taskArns"] == arns
    assert "nextToken" not in second
    for members in ({"nextToken": "rubbish"}, {"nextToken": first["nextToken"], "family": "web"}, {"maxResults": 0}):
        assert desk.refused("ListTasks", **members).code == "InvalidParameterException"


def test_describe_tells_what_is_missing_and_whose_cluster_it_is(desk: Desk) -> None:
    desk.host()
    home = "arn:aws:ecs:us-east-1:123456789012:task"

    answer = desk.call("DescribeTasks", tasks=["0" * 32])

    assert answer == {"tasks": [], "failures": [{"arn": f"{home}/default/{'0' * 32}", "reason": "MISSING"}]}
    assert str(desk.refused("DescribeTasks", tasks=[])) == "Tasks cannot be empty."
    fault = desk.refused("DescribeTasks", tasks=[f"{home}/other/{'0' * 32}"])
    assert str(fault) == "Identifier is for cluster other. Your cluster is default"


def test_a_stopped_task_is_kept_for_an_hour(desk: Desk) -> None:
    desk.host()
    arn = desk.run(clientToken="t")
    desk.report(arn, "STOPPED")
    desk.later(hours=1)
    desk.decide(MinutePassed(desk.now))
    assert desk.task(arn)["lastStatus"] == "STOPPED"

    desk.decide(MinutePassed(desk.now + timedelta(seconds=1)))

    assert desk.call("DescribeTasks", tasks=[arn])["tasks"] == []
    assert desk.call("RunTask", taskDefinition="web", clientToken="t")["tasks"][0]["taskArn"] != arn


def test_a_client_token_of_a_running_task_lives_for_a_day(desk: Desk) -> None:
    desk.host()
    arn = desk.run(clientToken="t")
    desk.later(hours=23.9)
    desk.decide(MinutePassed(desk.now))
    assert desk.run(clientToken="t") == arn

    desk.later(hours=0.1)
    desk.decide(MinutePassed(desk.now))

    assert desk.run(clientToken="t") != arn


def test_a_running_task_that_is_asked_to_stop_says_since_when(desk: Desk) -> None:
    desk.host()
    running, pending = desk.run(), desk.run()
    desk.report(running, "RUNNING")
    desk.later(seconds=9)

    assert desk.call("StopTask", task=running)["task"]["stoppingAt"] == desk.now.timestamp()
    assert "stoppingAt" not in desk.call("StopTask", task=pending)["task"]


def test_a_definition_for_another_processor_goes_elsewhere(desk: Desk) -> None:
    desk.host(attributes=[{"name": "ecs.cpu-architecture", "value": "x86_64"}])
    desk.define(runtimePlatform={"cpuArchitecture": "ARM64"})

    assert desk.call("RunTask", taskDefinition="web")["failures"][0]["reason"] == "ATTRIBUTE"

    desk.define(runtimePlatform={"cpuArchitecture": "X86_64"})
    assert desk.run()


def test_overrides_are_counted_in_characters_whatever_the_alphabet(desk: Desk) -> None:
    desk.host()
    override = {"name": "web", "command": ["é" * 8000]}

    desk.run(overrides={"containerOverrides": [override]})

    override["command"] = ["é" * 8200]
    assert "8192" in str(desk.refused("RunTask", taskDefinition="web", overrides={"containerOverrides": [override]}))


def test_a_reference_id_has_its_limit(desk: Desk) -> None:
    desk.host()

    assert "referenceId" in str(desk.refused("RunTask", taskDefinition="web", referenceId="r" * 1025))


def test_a_cluster_made_again_is_empty(desk: Desk) -> None:
    host = desk.host()
    arn = desk.run(clientToken="t")
    desk.report(arn, "STOPPED")
    desk.call("DeregisterContainerInstance", containerInstance=host)
    desk.call("DeleteCluster", cluster="default")

    desk.call("CreateCluster")

    assert desk.call("DescribeTasks", tasks=[arn])["failures"] == [{"arn": arn, "reason": "MISSING"}]
    answer = desk.call("DescribeContainerInstances", containerInstances=[host])
    assert answer["failures"] == [{"arn": host, "reason": "MISSING"}]
    desk.host()
    assert desk.run(clientToken="t") != arn
