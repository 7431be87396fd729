"""What a real container is told of itself, from inside, beside what Docker says of it; and its file."""

import json
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agent.model.names import Image
from tests.stories.house import House, a_house, containers, free_port, until

STAYS = ["sh", "-c", "trap exit TERM; sleep 600 & wait"]
HERE = "http://169.254.170.2"
ASK = f'for path; do wget -qO- "http://$SERVER${{ECS_CONTAINER_METADATA_URI_V4#{HERE}}}$path"; echo; done'
THIRD = f'wget -qO- "http://$SERVER${{ECS_CONTAINER_METADATA_URI#{HERE}}}"'


@dataclass(frozen=True)
class Scene:
    """A house with one task of two containers, and the metadata address."""

    house: House
    server: str
    task: str

    def inspect(self, name: str) -> dict[str, Any]:
        told = subprocess.run(
            ["docker", "inspect", *containers(self.house)], check=True, capture_output=True, text=True
        ).stdout
        [found] = [
            one for one in json.loads(told) if one["Config"]["Labels"]["com.amazonaws.ecs.container-name"] == name
        ]
        return dict(found)

    def inside(self, name: str, script: str, *words: str) -> str:
        """What *script* prints in the container called *name*."""
        docker_id = self.inspect(name)["Id"]
        command = ["docker", "exec", "-e", f"SERVER={self.server}", docker_id, "sh", "-c", script, "sh", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout

    def ask(self, name: str, *paths: str) -> list[Any]:
        """The bodies of metadata v4 at *paths*, as the container called *name* is answered."""
        return [json.loads(line) for line in self.inside(name, ASK, *paths).splitlines()]

    def measured_twice(self) -> dict[str, Any] | None:
        [stats] = self.ask("other", "/task/stats")
        return stats if all("network_rate_stats" in one for one in stats.values()) else None

    def file(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.inside("web", "cat $ECS_CONTAINER_METADATA_FILE"))
        return found


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, sample_image: Image) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("metadata")
    server = f"172.17.0.1:{free_port()}"
    settings = {
        "DOCKWORKER_TASK_ADDRESS": server,
        "DOCKWORKER_TASK_REDIRECT": "false",
        "ECS_ENABLE_CONTAINER_METADATA": "true",
        "ECS_AUDIT_LOGFILE": str(folder / "audit.log"),
        "ECS_CONTAINER_STOP_TIMEOUT": "1s",
        "ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION": "1s",
    }
    web: Any = {
        "name": "web",
        "image": str(sample_image),
        "cpu": 10,
        "memory": 32,
        "command": STAYS,
        "portMappings": [{"containerPort": 80}],
        "dockerLabels": {"team": "a&b"},
        "mountPoints": [{"sourceVolume": "etc", "containerPath": "/host", "readOnly": True}],
        "logConfiguration": {"logDriver": "json-file", "options": {"max-size": "1m"}},
        "restartPolicy": {"enabled": True},
        "healthCheck": {"command": ["CMD-SHELL", "echo fine"], "interval": 300},
    }
    other: Any = {"name": "other", "image": str(sample_image), "memory": 16, "command": STAYS}
    with a_house(folder, **settings) as house:
        answer = house.ecs.register_task_definition(
            family="told", containerDefinitions=[web, other], volumes=[{"name": "etc", "host": {"sourcePath": "/etc"}}]
        )
        launched = house.ecs.run_task(
            taskDefinition=answer["taskDefinition"]["taskDefinitionArn"], tags=[{"key": "stage", "value": "test"}]
        )
        task = launched["tasks"][0]["taskArn"]
        house.until_status(task, "RUNNING")
        yield Scene(house, server, task)


def addresses(raw: dict[str, Any]) -> list[dict[str, Any]]:
    networks = raw["NetworkSettings"]["Networks"].items()
    return [{"NetworkMode": name, "IPv4Addresses": [one["IPAddress"]]} for name, one in networks]


def ports(raw: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"ContainerPort": 80, "Protocol": "tcp", "HostPort": int(one["HostPort"]), "HostIp": one["HostIp"]}
        for one in raw["NetworkSettings"]["Ports"]["80/tcp"]
    ]


