"""Containers get the credentials of their task's role at 169.254.170.2, as every AWS SDK asks for them."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agent.model.names import Image
from tests.sample_image import SAMPLE
from tests.stories.house import DOCKWORKER, House, a_house, clean_environment, free_port, until

if TYPE_CHECKING:
    from mypy_boto3_ecs.literals import NetworkModeType

KNOWN = "http://169.254.170.2"
PYTHON = {
    "usr": ("/usr", "/usr"),
    "lib": ("/usr/lib", "/lib"),
    "lib64": ("/usr/lib64", "/lib64"),
    "python": (sys.base_prefix, sys.base_prefix),
    "packages": (sys.prefix, sys.prefix),
}
"""This Python with its packages, as volumes: nothing is fetched."""
SIGNS = """
import boto3, json, os, urllib.request
found = boto3.Session().get_credentials()
raw = urllib.request.urlopen("http://169.254.170.2" + os.environ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"]).read()
body = json.loads(raw)
kept = found.get_frozen_credentials()
same = (kept.access_key, kept.secret_key, kept.token) == (body["AccessKeyId"], body["SecretAccessKey"], body["Token"])
print(json.dumps({"method": found.method, "role": body["RoleArn"], "same": same, "key": bool(kept.access_key)}))
"""


@dataclass(frozen=True)
class Street:
    """A house whose containers are led to its agent, and a task of each network mode in it."""

    house: House
    bridge: str
    host: str
    """The Docker ids of two containers."""
    address: str
    audit: Path

    def rules(self) -> list[str]:
        """The rules that lead to this agent, without what they are added by."""
        port = self.address.rpartition(":")[2]
        listed = subprocess.run(
            ["iptables", "-w", "-t", "nat", "-S"], check=True, capture_output=True, text=True
        ).stdout
        led = (f"DNAT --to-destination {self.address}", f"REDIRECT --to-ports {port}")
        return [line for line in listed.splitlines() if line.endswith(led)]


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory, sample_image: Image) -> Iterator[Street]:
    folder = tmp_path_factory.mktemp("street")
    address, audit = f"127.0.0.1:{free_port()}", folder / "audit.log"
    settings = {"DOCKWORKER_TASK_ADDRESS": address, "ECS_AUDIT_LOGFILE": str(audit)}
    try:
        with a_house(folder, **settings) as house:
            arns = [a_task(house, mode) for mode in ("bridge", "host")]
            tasks = [house.until_status(arn, "RUNNING") for arn in arns]
            bridge, host = (task["containers"][0]["runtimeId"] for task in tasks)
            yield Street(house, bridge, host, address, audit)
    finally:
        redirect("remove", address)


def a_task(house: House, mode: "NetworkModeType") -> str:
    answer = house.ecs.register_task_definition(
        family=f"asks-{mode}",
        networkMode=mode,
        taskRoleArn=role(mode),
        volumes=[{"name": name, "host": {"sourcePath": source}} for name, (source, _) in PYTHON.items()],
        containerDefinitions=[
            {
                "name": "app",
                "image": SAMPLE,
                "memory": 128,
                "command": ["sh", "-c", "exec sleep 600"],
                "stopTimeout": 2,
                "mountPoints": [
                    {"sourceVolume": name, "containerPath": path, "readOnly": True}
                    for name, (_, path) in PYTHON.items()
                ],
            }
        ],
    )
    return house.run(answer["taskDefinition"]["taskDefinitionArn"])


def role(mode: str) -> str:
    return f"arn:aws:iam::123456789012:role/{mode}"


def redirect(what: str, address: str) -> int:
    environ = {**clean_environment(), "DOCKWORKER_TASK_ADDRESS": address}
    return subprocess.run(
        [*DOCKWORKER, "redirect", what], check=False, env=environ, stdout=subprocess.DEVNULL
    ).returncode


def execute(container: str, *command: str) -> str:
    ended = subprocess.run(["docker", "exec", container, *command], check=False, capture_output=True, text=True)
    return ended.stdout + ended.stderr


def sign(container: str) -> dict[str, Any]:
    """What boto3 found inside of *container*."""
    said = execute(container, sys.executable, "-c", SIGNS)
    assert said.startswith("{"), said
    found: dict[str, Any] = json.loads(said)
    return found


def path_of(container: str) -> str:
    return execute(container, "sh", "-c", "echo $AWS_CONTAINER_CREDENTIALS_RELATIVE_URI").strip()


def fetch(container: str, path: str) -> str:
    return execute(container, "wget", "-T", "2", "-O", "-", KNOWN + path)


def test_boto3_finds_the_role_of_its_task_in_either_network_and_again_after_a_flush(street: Street) -> None:
    until(lambda: len(street.rules()) == 2, "the rules to be there")
    with ThreadPoolExecutor() as both:
        found = list(both.map(sign, (street.bridge, street.host)))
    for mode, one in zip(("bridge", "host"), found, strict=True):
        assert one == {"method": "container-role", "role": role(mode), "same": True, "key": True}

    for rule in street.rules():
        subprocess.run(["iptables", "-w", "-t", "nat", "-D", *rule.split()[1:]], check=True)
    assert "RoleArn" not in fetch(street.host, path_of(street.host))

    until(lambda: len(street.rules()) == 2, "the rules to be there again")
    for container in (street.bridge, street.host):
        assert "RoleArn" in fetch(container, path_of(container))
    assert "redirect_made_again" in street.house.agent.log.read_text()


def test_nobody_gets_the_credentials_of_another_task(street: Street) -> None:
    until(lambda: len(street.rules()) == 2, "the rules to be there")
    of_bridge, of_host = path_of(street.bridge), path_of(street.host)
    for container, other in ((street.bridge, of_host), (street.host, of_bridge)):
        assert "400 Bad Request" in fetch(container, other)
    for path in (of_bridge, of_host):
        with pytest.raises(urllib.error.HTTPError, match="400"):
            urllib.request.urlopen(KNOWN + path, timeout=5)

    noted = street.audit.read_text()
    assert noted.count(" 400 ") == 4
    assert of_bridge.rpartition("/")[2] not in noted + street.house.agent.log.read_text()


def test_the_rules_are_checked_and_removed_on_request(street: Street) -> None:
    until(lambda: len(street.rules()) == 2, "the rules to be there")
    assert redirect("check", street.address) == 0
    street.house.agent.close()
    try:
        assert redirect("remove", street.address) == 0
        assert street.rules() == []
        assert redirect("check", street.address) == 1
        assert redirect("make", street.address) == 0
        assert len(street.rules()) == 2
    finally:
        street.house.agent.start()
