"""Two Docker Engines under one face: the real one behind the agent's drivers, and the one in memory.

A test that says what the agent may rely on asks a `Dock`, and so holds both to it.
"""

import asyncio
import contextlib
import json
import secrets
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Protocol

from aiodocker.exceptions import DockerError
from aiodocker.volumes import DockerVolume

from agent.docker import labels
from agent.docker.container_driver import ContainerDriver
from agent.docker.engine_driver import DEFAULT_HOST, DockerEngine
from agent.docker.volume_driver import VolumeDriver
from agent.model.acts import CreateContainer
from agent.model.credentials import NO_VALUES
from agent.model.identity import Identity
from agent.model.names import DockerId, Image, TaskArn
from agent.model.seen import Seen
from agent.model.status import Health
from agent.model.task import ContainerSpec
from agent.runner.ports import Containers, Volumes
from tests.conftest import a_mark
from tests.contracts.sim_containers import SimContainers, SimVolumes
from tests.engine.sim_docker import SimDocker
from tests.sample_image import SAMPLE, client, remove_containers

ENDS_WITH = 7
HEEDED = 143
_SECOND = 1_000_000_000


class Program(Enum):
    """What runs in a container."""

    STAYS = "runs until it is told to stop, and heeds the signal"
    DEAF = "runs on whatever signal it gets"
    ENDS = "ends by itself, with a code that is not 0"
    DONE = "ends by itself, with 0"
    ABSENT = "is not in the image"
    GREEDY = "wants more memory than it may have"


WORDS: dict[Program, tuple[str, ...]] = {
    Program.STAYS: ("sh", "-c", f"trap 'exit {HEEDED}' TERM; echo ready; sleep 600 & wait"),
    Program.DEAF: ("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 600; done"),
    Program.ENDS: ("sh", "-c", f"exit {ENDS_WITH}"),
    Program.DONE: ("true",),
    Program.ABSENT: ("/no/such/program",),
    Program.GREEDY: ("sh", "-c", "x=aaaaaaaa; while :; do x=$x$x; done"),
}


def an_act(command: tuple[str, ...], image: str, memory: int = 0) -> CreateContainer:
    """Ask for the one container of a new task."""
    task = secrets.token_hex(16)
    return CreateContainer(
        task=TaskArn(f"arn:aws:ecs:us-east-1:123456789012:task/tests/{task}"),
        container="web",
        run=1,
        name=f"ecs-shop-3-web-{task[:20]}",
        family="shop",
        version="3",
        spec=ContainerSpec("web", Image(image), command=command, memory=memory),
    )


class Dock(Protocol):
    """A Docker Engine, and what happens to its containers without the agent."""

    @property
    def containers(self) -> Containers:
        """The port that the runner drives."""
        ...

    @property
    def volumes(self) -> Volumes:
        """The port that the runner drives for volumes."""
        ...

    def ask(self, program: Program, health: Health | None = None) -> CreateContainer:
        """Ask for a container of a new task that runs *program*; with a check that comes to *health*."""
        ...

    async def until_checked(self, docker_id: DockerId, health: Health) -> Seen:
        """What is seen of the container once its check has come to *health*."""
        ...

    def volume_name(self) -> str:
        """A name that no volume has."""
        ...

    async def a_foreign_volume(self, name: str) -> None:
        """Have somebody else make a volume."""
        ...

    async def has_volume(self, name: str) -> bool:
        """Is there a volume called *name*?"""
        ...

    def elsewhere(self, act: CreateContainer) -> CreateContainer:
        """*act* with another image, which is on no host."""
        ...

    async def until_ready(self, docker_id: DockerId) -> None:
        """Return when the program in the container minds its signals."""
        ...

    async def until_over(self, docker_id: DockerId) -> Seen:
        """What is seen of the container once its program has ended."""
        ...

    async def a_foreign_container(self, name: str) -> str:
        """Have somebody else hold *name*; gives the id of the holder."""
        ...

    async def holder(self, name: str) -> str:
        """The id of whoever holds *name*, ours or not; empty if nobody does."""
        ...

    def held_port(self) -> contextlib.AbstractContextManager[int]:
        """A TCP port of the host that a process holds."""
        ...

    def free_port(self) -> int:
        """A TCP port of the host that nobody holds."""
        ...

    def now(self) -> datetime:
        """The time by this engine's clock."""
        ...


