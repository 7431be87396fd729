import pytest

from tests.controlplane.desk import Desk

LOST = "arn:aws:ecs:us-east-1:123456789012:container-instance/demo/0123456789abcdef0123456789abcdef"
SENT = [{"name": "ecs.capability.full-sync"}, {"name": "ecs.os-type", "value": "linux"}, {"name": "rack", "value": "7"}]


def test_a_registration_is_active_echoes_attributes_and_waits_for_its_agent() -> None:
    desk = Desk()

    answer = desk.call(
        "RegisterContainerInstance",
        attributes=SENT,
        totalResources=[{"name": "CPU", "type": "INTEGER", "integerValue": 4096}],
        instanceIdentityDocument='{"instanceId": "i-1", "availabilityZone": "us-east-1c", "architecture": "arm64"}',
        instanceIdentityDocumentSignature="",
        tags=[{"key": "team", "value": "a"}],
    )["containerInstance"]

    assert (answer["status"], answer["agentConnected"], answer["version"]) == ("ACTIVE", False, 1)
    assert answer["ec2InstanceId"] == "i-1"
    assert answer["tags"] == [{"key": "team", "value": "a"}]
    echoed = {attribute["name"]: attribute.get("value") for attribute in answer["attributes"]}
    assert echoed | {a["name"]: a.get("value") for a in SENT} == echoed
    assert (echoed["ecs.availability-zone"], echoed["ecs.cpu-architecture"]) == ("us-east-1c", "arm64")
    assert [resource["name"] for resource in answer["registeredResources"]] == ["CPU", "MEMORY", "PORTS", "PORTS_UDP"]


def test_the_same_client_token_is_the_same_registration() -> None:
    desk = Desk()
    first = desk.register(clientToken="token")

    assert desk.register(clientToken="token") == first
    assert desk.register(clientToken="other") != first
    assert len(desk.call("ListContainerInstances")["containerInstanceArns"]) == 2


def test_re_registration_keeps_identity_and_tasks_and_takes_what_changed() -> None:
    desk = Desk()
    desk.define()
    arn = desk.host(attributes=SENT)
    task = desk.run()
    before = desk.instance(arn)

    assert desk.register(containerInstanceArn=arn, cpu=500, attributes=SENT[1:2]) == arn

    after = desk.instance(arn)
    assert desk.task(task)["containerInstanceArn"] == arn
    assert after["registeredResources"][0]["integerValue"] == 500
    assert after["remainingResources"][0]["integerValue"] == 400
    assert after["version"] == before["version"] + 1
    assert after["agentConnected"] is True
    names = {attribute["name"] for attribute in after["attributes"]}
    assert "rack" in names, "the operator's own attributes come with the first registration only"
    assert "ecs.capability.full-sync" not in names


def test_a_host_that_comes_back_smaller_has_nothing_left_rather_than_less() -> None:
    desk = Desk()
    desk.define()
    arn = desk.host()
    desk.run()

    desk.register(containerInstanceArn=arn, cpu=50)

    assert desk.instance(arn)["remainingResources"][0]["integerValue"] == 0


def test_a_lost_instance_is_adopted_with_its_cluster() -> None:
    desk = Desk()

    assert desk.register("demo", containerInstanceArn=LOST) == LOST

    assert desk.call("DescribeClusters", clusters=["demo"])["clusters"][0]["registeredContainerInstancesCount"] == 1


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"cluster": "nope"}, "ClusterNotFoundException"),
        ({"containerInstanceArn": LOST.replace("123456789012", "999999999999")}, "ClientException"),
        ({"containerInstanceArn": LOST}, "ClientException"),
        ({"containerInstanceArn": "i-1"}, "ClientException"),
        ({"instanceIdentityDocument": "{"}, "InvalidParameterException"),
        ({"clientToken": 5}, "SerializationException"),
        ({"platformDevices": [{"id": "n-1", "type": "NEURON_DEVICE"}]}, "ClientException"),
        ({"platformDevices": [{"id": "GPU-1"}]}, "InvalidParameterException"),
        ({"totalResources": [{"name": "NEURON_CORES"}]}, "ClientException"),
        ({"totalResources": [{"name": "CPU", "integerValue": -1}]}, "InvalidParameterException"),
        ({"attributes": [{"value": "x"}]}, "InvalidParameterException"),
    ],
)
def test_a_registration_that_cannot_be_is_refused(members: dict[str, object], code: str) -> None:
    desk = Desk()
    desk.register()

    assert desk.refused("RegisterContainerInstance", **members).code == code


