"""What containers of different tasks are told of each other, asked from inside of them."""

import json
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil
import pytest

from agent.model.names import Image
from tests.stories.house import House, a_house, containers, free_port, until

ROLE = "arn:aws:iam::111122223333:role/shop"
ASKING = r"""
server=$1; shift
mkfifo /asking.$$ && exec 3<>/asking.$$   # whose end nc never sees: it would hang up before it is answered
for path; do
    printf 'GET %s HTTP/1.0\r\n\r\n' "$path" >&3
    nc -w 5 $server </asking.$$ | head -n 1
done
"""
LEAST_SECRET = 32
"""Digits of the shortest id that is as good as a password."""
STATUS = re.compile(r"HTTP/1\.0 (\d+)")
MODES: tuple[Literal["bridge", "host"], ...] = ("bridge", "bridge", "host", "host")


@dataclass(frozen=True)
class Member:
    """One container of a task, and the paths that are its own."""

    name: str
    docker_id: str
    task: str
    metadata: str
    credentials: str

    @property
    def paths(self) -> tuple[str, ...]:
        metadata = (self.metadata, f"{self.metadata}/task", self.metadata.replace("/v4/", "/v3/"))
        return (*metadata, self.credentials)


@dataclass(frozen=True)
class Scene:
    """A house with four tasks, two in a bridge and two in the network of the host."""

    house: House
    address: str
    members: tuple[Member, ...]

    def asked_by(self, docker_id: str, paths: tuple[str, ...]) -> list[int]:
        """The status of the answers that a container gets, each over a connection of its own."""
        server = self.address.replace(":", " ")
        words = ["docker", "exec", docker_id, "sh", "-c", ASKING, "sh", server, *paths]
        told = subprocess.run(words, check=True, capture_output=True, text=True, timeout=60).stdout
        return [int(one) for one in STATUS.findall(told)]

    def matrix(self, holds: Callable[[Member, Member, list[int]], bool]) -> None:
        """Each asks for all that belongs to each."""
        pairs = [(asker, owner) for asker in self.members for owner in self.members]
        with ThreadPoolExecutor(4) as threads:
            told = list(threads.map(lambda pair: self.asked_by(pair[0].docker_id, pair[1].paths), pairs))
        wrong = [
            f"{asker.name} asks for what is of {owner.name}: {statuses}"
            for (asker, owner), statuses in zip(pairs, told, strict=True)
            if len(statuses) != len(owner.paths) or not holds(asker, owner, statuses)
        ]
        assert not wrong


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, sample_image: Image) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("isolation")
    address = f"172.17.0.1:{free_port()}"
    settings = {
        "DOCKWORKER_TASK_ADDRESS": address,
        "DOCKWORKER_TASK_REDIRECT": "false",
        "ECS_AUDIT_LOGFILE": str(folder / "audit.log"),
        "ECS_CONTAINER_STOP_TIMEOUT": "1s",
    }
    with a_house(folder, **settings) as house:
        tasks = []
        for number, mode in enumerate(MODES):
            definition = house.ecs.register_task_definition(
                family=f"{mode}-{number}",
                networkMode=mode,
                taskRoleArn=ROLE,
                containerDefinitions=[
                    {"name": "app", "image": str(sample_image), "memory": 32, "command": ["sleep", "600"]}
                ],
            )["taskDefinition"]["taskDefinitionArn"]
            tasks.append(house.run(definition))
        for task in tasks:
            house.until_status(task, "RUNNING")
        yield Scene(house, address, tuple(sorted(members(house), key=lambda one: one.name)))


def members(house: House) -> Iterator[Member]:
    shown = subprocess.run(["docker", "inspect", *containers(house)], check=True, capture_output=True, text=True)
    for raw in json.loads(shown.stdout):
        variables = dict(one.partition("=")[::2] for one in raw["Config"]["Env"])
        yield Member(
            raw["Config"]["Labels"]["com.amazonaws.ecs.task-definition-family"],
            raw["Id"],
            raw["Config"]["Labels"]["com.amazonaws.ecs.task-arn"],
            variables["ECS_CONTAINER_METADATA_URI_V4"].removeprefix("http://169.254.170.2"),
            variables["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"],
        )


def listens_on(house: House) -> set[str]:
    assert house.agent.process is not None
    found = psutil.Process(house.agent.process.pid).net_connections("inet")
    return {f"{one.laddr.ip}:{one.laddr.port}" for one in found if one.status == psutil.CONN_LISTEN}


def test_each_container_is_told_of_its_own_task_and_of_no_other(scene: Scene) -> None:
    def holds(asker: Member, owner: Member, statuses: list[int]) -> bool:
        return all(one == 200 if asker == owner else 400 <= one < 500 for one in statuses)

    assert len(scene.members) == len(MODES)
    scene.matrix(holds)
    assert listens_on(scene.house) == {scene.address}
    log = Path(scene.house.agent.log).read_text()
    assert "not_its_own_refused" in log
    ids = {part for one in scene.members for path in one.paths for part in path.split("/") if len(part) >= LEAST_SECRET}
    assert ids
    assert not [one for one in ids if one in log]


def test_whoever_is_of_no_task_is_told_of_none(scene: Scene, sample_image: Image) -> None:
    paths = tuple(path for one in scene.members for path in one.paths)
    for network in ("bridge", "host"):
        words = ["docker", "run", "-d", "--rm", "--network", network, str(sample_image), "sleep", "60"]
        stranger = subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
        try:
            statuses = scene.asked_by(stranger, paths)
        finally:
            subprocess.run(["docker", "kill", stranger], check=True, capture_output=True)
        assert len(statuses) == len(paths)
        assert all(400 <= one < 500 for one in statuses), (network, statuses)


def test_where_tasks_are_not_isolated_the_id_alone_counts(scene: Scene) -> None:
    house = scene.house
    house.agent.end(signal.SIGTERM)
    house.agent.environ["DOCKWORKER_ISOLATE_TASKS"] = "false"
    house.agent.start()
    asker = scene.members[0]

    def all_are_told() -> bool:
        return all(scene.asked_by(asker.docker_id, (one.credentials,)) == [200] for one in scene.members)

    until(all_are_told, "the credentials to be here again")
    scene.matrix(lambda _asker, _owner, statuses: statuses == [200] * len(statuses))
