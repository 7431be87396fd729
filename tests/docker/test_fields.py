"""Every field of a task that reaches Docker, from the act to what ``docker inspect`` shows of the container."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any

import pytest

from agent.docker.surroundings import NOWHERE_SPECIAL, Surroundings
from agent.model.acts import CreateContainer, CreateVolume, RemoveVolume, Wiring
from agent.model.credentials import NO_VALUES, ContainerValues
from agent.model.identity import Identity
from agent.model.names import DockerId, TaskArn
from agent.model.parts import Volume
from agent.model.status import ResourceKind
from agent.model.task import Binding, Lease, PortMapping, Transport
from tests.docker.making import Changes, Room, a_room, an_act, free_ports, with_spec

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("sample_image")]

MIB = 1 << 20
SECOND = 1_000_000_000


@dataclass(frozen=True)
class Field:
    """ECS's own texts, and what they come to: dotted paths of an inspect with their values."""

    name: str
    shows: dict[str, Any]
    config: dict[str, Any] = field(default_factory=dict)
    host: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


CHECK = {"Test": ["CMD-SHELL", "true"], "Interval": 30 * SECOND, "Timeout": 5 * SECOND, "Retries": 3}
NULL = {"PathOnHost": "/dev/null", "PathInContainer": "/dev/nothing", "CgroupPermissions": "rw"}
OPEN_FILES = {"Name": "nofile", "Soft": 1024, "Hard": 4096}

IN_CONFIG = (
    Field("user", {"Config.User": "1000:1000"}, {"User": "1000:1000"}),
    Field("workingDirectory", {"Config.WorkingDir": "/tmp"}, {"WorkingDir": "/tmp"}),
    Field("hostname", {"Config.Hostname": "web-1"}, {"Hostname": "web-1"}),
    Field("disableNetworking", {"Config.NetworkDisabled": True}, {"NetworkDisabled": True}),
    Field("interactive", {"Config.OpenStdin": True}, {"OpenStdin": True}),
    Field("pseudoTerminal", {"Config.Tty": True}, {"Tty": True}),
    Field("healthCheck", {"Config.Healthcheck": CHECK}, {"Healthcheck": CHECK}),
    Field(
        "healthCheck startPeriod",
        {"Config.Healthcheck.StartPeriod": 60 * SECOND},
        {"healthcheck": {"test": ["CMD", "true"], "startPeriod": 60 * SECOND}},
    ),
    Field("dockerLabels", {"Config.Labels.team": "a"}, {"Labels": {"team": "a"}}),
    Field("stop signal", {"Config.StopSignal": "SIGINT"}, {"StopSignal": "SIGINT"}),
    Field("keys in any case", {"Config.User": "7", "Config.Env": ["B=2"]}, {"USER": "7", "env": ["B=2"]}),
)
IN_HOST_CONFIG = (
    Field("dnsServers", {"HostConfig.Dns": ["10.0.0.2"]}, host={"Dns": ["10.0.0.2"]}),
    Field("dnsSearchDomains", {"HostConfig.DnsSearch": ["a.test"]}, host={"DnsSearch": ["a.test"]}),
    Field("extraHosts", {"HostConfig.ExtraHosts": ["db:10.0.0.3"]}, host={"ExtraHosts": ["db:10.0.0.3"]}),
    Field("privileged", {"HostConfig.Privileged": True}, host={"Privileged": True}),
    Field("readonlyRootFilesystem", {"HostConfig.ReadonlyRootfs": True}, host={"ReadonlyRootfs": True}),
    Field("memoryReservation", {"HostConfig.MemoryReservation": 32 * MIB}, host={"MemoryReservation": 32 * MIB}),
    Field("ulimits", {"HostConfig.Ulimits": [OPEN_FILES]}, host={"Ulimits": [OPEN_FILES]}),
    Field(
        "systemControls",
        {"HostConfig.Sysctls": {"net.core.somaxconn": "512"}},
        host={"Sysctls": {"net.core.somaxconn": "512"}},
    ),
    Field("devices", {"HostConfig.Devices": [NULL]}, host={"Devices": [NULL]}),
    Field("tmpfs", {"HostConfig.Tmpfs": {"/run": "rw,size=16m"}}, host={"Tmpfs": {"/run": "rw,size=16m"}}),
    Field("sharedMemorySize", {"HostConfig.ShmSize": 128 * MIB}, host={"ShmSize": 128 * MIB}),
    Field(
        "maxSwap and swappiness",
        {"HostConfig.Memory": 64 * MIB, "HostConfig.MemorySwap": 96 * MIB, "HostConfig.MemorySwappiness": 10},
        host={"Memory": 64 * MIB, "MemorySwap": 96 * MIB, "MemorySwappiness": 10},
    ),
    Field("initProcessEnabled", {"HostConfig.Init": True}, host={"Init": True}),
    Field(
        "dockerSecurityOptions",
        {"HostConfig.SecurityOpt": ["no-new-privileges", "seccomp=unconfined"]},
        host={"SecurityOpt": ["no-new-privileges", "seccomp=unconfined"]},
    ),
    Field("cpu by the text", {"HostConfig.CpuShares": 77}, host={"cpushares": 77}),
    Field("null leaves a number", {"HostConfig.CpuShares": 2}, host={"CpuShares": None}),
    Field("network by the text", {"HostConfig.NetworkMode": "none"}, host={"networkMode": "none"}),
    Field("binds by the text", {"HostConfig.Binds": ["/tmp:/x:ro"]}, host={"Binds": ["/tmp:/x:ro"]}),
)
LOG_OPTIONS: dict[str, dict[str, str]] = {
    "json-file": {"max-size": "10m", "max-file": "3"},
    "local": {"max-size": "10m"},
    "syslog": {"syslog-address": "udp://127.0.0.1:514", "tag": "web"},
    "journald": {"tag": "web"},
    "gelf": {"gelf-address": "udp://127.0.0.1:12201"},
    "fluentd": {"fluentd-address": "127.0.0.1:24224", "fluentd-async": "true"},
    "awslogs": {"awslogs-group": "shop", "awslogs-region": "eu-west-1", "awslogs-stream": "web"},
    "splunk": {"splunk-url": "https://127.0.0.1:8088", "splunk-token": "t-t-t"},
    "logentries": {"logentries-token": "t-t-t"},
    "none": {},
}