def test_a_deregistered_host_stays_visible_and_cannot_come_back() -> None:
    desk = Desk()
    desk.define()
    arn = desk.host()
    task = desk.run()
    assert "running tasks" in str(desk.refused("DeregisterContainerInstance", containerInstance=arn))

    desk.call("DeregisterContainerInstance", containerInstance=arn, force=True)

    assert desk.instance(arn)["status"] == "INACTIVE"
    assert desk.call("ListContainerInstances")["containerInstanceArns"] == []
    assert desk.task(task)["lastStatus"] == "STOPPED"
    assert desk.refused("RegisterContainerInstance", containerInstanceArn=arn).code == "ClientException"
    assert desk.last.changes == ()


def test_losing_an_old_connection_is_old_news() -> None:
    desk = Desk()
    arn = desk.host()
    desk.connect(arn, "two")

    desk.lose(arn, "one")

    assert desk.instance(arn)["agentConnected"] is True
    desk.lose(arn, "two")
    assert desk.instance(arn)["agentConnected"] is False


def test_instances_are_listed_by_status_and_described_with_failures() -> None:
    desk = Desk()
    arn = desk.register()

    assert desk.call("ListContainerInstances", status="ACTIVE")["containerInstanceArns"] == [arn]
    assert desk.call("ListContainerInstances", status="DRAINING")["containerInstanceArns"] == []
    answer = desk.call("DescribeContainerInstances", containerInstances=["f" * 32, arn.rpartition("/")[2]])
    assert [found["containerInstanceArn"] for found in answer["containerInstances"]] == [arn]
    assert answer["failures"][0]["reason"] == "MISSING"
    assert desk.refused("ListContainerInstances", filter="x").code == "ClientException"
    assert str(desk.refused("DescribeContainerInstances", containerInstances=[])) == (
        "Container instance cannot be empty."
    )


def test_clusters_count_are_idempotent_and_go_when_they_are_empty() -> None:
    desk = Desk()
    desk.define()
    first = desk.call("CreateCluster", clusterName="demo", tags=[{"key": "a", "value": "b"}])
    assert desk.call("CreateCluster", clusterName="demo") == first
    arn = desk.host(cluster="demo")
    desk.run(cluster="demo")
    shown = desk.call("DescribeClusters", clusters=["demo", "none"], include=["STATISTICS", "TAGS"])
    assert shown["clusters"][0]["pendingTasksCount"] == 1
    assert {"name": "pendingEC2TasksCount", "value": "1"} in shown["clusters"][0]["statistics"]
    assert shown["clusters"][0]["tags"] == [{"key": "a", "value": "b"}]
    assert shown["failures"][0]["reason"] == "MISSING"
    assert desk.refused("DeleteCluster", cluster="demo").code == "ClusterContainsContainerInstancesException"
    desk.call("DeregisterContainerInstance", cluster="demo", containerInstance=arn, force=True)

    gone = desk.call("DeleteCluster", cluster="demo")["cluster"]

    assert gone["status"] == "INACTIVE"
    assert desk.call("ListClusters")["clusterArns"] == []
    assert str(desk.refused("ListTasks", cluster="demo")) == "The referenced cluster was inactive."
    assert desk.call("CreateCluster", clusterName="demo")["cluster"]["status"] == "ACTIVE"
    assert desk.refused("CreateCluster", clusterName="no spaces").code == "InvalidParameterException"


@pytest.mark.parametrize(
    ("cluster", "arn"),
    [
        ("a b", "arn:aws:ecs:us-east-1:123456789012:container-instance/a b/0123"),
        ("arn:aws:ecs:us-west-2:123456789012:cluster/x", "arn:aws:ecs:us-east-1:123456789012:container-instance//0123"),
        ("default", "arn:other:ecs:us-east-1:123456789012:container-instance/default/0123"),
        ("default", "arn:aws:ecs:us-east-1:123456789012:container-instance/default/"),
    ],
)
def test_no_lost_instance_is_adopted_under_a_name_that_could_not_be(cluster: str, arn: str) -> None:
    desk = Desk()

    desk.refused("RegisterContainerInstance", cluster=cluster, containerInstanceArn=arn)

    assert desk.call("ListClusters") == {"clusterArns": []}


DOCUMENT = '{"instanceId": "i-1", "availabilityZone": "us-east-1c", "instanceType": "m5.large", "imageId": "ami-1"}'
BIGGER = DOCUMENT.replace("m5.large", "m5.xlarge")


def attributes(desk: Desk, arn: str) -> dict[str, str]:
    return {attribute["name"]: attribute.get("value", "") for attribute in desk.instance(arn)["attributes"]}


