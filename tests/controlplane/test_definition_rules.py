"""Each rule of a task definition: what breaks it, and that what keeps it is taken."""

import pytest

from agent.controlplane.definition_order import find_cycle
from agent.controlplane.definition_values import Keeper, keeper_of
from tests.controlplane.desk import WEB, Desk

ROLE = "arn:aws:iam::123456789012:role/execution"
ASM = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf"
INIT = WEB | {"name": "init", "essential": False}
HEALTH = {"command": ["CMD", "true"]}
EFS = {"fileSystemId": "fs-1"}


def depends(name: str, condition: str = "START") -> dict[str, object]:
    return {"dependsOn": [{"containerName": name, "condition": condition}]}


def limit(name: str, soft: int, hard: int) -> dict[str, object]:
    return {"name": name, "softLimit": soft, "hardLimit": hard}


def linux(**members: object) -> dict[str, object]:
    return {"linuxParameters": members}


@pytest.mark.parametrize(
    ("container", "text"),
    [
        ({"startTimeout": 1}, "startTimeout of container 'web' must be between 2 and 120"),
        ({"startTimeout": 121}, "startTimeout"),
        ({"restartPolicy": {"enabled": True, "restartAttemptPeriod": 59}}, "between 60 and 1800"),
        ({"restartPolicy": {"enabled": True, "restartAttemptPeriod": 1801}}, "between 60 and 1800"),
        ({"restartPolicy": {"enabled": True, "ignoredExitCodes": list(range(51))}}, "at most 50"),
        ({"restartPolicy": {}}, "restartPolicy.enabled is required"),
        ({"healthCheck": HEALTH | {"timeout": 61}}, "healthCheck.timeout of container 'web' must be between 2 and 60"),
        ({"healthCheck": HEALTH | {"retries": 11}}, "healthCheck.retries"),
        ({"healthCheck": HEALTH | {"startPeriod": 301}}, "healthCheck.startPeriod"),
        ({"mountPoints": [{"sourceVolume": "x", "containerPath": "/v"}]}, "Unknown volume 'x'."),
        ({"mountPoints": [{"containerPath": "/v"}]}, "Unknown volume ''."),
        ({"mountPoints": [{"sourceVolume": "v", "containerPath": "v"}]}, "absolute path"),
        ({"mountPoints": [{"sourceVolume": "v", "containerPath": "/"}]}, "over /"),
        ({"mountPoints": [{"sourceVolume": "v", "containerPath": p} for p in ("/a", "/a/")]}, "/a more than once"),
        ({"volumesFrom": [{"sourceContainer": "gone"}]}, "volumes of container 'gone'"),
        ({"volumesFrom": [{"readOnly": True}]}, "without a sourceContainer"),
        ({"volumesFrom": [{"sourceContainer": "init"}] * 2}, "'init' more than once"),
        ({"volumesFrom": [{"sourceContainer": "web"}]}, "in a circle: web -> web."),
        (depends("gone"), "Cannot depend on container 'gone' because it does not exist."),
        (depends("web"), "in a circle: web -> web."),
        (depends("init", "LATER"), "condition must be one of"),
        ({"dependsOn": [{"containerName": "init", "condition": "START"}] * 2}, "'init' more than once"),
        (
            depends("main", "SUCCESS"),
            "A dependency container with SUCCESS or COMPLETE condition cannot be an essential container.",
        ),
        (depends("main", "COMPLETE"), "cannot be an essential container"),
        (depends("init", "HEALTHY"), "must have a healthCheck: 'init' has none."),
        ({"links": ["gone"]}, "Cannot link to container 'gone' because it does not exist."),
        ({"links": ["init:a:b"]}, "must be container names, or name:alias"),
        ({"links": ["init:"]}, "must be container names, or name:alias"),
        ({"links": ["init:x", "main:x"]}, "'x' more than once"),
        ({"links": ["web"]}, "in a circle: web -> web."),
        ({"portMappings": [{"containerPortRange": "90-80"}]}, "a first and a last port"),
        ({"portMappings": [{"containerPortRange": "80-80"}]}, "a first and a last port"),
        ({"portMappings": [{"containerPortRange": "0-80"}]}, "a first and a last port"),
        ({"portMappings": [{"containerPortRange": "80-65536"}]}, "a first and a last port"),
        ({"portMappings": [{"containerPortRange": "80-90", "hostPort": 80}]}, "hostPort of container 'web' cannot"),
        ({"portMappings": [{"containerPortRange": r} for r in ("80-90", "90-99")]}, "must not overlap"),
        ({"portMappings": [{"containerPortRange": "80-90"}, {"containerPort": 85}]}, "containerPort 85"),
        (
            {"portMappings": [{"containerPortRange": f"{2 * n + 1}-{2 * n + 2}"} for n in range(101)]},
            "at most 100 port ranges",
        ),
        ({"environmentFiles": [{"value": "arn:aws:s3:::b/a.txt", "type": "s3"}]}, "end in .env"),
        ({"environmentFiles": [{"value": "s3://b/a.env", "type": "s3"}]}, "ARNs of objects in S3"),
        ({"environmentFiles": [{"value": "arn:aws:s3:::b/a.env", "type": "s3"}] * 11}, "at most 10"),
        ({"environmentFiles": [{"value": "arn:aws:s3:::b/a.env", "type": "ftp"}]}, "type must be one of s3"),
        ({"secrets": [{"name": "", "valueFrom": "b"}]}, "secrets of container 'web' holds an entry without a name"),
        ({"secrets": [{"name": "A", "valueFrom": ""}]}, "valueFrom of 'A'"),
        ({"secrets": [{"name": "A", "valueFrom": "arn:aws:s3:::bucket/key"}]}, "valueFrom of 'A'"),
        ({"secrets": [{"name": "A", "valueFrom": "x"}] * 2}, "'A' more than once"),
        (
            {"secrets": [{"name": "A", "valueFrom": "x"}], "environment": [{"name": "A", "value": "1"}]},
            "existing environment variables set on the container, such as 'A'.",
        ),
        (
            {"logConfiguration": {"logDriver": "gelf", "secretOptions": [{"name": "A", "valueFrom": ""}]}},
            "logConfiguration.secretOptions of container 'web': valueFrom of 'A'",
        ),
        ({"repositoryCredentials": {"credentialsParameter": ""}}, "credentialsParameter"),
        (
            {
                "logConfiguration": {
                    "logDriver": "splunk",
                    "options": {"token": "x"},
                    "secretOptions": [{"name": "token", "valueFrom": "x"}],
                }
            },
            "sets option token and keeps it secret",
        ),
        ({"logConfiguration": {"logDriver": "awslogs"}}, "requires options: awslogs-region, awslogs-group"),
        (
            {"logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "g"}}},
            "Log driver awslogs requires options: awslogs-region (",
        ),
        ({"resourceRequirements": [{"type": "GPU", "value": "0"}]}, "number of GPUs"),
        ({"resourceRequirements": [{"type": "GPU"}]}, "number of GPUs"),
        ({"resourceRequirements": [{"type": "GPU", "value": "9" * 5000}]}, "number of GPUs"),
        ({"resourceRequirements": [{"type": "GPU", "value": "1"}] * 2}, "more than one entry of type GPU"),
        ({"resourceRequirements": [{"type": "InferenceAccelerator", "value": "a"}]}, "of type InferenceAccelerator"),
        ({"resourceRequirements": [{"type": "NeuronDevice", "value": "1"}]}, "of type NeuronDevice"),
        ({"systemControls": [{"namespace": "vm.swappiness", "value": "1"}]}, "'vm.swappiness' is no parameter"),
        ({"systemControls": [{"namespace": "net.a", "value": "1"}] * 2}, "net.a more than once"),
        ({"ulimits": [limit("nofile", 9, 8)]}, "must not exceed its hardLimit"),
        ({"ulimits": [limit("nofile", -1, 8)]}, "must not exceed its hardLimit"),
        ({"ulimits": [limit("nofile", -2, -2)]}, "-1 (none) or more"),
        ({"ulimits": [limit("nofile", 1, 1)] * 2}, "nofile more than once"),
        (linux(capabilities={"add": ["FLY"]}), "'FLY' is no capability"),
        (linux(capabilities={"drop": ["CAP_CHOWN"]}), "capabilities.drop of container 'web'"),
        (linux(devices=[{"hostPath": "null"}]), "absolute paths"),
        (linux(devices=[{"hostPath": "/dev/null", "containerPath": "x"}]), "absolute paths"),
        (linux(tmpfs=[{"containerPath": "/t", "size": 0}]), "at least 1 MiB"),
        (linux(tmpfs=[{"containerPath": "t", "size": 1}]), "absolute containerPath"),
        (linux(tmpfs=[{"containerPath": "/t", "size": 1}] * 2), "/t more than once"),
        (linux(tmpfs=[{"containerPath": "/t", "size": 1, "mountOptions": ["fast"]}]), "'fast' is no mount option"),
        (linux(sharedMemorySize=-1), "sharedMemorySize of container 'web' must not be negative"),
        (linux(maxSwap=-1), "maxSwap of container 'web' must not be negative"),
        (linux(swappiness=101, maxSwap=1), "swappiness of container 'web' must be between 0 and 100"),
        (linux(maxSwap=1) | {"memory": None, "memoryReservation": 9}, "maxSwap of container 'web' needs its memory"),
    ],
)
def test_a_broken_rule_is_told_with_the_field_and_the_container(container: dict[str, object], text: str) -> None:
    main = WEB | {"name": "main"}

    fault = Desk().refused(
        "RegisterTaskDefinition",
        family="web",
        containerDefinitions=[WEB | container, INIT, main],
        volumes=[{"name": "v"}],
        executionRoleArn=ROLE,
    )

    assert fault.code == "ClientException"
    assert text in str(fault)


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({"volumes": [{"name": "a b"}]}, "Volume.name"),
        ({"volumes": [{"host": {}}]}, "Volume.name"),
        ({"volumes": [{"name": "v"}, {"name": "v"}]}, "Volume name 'v' is used more than once."),
        ({"volumes": [{"name": "v", "host": {"sourcePath": ""}}]}, "host.sourcePath should not be blank."),
        ({"volumes": [{"name": "v", "host": {"sourcePath": "data"}}]}, "absolute path"),
        (
            {"volumes": [{"name": "v", "host": {"sourcePath": "/a"}, "dockerVolumeConfiguration": {"driver": "d"}}]},
            "host and dockerVolumeConfiguration of volume 'v' exclude each other.",
        ),
        ({"volumes": [{"name": "v", "dockerVolumeConfiguration": {"autoprovision": True}}]}, "autoprovision"),
        ({"volumes": [{"name": "v", "dockerVolumeConfiguration": {"driver": ""}}]}, "driver"),
        ({"volumes": [{"name": "v", "dockerVolumeConfiguration": {"scope": "world"}}]}, "scope must be one of"),
        ({"volumes": [{"name": "v", "efsVolumeConfiguration": {"fileSystemId": ""}}]}, "fileSystemId"),
        (
            {"volumes": [{"name": "v", "efsVolumeConfiguration": EFS | {"authorizationConfig": {"iam": "ENABLED"}}}]},
            "must be ENABLED to use IAM",
        ),
        (
            {
                "volumes": [
                    {"name": "v", "efsVolumeConfiguration": EFS | {"authorizationConfig": {"accessPointId": "fsap-1"}}}
                ]
            },
            "must be ENABLED to use an access point",
        ),
        (
            {
                "volumes": [
                    {
                        "name": "v",
                        "efsVolumeConfiguration": EFS
                        | {
                            "authorizationConfig": {"accessPointId": "fsap-1"},
                            "transitEncryption": "ENABLED",
                            "rootDirectory": "/x",
                        },
                    }
                ]
            },
            "absent or / with an access point",
        ),
        ({"volumes": [{"name": "v", "efsVolumeConfiguration": EFS | {"transitEncryptionPort": 70000}}]}, "Port"),
        ({"volumes": [{"name": "v", "configuredAtLaunch": True}]}, "does not support configuredAtLaunch"),
        (
            {"volumes": [{"name": "v", "s3filesVolumeConfiguration": {"fileSystemArn": "a"}}]},
            "does not support s3filesVolumeConfiguration",
        ),
        ({"containerDefinitions": [WEB | {"secrets": [{"name": "A", "valueFrom": "x"}]}]}, "'executionRoleArn'"),
        (
            {"containerDefinitions": [WEB | {"repositoryCredentials": {"credentialsParameter": ASM}}]},
            "'executionRoleArn'",
        ),
        ({"networkMode": "host", "containerDefinitions": [WEB | {"links": ["init"]}, INIT]}, "networkMode=host."),
        (
            {"networkMode": "host", "containerDefinitions": [WEB | {"portMappings": [{"containerPortRange": "1-2"}]}]},
            "containerPortRange",
        ),
        (
            {
                "networkMode": "host",
                "containerDefinitions": [WEB | {"systemControls": [{"namespace": "net.a", "value": "1"}]}],
            },
            "networkMode host",
        ),
        (
            {
                "ipcMode": "host",
                "containerDefinitions": [WEB | {"systemControls": [{"namespace": "kernel.sem", "value": "1"}]}],
            },
            "ipcMode host",
        ),
        (
            {
                "containerDefinitions": [
                    WEB | {"links": ["b"]},
                    WEB | {"name": "b", "volumesFrom": [{"sourceContainer": "c"}]},
                    WEB | {"name": "c"} | depends("web"),
                ]
            },
            "The containers wait for each other in a circle: web -> b -> c -> web.",
        ),
    ],
)
def test_a_broken_rule_of_a_whole_task_is_told(members: dict[str, object], text: str) -> None:
    fault = Desk().refused("RegisterTaskDefinition", **{"family": "web", "containerDefinitions": [WEB]} | members)

    assert fault.code == "ClientException"
    assert text in str(fault)


