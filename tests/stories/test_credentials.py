"""Containers get the credentials of their task's role at 169.254.170.2, as every AWS SDK asks for them."""

import json
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from agent.cli import redirect as redirect_command
from agent.model.names import Image
from tests import planted
from tests.sample_image import SAMPLE
from tests.stories.house import DOCKWORKER, House, a_house, free_port, until

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
CHANGES = """
import sys, urllib.request
asked = urllib.request.Request(sys.argv[1], b'{ \\"ProtectionEnabled\\": true}', method='PUT')
print(urllib.request.urlopen(asked).read().decode())
"""


class CloudWatch(BaseHTTPRequestHandler):
    """Takes log events, and remembers with whose keys they were signed."""

    signed_with: ClassVar[list[str]] = []
    lines: ClassVar[list[str]] = []
    streams: ClassVar[set[str]] = set()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        CloudWatch.signed_with += re.findall(r"Credential=(\w+)/", self.headers["Authorization"])
        CloudWatch.streams.add(body["logStreamName"])
        CloudWatch.lines += [event["message"] for event in body.get("logEvents", ())]
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Nobody reads that."""


@dataclass(frozen=True)
class Street:
    """A house whose containers are led to its agent, and a task of each network mode in it."""

    house: House
    bridge: str
    host: str
    """The Docker ids of two containers."""
    logs: str
    """A task that writes a line to CloudWatch, and ends."""
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
        with a_house(folder, **settings) as house, HTTPServer(("127.0.0.1", 0), CloudWatch) as server:
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
            logs = a_task_that_logs(house, server.server_port)  # Docker takes five seconds to send a line
            arns = [a_task(house, mode) for mode in ("bridge", "host")]
            tasks = [house.until_status(arn, "RUNNING") for arn in arns]
            bridge, host = (task["containers"][0]["runtimeId"] for task in tasks)
            yield Street(house, bridge, host, logs, address, audit)
            server.shutdown()
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
                "command": ["sh", "-c", "trap 'exit 0' TERM; sleep 600 & wait"],
                "mountPoints": [
                    {"sourceVolume": name, "containerPath": path, "readOnly": True}
                    for name, (_, path) in PYTHON.items()
                ],
            }
        ],
    )
    return house.run(answer["taskDefinition"]["taskDefinitionArn"])


def a_task_that_logs(house: House, port: int) -> str:
    options = {
        "awslogs-region": "us-east-1",
        "awslogs-group": "tests",
        "awslogs-stream-prefix": "p",
        "awslogs-endpoint": f"http://127.0.0.1:{port}",
    }
    answer = house.ecs.register_task_definition(
        family="logs",
        executionRoleArn=role("logs"),
        containerDefinitions=[
            {
                "name": "app",
                "image": SAMPLE,
                "memory": 32,
                "command": ["echo", "hello"],
                "logConfiguration": {"logDriver": "awslogs", "options": options},
            }
        ],
    )
    return house.run(answer["taskDefinition"]["taskDefinitionArn"])


def role(mode: str) -> str:
    return f"arn:aws:iam::123456789012:role/{mode}"


def redirect(what: str, address: str) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKWORKER_TASK_ADDRESS", address)
        return redirect_command.main([what])


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
    said = execute(container, "wget", "-T", "2", "-O", "-", KNOWN + path)
    planted.note_credentials(said)
    return said


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

    until(lambda: street.audit.read_text().count(" 400 ") >= 4, "the refusals to be noted")
    noted = street.audit.read_text()
    assert noted.count(" 400 ") == 4, noted
    assert of_bridge.rpartition("/")[2] not in noted + street.house.agent.log.read_text()


def test_a_task_of_a_service_protects_itself_and_any_other_hears_why_it_cannot(street: Street) -> None:
    house, path = street.house, "${ECS_AGENT_URI}/task-protection/v1/state"
    answer = house.ecs.run_task(taskDefinition="asks-bridge", group="service:web")
    arn = answer["tasks"][0]["taskArn"]
    container = house.until_status(arn, "RUNNING")["containers"][0]["runtimeId"]
    change = f'{sys.executable} -c "{CHANGES}" {path}'

    told = json.loads(execute(container, "sh", "-c", change))
    assert (told["protection"]["ProtectionEnabled"], told["protection"]["TaskArn"]) == (True, arn)
    [shown] = house.ecs.get_task_protection(cluster="default", tasks=[arn])["protectedTasks"]
    assert shown["protectionEnabled"]
    assert json.loads(execute(container, "sh", "-c", f"wget -q -O - {path}")) == told

    alone = json.loads(execute(street.bridge, "sh", "-c", change))
    assert alone["failure"]["Reason"] == "TASK_NOT_VALID"
    house.ecs.stop_task(task=arn)
    house.until_stopped(arn)


def test_docker_writes_logs_with_the_keys_of_the_execution_role(street: Street) -> None:
    task = street.house.until_stopped(street.logs)
    assert task["containers"][0].get("exitCode") == 0, (task.get("stoppedReason"), task["containers"])
    until(lambda: CloudWatch.lines, "the log to arrive")

    assert (CloudWatch.streams, CloudWatch.lines) == ({f"p/app/{task['taskArn'].rpartition('/')[2]}"}, ["hello"])
    assert all(key.startswith("ASIA") for key in CloudWatch.signed_with)
    noted = f"{task['taskArn']} GetCredentialsExecutionRole 2 default {task['containerInstanceArn']}"
    until(lambda: noted in street.audit.read_text(), "it to be noted whose keys they were")


def test_the_rules_are_checked_and_removed_on_request_and_by_who_leaves(street: Street) -> None:
    until(lambda: len(street.rules()) == 2, "the rules to be there")
    assert redirect("check", street.address) == 0
    agent = street.house.agent
    agent.close()
    assert redirect("remove", street.address) == 0
    assert street.rules() == []
    assert redirect("check", street.address) == 1
    assert redirect("make", street.address) == 0
    assert len(street.rules()) == 2

    left = subprocess.run(
        [*DOCKWORKER, "leave", "--force"], check=False, env=agent.environ, capture_output=True, text=True
    )

    assert (left.returncode, street.rules()) == (0, []), left.stdout
