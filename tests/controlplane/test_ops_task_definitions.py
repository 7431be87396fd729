import pytest

from tests.controlplane.desk import WEB, Desk


def test_a_definition_reads_back_with_its_defaults() -> None:
    desk = Desk()

    answer = desk.call(
        "RegisterTaskDefinition",
        family="web",
        containerDefinitions=[
            {
                "name": "web",
                "image": "i",
                "portMappings": [{"containerPort": 80}],
                "healthCheck": {"command": ["CMD", "x"]},
            }
        ],
        cpu=".5 vcpu",
        memory="1 GB",
        tags=[{"key": "a", "value": ""}],
    )

    shown = answer["taskDefinition"]
    assert answer["tags"] == [{"key": "a", "value": ""}]
    assert (shown["cpu"], shown["memory"], shown["networkMode"]) == ("512", "1024", "bridge")
    assert (shown["revision"], shown["status"], shown["compatibilities"]) == (1, "ACTIVE", ["EXTERNAL", "EC2"])
    [container] = shown["containerDefinitions"]
    assert container["portMappings"] == [{"containerPort": 80, "hostPort": 0, "protocol": "tcp"}]
    assert container["healthCheck"] == {"command": ["CMD", "x"], "interval": 30, "timeout": 5, "retries": 3}
    assert (container["essential"], container["cpu"], container["environment"]) == (True, 0, [])
    assert {"name": "ecs.capability.task-cpu-mem-limit"} in shown["requiresAttributes"]


def test_revisions_only_grow_and_a_family_is_its_latest_active_one() -> None:
    desk = Desk()
    first, second = desk.define(), desk.define()

    desk.call("DeregisterTaskDefinition", taskDefinition="web:2")

    assert desk.call("DescribeTaskDefinition", taskDefinition="web")["taskDefinition"]["taskDefinitionArn"] == first
    shown = desk.call("DescribeTaskDefinition", taskDefinition=second)["taskDefinition"]
    assert (shown["status"], shown["deregisteredAt"]) == ("INACTIVE", desk.now.timestamp())
    assert desk.define().endswith("web:3")
    assert desk.refused("DeregisterTaskDefinition", taskDefinition="web").code == "ClientException"
    assert desk.refused("DescribeTaskDefinition", taskDefinition="none").code == "ClientException"
    desk.call("DeregisterTaskDefinition", taskDefinition="web:2")
    assert not desk.last.changes
    desk.host()
    assert str(desk.refused("RunTask", taskDefinition="web:2")) == "TaskDefinition is inactive"


def test_definitions_are_listed_by_number_not_by_letter() -> None:
    desk = Desk()
    arns = [desk.define() for _ in range(11)]
    other = desk.define(family="web2")

    assert desk.call("ListTaskDefinitions", familyPrefix="web")["taskDefinitionArns"] == arns
    assert desk.call("ListTaskDefinitions", sort="DESC")["taskDefinitionArns"] == [other, *reversed(arns)]
    page = desk.call("ListTaskDefinitions", sort="DESC", maxResults=10)
    rest = desk.call("ListTaskDefinitions", sort="DESC", maxResults=10, nextToken=page["nextToken"])
    assert page["taskDefinitionArns"] + rest["taskDefinitionArns"] == [other, *reversed(arns)]