@pytest.mark.parametrize(
    "container",
    [
        {"startTimeout": 2, "stopTimeout": 120, "versionConsistency": "disabled"},
        {"restartPolicy": {"enabled": True, "restartAttemptPeriod": 60, "ignoredExitCodes": [0, 137]}},
        {"restartPolicy": {"enabled": False}},
        {"memory": 6, "memoryReservation": 6},
        depends("init", "COMPLETE") | {"links": ["init:alias"], "volumesFrom": [{"sourceContainer": "init"}]},
        {"portMappings": [{"containerPortRange": "1-2", "protocol": "udp"}, {"containerPortRange": "3-65535"}]},
        {"mountPoints": [{"sourceVolume": "v", "containerPath": p} for p in ("/a", "/b")]},
        {"ulimits": [limit("core", -1, -1), limit("nofile", 5, -1), limit("nproc", 0, 0)]},
        {"systemControls": [{"namespace": n, "value": "1"} for n in ("net.core.somaxconn", "fs.mqueue.msg_max")]},
        {"resourceRequirements": [{"type": "GPU", "value": "2"}]},
        {"logConfiguration": {"logDriver": "gelf", "options": {"gelf-address": "udp://127.0.0.1:9"}}},
        linux(maxSwap=0, swappiness=0, sharedMemorySize=0, initProcessEnabled=False),
        linux(swappiness=50),
        linux(tmpfs=[{"containerPath": "/t", "size": 1, "mountOptions": ["mode=755", "ro"]}]),
    ],
)
def test_what_keeps_the_rules_reads_back_as_it_was_given(container: dict[str, object]) -> None:
    answer = Desk().call(
        "RegisterTaskDefinition",
        family="web",
        containerDefinitions=[WEB | container, INIT],
        volumes=[{"name": "v"}],
    )

    read = answer["taskDefinition"]["containerDefinitions"][0]
    for member, value in container.items():
        if member != "portMappings":
            assert read[member] == value
    if "portMappings" in container:
        assert read["portMappings"] == [
            {"containerPortRange": "1-2", "protocol": "udp"},
            {"containerPortRange": "3-65535", "protocol": "tcp"},
        ]


