"""Every field of a task definition, from the API call to what Docker says of the container."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agent.model.names import Image
from tests.sample_image import SAMPLE
from tests.stories.house import House, a_house, containers, until

Document = dict[str, Any]

MIB = 1 << 20
SECOND = 1_000_000_000
STAYS = ["sh", "-c", "exec sleep 600"]
DRIVERS = ["json-file", "syslog", "journald", "gelf", "fluentd", "awslogs", "splunk"]
BY_THE_OPERATOR = {"ecs.capability.efs": ""}
"""What the agent does not promise by itself: an operator who knows what he does may."""


def one(name: str, **more: object) -> Document:
    """A container that stays, and whose end would not end the task."""
    return {"name": name, "image": SAMPLE, "memory": 16, "command": STAYS, "essential": False, **more}


RICH = one(
    "rich",
    essential=True,
    cpu=128,
    memory=64,
    memoryReservation=32,
    entryPoint=["sh", "-c"],
    command=["exec sleep $0", "600"],
    environment=[{"name": "A", "value": "1=2"}, {"name": "EMPTY", "value": ""}],
    hostname="known-as",
    user="1000:1001",
    workingDirectory="/srv/work",
    interactive=True,
    pseudoTerminal=True,
    readonlyRootFilesystem=True,
    dnsServers=["192.0.2.53"],
    dnsSearchDomains=["example.com"],
    extraHosts=[{"hostname": "db.example.com", "ipAddress": "192.0.2.1"}],
    dockerSecurityOptions=["no-new-privileges"],
    dockerLabels={"team": "a", "com.amazonaws.ecs.container-name": "no"},
    ulimits=[{"name": "nofile", "softLimit": 100, "hardLimit": 200}, {"name": "core", "softLimit": 0, "hardLimit": 0}],
    systemControls=[{"namespace": "net.core.somaxconn", "value": "99"}],
    logConfiguration={"logDriver": "json-file", "options": {"max-size": "1m"}},
    stopTimeout=2,
    restartPolicy={"enabled": True, "ignoredExitCodes": [0], "restartAttemptPeriod": 60},
    linuxParameters={
        "capabilities": {"add": ["SYS_PTRACE"], "drop": ["MKNOD"]},
        "devices": [{"hostPath": "/dev/null", "containerPath": "/dev/nothing", "permissions": ["read"]}],
        "sharedMemorySize": 8,
        "tmpfs": [{"containerPath": "/scratch", "size": 4, "mountOptions": ["noexec", "mode=1770"]}],
        "maxSwap": 0,
        "swappiness": 10,
    },
    mountPoints=[
        {"sourceVolume": "host", "containerPath": "/host", "readOnly": True},
        {"sourceVolume": "anonymous", "containerPath": "/anonymous"},
        {"sourceVolume": "own", "containerPath": "/own"},
        {"sourceVolume": "shared", "containerPath": "/shared"},
    ],
)
HEALTHY = one("db", healthCheck={"command": ["CMD-SHELL", "true"], "interval": 5, "startPeriod": 1, "retries": 2})
WAITS = one(
    "waits",
    links=["db:database", "rich"],
    volumesFrom=[{"sourceContainer": "rich", "readOnly": True}],
    dependsOn=[{"containerName": "prepares", "condition": "SUCCESS"}],
)
PREPARES = one("prepares", command=["true"], startTimeout=30)
BARE = {"name": "bare", "image": SAMPLE, "command": STAYS, "essential": False}


def definitions(folder: Path, shared: str) -> list[Document]:
    """All of them run at once. `folder` is a path of the host, *shared* the name of a volume that nobody has."""
    driver = {"driver": "local", "driverOpts": {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}}
    volumes = [
        {"name": "host", "host": {"sourcePath": str(folder)}},
        {"name": "anonymous"},
        {"name": "own", "dockerVolumeConfiguration": {"scope": "task", "labels": {"kept": "no"}, **driver}},
        {"name": shared, "dockerVolumeConfiguration": {"scope": "shared", "autoprovision": True}},
    ]
    rich = RICH | {
        "mountPoints": [
            point | {"sourceVolume": shared} if point["sourceVolume"] == "shared" else point
            for point in RICH["mountPoints"]
        ]
    }
    return [
        {
            "family": "fields",
            "cpu": "512",
            "memory": "256",
            "volumes": volumes,
            "containerDefinitions": [rich, BARE, HEALTHY, WAITS, PREPARES],
        },
        {
            "family": "shares",
            "networkMode": "host",
            "pidMode": "host",
            "ipcMode": "host",
            "containerDefinitions": [one("host", essential=True, privileged=True, cpu=1)],
        },
        {
            "family": "alone",
            "networkMode": "none",
            "ipcMode": "none",
            "containerDefinitions": [one("alone", essential=True, disableNetworking=True)],
        },
        {
            "family": "ports",
            "containerDefinitions": [
                one(
                    "ports",
                    essential=True,
                    portMappings=[
                        {"containerPort": 80},
                        {"containerPort": 53, "protocol": "udp"},
                        {"containerPortRange": "7000-7002"},
                        {"containerPortRange": "8000-8001", "protocol": "udp"},
                    ],
                )
            ],
        },
        {
            "family": "logs",
            "containerDefinitions": [
                one("main", essential=True),
                *(logs_by(name, options) for name, options in LOGS.items()),
                one("begins", linuxParameters={"initProcessEnabled": True}),
            ],
        },
        {
            "family": "late",
            "containerDefinitions": [
                one("app", essential=True, dependsOn=[{"containerName": "slow", "condition": "COMPLETE"}]),
                one("slow", startTimeout=2, stopTimeout=2),
            ],
        },
        {
            "family": "efs",
            "volumes": [
                {"name": "files", "efsVolumeConfiguration": {"fileSystemId": "fs-0123", "rootDirectory": "/data"}}
            ],
            "containerDefinitions": [
                one("app", essential=True, mountPoints=[{"sourceVolume": "files", "containerPath": "/files"}])
            ],
        },
        {
            "family": "overridden",
            "memory": "128",
            "containerDefinitions": [one("app", essential=True, environment=[{"name": "A", "value": "1"}])],
        },
    ]


FAIL = ("late", "efs")
"""Families whose tasks never run; all others do."""
LOGS: dict[str, dict[str, str]] = {
    "awslogs": {"awslogs-group": "g", "awslogs-region": "us-east-1", "awslogs-stream": "s"},
    "syslog": {"syslog-address": "udp://127.0.0.1:9", "tag": "t"},
    "journald": {"tag": "t"},
    "gelf": {"gelf-address": "udp://127.0.0.1:9"},
    "fluentd": {"fluentd-address": "127.0.0.1:9", "fluentd-async": "true"},
    "splunk": {"splunk-url": "http://127.0.0.1:9", "splunk-token": "t", "splunk-verify-connection": "false"},
}
OVERRIDES = {
    "containerOverrides": [
        {
            "name": "app",
            "command": ["sh", "-c", "exec sleep 601"],
            "environment": [{"name": "A", "value": "2"}, {"name": "B", "value": "3"}],
            "cpu": 77,
            "memory": 40,
            "memoryReservation": 20,
        }
    ],
    "cpu": "256",
    "memory": "64",
}


def logs_by(driver: str, options: dict[str, str]) -> Document:
    return one(driver, logConfiguration={"logDriver": driver, "options": options})


@dataclass
class Stage:
    """A house in which the tasks of all definitions have come as far as they come."""

    house: House
    folder: Path
    shared: str
    arns: dict[str, str] = field(default_factory=dict)
    tasks: dict[str, Document] = field(default_factory=dict)
    seen: dict[str, Document] = field(default_factory=dict)

    def run(self, **definition: object) -> str:
        definition = {"volumes": []} | definition
        self.house.ecs.register_task_definition(**definition)  # type: ignore[arg-type]
        return self.start(str(definition["family"]))

    def start(self, family: str) -> str:
        overrides: Any = OVERRIDES if family == "overridden" else {}
        answer = self.house.ecs.run_task(taskDefinition=family, overrides=overrides)
        assert not answer["failures"], (family, answer["failures"])
        return answer["tasks"][0]["taskArn"]

    def settle(self, family: str, arn: str) -> None:
        """Wait until every container of the task has begun, or never will."""

        def look() -> Document | None:
            task: Any = self.house.task(arn)
            done = all(c.get("runtimeId") and c["lastStatus"] != "PENDING" for c in task["containers"])
            return task if done and task["lastStatus"] != "PENDING" else None

        self.tasks[family] = until(look, f"the containers of {family} to have begun")
        ids = {c["name"]: c["runtimeId"] for c in self.tasks[family]["containers"]}
        shown = docker("inspect", *ids.values())
        self.seen |= {f"{family}/{name}": document for name, document in zip(ids, shown, strict=True)}

    def told(self, family: str, name: str) -> Document:
        """The container as DescribeTasks shows it."""
        (found,) = (c for c in self.tasks[family]["containers"] if c["name"] == name)
        return dict(found)

    @property
    def rich(self) -> Document:
        return self.seen["fields/rich"]


def docker(*words: str) -> list[Document]:
    out = subprocess.run(["docker", *words], check=True, capture_output=True, text=True)
    found: list[Document] = json.loads(out.stdout)
    return found


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, sample_image: Image) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("fields")
    names: list[str] = []
    try:
        with a_house(
            folder,
            ECS_CONTAINER_STOP_TIMEOUT="3s",
            ECS_AVAILABLE_LOGGING_DRIVERS=json.dumps(DRIVERS),
            ECS_INSTANCE_ATTRIBUTES=json.dumps(BY_THE_OPERATOR),
        ) as house:
            stage = Stage(house, folder, f"dockworker-fields-{house.port}")
            stage.arns = {one["family"]: stage.run(**one) for one in definitions(folder, stage.shared)}
            try:
                for family, arn in stage.arns.items():
                    if family not in FAIL:
                        stage.settle(family, arn)
                yield stage
            finally:
                names = volumes_of(house)
    finally:
        if names:
            subprocess.run(["docker", "volume", "rm", "-f", *names], check=True, capture_output=True)


def volumes_of(house: House) -> list[str]:
    ids = containers(house, "-a")
    mounts = [mount for shown in (docker("inspect", *ids) if ids else ()) for mount in shown["Mounts"]]
    return sorted({mount["Name"] for mount in mounts if mount["Type"] == "volume"})


def at(document: Document, path: str) -> Any:  # noqa: ANN401 -- whatever Docker has there
    found: Any = document
    for key in path.split("."):
        found = found[key]
    return found


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("Config.Image", SAMPLE),
        ("Config.Entrypoint", ["sh", "-c"]),
        ("Config.Cmd", ["exec sleep $0", "600"]),
        ("Config.Hostname", "known-as"),
        ("Config.User", "1000:1001"),
        ("Config.WorkingDir", "/srv/work"),
        ("Config.OpenStdin", True),
        ("Config.Tty", True),
        ("HostConfig.ReadonlyRootfs", True),
        ("HostConfig.Dns", ["192.0.2.53"]),
        ("HostConfig.DnsSearch", ["example.com"]),
        ("HostConfig.ExtraHosts", ["db.example.com:192.0.2.1"]),
        ("HostConfig.SecurityOpt", ["no-new-privileges"]),
        ("HostConfig.Sysctls", {"net.core.somaxconn": "99"}),
        ("HostConfig.LogConfig", {"Type": "json-file", "Config": {"max-size": "1m"}}),
        ("HostConfig.CpuShares", 128),
        ("HostConfig.Memory", 64 * MIB),
        ("HostConfig.MemoryReservation", 32 * MIB),
        ("HostConfig.MemorySwap", 64 * MIB),
        ("HostConfig.MemorySwappiness", 10),
        ("HostConfig.ShmSize", 8 * MIB),
        ("HostConfig.Tmpfs", {"/scratch": "noexec,mode=1770,size=4m"}),
        ("HostConfig.NetworkMode", "bridge"),
        (
            "HostConfig.Devices",
            [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/nothing", "CgroupPermissions": "r"}],
        ),
        (
            "HostConfig.Ulimits",
            [{"Name": "nofile", "Soft": 100, "Hard": 200}, {"Name": "core", "Soft": 0, "Hard": 0}],
        ),
    ],
)
def test_a_field_of_a_container_reaches_docker(stage: Stage, path: str, expected: object) -> None:
    assert at(stage.rich, path) == expected


@pytest.mark.parametrize(
    ("container", "path", "expected"),
    [
        ("fields/bare", "HostConfig.CpuShares", 2),
        ("fields/bare", "HostConfig.Memory", 0),
        ("fields/bare", "HostConfig.Privileged", False),
        ("shares/host", "HostConfig.CpuShares", 2),
        ("shares/host", "HostConfig.Privileged", True),
        ("shares/host", "HostConfig.NetworkMode", "host"),
        ("shares/host", "HostConfig.PidMode", "host"),
        ("shares/host", "HostConfig.IpcMode", "host"),
        ("alone/alone", "HostConfig.NetworkMode", "none"),
        ("alone/alone", "HostConfig.IpcMode", "none"),
        ("alone/alone", "Config.NetworkDisabled", True),
        ("logs/begins", "HostConfig.Init", True),
        (
            "fields/db",
            "Config.Healthcheck",
            {
                "Test": ["CMD-SHELL", "true"],
                "Interval": 5 * SECOND,
                "Timeout": 5 * SECOND,
                "StartPeriod": 1 * SECOND,
                "Retries": 2,
            },
        ),
        ("overridden/app", "Config.Cmd", ["sh", "-c", "exec sleep 601"]),
        ("overridden/app", "HostConfig.CpuShares", 77),
        ("overridden/app", "HostConfig.Memory", 40 * MIB),
        ("overridden/app", "HostConfig.MemoryReservation", 20 * MIB),
        *(
            (f"logs/{driver}", "HostConfig.LogConfig", {"Type": driver, "Config": options})
            for driver, options in LOGS.items()
        ),
    ],
)
def test_a_field_of_another_container_reaches_docker(stage: Stage, container: str, path: str, expected: object) -> None:
    assert at(stage.seen[container], path) == expected


def test_capabilities_are_added_and_dropped(stage: Stage) -> None:
    """Newer versions of Docker put ``CAP_`` before the names."""
    added, dropped = (stage.rich["HostConfig"][key] for key in ("CapAdd", "CapDrop"))

    assert [name.removeprefix("CAP_") for name in (*added, *dropped)] == ["SYS_PTRACE", "MKNOD"]


def test_restarts_are_the_agents_and_never_dockers(stage: Stage) -> None:
    assert stage.rich["HostConfig"]["RestartPolicy"]["Name"] in ("", "no")


def test_the_environment_is_that_of_the_definition_and_the_agents_own(stage: Stage) -> None:
    environment = dict(entry.split("=", 1) for entry in stage.rich["Config"]["Env"])

    assert (environment["A"], environment["EMPTY"]) == ("1=2", "")
    assert environment["AWS_EXECUTION_ENV"] == "AWS_ECS_EC2"
    assert environment["ECS_CONTAINER_METADATA_URI_V4"].startswith("http://169.254.170.2/v4/")
    changed = dict(entry.split("=", 1) for entry in stage.seen["overridden/app"]["Config"]["Env"])
    assert (changed["A"], changed["B"]) == ("2", "3")


def test_labels_say_whose_the_container_is_and_cannot_be_forged(stage: Stage) -> None:
    labels = stage.rich["Config"]["Labels"]

    assert labels["team"] == "a"
    assert labels["com.amazonaws.ecs.container-name"] == "rich"
    assert labels["com.amazonaws.ecs.task-arn"] == stage.tasks["fields"]["taskArn"]
    assert labels["com.amazonaws.ecs.task-definition-family"] == "fields"
    assert labels["com.amazonaws.ecs.task-definition-version"] == "1"
    assert labels["com.amazonaws.ecs.cluster"] == "default"
    assert stage.rich["Name"].startswith("/ecs-fields-1-rich-")


def test_volumes_are_what_the_definition_calls_them(stage: Stage) -> None:
    mounts = {mount["Destination"]: mount for mount in stage.rich["Mounts"]}

    host = mounts["/host"]
    assert (host["Type"], host["Source"], host["RW"]) == ("bind", str(stage.folder), False)
    assert mounts["/anonymous"]["Name"].startswith("ecs-fields-1-anonymous-")
    assert mounts["/anonymous"]["RW"]
    assert mounts["/own"]["Name"].startswith("ecs-fields-1-own-")
    assert mounts["/shared"]["Name"] == stage.shared
    (own,) = docker("volume", "inspect", mounts["/own"]["Name"])
    assert own["Options"] == {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}
    assert own["Labels"]["kept"] == "no"
    assert own["Driver"] == "local"


def test_links_and_volumes_of_others_are_theirs(stage: Stage) -> None:
    waits = stage.seen["fields/waits"]
    others = {name: stage.seen[f"fields/{name}"]["Name"] for name in ("db", "rich")}

    assert sorted(waits["HostConfig"]["Links"]) == sorted(
        [f"{others['db']}:{waits['Name']}/database", f"{others['rich']}:{waits['Name']}/rich"]
    )
    mounts = {mount["Destination"]: mount for mount in waits["Mounts"]}
    assert {"/host", "/anonymous", "/own", "/shared"} <= set(mounts)
    assert not mounts["/anonymous"]["RW"]


def test_a_container_starts_after_those_it_waits_for(stage: Stage) -> None:
    began = {name: stage.seen[f"fields/{name}"]["State"] for name in ("waits", "prepares", "db", "rich")}

    assert began["prepares"]["FinishedAt"] <= began["waits"]["StartedAt"]
    assert began["db"]["StartedAt"] <= began["waits"]["StartedAt"]
    assert began["rich"]["StartedAt"] <= began["waits"]["StartedAt"]
    assert stage.told("fields", "prepares")["exitCode"] == 0


def test_the_limits_of_a_task_are_those_of_its_cgroup(stage: Stage) -> None:
    task_id = stage.tasks["fields"]["taskArn"].rpartition("/")[2]
    parents = {name: shown["HostConfig"]["CgroupParent"] for name, shown in stage.seen.items()}

    assert {parents[f"fields/{name}"] for name in ("rich", "bare", "waits")} == {f"/ecs/{task_id}"}
    quota = Path("/sys/fs/cgroup/cpu", f"ecs/{task_id}", "cpu.cfs_quota_us").read_text()
    period = Path("/sys/fs/cgroup/cpu", f"ecs/{task_id}", "cpu.cfs_period_us").read_text()
    limit = Path("/sys/fs/cgroup/memory", f"ecs/{task_id}", "memory.limit_in_bytes").read_text()
    assert (int(quota) / int(period), int(limit)) == (0.5, 256 * MIB)
    changed = stage.tasks["overridden"]["taskArn"].rpartition("/")[2]
    assert int(Path("/sys/fs/cgroup/memory/ecs", changed, "memory.limit_in_bytes").read_text()) == 64 * MIB


def test_ports_and_ranges_are_shown_as_they_are_published(stage: Stage) -> None:
    shown = stage.told("ports", "ports")["networkBindings"]
    published = stage.seen["ports/ports"]["NetworkSettings"]["Ports"]
    singles = {(b["containerPort"], b["protocol"]): b["hostPort"] for b in shown if "containerPort" in b}
    ranges = {(b["containerPortRange"], b["protocol"]): b["hostPortRange"] for b in shown if "containerPortRange" in b}

    assert set(singles) == {(80, "tcp"), (53, "udp")}
    assert set(ranges) == {("7000-7002", "tcp"), ("8000-8001", "udp")}
    for (port, protocol), host_port in singles.items():
        assert published[f"{port}/{protocol}"][0]["HostPort"] == str(host_port)
    for (inside, protocol), outside in ranges.items():
        first, last = (int(end) for end in inside.split("-"))
        begin, end = (int(end) for end in outside.split("-"))
        assert end - begin == last - first
        for step in range(last - first + 1):
            assert published[f"{first + step}/{protocol}"][0]["HostPort"] == str(begin + step)


def test_the_digest_of_the_image_is_absent_where_nothing_was_pulled(stage: Stage) -> None:
    assert "imageDigest" not in stage.told("fields", "rich")


def test_an_efs_volume_is_mounted_as_a_file_system_of_the_network(stage: Stage) -> None:
    stage.house.until_stopped(stage.arns["efs"])
    (name,) = (name for name in volumes_of(stage.house) if name.startswith("ecs-efs-1-files-"))
    (volume,) = docker("volume", "inspect", name)
    assert (volume["Options"]["type"], volume["Options"]["device"]) == ("nfs", ":/data")
    assert volume["Options"]["o"].startswith("addr=fs-0123.efs.us-east-1.amazonaws.com,nfsvers=4.1,rsize=1048576,")


def test_who_waits_longer_than_the_start_timeout_gives_up(stage: Stage) -> None:
    stopped = stage.house.until_stopped(stage.arns["late"])
    assert stopped["stopCode"] == "TaskFailedToStart"
    assert stopped["stoppedReason"].startswith(
        "CannotStartContainerError: dependency graph: container app needs COMPLETE"
    )


@pytest.mark.parametrize(
    ("container", "reason"),
    [
        ({"secrets": [{"name": "A", "valueFrom": "/a"}]}, "ATTRIBUTE"),
        ({"environmentFiles": [{"value": "arn:aws:s3:::bucket/a.env", "type": "s3"}]}, "ATTRIBUTE"),
        ({"repositoryCredentials": {"credentialsParameter": "a"}}, "ATTRIBUTE"),
        ({"resourceRequirements": [{"type": "GPU", "value": "1"}]}, "RESOURCE:GPU"),
    ],
)
def test_what_the_agent_does_not_promise_is_not_sent_to_it(stage: Stage, container: Document, reason: str) -> None:
    stage.house.ecs.register_task_definition(
        family="unpromised",
        executionRoleArn="arn:aws:iam::123456789012:role/execution",
        containerDefinitions=[one("app", **{"essential": True} | container)],  # type: ignore[list-item]
    )

    (failure,) = stage.house.ecs.run_task(taskDefinition="unpromised")["failures"]

    assert failure["reason"] == reason