def test_a_container_is_told_of_itself_what_docker_says(scene: Scene) -> None:
    raw = scene.inspect("web")
    labels = {name: text for name, text in raw["Config"]["Labels"].items() if not name.startswith("dockworker.")}
    mounts = sorted(raw["Mounts"], key=lambda one: one["Destination"])
    volumes = [{"Source": one["Source"], "Destination": one["Destination"]} for one in mounts]
    arn = next(one["containerArn"] for one in scene.house.task(scene.task)["containers"] if one["name"] == "web")

    [body] = scene.ask("web", "")
    third = json.loads(scene.inside("web", THIRD))

    assert body == {
        "DockerId": raw["Id"],
        "Name": "web",
        "DockerName": raw["Name"].removeprefix("/"),
        "Image": raw["Config"]["Image"],
        "ImageID": raw["Image"],
        "Ports": ports(raw),
        "Labels": labels,
        "DesiredStatus": "RUNNING",
        "KnownStatus": "RUNNING",
        "Limits": {"CPU": 10, "Memory": 32},
        "CreatedAt": raw["Created"],
        "StartedAt": raw["State"]["StartedAt"],
        "Type": "NORMAL",
        "Health": {},
        "Volumes": volumes,
        "LogDriver": "json-file",
        "LogOptions": {"max-size": "1m"},
        "ContainerARN": arn,
        "Networks": addresses(raw),
        "RestartCount": 0,
    }
    assert labels["team"] == "a&b"
    assert "/etc" in {one["Source"] for one in volumes}
    assert len(volumes) == len(("what the definition mounts", "the file of metadata"))
    assert third["Ports"] == [{k: v for k, v in one.items() if k != "HostIp"} for one in ports(raw)]
    assert not third.keys() & {"LogDriver", "ContainerARN", "RestartCount"}


def test_a_container_is_told_of_its_task_with_the_tags_and_of_what_docker_measures(scene: Scene) -> None:
    row = scene.house.task(scene.task)

    [task] = scene.ask("other", "/taskWithTags")
    stats = until(scene.measured_twice, "the rates of both containers")

    assert (task["TaskARN"], task["Cluster"], task["Family"], task["Revision"]) == (scene.task, "default", "told", "1")
    assert (task["KnownStatus"], task["LaunchType"], task["FaultInjectionEnabled"]) == ("RUNNING", "EC2", False)
    assert task["AvailabilityZone"] == row["availabilityZone"]
    assert task["TaskTags"] == {"stage": "test"}
    assert "Errors" not in task
    assert [one["Name"] for one in task["Containers"]] == ["web", "other"]
    assert {one["DockerId"] for one in task["Containers"]} == {one["runtimeId"] for one in row["containers"]}
    assert stats.keys() == {one["runtimeId"] for one in row["containers"]}
    for docker_id, one in stats.items():
        assert one["id"] == docker_id
        assert one["memory_stats"]["usage"] > 0
        assert one["cpu_stats"]["system_cpu_usage"] > one["precpu_stats"]["system_cpu_usage"], "measured twice"
        assert list(one)[:2] == ["read", "preread"], "in Docker's own order"
        assert list(one["network_rate_stats"]) == ["rx_bytes_per_sec", "tx_bytes_per_sec"]


def test_the_file_tells_the_same_until_its_task_is_cleaned_up(scene: Scene) -> None:
    raw, row = scene.inspect("web"), scene.house.task(scene.task)
    shelf = scene.house.agent_data / "metadata" / "default" / scene.task.rpartition("/")[2]

    found = until(lambda: (told := scene.file()).get("MetadataFileStatus") and told, "the file to be completed")

    assert found == {
        "Cluster": "default",
        "ContainerInstanceARN": row["containerInstanceArn"],
        "TaskARN": scene.task,
        "TaskDefinitionFamily": "told",
        "TaskDefinitionRevision": "1",
        "ContainerID": raw["Id"],
        "ContainerName": "web",
        "DockerContainerName": raw["Name"],
        "ImageID": raw["Image"],
        "ImageName": raw["Config"]["Image"],
        "PortMappings": [
            {
                "ContainerPort": 80,
                "ContainerPortRange": "",
                "HostPort": one["HostPort"],
                "BindIp": one["HostIp"],
                "Protocol": "tcp",
            }
            for one in ports(raw)
        ],
        "Networks": addresses(raw),
        "MetadataFileStatus": "READY",
        "AvailabilityZone": row["availabilityZone"],
    }
    scene.house.agent.end(signal.SIGKILL)
    incomplete: Path = shelf / "web" / "ecs-container-metadata.json"
    incomplete.write_text("{}")
    scene.house.agent.start()
    until(lambda: scene.file() == found, "the file to be completed after the next start")

    scene.house.ecs.stop_task(task=scene.task)
    until(lambda: not shelf.exists(), "the files to be removed")