def test_volumes_read_back_with_their_defaults() -> None:
    efs = EFS | {"transitEncryption": "ENABLED", "authorizationConfig": {"accessPointId": "fsap-1", "iam": "ENABLED"}}

    answer = Desk().call(
        "RegisterTaskDefinition",
        family="web",
        containerDefinitions=[WEB],
        volumes=[
            {"name": "a"},
            {"name": "b", "host": {"sourcePath": "/b"}},
            {"name": "c", "host": {}, "dockerVolumeConfiguration": {"driver": "d"}},
            {"name": "d", "efsVolumeConfiguration": efs},
        ],
    )

    assert answer["taskDefinition"]["volumes"] == [
        {"name": "a", "host": {}},
        {"name": "b", "host": {"sourcePath": "/b"}},
        {"name": "c", "dockerVolumeConfiguration": {"scope": "task", "driver": "d"}},
        {"name": "d", "efsVolumeConfiguration": efs | {"rootDirectory": "/"}},
    ]


@pytest.mark.parametrize(
    ("container", "attributes"),
    [
        (depends("init"), ["ecs.capability.container-ordering"]),
        ({"startTimeout": 9}, ["ecs.capability.container-ordering"]),
        ({"stopTimeout": 9}, ["ecs.capability.container-ordering"]),
        ({"links": ["init"], "volumesFrom": [{"sourceContainer": "init"}]}, []),
        ({"healthCheck": HEALTH}, ["ecs.capability.container-health-check"]),
        ({"restartPolicy": {"enabled": True}}, ["ecs.capability.container-restart-policy"]),
        ({"restartPolicy": {"enabled": False}}, []),
        ({"portMappings": [{"containerPortRange": "1-2"}]}, ["ecs.capability.network.container-port-range"]),
        ({"environmentFiles": [{"value": "arn:aws:s3:::b/a.env", "type": "s3"}]}, ["ecs.capability.env-files.s3"]),
        (
            {"repositoryCredentials": {"credentialsParameter": ASM}},
            ["ecs.capability.private-registry-authentication.secretsmanager"],
        ),
        (
            {"secrets": [{"name": "A", "valueFrom": "a"}, {"name": "B", "valueFrom": ASM}]},
            ["ecs.capability.secrets.ssm.environment-variables", "ecs.capability.secrets.asm.environment-variables"],
        ),
        (
            {"logConfiguration": {"logDriver": "gelf", "secretOptions": [{"name": "A", "valueFrom": ASM}]}},
            [
                "com.amazonaws.ecs.capability.logging-driver.gelf",
                "com.amazonaws.ecs.capability.docker-remote-api.1.18",
                "ecs.capability.secrets.asm.bootstrap.log-driver",
            ],
        ),
        (
            {"image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/a:1"},
            ["com.amazonaws.ecs.capability.ecr-auth", "ecs.capability.execution-role-ecr-pull"],
        ),
        (
            {
                "logConfiguration": {
                    "logDriver": "awslogs",
                    "options": {"awslogs-group": "g", "awslogs-region": "us-east-1"},
                }
            },
            [
                "com.amazonaws.ecs.capability.logging-driver.awslogs",
                "com.amazonaws.ecs.capability.docker-remote-api.1.19",
                "ecs.capability.execution-role-awslogs",
            ],
        ),
        ({"privileged": True}, ["com.amazonaws.ecs.capability.privileged-container"]),
        ({"dockerLabels": {"a": "b"}}, ["com.amazonaws.ecs.capability.docker-remote-api.1.18"]),
        ({"ulimits": [limit("core", 0, 0)]}, ["com.amazonaws.ecs.capability.docker-remote-api.1.18"]),
        ({"dockerSecurityOptions": ["apparmor:a"]}, ["com.amazonaws.ecs.capability.apparmor"]),
        (linux(initProcessEnabled=True), ["com.amazonaws.ecs.capability.docker-remote-api.1.25"]),
    ],
)
def test_a_container_asks_for_what_an_agent_must_be_able_to_do(
    container: dict[str, object], attributes: list[str]
) -> None:
    answer = Desk().call(
        "RegisterTaskDefinition",
        family="web",
        containerDefinitions=[WEB | container, INIT],
        executionRoleArn=ROLE,
    )

    assert [one["name"] for one in answer["taskDefinition"]["requiresAttributes"]] == attributes