def test_what_a_document_told_stays_known_where_a_later_registration_has_none() -> None:
    desk = Desk()
    arn = desk.register(instanceIdentityDocument=DOCUMENT)
    told = {"ecs.availability-zone": "us-east-1c", "ecs.instance-type": "m5.large", "ecs.ami-id": "ami-1"}
    assert attributes(desk, arn) == told

    desk.register(containerInstanceArn=arn, instanceIdentityDocument="", attributes=[{"name": "ecs.capability.x"}])

    assert attributes(desk, arn) == told | {"ecs.capability.x": ""}
    assert desk.instance(arn)["ec2InstanceId"] == "i-1"


def test_a_host_of_another_type_is_refused_in_the_words_that_end_an_agent() -> None:
    desk = Desk()
    arn = desk.register(instanceIdentityDocument=DOCUMENT)

    fault = desk.refused("RegisterContainerInstance", containerInstanceArn=arn, instanceIdentityDocument=BIGGER)

    host = arn.rpartition("/")[2]
    assert fault.code == "ClientException"
    assert str(fault) == (
        f"Container instance type changes are not supported. Container instance {host} was previously registered as"
        " m5.large."
    )
    assert desk.register(instanceIdentityDocument=BIGGER) != arn


def test_a_host_without_a_document_is_in_the_first_zone_also_when_it_was_lost_and_comes_back() -> None:
    desk = Desk()

    assert attributes(desk, desk.register()) == {"ecs.availability-zone": "us-east-1a"}
    lost = desk.register(containerInstanceArn=LOST, cluster="demo")
    answer = desk.call("DescribeContainerInstances", cluster="demo", containerInstances=[lost])
    assert {"name": "ecs.availability-zone", "value": "us-east-1a"} in answer["containerInstances"][0]["attributes"]


def test_versions_that_a_registration_tells_are_shown_until_the_session_says_others() -> None:
    desk = Desk()
    told = {"agentVersion": "1.0.0", "agentHash": "abc", "dockerVersion": "DockerVersion: 20.10.1"}
    arn = desk.register(versionInfo=told)
    assert desk.instance(arn)["versionInfo"] == told

    desk.connect(arn)

    assert desk.instance(arn)["versionInfo"]["agentVersion"] == "1.105.1"


def test_devices_of_a_registration_are_shown_and_change_with_the_next() -> None:
    desk = Desk()
    arn = desk.register(platformDevices=[{"id": "GPU-1", "type": "GPU"}, {"id": "GPU-2", "type": "GPU"}])
    assert desk.instance(arn)["registeredResources"][-1]["stringSetValue"] == ["GPU-1", "GPU-2"]

    desk.register(containerInstanceArn=arn, platformDevices=[{"id": "GPU-2", "type": "GPU"}])

    assert desk.instance(arn)["registeredResources"][-1]["stringSetValue"] == ["GPU-2"]


@pytest.mark.parametrize(
    "attribute",
    [
        {"name": "ecs.capability.docker-plugin.rexray/ebs.latest"},
        {"name": "ecs.outpost-arn", "value": "arn:aws:outposts:us-west-2:1:outpost/op-1"},
        {"name": "rack-row", "value": "x"},
        {"name": "a" * 128, "value": "b" * 128},
        {"name": "note", "value": "two words"},
        {"name": "empty", "value": ""},
    ],
)
def test_attributes_come_back_as_they_were_sent(attribute: dict[str, str]) -> None:
    desk = Desk()

    assert attributes(desk, desk.register(attributes=[attribute]))[attribute["name"]] == attribute.get("value", "")


@pytest.mark.parametrize(
    ("name", "value"),
    [("", "x"), ("two words", "x"), ("a" * 129, "x"), ("a", "b" * 129), ("a", " b"), ("a", "b "), ("a", "b\n")],
)
def test_an_attribute_that_breaks_a_rule_is_refused(name: str, value: str) -> None:
    fault = Desk().refused("RegisterContainerInstance", attributes=[{"name": name, "value": value}])

    assert fault.code == "InvalidParameterException"
    assert "attributes" in str(fault)


def test_a_host_has_ten_attributes_of_its_operators_own_and_as_many_of_its_agent_as_that_has() -> None:
    desk = Desk()
    agents = [{"name": f"ecs.capability.x{number}"} for number in range(150)]
    own = [{"name": f"own{number}"} for number in range(11)]

    desk.register(attributes=agents + own[:10])

    assert "at most 10" in str(desk.refused("RegisterContainerInstance", attributes=own))


@pytest.mark.parametrize("document", ["{", "[]", '{"a":' + "[" * 3000])
def test_an_identity_document_that_cannot_be_read_is_named(document: str) -> None:
    fault = Desk().refused("RegisterContainerInstance", instanceIdentityDocument=document)

    assert (fault.code, str(fault)) == (
        "InvalidParameterException",
        "instanceIdentityDocument is not a JSON object",
    )
