import json

import pytest

from agent.model.errors import BadInput
from agent.wire.acs_features import MODES, OF_CONTAINERS, OF_TASKS
from agent.wire.acs_spec import read_spec
from tests.wire.acs_samples import a_task, a_task_with, raw


def docker(host: object, **more: object) -> dict[str, object]:
    return {"dockerConfig": {"hostConfig": json.dumps(host)}, **more}


@pytest.mark.parametrize(
    ("changes", "field", "feature"),
    [
        ({"elasticNetworkInterfaces": [{"ec2Id": "eni-1"}]}, "elasticNetworkInterfaces", "elastic network interfaces"),
        ({"networkMode": "awsvpc"}, "networkMode", "awsvpc"),
        ({"associations": [{"type": "elastic-inference"}]}, "associations[0]", "Elastic Inference"),
        ({"associations": [{"type": "odd"}]}, "associations[0]", "associations of type 'odd'"),
        ({"proxyConfiguration": {"type": "APPMESH"}}, "proxyConfiguration", "App Mesh"),
        ({"attachments": [{"attachmentType": "serviceconnectdetail"}]}, "attachments[0]", "Service Connect"),
        ({"attachments": [{"attachmentType": "amazonebs"}]}, "attachments[0]", "EBS volumes"),
        ({"attachments": [{"attachmentType": "s3files"}]}, "attachments[0]", "S3 Files"),
        ({"pidMode": "task"}, "pidMode", "pidMode"),
        ({"ipcMode": "task"}, "ipcMode", "ipcMode"),
    ],
)
def test_a_task_that_asks_for_what_is_not_there_is_refused_by_name(
    changes: dict[str, object], field: str, feature: str
) -> None:
    with pytest.raises(BadInput, match="not supported by this agent yet") as caught:
        read_spec(raw(a_task(**changes)))

    assert caught.value.path == field
    assert feature in caught.value.rule


@pytest.mark.parametrize(
    ("changes", "field", "feature"),
    [
        ({"firelensConfiguration": {"type": "fluentbit"}}, "firelensConfiguration", "FireLens"),
        ({"managedAgents": [{"name": "ExecuteCommandAgent"}]}, "managedAgents", "ECS Exec"),
        ({"credentialSpecs": ["credentialspec:x"]}, "credentialSpecs", "gMSA"),
        (docker({"LogConfig": {"Type": "awsfirelens"}}), "dockerConfig.hostConfig.LogConfig", "FireLens"),
        (docker({"logconfig": {"type": "awsfirelens"}}), "dockerConfig.hostConfig.LogConfig", "FireLens"),
        (docker({"SecurityOpt": ["credentialspec:file://x"]}), "dockerConfig.hostConfig.SecurityOpt", "gMSA"),
    ],
)
def test_a_container_that_asks_for_what_is_not_there_is_refused_by_name(
    changes: dict[str, object], field: str, feature: str
) -> None:
    with pytest.raises(BadInput, match="not supported by this agent yet") as caught:
        read_spec(raw(a_task_with(**changes)))

    assert caught.value.path == f"containers[0].{field}"
    assert feature in caught.value.rule


@pytest.mark.parametrize("nothing", [None, [], {}, "", False])
def test_a_field_that_is_empty_asks_for_nothing(nothing: object) -> None:
    of_container = ("firelensConfiguration", "managedAgents", "credentialSpecs")
    of_task = ("elasticNetworkInterfaces", "proxyConfiguration")
    task = a_task_with(**dict.fromkeys(of_container, nothing)) | dict.fromkeys(of_task, nothing)

    assert read_spec(raw(task)) == read_spec(raw(a_task()))


@pytest.mark.parametrize("nothing", [None, []])
def test_a_list_that_is_empty_asks_for_nothing(nothing: object) -> None:
    lists = ("links", "mountPoints", "volumesFrom", "secrets", "dependsOn", "environmentFiles")
    task = a_task_with(**dict.fromkeys(lists, nothing)) | {"volumes": nothing, "associations": nothing}

    assert read_spec(raw(task)) == read_spec(raw(a_task()))


@pytest.mark.parametrize(
    "changes",
    [
        {"restartPolicy": {"enabled": False, "restartAttemptPeriod": 300}},
        {"registryAuthentication": {}},
        {"healthCheckType": "DOCKER", "privileged": True, "linuxParameters": {"initProcessEnabled": True}},
        {"startTimeout": 0, "networkInterfaceNames": ["eth0"], "logsAuthStrategy": "other"},
    ],
)
def test_what_docker_does_or_nobody_reads_is_no_feature_of_ours(changes: dict[str, object]) -> None:
    assert read_spec(raw(a_task_with(**changes))) == read_spec(raw(a_task()))


@pytest.mark.parametrize(
    "changes",
    [
        docker({"LogConfig": {"Type": "awslogs"}}),
        docker({"LogConfig": {"Type": "json-file"}}, logsAuthStrategy="ExecutionRole"),
        docker({"LogConfig": "odd", "SecurityOpt": "odd"}),
    ],
)
def test_log_drivers_that_docker_serves_alone_are_left_to_it(changes: dict[str, object]) -> None:
    assert read_spec(raw(a_task_with(**changes))).containers[0].host_config


def test_attachments_of_unknown_types_are_nobodys_business_but_one_without_a_type_is_a_mistake() -> None:
    assert read_spec(raw(a_task(attachments=[{"attachmentType": "new"}]))) == read_spec(raw(a_task()))
    with pytest.raises(BadInput, match=r"attachments\[0\].attachmentType: is missing"):
        read_spec(raw(a_task(attachments=[{}])))


def test_every_feature_has_a_name_to_be_refused_by() -> None:
    assert all([*OF_TASKS.values(), *OF_CONTAINERS.values(), *MODES.values()])