@pytest.mark.parametrize(
    ("members", "attributes"),
    [
        ({"memory": "512"}, ["task-cpu-mem-limit"]),
        ({"taskRoleArn": ROLE}, ["com.amazonaws.ecs.capability.task-iam-role"]),
        (
            {"taskRoleArn": ROLE, "networkMode": "host"},
            ["com.amazonaws.ecs.capability.task-iam-role-network-host"],
        ),
        ({"enableFaultInjection": True}, ["fault-injection"]),
        ({"enableFaultInjection": False}, []),
        ({"pidMode": "host"}, []),
        ({"ipcMode": "none"}, []),
        ({"volumes": [{"name": "v"}]}, []),
        ({"volumes": [{"name": "v", "dockerVolumeConfiguration": {"scope": "shared"}}]}, ["docker-plugin.local"]),
        ({"volumes": [{"name": "v", "dockerVolumeConfiguration": {"driver": "rex"}}]}, ["docker-plugin.rex"]),
        ({"volumes": [{"name": "v", "efsVolumeConfiguration": EFS}]}, ["efs"]),
        (
            {"volumes": [{"name": "v", "efsVolumeConfiguration": EFS | {"authorizationConfig": {"iam": "DISABLED"}}}]},
            ["efs", "efsAuth"],
        ),
    ],
)
def test_a_task_asks_for_what_an_agent_must_be_able_to_do(members: dict[str, object], attributes: list[str]) -> None:
    answer = Desk().call("RegisterTaskDefinition", family="web", containerDefinitions=[WEB], **members)

    found = [one["name"] for one in answer["taskDefinition"]["requiresAttributes"]]
    assert found == [name if name.startswith("com.") else f"ecs.capability.{name}" for name in attributes]


def test_a_circle_is_found_wherever_it_hangs_and_a_diamond_is_none() -> None:
    assert find_cycle({"a": ("b", "c"), "b": ("d",), "c": ("d",), "d": ()}) == ()
    assert find_cycle({"a": ("b",), "b": ("c",), "c": ("b",)}) == ("b", "c", "b")
    assert find_cycle({"x": (), "a": ("x", "a")}) == ("a", "a")


def test_who_keeps_a_value_is_told_by_its_name() -> None:
    assert keeper_of("/app/db") == Keeper("ssm")
    assert keeper_of("arn:aws:ssm:eu-west-1:1:parameter/app/db") == Keeper("ssm", "eu-west-1")
    assert keeper_of(f"{ASM}:key::") == Keeper("asm", "eu-west-1")
    for other in ("", "a b", "arn:aws:ssm:eu-west-1:1:document/x", "arn:aws:secretsmanager:eu-west-1:1:parameter/x"):
        assert keeper_of(other) is None
