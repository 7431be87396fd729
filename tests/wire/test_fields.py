"""One payload message for each field of a task, and what the engine is asked to run for it."""

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model.errors import BadInput
from agent.model.names import Image, TaskArn
from agent.model.parts import (
    Association,
    Condition,
    Dependency,
    Efs,
    EnvironmentFile,
    Link,
    Mount,
    Provider,
    Registry,
    RegistryAuth,
    RestartPolicy,
    Scope,
    Secret,
    Target,
    Volume,
    VolumeKind,
    VolumesFrom,
)
from agent.model.task import ContainerSpec, PortMapping, TaskSpec, Transport
from agent.wire.acs import PayloadMessage, decode
from agent.wire.acs_spec import read_spec
from tests.wire.acs_samples import ARN, INSTANCE, ROLE, raw

WEB = ContainerSpec("web", Image("nginx:1.27"))
SIDE = ContainerSpec("side", Image("busybox"))
SPEC = TaskSpec(TaskArn(ARN), "shop", "7", (WEB, SIDE))

TEN_YEARS = 10 * 365 * 86400.0
FILE = "arn:aws:s3:::conf/web.env"
SSM = "arn:aws:ssm:us-west-2:111122223333:parameter/pw"


def payload(of_task: str = "", of_web: str = "") -> str:
    """A payload message with two bare containers, and the members of its task and of its first container added."""
    web = '{"name":"web","image":"nginx:1.27"' + (f",{of_web}" if of_web else "") + "}"
    task = (
        f'{{"arn":"{ARN}","desiredStatus":"RUNNING","family":"shop","version":"7",'
        f'"containers":[{web},{{"name":"side","image":"busybox"}}]' + (f",{of_task}" if of_task else "") + "}"
    )
    return (
        '{"type":"PayloadMessage","message":{"messageId":"p-1","clusterArn":"arn:cluster",'
        f'"containerInstanceArn":"{INSTANCE}","seqNum":12,"tasks":[{task}]}}}}'
    )


def spec_of(text: str) -> TaskSpec:
    frame = decode(text)
    assert isinstance(frame, PayloadMessage)
    [task] = frame.tasks or []
    return read_spec(task)


def test_a_bare_task_has_the_defaults() -> None:
    assert spec_of(payload()) == SPEC