def shown(
    owner: Identity,
    act: CreateContainer,
    values: ContainerValues = NO_VALUES,
    around: Surroundings = NOWHERE_SPECIAL,
) -> dict[str, Any]:
    """Create, inspect, and remove again."""

    async def story() -> dict[str, Any]:
        async with a_room(owner, around=around) as room:
            made = await room.containers.create(act, values)
            found = await inspect(room, made)
            await room.containers.remove(made, force=True)
            return found

    return asyncio.run(story())


async def inspect(room: Room, made: DockerId) -> dict[str, Any]:
    async with room.engine.call(20) as docker:
        found: dict[str, Any] = await docker.containers.container(made).show()
    return found


def at(found: dict[str, Any], path: str) -> object:
    """The member of an inspect at a dotted path."""
    return reduce(lambda inner, name: inner[name], path.split("."), found)


@pytest.mark.parametrize("given", IN_CONFIG + IN_HOST_CONFIG, ids=str)
def test_what_ecs_writes_in_its_own_texts_is_shown_by_docker(owner: Identity, given: Field) -> None:
    act = an_act(docker_config=json.dumps(given.config), host_config=json.dumps(given.host))

    found = shown(owner, act)

    assert {path: at(found, path) for path in given.shows} == given.shows


def test_capabilities_are_shown_by_docker(owner: Identity) -> None:
    found = shown(owner, an_act(host_config='{"CapAdd": ["SYS_PTRACE"], "CapDrop": ["MKNOD"]}'))

    # newer engines complete the names
    assert [name.removeprefix("CAP_") for name in found["HostConfig"]["CapAdd"]] == ["SYS_PTRACE"]
    assert [name.removeprefix("CAP_") for name in found["HostConfig"]["CapDrop"]] == ["MKNOD"]


@pytest.mark.parametrize(
    ("changes", "shows"),
    [
        ({"command": ("echo", "a b")}, {"Config.Cmd": ["echo", "a b"]}),
        ({"entry_point": ("sh", "-c")}, {"Config.Entrypoint": ["sh", "-c"]}),
        ({"command": ()}, {"Config.Cmd": ["sh"]}),
        ({"environment": {"B": "2", "A": "x=y"}}, {"Config.Env": ["A=x=y", "B=2"]}),
        ({"cpu": 0}, {"HostConfig.CpuShares": 2}),
        ({"cpu": 1}, {"HostConfig.CpuShares": 2}),
        ({"cpu": 256}, {"HostConfig.CpuShares": 256}),
        ({"memory": 64}, {"HostConfig.Memory": 64 * MIB}),
        ({"memory": 4}, {"HostConfig.Memory": 6 * MIB}),
        ({}, {"HostConfig.Memory": 0}),
    ],
    ids=str,
)
def test_what_the_agent_says_itself_is_shown_by_docker(
    owner: Identity, changes: Changes, shows: dict[str, object]
) -> None:
    found = shown(owner, with_spec(an_act(), **changes))

    assert {path: at(found, path) for path in shows} == shows


