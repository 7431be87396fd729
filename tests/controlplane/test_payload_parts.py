"""Every part of a definition that travels as a part, from the API call to what an agent is told."""

import json
from typing import Any

import pytest

from agent.controlplane.docker_config import named_stream
from agent.controlplane.events import DeliveriesAsked
from agent.controlplane.payload import payload
from agent.wire.acs_spec import read_spec
from tests.controlplane.desk import T0, WEB, Desk

ROLE = "arn:aws:iam::123456789012:role/execution"
ASM = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf"
FILE = {"value": "arn:aws:s3:::bucket/a.env", "type": "s3"}
DB = {"name": "db", "image": "busybox", "memory": 50, "essential": False, "healthCheck": {"command": ["CMD", "x"]}}


def told(*containers: dict[str, object], run: dict[str, object] | None = None, **members: object) -> dict[str, Any]:
    """The task as it goes over the wire."""
    desk = Desk()
    answer = desk.call(
        "RegisterTaskDefinition",
        **{"family": "web", "executionRoleArn": ROLE, "containerDefinitions": list(containers)} | members,
    )
    devices = [{"id": f"GPU-{number}", "type": "GPU"} for number in range(4)]
    required = [*answer["taskDefinition"]["requiresAttributes"], {"name": "ecs.capability.env-files.s3"}]
    host = desk.host(attributes=required, memory=4000, platformDevices=devices)
    desk.run(**(run or {}))
    [delivery] = desk.decide(DeliveriesAsked(host, desk.now)).deliveries
    tasks = payload(delivery, "arn:cluster", {}, T0).tasks
    assert payload(delivery, "arn:cluster", {}, T0).tasks == tasks, "told again, it is told the same"
    assert tasks is not None
    assert read_spec(tasks[0]).containers, "the agent understands all of it"
    task: dict[str, Any] = json.loads(bytes(tasks[0]))
    return task