@pytest.mark.parametrize(
    ("members", "container"),
    [
        ('"containerArn":"arn:c"', replace(WEB, container_arn="arn:c")),
        ('"essential":true', replace(WEB, essential=True)),
        ('"cpu":256', replace(WEB, cpu=256)),
        ('"memory":128', replace(WEB, memory=128)),
        ('"command":["nginx","-g","daemon off;"]', replace(WEB, command=("nginx", "-g", "daemon off;"))),
        ('"entryPoint":["/bin/sh","-c"]', replace(WEB, entry_point=("/bin/sh", "-c"))),
        ('"environment":{"MODE":"prod","EMPTY":""}', replace(WEB, environment={"MODE": "prod", "EMPTY": ""})),
        ('"overrides":"{\\"command\\":[\\"sh\\"]}","command":["a"]', replace(WEB, command=("sh",))),
        ('"portMappings":[{"containerPort":80}]', replace(WEB, ports=(PortMapping(80),))),
        (
            '"portMappings":[{"containerPort":53,"hostPort":5353,"protocol":"udp"}]',
            replace(WEB, ports=(PortMapping(53, 5353, Transport.UDP),)),
        ),
        (
            (
                '"portMappings":[{"containerPortRange":"8000-8009","protocol":"tcp"},{"containerPortRange":"53-53",'
                '"containerPort":0,"hostPort":0,"protocol":"udp"}]'
            ),
            replace(WEB, ports=(PortMapping(8000, count=10), PortMapping(53, 0, Transport.UDP))),
        ),
        (
            (
                '"dependsOn":[{"containerName":"side","condition":"START"},{"containerName":"a","condition":"COMPLETE"},'
                '{"containerName":"b","condition":"SUCCESS"},{"containerName":"c","condition":"HEALTHY"}]'
            ),
            replace(
                WEB,
                depends_on=(
                    Dependency("side", Condition.START),
                    Dependency("a", Condition.COMPLETE),
                    Dependency("b", Condition.SUCCESS),
                    Dependency("c", Condition.HEALTHY),
                ),
            ),
        ),
        ('"links":["side","side:db"]', replace(WEB, links=(Link("side", "side"), Link("side", "db")))),
        ('"links":["side:"]', replace(WEB, links=(Link("side", "side"),))),
        (
            (
                '"mountPoints":[{"sourceVolume":"v","containerPath":"/data","readOnly":true},'
                '{"sourceVolume":"w","containerPath":"/w"}]'
            ),
            replace(WEB, mounts=(Mount("v", "/data", read_only=True), Mount("w", "/w"))),
        ),
        (
            '"volumesFrom":[{"sourceContainer":"side","readOnly":true},{"sourceContainer":"b"}]',
            replace(WEB, volumes_from=(VolumesFrom("side", read_only=True), VolumesFrom("b"))),
        ),
        ('"startTimeout":90', replace(WEB, start_timeout=90.0)),
        ('"stopTimeout":45', replace(WEB, stop_timeout=45.0)),
        ('"startTimeout":1000000000000000', replace(WEB, start_timeout=TEN_YEARS)),
        ('"stopTimeout":9223372036854775807', replace(WEB, stop_timeout=TEN_YEARS)),
        (
            '"restartPolicy":{"enabled":true,"restartAttemptPeriod":1000000000000000}',
            replace(WEB, restart=RestartPolicy((), TEN_YEARS)),
        ),
        ('"restartPolicy":{"enabled":true}', replace(WEB, restart=RestartPolicy((), 300.0))),
        (
            '"restartPolicy":{"enabled":true,"ignoredExitCodes":[0,42],"restartAttemptPeriod":60}',
            replace(WEB, restart=RestartPolicy((0, 42), 60.0)),
        ),
        ('"restartPolicy":{"enabled":true,"restartAttemptPeriod":0}', replace(WEB, restart=RestartPolicy((), 0.0))),
        ('"restartPolicy":{"enabled":false,"ignoredExitCodes":[1]}', WEB),
        ('"healthCheckType":"docker"', replace(WEB, health_check=True)),
        ('"healthCheckType":"Docker"', WEB),
        (
            (
                f'"secrets":[{{"name":"PW","valueFrom":"{SSM}","region":"us-west-2","provider":"ssm",'
                '"type":"ENVIRONMENT_VARIABLE","target":"CONTAINER"}]'
            ),
            replace(WEB, secrets=(Secret("PW", SSM, Provider.SSM, "us-west-2", Target.ENVIRONMENT),)),
        ),
        (
            (
                '"secrets":[{"name":"splunk-token","valueFrom":"s","provider":"asm","type":"BOOTSTRAP",'
                '"target":"LOG_DRIVER"},{"name":"splunk-url","valueFrom":"u","provider":"ssm",'
                '"type":"ENVIRONMENT_VARIABLE","target":"LOG_DRIVER"}]'
            ),
            replace(
                WEB,
                secrets=(
                    Secret("splunk-token", "s", Provider.ASM, "", Target.LOG_OPTION),
                    Secret("splunk-url", "u", Provider.SSM, "", Target.LOG_OPTION),
                ),
            ),
        ),
        (
            f'"environmentFiles":[{{"value":"{FILE}","type":"s3"}}]',
            replace(WEB, environment_files=(EnvironmentFile(FILE),)),
        ),
        (
            (
                '"registryAuthentication":{"type":"ecr","ecrAuthData":{"registryId":"111122223333","region":"us-west-2",'
                '"endpointOverride":"ecr.example","useExecutionRole":true}}'
            ),
            replace(WEB, registry=RegistryAuth(Registry.ECR, "us-west-2", "111122223333", "ecr.example", True)),  # noqa: FBT003
        ),
        (
            '"registryAuthentication":{"type":"asm","asmAuthData":{"credentialsParameter":"arn:s","region":"eu-west-1"}}',
            replace(WEB, registry=RegistryAuth(Registry.ASM, "eu-west-1", credentials_parameter="arn:s")),
        ),
        ('"logsAuthStrategy":"ExecutionRole"', replace(WEB, logs_by_execution_role=True)),
        ('"dockerConfig":{"config":"{\\"User\\":\\"me\\"}"}', replace(WEB, docker_config='{"User":"me"}')),
        (
            '"dockerConfig":{"hostConfig":"{\\"MemoryReservation\\":134217729}"}',
            replace(WEB, host_config='{"MemoryReservation":134217729}', memory_reservation=128),
        ),
        (
            '"dockerConfig":{"hostConfig":"{\\"memoryreservation\\":134217728}"}',
            replace(WEB, host_config='{"memoryreservation":134217728}', memory_reservation=128),
        ),
        (
            '"dockerConfig":{"version":"1.24","hostConfig":"{\\"MemoryReservation\\":null}"}',
            replace(WEB, host_config='{"MemoryReservation":null}'),
        ),
    ],
)
def test_a_field_of_a_container_is_read(members: str, container: ContainerSpec) -> None:
    assert spec_of(payload(of_web=members)) == replace(SPEC, containers=(container, SIDE))


