"""Every field of a container, from a raw payload message to what ``docker inspect`` shows.

Most fields stand in one payload, a container for each, so that Docker makes them side by side.
"""

import asyncio
import json
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from functools import reduce
from pathlib import Path
from typing import Any

import pytest

from agent.model.credentials import ContainerValues, RegistryLogin, TaskValues
from agent.model.identity import Identity
from agent.model.names import Image
from agent.model.status import Health, PullBehavior, Status
from tests.docker.making import free_ports
from tests.docker.registries import PASSWORD, USER, a_registry, push
from tests.sample_image import SAMPLE, remove_image
from tests.stories.raw import GivenValues, RawAgent, a_raw_agent

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("sample_image")]

MIB = 1 << 20
SECOND = 1_000_000_000

Members = dict[str, Any]
ROLE = {"credentialsId": "app-1", "roleArn": "arn:r", "accessKeyId": "a", "secretAccessKey": "s", "sessionToken": "t"}


def docker(config: Members | None = None, host: Members | None = None) -> Members:
    return {"dockerConfig": {"config": json.dumps(config or {}), "hostConfig": json.dumps(host or {})}}


CHECK = {"Test": ["CMD-SHELL", "true"], "Interval": SECOND, "Timeout": SECOND, "Retries": 3}

FIELDS: dict[str, tuple[Members, Members]] = {
    "command": ({"command": ["sleep", "601"]}, {"Config.Cmd": ["sleep", "601"]}),
    "override": ({"overrides": '{"command": ["sleep", "602"]}'}, {"Config.Cmd": ["sleep", "602"]}),
    "entrypoint": ({"entryPoint": ["sleep"], "command": ["603"]}, {"Config.Entrypoint": ["sleep"]}),
    "cpu0": ({"cpu": 0}, {"HostConfig.CpuShares": 2}),
    "cpu1": ({"cpu": 1}, {"HostConfig.CpuShares": 2}),
    "cpu256": ({"cpu": 256}, {"HostConfig.CpuShares": 256}),
    "memory": ({"memory": 24}, {"HostConfig.Memory": 24 * MIB}),
    "reservation": (docker(host={"MemoryReservation": 8 * MIB}), {"HostConfig.MemoryReservation": 8 * MIB}),
    "user": (docker({"User": "1000"}), {"Config.User": "1000"}),
    "workdir": (docker({"WorkingDir": "/tmp"}), {"Config.WorkingDir": "/tmp"}),
    "hostname": (docker({"Hostname": "web-1"}), {"Config.Hostname": "web-1"}),
    "nonet": (docker({"NetworkDisabled": True}), {"Config.NetworkDisabled": True}),
    "stdin": (docker({"OpenStdin": True}), {"Config.OpenStdin": True}),
    "tty": (docker({"Tty": True}), {"Config.Tty": True}),
    "labels": (docker({"Labels": {"team": "a"}}), {"Config.Labels.team": "a"}),
    "anycase": (docker({"USER": "7"}, {"cpushares": 77}), {"Config.User": "7", "HostConfig.CpuShares": 77}),
    "dns": (docker(host={"Dns": ["10.0.0.2"]}), {"HostConfig.Dns": ["10.0.0.2"]}),
    "search": (docker(host={"DnsSearch": ["a.test"]}), {"HostConfig.DnsSearch": ["a.test"]}),
    "hosts": (docker(host={"ExtraHosts": ["db:10.0.0.3"]}), {"HostConfig.ExtraHosts": ["db:10.0.0.3"]}),
    "privileged": (docker(host={"Privileged": True}), {"HostConfig.Privileged": True}),
    "readonly": (docker(host={"ReadonlyRootfs": True}), {"HostConfig.ReadonlyRootfs": True}),
    "ulimits": (
        docker(host={"Ulimits": [{"Name": "nofile", "Soft": 64, "Hard": 128}]}),
        {"HostConfig.Ulimits": [{"Name": "nofile", "Soft": 64, "Hard": 128}]},
    ),
    "sysctls": (
        docker(host={"Sysctls": {"net.core.somaxconn": "512"}}),
        {"HostConfig.Sysctls": {"net.core.somaxconn": "512"}},
    ),
    "tmpfs": (docker(host={"Tmpfs": {"/run": "rw,size=1m"}}), {"HostConfig.Tmpfs": {"/run": "rw,size=1m"}}),
    "shm": (docker(host={"ShmSize": 8 * MIB}), {"HostConfig.ShmSize": 8 * MIB}),
    "init": (docker(host={"Init": True}), {"HostConfig.Init": True}),
    "security": (
        docker(host={"SecurityOpt": ["no-new-privileges"]}),
        {"HostConfig.SecurityOpt": ["no-new-privileges"]},
    ),
    "nonblocking": (
        docker(host={"LogConfig": {"Type": "json-file", "Config": {"mode": "non-blocking"}}}),
        {"HostConfig.LogConfig.Config.max-buffer-size": "10m"},
    ),
    "health": ({"healthCheckType": "docker", **docker({"Healthcheck": CHECK})}, {"Config.Healthcheck": CHECK}),
    "mounts": (
        {
            "mountPoints": [
                {"sourceVolume": "host", "containerPath": "/host", "readOnly": True},
                {"sourceVolume": "anonymous", "containerPath": "/scratch"},
                {"sourceVolume": "mine", "containerPath": "/mine"},
            ]
        },
        {"HostConfig.Binds.0": "/tmp:/host:ro"},
    ),
    "from": ({"volumesFrom": [{"sourceContainer": "mounts", "readOnly": True}]}, {}),
    "link": ({"links": ["command:db"]}, {}),
}


