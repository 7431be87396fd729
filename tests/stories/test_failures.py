"""Fifteen ways to fail: what ECS shows of each, and that the agent's own explanation holds the whole error."""

import io
import re
import socket
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agent.cli import agent_client, explain
from agent.model.names import Image
from tests.docker.registries import a_registry
from tests.sample_image import SAMPLE
from tests.stories.house import House, a_house
from tests.stories.registries import a_refusing_registry
from tests.stories.test_one_task import sh

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import ContainerDefinitionTypeDef, TaskTypeDef, VolumeTypeDef

FOREIGN = "dockworker.invalid/foreign:1"
"""Holds one program, for another machine."""
ANOTHER_MACHINE = (0x15).to_bytes(2, "little")
"""PowerPC 64, in the field of an ELF header that says which machine a program is for."""
MACHINE_AT = 18
PATIENCE = 50.0
SETTINGS = {
    "ECS_CONTAINER_STOP_TIMEOUT": "1s",
    "ECS_INSTANCE_ATTRIBUTES": '{"ecs.capability.secrets.ssm.environment-variables": ""}',
}
KILLED = "killed by a signal"
SECRET = "arn:aws:ssm:us-east-1:123456789012:parameter/password"
WAITS = "exec sleep 600"
EXITED = "Essential container in task exited"
NOT_STARTED = ""
EATS = "dd if=/dev/zero of=/dev/null bs=200M count=1"


@dataclass(frozen=True)
class Failure:
    """A task that fails. Texts are patterns; `exit_code` None means that ECS shows none."""

    what: str
    containers: "tuple[ContainerDefinitionTypeDef, ...]"
    reason: str
    """Of the container called app."""
    exit_code: int | None = None
    task_reason: str = EXITED
    """Of the task; a pattern too. Empty where ECS shows that of the container: it never started."""
    volumes: "tuple[VolumeTypeDef, ...]" = ()
    role: str = ""


def image(name: str) -> "ContainerDefinitionTypeDef":
    return {"name": "app", "image": name, "memory": 32}


def after(container: str, condition: str) -> dict[str, Any]:
    return {"dependsOn": [{"containerName": container, "condition": condition}]}


FAILURES = (
    Failure(
        "no image",
        (image("{registry}/absent:1"),),
        "CannotPullContainerError: .*manifest.* (unknown|not found)",
        task_reason=NOT_STARTED,
    ),
    Failure(
        "denied",
        (image("{refusing}/denied:1"),),
        "CannotPullContainerError: .*denied",
        task_reason=NOT_STARTED,
    ),
    Failure(
        "throttled",
        (image("{refusing}/busy:1"),),
        "CannotPullContainerError: .*toomanyrequests: You have reached your pull rate limit",
        task_reason=NOT_STARTED,
    ),
    Failure(
        "out of memory",
        # Docker now and then misses that the first process died so; it has the time to see it of an earlier one
        (sh("app", f"{EATS}; sleep 1; exec {EATS}"),),
        "OutOfMemoryError: Container killed due to memory usage",
        exit_code=137,
    ),
    Failure(
        "bad entry point",
        ({"name": "app", "image": SAMPLE, "memory": 32, "entryPoint": ["/no/such/program"]},),
        "CannotStartContainerError: .*/no/such/program.*no such file or directory",
        task_reason=NOT_STARTED,
    ),
    Failure("wrong architecture", (image(FOREIGN),), "", exit_code=1),
    Failure(
        "port used",
        (sh("app", WAITS, portMappings=[{"containerPort": 80, "hostPort": 1}]),),
        "CannotStartContainerError: host port {port} is already in use on this container instance",
        task_reason=NOT_STARTED,
    ),
    Failure(
        "bad mount",
        (sh("app", WAITS, mountPoints=[{"sourceVolume": "bad", "containerPath": "/data"}]),),
        "Cannot(Create|Start)ContainerError: .*/proc/nowhere.*(no such file|not permitted|denied)",
        task_reason=NOT_STARTED,
        volumes=({"name": "bad", "host": {"sourcePath": "/proc/nowhere/at/all"}},),
    ),
    Failure(
        "full disk",
        (
            sh(
                "app",
                "exec dd if=/dev/zero of=/data/file bs=1k count=1000",
                mountPoints=[{"sourceVolume": "small", "containerPath": "/data"}],
            ),
        ),
        "",  # Docker knows no more than the program's exit code, and so does ECS
        exit_code=1,
        volumes=(
            {
                "name": "small",
                "dockerVolumeConfiguration": {
                    "scope": "task",
                    "driver": "local",
                    "driverOpts": {"type": "tmpfs", "device": "tmpfs", "o": "size=64k"},
                },
            },
        ),
    ),
    Failure(
        "dependency",
        (sh("first", "exit 3", essential=False), sh("app", WAITS, **after("first", "SUCCESS"))),
        "CannotStartContainerError: dependency graph: container app needs SUCCESS of container first, which ended with"
        " exit code 3",
        exit_code=143,
        task_reason=NOT_STARTED,
    ),
    Failure(
        "health",
        (
            sh(
                "first",
                WAITS,
                essential=False,
                startTimeout=3,
                healthCheck={"command": ["CMD-SHELL", "echo not today; false"], "interval": 5},
            ),
            sh("app", WAITS, **after("first", "HEALTHY")),
        ),
        "CannotStartContainerError: dependency graph: container app needs HEALTHY of container first, which did not"
        " come to it within its startTimeout of 3 seconds",
        exit_code=143,
        task_reason=NOT_STARTED,
    ),
    Failure(
        "secret",
        (sh("app", WAITS, secrets=[{"name": "PASSWORD", "valueFrom": SECRET}]),),
        "",
        task_reason="ResourceInitializationError: secrets: not supported by this agent yet",
        role="arn:aws:iam::123456789012:role/execution",
    ),
    Failure(
        "time-out",
        (
            sh("first", WAITS, essential=False, startTimeout=2),
            sh("app", WAITS, **after("first", "COMPLETE")),
        ),
        "CannotStartContainerError: dependency graph: container app needs COMPLETE of container first, which did not"
        " come to it within its startTimeout of 2 seconds",
        exit_code=143,
        task_reason=NOT_STARTED,
    ),
    Failure(
        "bad name",
        (image("Not/A//Name:1"),),
        "CannotPullContainerError: .*invalid reference format",
        task_reason=NOT_STARTED,
    ),
    Failure(KILLED, (sh("app", WAITS),), "", exit_code=137),
)