DOCKER = '"volumes":[{"name":"v","type":"docker","dockerVolumeConfiguration":%s}]'
EFS = '"volumes":[{"name":"v","type":"efs","efsVolumeConfiguration":%s}]'


def having(volume: Volume) -> TaskSpec:
    return replace(SPEC, volumes=(volume,))


def efs(asked: Efs) -> TaskSpec:
    return having(Volume("v", VolumeKind.EFS, efs=asked))


@pytest.mark.parametrize(
    ("members", "spec"),
    [
        ('"cpu":0.5', replace(SPEC, cpu=0.5)),
        ('"memory":512', replace(SPEC, memory=512)),
        ('"networkMode":"bridge"', SPEC),
        ('"networkMode":"host"', replace(SPEC, network_mode="host")),
        ('"networkMode":"none"', replace(SPEC, network_mode="none")),
        ('"pidMode":"host"', replace(SPEC, pid_mode="host")),
        ('"ipcMode":"host"', replace(SPEC, ipc_mode="host")),
        ('"ipcMode":"none"', replace(SPEC, ipc_mode="none")),
        ('"roleCredentials":{"credentialsId":"app"}', replace(SPEC, task_credentials_id="app")),
        ('"executionRoleCredentials":{"credentialsId":"x"}', replace(SPEC, execution_credentials_id="x")),
        ('"serviceName":"shop"', replace(SPEC, service="shop")),
        ('"group":"service:shop"', SPEC),
        ('"launchType":"EXTERNAL"', replace(SPEC, launch_type="EXTERNAL")),
        ('"enableFaultInjection":true', replace(SPEC, fault_injection=True)),
        ('"enableFaultInjection":false', SPEC),
        ('"volumes":[{"name":"v","host":{}}]', having(Volume("v"))),
        (
            '"volumes":[{"name":"v","type":"host","host":{"sourcePath":"/srv"}}]',
            having(Volume("v", host_path="/srv")),
        ),
        (DOCKER % "{}", having(Volume("v", VolumeKind.DOCKER))),
        (DOCKER % '{"scope":"task","driver":"rexray"}', having(Volume("v", VolumeKind.DOCKER, driver="rexray"))),
        (
            DOCKER % '{"scope":"shared","autoprovision":true,"driver":"local","driverOpts":{"o":"size=1m"},'
            '"labels":{"team":"a"}}',
            having(
                Volume(
                    "v",
                    VolumeKind.DOCKER,
                    scope=Scope.SHARED,
                    autoprovision=True,
                    options={"o": "size=1m"},
                    labels={"team": "a"},
                )
            ),
        ),
        (EFS % '{"fileSystemId":"fs-1"}', efs(Efs("fs-1"))),
        (
            EFS % '{"fileSystemId":"fs-1","rootDirectory":"/a","transitEncryption":"ENABLED",'
            '"transitEncryptionPort":2999,"authorizationConfig":{"accessPointId":"fsap-1","iam":"ENABLED"}}',
            efs(Efs("fs-1", "/a", encrypted=True, encryption_port=2999, access_point="fsap-1", iam=True)),
        ),
        (
            EFS % '{"fileSystemId":"fs-1","transitEncryption":"DISABLED","authorizationConfig":{"iam":"DISABLED"}}',
            efs(Efs("fs-1")),
        ),
        (
            (
                '"associations":[{"type":"gpu","name":"GPU-2","containers":["side"]},{"type":"gpu","name":"GPU-1",'
                '"containers":["side"]},{"type":"gpu","name":"GPU-3","containers":["web"],'
                '"content":{"encoding":"plaintext","value":"{\\"slot\\":3}"}}]'
            ),
            replace(
                SPEC,
                containers=(replace(WEB, gpus=("GPU-3",)), replace(SIDE, gpus=("GPU-2", "GPU-1"))),
                associations=(
                    Association("gpu", "GPU-2", ("side",)),
                    Association("gpu", "GPU-1", ("side",)),
                    Association("gpu", "GPU-3", ("web",), '{"slot":3}'),
                ),
            ),
        ),
    ],
)
def test_a_field_of_a_task_is_read(members: str, spec: TaskSpec) -> None:
    assert spec_of(payload(of_task=members)) == spec