def at(found: Any, path: str) -> object:  # noqa: ANN401 -- JSON is anything
    """The member at a dotted path; numbers count items of lists."""
    return reduce(lambda inner, name: inner[int(name) if isinstance(inner, list) else name], path.split("."), found)


def container(name: str, **members: Any) -> Members:  # noqa: ANN401 -- JSON is anything
    return {"name": name, "image": SAMPLE, "essential": False, "command": ["sleep", "600"], **members}


def play(owner: Identity, folder: Path, story: Callable[[RawAgent], Awaitable[None]], **given: Any) -> None:  # noqa: ANN401
    async def played() -> None:
        async with a_raw_agent(owner, folder, **given) as agent:
            await story(agent)

    asyncio.run(played())


def test_every_field_of_a_container_is_shown_by_docker(owner: Identity, tmp_path: Path) -> None:
    volumes = [
        {"name": "host", "type": "host", "host": {"sourcePath": "/tmp"}},
        {"name": "anonymous", "type": "host", "host": {}},
        {
            "name": "mine",
            "type": "docker",
            "dockerVolumeConfiguration": {"scope": "task", "driver": "local", "labels": {"of": "raw"}},
        },
    ]

    async def story(agent: RawAgent) -> None:
        arn = await agent.hear(
            volumes=volumes,
            networkMode="bridge",
            roleCredentials=ROLE,
            containers=[container(name, **members) for name, (members, _) in FIELDS.items()],
        )
        task = await agent.settled(arn)
        found = {name: await agent.inspect(task, name) for name in FIELDS}

        for name, (_, shows) in FIELDS.items():
            assert {path: at(found[name], path) for path in shows} == shows, name
        binds = found["mounts"]["HostConfig"]["Binds"]
        assert binds[1].startswith("ecs-raw-1-anonymous-")
        assert binds[2].startswith("ecs-raw-1-mine-")
        assert binds[2].endswith(":/mine")
        names = {name: found[name]["Name"].removeprefix("/") for name in FIELDS}
        assert found["from"]["HostConfig"]["VolumesFrom"] == [f"{names['mounts']}:ro"]
        assert found["link"]["HostConfig"]["Links"] == [f"/{names['command']}:/{names['link']}/db"]
        assert names["command"].startswith("ecs-raw-1-command-")
        check_identity(found["command"], arn)

    play(owner, tmp_path, story)


