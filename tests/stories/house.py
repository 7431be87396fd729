"""A whole house for a story: a control plane and an agent as processes of their own, and boto3 in front of them."""

import asyncio
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from agent.controlplane.keys_driver import KeyPair, load_or_make
from agent.host.cgroup_driver import ROOT, CgroupDriver
from agent.model.acts import RemoveCgroup
from agent.model.names import TaskArn
from agent.model.status import ResourceKind
from agent.store.journal_driver import FILE_NAME

if TYPE_CHECKING:
    from mypy_boto3_ecs.client import ECSClient
    from mypy_boto3_ecs.type_defs import ContainerDefinitionTypeDef, ContainerInstanceTypeDef, TaskTypeDef

T = TypeVar("T")

REGION = "us-east-1"
PATIENCE = 30.0
DOCKWORKER = (sys.executable, "-m", "agent")


def free_port() -> int:
    """A TCP port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(question: Callable[[], T | None], what: str, patience: float = PATIENCE) -> T:
    """The first answer to *question* that is something; fails with *what* was waited for."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if answer := question():
            return answer
        Event().wait(0.02)
    raise AssertionError(f"waited {patience:g} s for {what}")


class Program:
    """A process of ours that a story may kill and start again."""

    def __init__(self, name: str, command: tuple[str, ...], environ: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.log = log
        self.command = command
        self.environ = dict(environ)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, env=self.environ, stdout=log, stderr=log)

    def end(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(timeout=PATIENCE)
        self.process = None
        return code

    def close(self) -> None:
        if self.process is not None:
            self.end(signal.SIGKILL)


class House:
    """A control plane, an agent, and a client for each of them to be looked at with."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        plane_data, self.agent_data = folder / "plane", folder / "agent"
        keys = load_or_make(plane_data)
        self.plane = Program(
            "controlplane",
            (*DOCKWORKER, "controlplane", "--listen", f"127.0.0.1:{self.port}", "--data", str(plane_data)),
            clean_environment(),
            folder / "plane.log",
        )
        self.agent = Program(
            "agent",
            (*DOCKWORKER, "run"),
            {
                **clean_environment(),
                **credentials(keys.agent),
                "ECS_BACKEND_HOST": self.endpoint,
                "ECS_DATADIR": str(self.agent_data),
                "ECS_IMAGE_PULL_BEHAVIOR": "prefer-cached",
                "DOCKWORKER_HEALTH_ADDRESS": "off",
                "AWS_EC2_METADATA_DISABLED": "true",
                "DOCKWORKER_SHARE_HOST": "true",
                "DOCKWORKER_TASK_ADDRESS": "off",
                **settings,
            },
            folder / "agent.log",
        )
        self.operator = keys.operator
        self.ecs = self._client(keys.operator)

    def _client(self, keys: KeyPair) -> "ECSClient":
        return boto3.client(
            "ecs",
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=keys.access_key_id,
            aws_secret_access_key=keys.secret_access_key,
            config=Config(retries={"mode": "standard", "total_max_attempts": 1}, connect_timeout=2, read_timeout=10),
        )

    def start(self) -> None:
        self.plane.start()
        until(self.answers, "the control plane to answer")
        self.agent.start()
        self.instance()

    def answers(self) -> bool:
        try:
            self.ecs.list_clusters()
        except BotoCoreError:
            return False
        return True

    def instance(self) -> "ContainerInstanceTypeDef":
        """The container instance, as soon as it is connected."""
        return until(self._connected, "the container instance to be connected")

    def _connected(self) -> "ContainerInstanceTypeDef | None":
        try:
            arns = self.ecs.list_container_instances()["containerInstanceArns"]
        except self.ecs.exceptions.ClusterNotFoundException:
            return None
        if not arns:
            return None
        instances = self.ecs.describe_container_instances(containerInstances=arns)["containerInstances"]
        return next((one for one in instances if one["agentConnected"]), None)

    def define(self, family: str, *containers: "ContainerDefinitionTypeDef") -> str:
        answer = self.ecs.register_task_definition(family=family, containerDefinitions=containers)
        return answer["taskDefinition"]["taskDefinitionArn"]

    def run(self, definition: str) -> str:
        answer = self.ecs.run_task(taskDefinition=definition)
        assert not answer["failures"], answer["failures"]
        return answer["tasks"][0]["taskArn"]

    def task(self, arn: str) -> "TaskTypeDef":
        return self.ecs.describe_tasks(tasks=[arn])["tasks"][0]

    def until_status(self, arn: str, status: str, patience: float = PATIENCE) -> "TaskTypeDef":
        def look() -> "TaskTypeDef | None":
            task = self.task(arn)
            assert task["lastStatus"] == status or task["lastStatus"] != "STOPPED", task
            return task if task["lastStatus"] == status else None

        return until(look, f"{arn} to be {status}", patience)

    def until_stopped(self, arn: str, patience: float = PATIENCE) -> "TaskTypeDef":
        def look() -> "TaskTypeDef | None":
            task = self.task(arn)
            return task if task["lastStatus"] == "STOPPED" else None

        return until(look, f"{arn} to be STOPPED", patience)

    def close(self) -> None:
        self.agent.close()
        self.plane.close()


@contextmanager
def a_house(folder: Path, **settings: str) -> Iterator[House]:
    """A house that stands; its logs are printed if the story fails, its containers are removed."""
    with standing(House(folder, settings)) as house:
        yield house


@contextmanager
def standing(house: House) -> Iterator[House]:
    """*house*, started; afterwards it and its containers are gone, and its logs are printed if the story failed."""
    try:
        house.start()
        yield house
    except BaseException:
        for program in (house.plane, house.agent):
            if program.log.exists():
                print(f"---- {program.name}\n{program.log.read_text()[-6000:]}")  # noqa: T201 -- pytest shows it on failure
        raise
    finally:
        house.close()
        remove_containers(house)


def remove_containers(house: House) -> None:
    """Remove what the story left in Docker."""
    ids = containers(house, "-a")
    if ids:
        _docker(house, "rm", "-fv", *ids)
    if names := of_agent(house, "volume", "ls", "-q"):
        _docker(house, "volume", "rm", *names)
    asyncio.run(remove_cgroups(house.agent_data))


async def remove_cgroups(agent_data: Path) -> None:
    """Remove the cgroups of an agent's tasks: it does so itself, hours after their end."""
    journal = agent_data / FILE_NAME
    if not journal.exists():
        return
    with closing(sqlite3.connect(journal)) as rows:
        tasks = [str(arn) for (arn,) in rows.execute("SELECT arn FROM tasks")]
    version = 2 if (ROOT / "cgroup.controllers").exists() else 1
    for arn in tasks:
        task_id = arn.rpartition("/")[2]
        path = f"/ecs/{task_id}" if version == 1 else f"ecstasks-{task_id}.slice"
        await CgroupDriver(version).remove(RemoveCgroup(TaskArn(arn), ResourceKind.CGROUP, path=path))


def containers(house: House, *options: str) -> list[str]:
    """The ids of the containers that belong to this house's agent (running ones; all with ``-a``)."""
    return of_agent(house, "ps", "-q", "--no-trunc", *options)


def of_agent(house: House, *listing: str) -> list[str]:
    """What a *listing* of Docker's shows that belongs to this house's agent."""
    identity = house.agent_data / "identity.json"
    if not identity.exists():
        return []
    agent = json.loads(identity.read_text())["identity"]["agent_id"]
    return _docker(house, *listing, "--filter", f"label=dockworker.agent={agent}").split()


def _docker(house: House, *words: str) -> str:
    """What Docker's own command prints, asked of the engine that the agent drives."""
    environ = {name: value for name, value in house.agent.environ.items() if name in ("DOCKER_HOST", "PATH", "HOME")}
    return subprocess.run(["docker", *words], check=True, capture_output=True, text=True, env=environ).stdout


def clean_environment() -> dict[str, str]:
    """This process's environment without anything that an AWS client or the agent would read."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "ECS_", "DOCKWORKER_"))}


def credentials(pair: KeyPair) -> dict[str, str]:
    """The variables by which an AWS client finds *pair*."""
    return {
        "AWS_ACCESS_KEY_ID": pair.access_key_id,
        "AWS_SECRET_ACCESS_KEY": pair.secret_access_key,
        "AWS_DEFAULT_REGION": REGION,
    }