@pytest.mark.parametrize(
    ("members", "path", "rule"),
    [
        ('"dependsOn":[{"containerName":"side","condition":"CREATE"}]', "dependsOn[0].condition", "START or COMPLETE"),
        ('"dependsOn":[{"containerName":"side"}]', "dependsOn[0].condition", "or HEALTHY"),
        ('"dependsOn":[{"condition":"START"}]', "dependsOn[0].containerName", "must not be empty"),
        ('"links":["a:b:c"]', "links[0]", "name:alias"),
        ('"links":[":b"]', "links[0]", "name:alias"),
        ('"mountPoints":[{"containerPath":"/a"}]', "mountPoints[0].sourceVolume", "must not be empty"),
        ('"mountPoints":[{"sourceVolume":"v","containerPath":""}]', "mountPoints[0].containerPath", "not be empty"),
        ('"volumesFrom":[{}]', "volumesFrom[0].sourceContainer", "must not be empty"),
        ('"portMappings":[{"containerPortRange":"90-80"}]', "portMappings[0].containerPortRange", "first and a last"),
        ('"portMappings":[{"containerPortRange":"0-80"}]', "portMappings[0].containerPortRange", "from 1 to 65535"),
        ('"portMappings":[{"containerPortRange":"1-65536"}]', "portMappings[0].containerPortRange", "from 1 to 65535"),
        ('"portMappings":[{"containerPortRange":"80"}]', "portMappings[0].containerPortRange", "first and a last"),
        (
            '"portMappings":[{"containerPortRange":"80-90","hostPort":80}]',
            "portMappings[0].hostPort",
            "must be absent beside containerPortRange",
        ),
        (
            '"portMappings":[{"containerPortRange":"80-90","containerPort":80}]',
            "portMappings[0].containerPort",
            "must be absent beside containerPortRange",
        ),
        ('"secrets":[{"valueFrom":"x","provider":"ssm"}]', "secrets[0].name", "must not be empty"),
        ('"secrets":[{"name":"A","provider":"ssm"}]', "secrets[0].valueFrom", "must not be empty"),
        ('"secrets":[{"name":"A","valueFrom":"x"}]', "secrets[0].provider", "must be ssm or asm"),
        (
            '"secrets":[{"name":"A","valueFrom":"x","provider":"ssm","target":"FILE"}]',
            "secrets[0].target",
            "must be CONTAINER or LOG_DRIVER",
        ),
        (
            '"secrets":[{"name":"A","valueFrom":"x","provider":"ssm","type":"MOUNT_POINT","containerPath":"/s"}]',
            "secrets[0].type",
            "'MOUNT_POINT' for CONTAINER: not supported by this agent yet",
        ),
        (
            '"secrets":[{"name":"A","valueFrom":"x","provider":"ssm","type":"BOOTSTRAP"}]',
            "secrets[0].type",
            "'BOOTSTRAP' for CONTAINER: not supported by this agent yet",
        ),
        (
            '"secrets":[{"name":"A","valueFrom":"x","provider":"ssm"},{"name":"A","valueFrom":"y","provider":"asm"}]',
            "secrets",
            "two secrets have the same name",
        ),
        ('"environmentFiles":[{"value":"x","type":"http"}]', "environmentFiles[0].type", "must be s3"),
        ('"environmentFiles":[{"type":"s3"}]', "environmentFiles[0].value", "must not be empty"),
        ('"registryAuthentication":{"type":"odd"}', "registryAuthentication.type", "must be ecr or asm"),
        ('"registryAuthentication":{"type":"ecr"}', "registryAuthentication.ecrAuthData", "is missing"),
        ('"registryAuthentication":{"type":"asm"}', "registryAuthentication.asmAuthData", "is missing"),
        (
            '"registryAuthentication":{"type":"asm","asmAuthData":{}}',
            "registryAuthentication.asmAuthData.credentialsParameter",
            "must not be empty",
        ),
        ('"startTimeout":-1', "startTimeout", "expected `int` >= 0"),
        ('"restartPolicy":{"enabled":"yes"}', "restartPolicy.enabled", "expected `bool | null`"),
        ('"links":"side"', "links", "expected `array | null`"),
        (
            '"dockerConfig":{"hostConfig":"{\\"MemoryReservation\\":\\"1m\\"}"}',
            "dockerConfig.hostConfig.MemoryReservation",
            "must be a number of bytes",
        ),
        (
            '"dockerConfig":{"hostConfig":"{\\"MemoryReservation\\":-1}"}',
            "dockerConfig.hostConfig.MemoryReservation",
            "must be a number of bytes",
        ),
    ],
)
def test_a_wrong_field_of_a_container_is_refused_with_its_name_and_the_rule(members: str, path: str, rule: str) -> None:
    with pytest.raises(BadInput) as caught:
        spec_of(payload(of_web=members))

    assert caught.value.path == f"containers[0].{path}"
    assert rule in caught.value.rule