@pytest.mark.parametrize(
    ("container", "text"),
    [
        ({"name": ""}, "Container.name should not be null or empty."),
        ({"name": "a b"}, "Container.name"),
        ({"image": ""}, "Container.image should not be null or empty."),
        ({"memory": None}, "At least one of 'memory' or 'memoryReservation' must be specified."),
        ({"memory": 5}, "memory of container 'web'"),
        ({"memoryReservation": 101}, "memoryReservation of container 'web'"),
        ({"cpu": -1}, "cpu of container 'web'"),
        ({"essential": False}, "essential"),
        ({"stopTimeout": 121}, "stopTimeout"),
        ({"portMappings": [{"containerPort": 0}]}, "containerPort"),
        ({"portMappings": [{"containerPort": 1, "hostPort": 70000}]}, "hostPort"),
        ({"portMappings": [{"containerPort": 5}, {"containerPort": 5, "protocol": "udp"}]}, "both tcp and udp"),
        ({"portMappings": [{"containerPort": 5, "protocol": "sctp"}]}, "protocol must be one of tcp, udp"),
        ({"healthCheck": {"command": ["x"]}}, "healthCheck.command"),
        ({"healthCheck": {"command": ["NONE"]}}, "healthCheck.command"),
        ({"healthCheck": {"command": []}}, "healthCheck.command"),
        ({"healthCheck": {"command": ["CMD"], "interval": 1}}, "healthCheck.interval"),
        ({"environment": [{"value": "x"}]}, "environment"),
        ({"systemControls": [{"namespace": "net.core.somaxconn"}]}, "systemControls of container 'web'"),
        ({"systemControls": [{"value": "9"}]}, "systemControls of container 'web'"),
        ({"ulimits": [{"name": "core"}]}, "containerDefinitions[0].ulimits[0].softLimit is required"),
        ({"logConfiguration": {"logDriver": "awsfirelens"}}, "does not support logDriver awsfirelens"),
        ({"firelensConfiguration": {"type": "fluentbit"}}, "does not support firelensConfiguration"),
        ({"credentialSpecs": ["credentialspec:a"]}, "does not support credentialSpecs"),
        ({"dockerSecurityOptions": ["credentialspec:a"]}, "does not support credentialspec"),
    ],
)
def test_a_bad_container_is_a_client_exception_that_names_it(container: dict[str, object], text: str) -> None:
    fault = Desk().refused("RegisterTaskDefinition", family="web", containerDefinitions=[WEB | container])

    assert fault.code == "ClientException"
    assert text in str(fault)


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({"family": "a b"}, "Family"),
        ({"containerDefinitions": []}, "at least one container"),
        ({"containerDefinitions": None}, "containerDefinitions is required"),
        ({"containerDefinitions": [WEB, WEB]}, "more than once"),
        ({"containerDefinitions": [WEB | {"name": f"c{number}"} for number in range(11)]}, "at most 10"),
        ({"cpu": "1 cow"}, "'cpu'"),
        ({"cpu": "100"}, "'cpu'"),
        ({"cpu": "128", "containerDefinitions": [WEB | {"cpu": 129}]}, "total cpu"),
        ({"memory": "99"}, "total memory"),
        ({"memory": "0"}, "'memory'"),
        ({"networkMode": "awsvpc"}, "networkMode awsvpc"),
        ({"requiresCompatibilities": ["FARGATE"]}, "requiresCompatibilities FARGATE"),
        ({"pidMode": "task"}, "does not support pidMode task"),
        ({"ipcMode": "task"}, "does not support ipcMode task"),
        ({"proxyConfiguration": {"containerName": "web"}}, "does not support proxyConfiguration"),
        ({"inferenceAccelerators": [{"deviceName": "a", "deviceType": "b"}]}, "does not support inferenceAccelerators"),
        ({"placementConstraints": [{"type": "memberOf", "expression": "x"}]}, "placementConstraints"),
        ({"runtimePlatform": {"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE"}}, "operatingSystemFamily"),
        ({"networkMode": "none", "containerDefinitions": [WEB | {"portMappings": [{"containerPort": 1}]}]}, "none"),
        (
            {
                "networkMode": "host",
                "containerDefinitions": [WEB | {"portMappings": [{"containerPort": 1, "hostPort": 2}]}],
            },
            "equal to containerPort",
        ),
        ({"networkMode": "host", "containerDefinitions": [WEB | {"hostname": "h"}]}, "hostname"),
        ({"tags": [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]}, "same key"),
        ({"tags": [{"key": "a", "value": "!"}]}, "tags.value"),
        ({"tags": [{"key": "", "value": ""}]}, "tags[0].key"),
    ],
)
def test_a_bad_task_definition_is_a_client_exception_that_names_it(members: dict[str, object], text: str) -> None:
    fault = Desk().refused("RegisterTaskDefinition", **{"family": "web", "containerDefinitions": [WEB]} | members)

    assert fault.code == "ClientException"
    assert text in str(fault)


@pytest.mark.parametrize("name", ["web:", "arn:aws:ecs:us-east-1:123456789012:task-definition/web:"])
def test_a_colon_alone_is_no_revision(name: str) -> None:
    desk = Desk()
    desk.define()

    assert str(desk.refused("DeregisterTaskDefinition", taskDefinition=name)) == "Revision is missing."
    assert desk.refused("DescribeTaskDefinition", taskDefinition=name).code == "InvalidParameterException"


def test_a_revision_of_thousands_of_digits_is_only_unknown() -> None:
    fault = Desk().refused("DescribeTaskDefinition", taskDefinition="web:" + "9" * 5000)

    assert (fault.code, str(fault)) == ("ClientException", "Unable to describe task definition.")


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:ecs:us-east-1:123456789012:task-definition/other/web:1",
        "arn:aws-cn:ecs:us-east-1:123456789012:task-definition/web:1",
        "arn:aws:ecs:us-west-2:123456789012:task-definition/web:1",
        "arn:aws:ecs:us-east-1:999999999999:task-definition/web:1",
        "arn:aws:ecs:us-east-1:123456789012:cluster/web:1",
    ],
)
def test_an_arn_that_is_not_quite_ours_names_nothing(arn: str) -> None:
    desk = Desk()
    desk.define()

    assert str(desk.refused("DescribeTaskDefinition", taskDefinition=arn)) == "Unable to describe task definition."


def test_a_token_is_good_for_its_own_list_only() -> None:
    desk = Desk()
    for family in ("a", "b"):
        desk.define(family=family)
    token = desk.call("ListTaskDefinitions", maxResults=1)["nextToken"]

    assert desk.refused("ListClusters", nextToken=token).code == "InvalidParameterException"
