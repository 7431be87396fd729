"""Ready-made acts and connections for the tests of this room."""

import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TypedDict, Unpack

from agent.docker.container_driver import ContainerDriver
from agent.docker.engine_driver import DEFAULT_HOST, DockerEngine
from agent.docker.event_driver import EventDriver
from agent.docker.surroundings import NOWHERE_SPECIAL, Surroundings
from agent.docker.volume_driver import VolumeDriver
from agent.model.acts import CreateContainer
from agent.model.identity import Identity
from agent.model.names import Image, TaskArn
from agent.model.parts import Dependency, Link, RestartPolicy, VolumesFrom
from agent.model.task import ContainerSpec, PortMapping
from tests.sample_image import SAMPLE

NOWHERE = "unix:///nonexistent/docker.sock"


class Changes(TypedDict, total=False):
    """Fields of a container's spec that a test sets."""

    command: tuple[str, ...]
    entry_point: tuple[str, ...]
    environment: dict[str, str]
    cpu: int
    memory: int
    docker_config: str
    host_config: str
    ports: tuple[PortMapping, ...]
    depends_on: tuple[Dependency, ...]
    links: tuple[Link, ...]
    volumes_from: tuple[VolumesFrom, ...]
    restart: RestartPolicy | None
    health_check: bool
    gpus: tuple[str, ...]
    logs_by_execution_role: bool


@dataclass(frozen=True, slots=True)
class Room:
    """The drivers of the room over one connection."""

    engine: DockerEngine
    containers: ContainerDriver
    events: EventDriver
    volumes: VolumeDriver


@asynccontextmanager
async def a_room(
    owner: Identity, host: str = DEFAULT_HOST, around: Surroundings = NOWHERE_SPECIAL
) -> AsyncIterator[Room]:
    async with DockerEngine.connect(host) as engine:
        yield Room(
            engine,
            ContainerDriver(engine, lambda: owner, around),
            EventDriver(engine, lambda: owner),
            VolumeDriver(engine, lambda: owner, around),
        )


def an_act(*words: str, image: str = SAMPLE, **changes: Unpack[Changes]) -> CreateContainer:
    """Ask for a container of a new task that sleeps, or runs *words*."""
    task = secrets.token_hex(16)
    return CreateContainer(
        task=TaskArn(f"arn:aws:ecs:us-east-1:123456789012:task/tests/{task}"),
        container="web",
        run=1,
        name=f"ecs-shop-3-web-{task[:20]}",
        family="shop",
        version="3",
        spec=replace(ContainerSpec("web", Image(image), command=words or ("sleep", "600")), **changes),
    )


def with_spec(act: CreateContainer, **changes: Unpack[Changes]) -> CreateContainer:
    return replace(act, spec=replace(act.spec, **changes))


def free_ports(count: int) -> int:
    """The first of *count* tcp ports that follow each other and are free."""
    while True:
        first = a_free_port()
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("0.0.0.0", port))
        except (OSError, OverflowError):
            continue
        return first


def a_free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("0.0.0.0", 0))
        return int(probe.getsockname()[1])