@pytest.mark.parametrize(
    ("wiring", "shows"),
    [
        (Wiring(pid_mode="host"), {"HostConfig.PidMode": "host"}),
        (Wiring(ipc_mode="host"), {"HostConfig.IpcMode": "host"}),
        (Wiring(ipc_mode="none"), {"HostConfig.IpcMode": "none"}),
        (Wiring(cgroup_parent="/ecs/0123abcd"), {"HostConfig.CgroupParent": "/ecs/0123abcd"}),
        (Wiring(task_memory=256), {"HostConfig.Memory": 256 * MIB}),
        (Wiring(binds=("/tmp:/data:ro",)), {"HostConfig.Binds": ["/tmp:/data:ro"]}),
    ],
    ids=str,
)
def test_what_a_container_shares_with_its_task_is_shown_by_docker(
    owner: Identity, wiring: Wiring, shows: dict[str, object]
) -> None:
    found = shown(owner, replace(an_act(), wiring=wiring))

    assert {path: at(found, path) for path in shows} == shows


@pytest.mark.parametrize(
    ("around", "gpus", "shows"),
    [
        (Surroundings(ipc_mode="shareable"), (), {"HostConfig.IpcMode": "shareable"}),
        (Surroundings(runtime="io.containerd.runc.v2"), (), {"HostConfig.Runtime": "io.containerd.runc.v2"}),
        (
            Surroundings(nvidia_runtime="io.containerd.runc.v2"),
            ("GPU-1",),
            {"Config.Env": ["NVIDIA_VISIBLE_DEVICES=GPU-1"], "HostConfig.Runtime": "io.containerd.runc.v2"},
        ),
        (
            Surroundings(external=True),
            ("GPU-1",),
            {
                "HostConfig.DeviceRequests": [
                    {"Driver": "", "Count": 0, "DeviceIDs": ["GPU-1"], "Capabilities": [["gpu"]], "Options": None}
                ]
            },
        ),
    ],
    ids=str,
)
def test_what_the_host_adds_is_shown_by_docker(
    owner: Identity, around: Surroundings, gpus: tuple[str, ...], shows: dict[str, object]
) -> None:
    act = replace(an_act(gpus=gpus), wiring=Wiring(has_gpus=bool(gpus)))

    found = shown(owner, act, around=around)

    assert {path: at(found, path) for path in shows} == shows


@pytest.mark.parametrize("driver", LOG_OPTIONS)
def test_every_log_driver_is_created_with_its_options(owner: Identity, driver: str) -> None:
    log = {"Type": driver, "Config": LOG_OPTIONS[driver]}

    assert at(shown(owner, an_act(host_config=json.dumps({"LogConfig": log}))), "HostConfig.LogConfig") == log


def test_options_of_log_drivers_are_completed(owner: Identity) -> None:
    log = {"logconfig": {"type": "awslogs", "config": {"awslogs-group": "shop", "mode": "non-blocking"}}}
    act = an_act(host_config=json.dumps(log), logs_by_execution_role=True)
    values = ContainerValues(log_options={"awslogs-stream": "from-a-secret", "tag": ""})

    found = shown(owner, replace(act, wiring=Wiring(execution_credentials_id="e1")), values)

    assert at(found, "HostConfig.LogConfig.Config") == {
        "awslogs-group": "shop",
        "awslogs-stream": "from-a-secret",
        "awslogs-credentials-endpoint": "/v2/credentials/e1",
        "mode": "non-blocking",
        "max-buffer-size": "10m",
    }