@pytest.mark.parametrize(
    ("members", "path", "rule"),
    [
        ('"volumes":[{"host":{}}]', "volumes[0].name", "must not be empty"),
        ('"volumes":[{"name":"v"}]', "volumes[0].host", "is missing"),
        ('"volumes":[{"name":"v","type":"docker"}]', "volumes[0].dockerVolumeConfiguration", "is missing"),
        ('"volumes":[{"name":"v","type":"efs"}]', "volumes[0].efsVolumeConfiguration", "is missing"),
        ('"volumes":[{"name":"v","type":"nfs"}]', "volumes[0].type", "must be host or docker or efs"),
        ('"volumes":[{"name":"v","type":"fsxWindowsFileServer"}]', "volumes[0].type", "FSx for Windows File Server"),
        ('"volumes":[{"name":"v","type":"ebs"}]', "volumes[0].type", "EBS volumes"),
        ('"volumes":[{"name":"v","host":{}},{"name":"v","host":{}}]', "volumes", "two volumes have the same name"),
        (DOCKER % '{"scope":"world"}', "volumes[0].dockerVolumeConfiguration.scope", "must be task or shared"),
        (
            DOCKER % '{"scope":"task","autoprovision":true}',
            "volumes[0].dockerVolumeConfiguration.autoprovision",
            "is for volumes of scope shared",
        ),
        (EFS % "{}", "volumes[0].efsVolumeConfiguration.fileSystemId", "must not be empty"),
        (
            EFS % '{"fileSystemId":"f","transitEncryption":"on"}',
            "volumes[0].efsVolumeConfiguration.transitEncryption",
            "must be ENABLED or DISABLED",
        ),
        (
            EFS % '{"fileSystemId":"f","authorizationConfig":{"iam":"on"}}',
            "volumes[0].efsVolumeConfiguration.authorizationConfig.iam",
            "must be ENABLED or DISABLED",
        ),
        ('"pidMode":"odd"', "pidMode", "must be one of host, task"),
        ('"ipcMode":"odd"', "ipcMode", "must be one of host, none, task"),
        ('"associations":[{"type":"gpu","containers":["web"]}]', "associations[0].name", "must not be empty"),
        (
            '"associations":[{"type":"gpu","name":"G","containers":["web","side"]}]',
            "associations[0].containers",
            "must name exactly one container of the task",
        ),
        (
            '"associations":[{"type":"gpu","name":"G","containers":["db"]}]',
            "associations[0].containers",
            "must name exactly one container of the task",
        ),
        (
            (
                '"associations":[{"type":"gpu","name":"G","containers":["web"]},{"type":"gpu","name":"G",'
                '"containers":["side"]}]'
            ),
            "associations[1].name",
            "is given away already",
        ),
    ],
)
def test_a_wrong_field_of_a_task_is_refused_with_its_name_and_the_rule(members: str, path: str, rule: str) -> None:
    with pytest.raises(BadInput) as caught:
        spec_of(payload(of_task=members))

    assert caught.value.path == path
    assert rule in caught.value.rule