@pytest.mark.parametrize(
    ("container", "parts"),
    [
        (
            {
                "dependsOn": [{"containerName": "db", "condition": "HEALTHY"}],
                "links": ["db", "db:other"],
                "volumesFrom": [{"sourceContainer": "db"}],
            },
            {
                "dependsOn": [{"containerName": "db", "condition": "HEALTHY"}],
                "links": ["db", "db:other"],
                "volumesFrom": [{"sourceContainer": "db", "readOnly": False}],
            },
        ),
        (
            {"volumesFrom": [{"sourceContainer": "db", "readOnly": True}]},
            {"volumesFrom": [{"sourceContainer": "db", "readOnly": True}]},
        ),
        (
            {"mountPoints": [{"sourceVolume": "v", "containerPath": "/v", "readOnly": True}]},
            {"mountPoints": [{"sourceVolume": "v", "containerPath": "/v", "readOnly": True}]},
        ),
        (
            {"portMappings": [{"containerPortRange": "80-90", "protocol": "udp"}, {"containerPort": 1, "hostPort": 2}]},
            {
                "portMappings": [
                    {"containerPortRange": "80-90", "protocol": "udp"},
                    {"containerPort": 1, "hostPort": 2, "protocol": "tcp"},
                ]
            },
        ),
        (
            {"restartPolicy": {"enabled": True, "ignoredExitCodes": [0], "restartAttemptPeriod": 90}},
            {"restartPolicy": {"enabled": True, "ignoredExitCodes": [0], "restartAttemptPeriod": 90}},
        ),
        ({"restartPolicy": {"enabled": False}}, {"restartPolicy": {"enabled": False}}),
        ({"startTimeout": 5, "stopTimeout": 6}, {"startTimeout": 5, "stopTimeout": 6}),
        ({"environmentFiles": [FILE]}, {"environmentFiles": [FILE]}),
        (
            {
                "secrets": [
                    {"name": "A", "valueFrom": "/near"},
                    {"name": "B", "valueFrom": "arn:aws:ssm:eu-west-1:1:parameter/far"},
                    {"name": "C", "valueFrom": f"{ASM}:key::"},
                ]
            },
            {
                "secrets": [
                    {
                        "name": "A",
                        "valueFrom": "/near",
                        "region": "us-east-1",
                        "provider": "ssm",
                        "type": "ENVIRONMENT_VARIABLE",
                        "target": "CONTAINER",
                    },
                    {
                        "name": "B",
                        "valueFrom": "arn:aws:ssm:eu-west-1:1:parameter/far",
                        "region": "eu-west-1",
                        "provider": "ssm",
                        "type": "ENVIRONMENT_VARIABLE",
                        "target": "CONTAINER",
                    },
                    {
                        "name": "C",
                        "valueFrom": f"{ASM}:key::",
                        "region": "eu-west-1",
                        "provider": "asm",
                        "type": "ENVIRONMENT_VARIABLE",
                        "target": "CONTAINER",
                    },
                ]
            },
        ),
        (
            {
                "logConfiguration": {
                    "logDriver": "splunk",
                    "secretOptions": [{"name": "splunk-token", "valueFrom": "t"}],
                }
            },
            {
                "secrets": [
                    {
                        "name": "splunk-token",
                        "valueFrom": "t",
                        "region": "us-east-1",
                        "provider": "ssm",
                        "type": "BOOTSTRAP",
                        "target": "LOG_DRIVER",
                    }
                ]
            },
        ),
        (
            {"repositoryCredentials": {"credentialsParameter": ASM}},
            {
                "registryAuthentication": {
                    "type": "asm",
                    "asmAuthData": {"credentialsParameter": ASM, "region": "eu-west-1"},
                }
            },
        ),
        (
            {"image": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/a:1"},
            {
                "registryAuthentication": {
                    "type": "ecr",
                    "ecrAuthData": {"registryId": "123456789012", "region": "eu-west-1", "useExecutionRole": True},
                }
            },
        ),
        (
            {
                "logConfiguration": {
                    "logDriver": "awslogs",
                    "options": {"awslogs-group": "g", "awslogs-region": "us-east-1"},
                }
            },
            {"logsAuthStrategy": "ExecutionRole"},
        ),
    ],
)
def test_a_part_of_a_container_is_told(container: dict[str, object], parts: dict[str, object]) -> None:
    task = told(WEB | container, DB, volumes=[{"name": "v"}])

    assert {part: task["containers"][0].get(part) for part in parts} == parts


def test_what_a_container_does_not_ask_for_is_not_told() -> None:
    [container] = told(WEB)["containers"]

    assert set(container) == {
        "name",
        "image",
        "containerArn",
        "essential",
        "cpu",
        "memory",
        "environment",
        "portMappings",
        "dockerConfig",
    }


@pytest.mark.parametrize(
    ("volume", "wire"),
    [
        ({}, {"type": "host", "host": {}}),
        ({"host": {"sourcePath": "/a"}}, {"type": "host", "host": {"sourcePath": "/a"}}),
        (
            {
                "dockerVolumeConfiguration": {
                    "scope": "shared",
                    "autoprovision": True,
                    "driver": "local",
                    "driverOpts": {"type": "tmpfs"},
                    "labels": {"team": "a"},
                }
            },
            {
                "type": "docker",
                "dockerVolumeConfiguration": {
                    "scope": "shared",
                    "autoprovision": True,
                    "driver": "local",
                    "driverOpts": {"type": "tmpfs"},
                    "labels": {"team": "a"},
                },
            },
        ),
        (
            {
                "efsVolumeConfiguration": {
                    "fileSystemId": "fs-1",
                    "transitEncryption": "ENABLED",
                    "transitEncryptionPort": 2999,
                    "authorizationConfig": {"accessPointId": "fsap-1", "iam": "ENABLED"},
                }
            },
            {
                "type": "efs",
                "efsVolumeConfiguration": {
                    "fileSystemId": "fs-1",
                    "rootDirectory": "/",
                    "transitEncryption": "ENABLED",
                    "transitEncryptionPort": 2999,
                    "authorizationConfig": {"accessPointId": "fsap-1", "iam": "ENABLED"},
                },
            },
        ),
    ],
)
def test_a_volume_is_told(volume: dict[str, object], wire: dict[str, object]) -> None:
    assert told(WEB, volumes=[{"name": "v"} | volume])["volumes"] == [{"name": "v"} | wire]


def test_limits_and_namespaces_of_a_task_are_told() -> None:
    task = told(WEB, cpu="512", memory="1 GB", pidMode="host", ipcMode="none")

    assert (task["cpu"], task["memory"], task["pidMode"], task["ipcMode"]) == (0.5, 1024, "host", "none")


def test_a_task_is_told_what_it_is_launched_as_and_that_it_may_have_faults() -> None:
    plain, faulty = told(WEB), told(WEB, enableFaultInjection=True)

    assert (plain["launchType"], plain.get("enableFaultInjection")) == ("EC2", None)
    assert (faulty["launchType"], faulty["enableFaultInjection"]) == ("EC2", True)


def test_overrides_take_the_place_of_files_and_gpus() -> None:
    other = FILE | {"value": "arn:aws:s3:::bucket/b.env"}
    gpus = [{"type": "GPU", "value": "2"}]
    override = {"name": "web", "environmentFiles": [other], "resourceRequirements": gpus}

    task = told(
        WEB | {"environmentFiles": [FILE], "resourceRequirements": [{"type": "GPU", "value": "1"}]},
        DB | {"resourceRequirements": [{"type": "GPU", "value": "1"}]},
        run={"overrides": {"containerOverrides": [override]}},
    )

    assert task["containers"][0]["environmentFiles"] == [other]
    assert task["associations"] == [
        {"name": "GPU-0", "type": "gpu", "containers": ["web"]},
        {"name": "GPU-1", "type": "gpu", "containers": ["web"]},
        {"name": "GPU-2", "type": "gpu", "containers": ["db"]},
    ]


@pytest.mark.parametrize(
    ("container", "version"),
    [
        ({}, "1.17"),
        ({"healthCheck": {"command": ["CMD", "x"]}}, "1.24"),
        ({"systemControls": [{"namespace": "net.core.somaxconn", "value": "1"}]}, "1.24"),
        ({"healthCheck": {"command": ["CMD", "x"]}, "linuxParameters": {"initProcessEnabled": True}}, "1.25"),
    ],
)
def test_the_documents_say_which_docker_understands_them(container: dict[str, object], version: str) -> None:
    assert told(WEB | container)["containers"][0]["dockerConfig"]["version"] == version


@pytest.mark.parametrize(
    ("driver", "options", "sent"),
    [
        ("awslogs", {"awslogs-stream-prefix": "p"}, {"awslogs-stream": "p/web/0f1e"}),
        ("awslogs", {"awslogs-group": "g"}, {"awslogs-group": "g"}),
        ("splunk", {"awslogs-stream-prefix": "p"}, {"awslogs-stream-prefix": "p"}),
    ],
)
def test_a_stream_of_logs_is_named_by_its_prefix_the_container_and_the_task(
    driver: str, options: dict[str, str], sent: dict[str, str]
) -> None:
    log = {"Type": driver, "Config": options}

    assert named_stream(log, "web", "arn:aws:ecs:us-east-1:123456789012:task/default/0f1e") == {**log, "Config": sent}