def test_ports_and_ranges_are_published(owner: Identity) -> None:
    leases = (Lease(80, 18080), Lease(53, 18053, Transport.UDP), Lease(8000, 19000, count=2))

    found = shown(owner, replace(an_act(), leases=leases))

    assert at(found, "HostConfig.PortBindings") == {
        "80/tcp": [{"HostIp": "", "HostPort": "18080"}],
        "53/udp": [{"HostIp": "", "HostPort": "18053"}],
        "8000/tcp": [{"HostIp": "", "HostPort": "19000"}],
        "8001/tcp": [{"HostIp": "", "HostPort": "19001"}],
    }
    assert set(found["Config"]["ExposedPorts"]) == {"80/tcp", "53/udp", "8000/tcp", "8001/tcp"}


def test_the_environment_is_joined_from_all_who_know_of_it(owner: Identity) -> None:
    act = replace(an_act(environment={"A": "1", "B": "1"}), wiring=Wiring(task_credentials_id="c1", metadata_id="m1"))
    values = ContainerValues({"B": "secret"}, files=({"C": "first"}, {"C": "second"}))

    found = shown(owner, act, values, Surroundings(region="eu-west-1"))

    assert found["Config"]["Env"] == [
        "A=1",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/credentials/c1",
        "AWS_DEFAULT_REGION=eu-west-1",
        "AWS_REGION=eu-west-1",
        "B=secret",
        "C=first",
        "ECS_AGENT_URI=http://169.254.170.2/api/m1",
        "ECS_CONTAINER_METADATA_URI=http://169.254.170.2/v3/m1",
        "ECS_CONTAINER_METADATA_URI_V4=http://169.254.170.2/v4/m1",
    ]


def test_the_labels_of_ecs_win_over_the_users(owner: Identity) -> None:
    names = ("task-arn", "container-name", "task-definition-family", "task-definition-version", "cluster")
    forged = {f"com.amazonaws.ecs.{name}": "forged" for name in names} | {"team": "a"}
    act = an_act(docker_config=json.dumps({"Labels": forged}))

    found = shown(owner, act)["Config"]["Labels"]

    assert found["team"] == "a"
    assert [found[f"com.amazonaws.ecs.{name}"] for name in names] == [act.task, "web", "shop", "3", "tests"]


def run(owner: Identity, story: Callable[[Room], Awaitable[None]]) -> None:
    async def told() -> None:
        async with a_room(owner) as room:
            await story(room)

    asyncio.run(told())


def test_two_containers_share_volumes_and_one_knows_the_other_by_its_link(owner: Identity) -> None:
    name = f"ecs-shop-3-data-{owner.agent_id}"
    volume = CreateVolume(TaskArn("arn"), ResourceKind.VOLUME, "data", name, Volume("data"))
    wrote = an_act("sh", "-c", "echo hello >/data/file; echo hello >/own/file; sleep 600")
    files = replace(wrote, wiring=Wiring(binds=(f"{name}:/data",)))
    files = with_spec(files, docker_config='{"Volumes": {"/own": {}}}')
    looks = "until test -s /data/file -a -s /own/file; do sleep 0.02; done; ! touch /data/x && grep -qw db /etc/hosts"
    reader = replace(
        an_act("sh", "-c", looks), wiring=Wiring(links=(f"{files.name}:db",), volumes_from=(f"{files.name}:ro",))
    )

    async def story(room: Room) -> None:
        await room.volumes.create(volume)
        try:
            await room.containers.start(await room.containers.create(files))
            linked = await room.containers.create(reader)
            await room.containers.start(linked)
            async with room.engine.call(20) as docker:
                over = await docker.containers.container(linked).wait()
            found = await inspect(room, linked)
        finally:
            for one in (reader, files):
                await room.containers.remove(one.name, force=True)
            await room.volumes.remove(RemoveVolume(TaskArn("arn"), ResourceKind.VOLUME, "data", name))

        assert over["StatusCode"] == 0
        assert found["HostConfig"]["Links"] == [f"/{files.name}:/{reader.name}/db"]
        assert found["HostConfig"]["VolumesFrom"] == [f"{files.name}:ro"]

    run(owner, story)


def test_a_published_range_is_seen_as_one(owner: Identity) -> None:
    async def story(room: Room) -> None:
        first = free_ports(3)
        act = replace(an_act(ports=(PortMapping(8000, count=3),)), leases=(Lease(8000, first, chosen=True, count=3),))
        made = await room.containers.create(act)
        await room.containers.start(made)

        seen = await room.containers.inspect(made)
        assert seen is not None
        assert seen.bindings == (Binding(8000, first, Transport.TCP, "0.0.0.0", count=3),)

    run(owner, story)