def test_a_specification_survives_the_journal_whatever_fields_it_has() -> None:
    spec = spec_of(
        payload(
            of_task=EFS % '{"fileSystemId":"fs-1"}',
            of_web='"dependsOn":[{"containerName":"side","condition":"HEALTHY"}],"links":["side:db"],'
            '"restartPolicy":{"enabled":true,"ignoredExitCodes":[0]},"portMappings":[{"containerPortRange":"1-9"}],'
            '"secrets":[{"name":"A","valueFrom":"x","provider":"asm","target":"LOG_DRIVER"}]',
        )
    )

    assert json.loads(msgspec.json.encode(spec))["containers"][0]["ports"][0]["count"] == 9
    assert msgspec.json.decode(msgspec.json.encode(spec), type=TaskSpec) == spec


EVERYTHING: dict[str, Any] = {
    "arn": ARN,
    "family": "shop",
    "version": "7",
    "cpu": 0.5,
    "memory": 64,
    "networkMode": "bridge",
    "pidMode": "host",
    "ipcMode": "none",
    "roleCredentials": ROLE,
    "associations": [{"type": "gpu", "name": "GPU-1", "containers": ["web"]}],
    "volumes": [
        {"name": "a", "type": "host", "host": {"sourcePath": "/srv"}},
        {"name": "b", "type": "docker", "dockerVolumeConfiguration": {"scope": "shared", "driverOpts": {"o": "x"}}},
        {"name": "c", "type": "efs", "efsVolumeConfiguration": {"fileSystemId": "fs", "authorizationConfig": {}}},
    ],
    "containers": [
        {
            "name": "web",
            "image": "nginx:1.27",
            "environment": {"MODE": "prod"},
            "overrides": '{"command":["sh"]}',
            "portMappings": [{"containerPortRange": "80-90", "protocol": "tcp"}, {"containerPort": 1, "hostPort": 2}],
            "dependsOn": [{"containerName": "side", "condition": "START"}],
            "links": ["side:db"],
            "mountPoints": [{"sourceVolume": "a", "containerPath": "/a", "readOnly": True}],
            "volumesFrom": [{"sourceContainer": "side"}],
            "startTimeout": 5,
            "restartPolicy": {"enabled": True, "ignoredExitCodes": [1], "restartAttemptPeriod": 60},
            "healthCheckType": "docker",
            "secrets": [{"name": "A", "valueFrom": "x", "provider": "ssm", "target": "LOG_DRIVER"}],
            "environmentFiles": [{"value": "arn", "type": "s3"}],
            "registryAuthentication": {"type": "asm", "asmAuthData": {"credentialsParameter": "p"}},
            "dockerConfig": {"config": "{}", "hostConfig": '{"MemoryReservation":1048576}'},
        },
        {"name": "side", "image": "busybox", "registryAuthentication": {"type": "ecr", "ecrAuthData": {}}},
    ],
}

Path = tuple[str | int, ...]


def paths(document: object, path: Path = ()) -> Iterator[Path]:
    """Where something stands in *document*, at any depth."""
    members: dict[Any, object] = {}
    if isinstance(document, dict):
        members = document
    elif isinstance(document, list):
        members = dict(enumerate(document))
    for key, member in members.items():
        yield (*path, key)
        yield from paths(member, (*path, key))


WRONG: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just([]) | st.just({}) | st.just([{}])
)


def test_a_task_that_asks_for_everything_is_read() -> None:
    spec = read_spec(raw(EVERYTHING))

    assert spec.containers[0].memory_reservation == 1
    assert spec.containers[1].registry == RegistryAuth(Registry.ECR)


@given(st.sampled_from(list(paths(EVERYTHING))), WRONG)
def test_whatever_stands_in_a_field_the_answer_is_a_task_or_a_refusal(path: Path, wrong: object) -> None:
    task: Any = deepcopy(EVERYTHING)
    holder = task
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = wrong

    try:
        spec = read_spec(raw(task))
    except BadInput:
        return
    assert msgspec.json.decode(msgspec.json.encode(spec), type=TaskSpec) == spec