def foreign_archive() -> bytes:
    program = bytearray(Path("/bin/busybox").read_bytes())
    program[MACHINE_AT : MACHINE_AT + 2] = ANOTHER_MACHINE
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as root:
        entry = tarfile.TarInfo("program")
        entry.mode, entry.size = 0o755, len(program)
        root.addfile(entry, io.BytesIO(program))
    return buffer.getvalue()


@pytest.fixture(scope="module")
def foreign_image(sample_image: Image) -> Iterator[None]:
    command = ["docker", "import", "-c", 'CMD ["/program"]', "-", FOREIGN]
    subprocess.run(command, input=foreign_archive(), check=True, capture_output=True)
    yield
    subprocess.run(["docker", "rmi", FOREIGN], check=False, capture_output=True)


@dataclass(frozen=True)
class Scene:
    """Every failure under way at once: most of them take time."""

    house: House
    port: int
    tasks: dict[str, str]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, foreign_image: None) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("failures")
    with (
        a_registry(folder) as registry,
        a_refusing_registry() as refusing,
        socket.socket() as taken,
        a_house(folder, **SETTINGS) as house,
    ):
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        tasks = {}
        for number, failure in enumerate(FAILURES):
            containers = [filled(one, registry, refusing, port) for one in failure.containers]
            answer = house.ecs.register_task_definition(
                family=f"fails-{number}",
                containerDefinitions=containers,
                volumes=failure.volumes,
                executionRoleArn=failure.role,
            )
            tasks[failure.what] = house.run(answer["taskDefinition"]["taskDefinitionArn"])
        (victim,) = house.until_status(tasks[KILLED], "RUNNING")["containers"]
        subprocess.run(["docker", "kill", "-s", "KILL", victim["runtimeId"]], check=True, capture_output=True)
        yield Scene(house, port, tasks)


def filled(
    container: "ContainerDefinitionTypeDef", registry: str, refusing: str, port: int
) -> "ContainerDefinitionTypeDef":
    """*container* with the addresses and the port of this run."""
    name = container["image"].format(registry=registry, refusing=refusing)
    return {
        **container,
        "image": name,
        "portMappings": [{**one, "hostPort": port} for one in container.get("portMappings", ())],
    }


def app_of(task: "TaskTypeDef") -> dict[str, Any]:
    return next(dict(one) for one in task["containers"] if one["name"] == "app")


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.what)
def test_ecs_shows_why_a_task_failed_and_the_agent_explains_it_whole(scene: Scene, failure: Failure) -> None:
    arn = scene.tasks[failure.what]
    task = scene.house.until_stopped(arn, PATIENCE)
    app = app_of(task)
    reason = failure.reason.replace("{port}", str(scene.port))
    assert re.fullmatch(f"{reason}.*" if reason else "", app.get("reason", ""), re.DOTALL), app
    assert app.get("exitCode") == failure.exit_code, app
    assert re.match(failure.task_reason or reason, task["stoppedReason"], re.DOTALL), task["stoppedReason"]

    told = explain.ask(arn, [scene.house.agent_data / agent_client.SOCKET])
    explained = next(one for one in told["containers"] if one["name"] == "app")
    assert (explained["known"], explained["exitCode"]) == ("STOPPED", failure.exit_code)
    assert explained["reason"].startswith(app.get("reason", ""))
    assert told["reason"] == (failure.task_reason if failure.task_reason != EXITED else "")
    whats = [entry["what"] for entry in told["timeline"]]
    assert whats[0] == "arrived"
    assert "stopped" in whats
    assert SECRET not in str(told)