class RealDock:
    """Docker itself. Fulfils `Dock`."""

    def __init__(self, engine: DockerEngine, owner: Identity) -> None:
        self._engine = engine
        self._owner = owner
        self._volumes: list[str] = []
        self.containers: Containers = ContainerDriver(engine, lambda: owner)
        self.volumes: Volumes = VolumeDriver(engine, lambda: owner)

    async def clean_up(self) -> None:
        """Remove the volumes of the test, and what holds them. Other containers go with their owner."""
        if self._volumes:
            await remove_containers(DEFAULT_HOST, f"{labels.AGENT}={self._owner.agent_id}")
        async with client(DEFAULT_HOST) as docker:
            for name in self._volumes:
                with contextlib.suppress(DockerError):
                    await DockerVolume(docker, name).delete()

    def ask(self, program: Program, health: Health | None = None) -> CreateContainer:
        act = an_act(WORDS[program], SAMPLE, memory=8 if program is Program.GREEDY else 0)
        if health is None:
            return act
        verdict = f"echo checked; exit {0 if health is Health.HEALTHY else 1}"
        check = {"Test": ["CMD-SHELL", verdict], "Interval": _SECOND, "Timeout": 9 * _SECOND, "Retries": 1}
        config = json.dumps({"Healthcheck": check})
        return replace(act, spec=replace(act.spec, health_check=True, docker_config=config))

    async def until_checked(self, docker_id: DockerId, health: Health) -> Seen:
        async with asyncio.timeout(20):
            while (found := await seen(self, docker_id)).health is not health:  # noqa: ASYNC110 -- nor for this one
                await asyncio.sleep(0.05)
        return found

    def volume_name(self) -> str:
        self._volumes.append(f"dockworker-test-{secrets.token_hex(8)}")
        return self._volumes[-1]

    async def a_foreign_volume(self, name: str) -> None:
        async with client(DEFAULT_HOST) as docker:
            await docker.volumes.create({"Name": name})

    async def has_volume(self, name: str) -> bool:
        async with client(DEFAULT_HOST) as docker:
            found = await docker.volumes.list()
        return any(volume["Name"] == name for volume in found["Volumes"] or ())

    def elsewhere(self, act: CreateContainer) -> CreateContainer:
        return replace(act, spec=replace(act.spec, image=Image("dockworker.invalid/missing:1")))

    async def until_ready(self, docker_id: DockerId) -> None:
        async with self._engine.call(20) as docker:
            container = docker.containers.container(docker_id)
            while not await container.log(stdout=True):  # noqa: ASYNC110 -- Docker has no event for it
                await asyncio.sleep(0.02)

    async def until_over(self, docker_id: DockerId) -> Seen:
        async with self._engine.call(20) as docker:
            await docker.containers.container(docker_id).wait()
        return await seen(self, docker_id)

    async def a_foreign_container(self, name: str) -> str:
        key, _, value = a_mark(self._owner).partition("=")
        config: dict[str, Any] = {"Image": SAMPLE, "Cmd": ["sleep", "600"], "Labels": {key: value}}
        async with client(DEFAULT_HOST) as docker:
            return (await docker.containers.create(config, name=name)).id

    async def holder(self, name: str) -> str:
        async with client(DEFAULT_HOST) as docker:
            return (await docker.containers.get(name)).id

    @contextmanager
    def held_port(self) -> Iterator[int]:
        with socket.socket() as holder:
            holder.bind(("0.0.0.0", 0))
            holder.listen()
            yield int(holder.getsockname()[1])

    def free_port(self) -> int:
        with socket.socket() as probe:
            probe.bind(("0.0.0.0", 0))
            return int(probe.getsockname()[1])

    def now(self) -> datetime:
        return datetime.now(UTC)


class FakeDock:
    """The Docker of the histories. Fulfils `Dock`."""

    def __init__(self) -> None:
        self._docker = SimDocker(datetime(2026, 1, 15, 12, 0, tzinfo=UTC))
        self._docker.images.add(SAMPLE)
        self._programs: dict[str, Program] = {}
        self._ports = iter(range(40000, 41000))
        self.containers: Containers = SimContainers(self._docker)
        self.volumes: Volumes = SimVolumes(self._docker)

    async def until_checked(self, docker_id: DockerId, health: Health) -> Seen:
        self._docker.check(self._docker.containers[docker_id], health)
        return await seen(self, docker_id)

    def volume_name(self) -> str:
        return f"volume-{next(self._ports)}"

    async def a_foreign_volume(self, name: str) -> None:
        self._docker.volumes.add(name)

    async def has_volume(self, name: str) -> bool:
        return name in self._docker.volumes

    def ask(self, program: Program, health: Health | None = None) -> CreateContainer:
        words = {Program.DEAF: ("stubborn",), Program.ABSENT: WORDS[program]}.get(program, (program.name,))
        act = an_act(words, SAMPLE)
        self._programs[act.name] = program
        return replace(act, spec=replace(act.spec, health_check=health is not None))

    def elsewhere(self, act: CreateContainer) -> CreateContainer:
        return replace(act, spec=replace(act.spec, image=Image("dockworker.invalid/missing:1")))

    async def until_ready(self, docker_id: DockerId) -> None:
        assert self._docker.containers[docker_id].runs

    async def until_over(self, docker_id: DockerId) -> Seen:
        found = self._docker.containers[docker_id]
        self._docker.tick(SimContainers.CALL)
        match self._programs[found.name]:
            case Program.ENDS if found.runs:
                self._docker.exit(found, ENDS_WITH)
            case Program.DONE if found.runs:
                self._docker.exit(found, 0)
            case Program.GREEDY if found.runs:
                self._docker.exit(found, 137, out_of_memory=True)
            case _:
                assert not found.runs, "nothing ends it"
        return found.seen()

    async def a_foreign_container(self, name: str) -> str:
        return self._docker.foreign(name).docker_id

    async def holder(self, name: str) -> str:
        found = self._docker.by_name(name)
        return found.docker_id if found is not None else ""

    @contextmanager
    def held_port(self) -> Iterator[int]:
        port = self.free_port()
        self._docker.held_ports.add(port)
        yield port
        self._docker.held_ports.remove(port)

    def free_port(self) -> int:
        return next(self._ports)

    def now(self) -> datetime:
        return self._docker.now


@asynccontextmanager
async def a_dock(kind: str, owner: Identity) -> AsyncIterator[Dock]:
    """The Docker Engine called *kind*: ``fake`` or ``real``."""
    if kind == "fake":
        yield FakeDock()
        return
    async with DockerEngine.connect(DEFAULT_HOST) as engine:
        dock = RealDock(engine, owner)
        try:
            yield dock
        finally:
            await dock.clean_up()


async def create(dock: Dock, act: CreateContainer) -> DockerId:
    """Create a container that has no values of its own."""
    return await dock.containers.create(act, NO_VALUES)


async def seen(dock: Dock, reference: str) -> Seen:
    """What is seen of a container that is there."""
    async with asyncio.timeout(20):
        found = await dock.containers.inspect(reference)
    assert found is not None
    return found