def check_identity(found: Members, arn: str) -> None:
    """Labels and environment that every container gets."""
    labels, environment = found["Config"]["Labels"], dict(e.split("=", 1) for e in found["Config"]["Env"])
    assert labels["com.amazonaws.ecs.task-arn"] == arn
    assert labels["com.amazonaws.ecs.container-name"] == "command"
    assert labels["com.amazonaws.ecs.task-definition-family"] == "raw"
    assert labels["com.amazonaws.ecs.task-definition-version"] == "1"
    assert "com.amazonaws.ecs.cluster" in labels
    assert "dockworker.spec" in labels
    assert environment["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] == "/v2/credentials/app-1"
    address = environment["ECS_CONTAINER_METADATA_URI_V4"]
    assert address.startswith("http://169.254.170.2/v4/")
    assert environment["ECS_CONTAINER_METADATA_URI"] == address.replace("/v4/", "/v3/")
    assert environment["ECS_AGENT_URI"] == address.replace("/v4/", "/api/")
    assert environment["AWS_REGION"] == environment["AWS_DEFAULT_REGION"] == "us-east-1"


def test_ports_are_published_static_dynamic_and_in_ranges(owner: Identity, tmp_path: Path) -> None:
    fixed = free_ports(1)

    async def story(agent: RawAgent) -> None:
        mappings = [
            {"containerPort": 80, "hostPort": fixed},
            {"containerPort": 81},
            {"containerPort": 53, "protocol": "udp"},
            {"containerPortRange": "9000-9003", "protocol": "tcp"},
        ]
        arn = await agent.hear(containers=[container("web", essential=True, portMappings=mappings)])
        task = await agent.settled(arn)
        bound = (await agent.inspect(task, "web"))["HostConfig"]["PortBindings"]

        assert bound["80/tcp"] == [{"HostIp": "", "HostPort": str(fixed)}]
        dynamic = [int(bound[port][0]["HostPort"]) for port in ("81/tcp", "53/udp")]
        assert all(50000 <= port <= 60000 for port in dynamic)
        ranged = [int(bound[f"{port}/tcp"][0]["HostPort"]) for port in range(9000, 9004)]
        assert ranged == list(range(ranged[0], ranged[0] + 4))
        assert [(b.container_port, b.host_port, b.count) for b in task["web"].bindings if b.count > 1] == [
            (9000, ranged[0], 4)
        ]

    play(owner, tmp_path, story, first_port=50000, last_port=60000)


@pytest.mark.parametrize(
    ("task", "shows"),
    [
        ({"pidMode": "host", "ipcMode": "host"}, {"HostConfig.PidMode": "host", "HostConfig.IpcMode": "host"}),
        ({"ipcMode": "none", "networkMode": "none"}, {"HostConfig.IpcMode": "none", "HostConfig.NetworkMode": "none"}),
        ({"networkMode": "host"}, {"HostConfig.NetworkMode": "host"}),
    ],
    ids=str,
)
def test_modes_of_a_task_are_those_of_its_containers(
    owner: Identity, tmp_path: Path, task: Members, shows: Members
) -> None:
    host = {"NetworkMode": task.get("networkMode", "bridge")}

    async def story(agent: RawAgent) -> None:
        arn = await agent.hear(containers=[container("web", essential=True, **docker(host=host))], **task)
        found = await agent.inspect(await agent.settled(arn), "web")

        assert {path: at(found, path) for path in shows} == shows

    play(owner, tmp_path, story)


def test_a_task_as_a_whole_is_limited_by_a_cgroup_of_its_own(owner: Identity, tmp_path: Path) -> None:
    async def story(agent: RawAgent) -> None:
        arn = await agent.hear(cpu=0.5, memory=64, containers=[container("web", essential=True, memory=32)])
        task = await agent.settled(arn)
        found = await agent.inspect(task, "web")

        parent = f"/ecs/{arn.rpartition('/')[2]}"
        assert found["HostConfig"]["CgroupParent"] == parent
        check_cgroup(parent, found["Id"])

    play(owner, tmp_path, story, task_limits=True)


def check_cgroup(parent: str, docker_id: str) -> None:
    """The limits of the task, in the kernel's own files; then container and cgroup go."""
    assert Path(f"/sys/fs/cgroup/memory{parent}/memory.limit_in_bytes").read_text().strip() == str(64 * MIB)
    assert Path(f"/sys/fs/cgroup/cpu{parent}/cpu.cfs_quota_us").read_text().strip() == "50000"
    assert Path(f"/sys/fs/cgroup/memory{parent}/{docker_id}").is_dir()
    subprocess.run(["docker", "rm", "-f", docker_id], check=True, capture_output=True)
    for controller in Path("/sys/fs/cgroup").glob(f"*{parent}"):
        controller.rmdir()


def test_secrets_and_files_join_the_environment_by_their_rules(owner: Identity, tmp_path: Path) -> None:
    values = ContainerValues(
        environment={"PASSWORD": "planted-1", "MODE": "secret"},
        log_options={"tag": "planted-2"},
        files=({"FROM_FILE": "first", "MODE": "file"}, {"FROM_FILE": "second", "LATER": "yes"}),
    )
    web = container(
        "web",
        essential=True,
        environment={"MODE": "definition", "PLAIN": "1"},
        secrets=[
            {"name": "PASSWORD", "valueFrom": "arn:p", "provider": "ssm", "type": "ENVIRONMENT_VARIABLE"},
            {"name": "MODE", "valueFrom": "arn:m", "provider": "asm", "type": "ENVIRONMENT_VARIABLE"},
            {"name": "tag", "valueFrom": "t", "provider": "ssm", "type": "BOOTSTRAP", "target": "LOG_DRIVER"},
        ],
        environmentFiles=[{"value": "arn:aws:s3:::conf/web.env", "type": "s3"}],
        **docker(host={"LogConfig": {"Type": "json-file", "Config": {}}}),
    )

    async def story(agent: RawAgent) -> None:
        role = {**ROLE, "credentialsId": "exec-1"}
        arn = await agent.hear(containers=[web], executionRoleCredentials=role)
        found = await agent.inspect(await agent.settled(arn), "web")
        environment = dict(entry.split("=", 1) for entry in found["Config"]["Env"])

        assert (environment["PASSWORD"], environment["MODE"]) == ("planted-1", "secret")
        assert (environment["PLAIN"], environment["FROM_FILE"], environment["LATER"]) == ("1", "first", "yes")
        assert found["HostConfig"]["LogConfig"]["Config"]["tag"] == "planted-2"

    play(owner, tmp_path, story, values=GivenValues(TaskValues(containers={"web": values})))
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"PASSWORD" in files
    assert b"planted" not in files, "a value of a secret is on disk"


@pytest.fixture
def locked_image(docker_host: str, sample_image: Image, tmp_path: Path) -> Iterator[Image]:
    """An image in a registry that asks for a password, and not on the host."""
    folder = tmp_path / "registry"
    folder.mkdir()
    with a_registry(folder, locked=True) as address:
        image = Image(f"{address}/team/app:1")
        asyncio.run(push(docker_host, sample_image, image, {"username": USER, "password": PASSWORD}))
        yield image
        asyncio.run(remove_image(docker_host, image))


def test_credentials_of_a_repository_open_its_registry(owner: Identity, tmp_path: Path, locked_image: Image) -> None:
    parameter = "arn:aws:secretsmanager:us-east-1:1:secret:login"
    login = RegistryLogin(USER, PASSWORD)
    web = container(
        "web",
        essential=True,
        image=locked_image,
        registryAuthentication={
            "type": "asm",
            "asmAuthData": {"credentialsParameter": parameter, "region": "us-east-1"},
        },
    )

    async def story(agent: RawAgent) -> None:
        role = {**ROLE, "credentialsId": "exec-1"}
        task = await agent.settled(await agent.hear(containers=[web], executionRoleCredentials=role))

        assert task["web"].known is Status.RUNNING, task["web"].reason
        assert task["web"].image_digest.startswith("sha256:")

    given = GivenValues(TaskValues(logins={parameter: login}))
    play(owner, tmp_path, story, values=given, pulls=PullBehavior.ALWAYS)


def test_gpus_are_shown_to_the_containers_that_got_them(owner: Identity, tmp_path: Path) -> None:
    async def story(agent: RawAgent) -> None:
        arn = await agent.hear(
            containers=[container("with"), container("without")],
            associations=[{"name": "GPU-1", "type": "gpu", "containers": ["with"], "content": {"value": "v"}}],
        )
        task = await agent.settled(arn)
        assert task["with"].reason  # there is no NVIDIA runtime here, and Docker says so
        found = await agent.inspect(task, "without")

        assert not [entry for entry in found["Config"]["Env"] if entry.startswith("NVIDIA")]
        assert "nvidia" in task["with"].reason

    play(owner, tmp_path, story, gpus=frozenset({"GPU-1"}))


def test_health_is_kept_as_docker_tells_it(owner: Identity, tmp_path: Path) -> None:
    check = docker({"Healthcheck": CHECK})

    async def story(agent: RawAgent) -> None:
        first = container("first", essential=True, healthCheckType="docker", **check)
        second = container("second", dependsOn=[{"containerName": "first", "condition": "HEALTHY"}])
        task = await agent.settled(await agent.hear(containers=[first, second]))

        assert task["first"].health is Health.HEALTHY
        assert task["second"].known is Status.RUNNING

    play(owner, tmp_path, story)
